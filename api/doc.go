// Package api is the front: the OpenAI-compatible HTTP API over files and
// batches, on Gin. It starts workflows and reads what they have come to; it
// never waits for a provider, and works while no worker is up.
//
// Every handler returns an error or writes an answer; errors.go alone turns
// errors into the OpenAI envelope. The package may import workflows (names and
// inputs), store, results, openai and batch, and never activities. Read
// routes.go first: it is the whole table.
package api
