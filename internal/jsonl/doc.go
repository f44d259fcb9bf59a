// Package jsonl reads the input of a batch: a file with one JSON request per
// line. [Plan] reads such a file once, in memory that does not grow with it,
// checks every line, finds repeated custom_ids, and cuts the file into the
// chunks that lanes lease. [DecodeChunk] and [ReadChunk] are the way back, from
// the index that Plan wrote to the requests of one chunk.
//
// The package works on io.Reader and io.Writer alone. It may import
// internal/openai and internal/jsonscan, and it knows no store, no Temporal and no HTTP.
//
// Read plan.go first, which ties the parts together; then, in the order in
// which a line meets them: line.go (bytes to lines), request.go (a line to
// its fields, by internal/jsonscan), check.go (what the fields must be), duplicates.go and
// runs.go (custom_ids that repeat), problems.go (what Plan reports), index.go
// and chunk.go (lines to chunks).
package jsonl
