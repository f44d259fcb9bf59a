// Package store keeps bytes under keys: uploaded files, the chunks and results
// of batches, and the small JSON objects that describe them. It stands on
// gocloud.dev/blob, so that a local folder, S3, GCS and Azure serve alike.
//
// Writes are atomic: a key holds either the whole of what was written or
// nothing. On a local folder they are also synced, data and directory, before
// they are acknowledged. Nothing is read back to be rewritten.
//
// The package knows nothing of HTTP or Temporal. Read store.go, then keys.go,
// which is the only place that spells a key, then files.go, batches.go and
// manifest.go.
package store
