// Package llm makes one call to a language model provider and says what came
// of it. Client is the interface; llm/provider implements it for OpenAI and
// whatever speaks its format, llm/llmtest for tests.
//
// The bytes of request and response pass untouched. This package adds what the
// engine needs to go on: the kind of an error, how long the provider asks to
// wait, and the tokens that a response cost. It is the one place where
// provider errors are classified.
//
// It imports internal/{openai, batch, jsonscan, sse} only. Read
// llm.go, then kind.go, then event.go.
package llm
