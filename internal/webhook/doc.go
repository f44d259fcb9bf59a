// Package webhook says what is sent to whoever wants to hear of the end of a
// batch, a response or a task, and what is known of its delivery.
//
// The events are those of OpenAI, with tasks beside them: they carry ids and no
// results. They are signed as the Standard Webhooks specification has it
// (https://www.standardwebhooks.com), which is how OpenAI signs its own: SDKs
// verify them.
//
// It is a leaf with no I/O: api, workflows and activities share it. Read
// event.go, then sign.go, then delivery.go.
package webhook
