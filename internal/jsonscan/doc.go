// Package jsonscan checks JSON texts and finds members in them, both in one
// pass and without decoding: what it finds are parts of the text, byte for
// byte. encoding/json and gjson need two passes for the same; the benchmarks of
// internal/jsonl have the figures.
//
// It imports nothing of ours. Read scan.go.
package jsonscan
