// Package openai holds the objects of the OpenAI HTTP API as official SDKs see
// them: files, batches, lists, the error envelope, the endpoints that a batch
// may name, and the ids of all these.
//
// It is a leaf: wire shapes and their spelling, no behaviour. Field order and
// explicit nulls follow what the real service sends, since SDKs of several
// languages read them. Read endpoint.go and batch.go first.
package openai
