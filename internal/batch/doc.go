// Package batch says what a batch is between its creation and its end: the
// options that headrace adds to OpenAI's, the object that clients see, and what
// running lanes report of themselves.
//
// It is a leaf with no I/O: api, workflows and activities share it.
package batch
