// Package limit holds back calls that a provider would not take. Every call
// passes a Gate, which all lanes of a process share for one provider: it closes
// while the provider asks to wait, lets a single probe through while the
// provider cannot be used at all, and opens by and by afterwards.
//
// It imports internal/llm for the kinds of errors and nothing else of ours.
// Read gate.go.
package limit
