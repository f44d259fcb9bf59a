// Package simulator is an OpenAI-compatible upstream with real limits and
// faults. It stands in for a provider in `headrace sim`, in `headrace dev` and
// `headrace run` without a key, in tests and in benchmarks.
//
// It answers POST /v1/chat/completions, /v1/completions, /v1/embeddings,
// /v1/moderations and /v1/responses, and GET /v1/models. GET /stats tells what
// it has seen (Stats), POST /control changes its Options while it runs.
//
// # Answers
//
// The body of an answer is a function of the seed, the endpoint and the bytes
// of the request body, and of nothing else: not of the time, not of earlier
// calls. Simulator.Answer computes it without a call. Even the creation time
// is constant. Ids end in Fingerprint of the request body, so whoever holds an
// answer can tell whose it is and that the body arrived unchanged.
//
// The text of an answer is Echo of the last user message (of the last message
// where no user speaks; of the prompt in /v1/completions). A limit on the
// output (max_tokens, max_completion_tokens, max_output_tokens) is used up to
// the last token: a shorter text is filled up, finish_reason "stop"; a longer
// one is cut, finish_reason "length". A token is four bytes, begun ones count
// whole; images, tools and other parts that are not text cost none. Members of
// the body that the simulator does not know are accepted.
//
// # Chance
//
// Latencies and faults are drawn from the seed, the request body and how many
// times this body was admitted before. So a run is repeated exactly by the same
// seed, whatever the order in which calls arrive.
//
// # Directives
//
// One request commands its own treatment when its "user" is a string that
// starts with "sim:", or, without such a user, when its "metadata" is such a
// string or an object whose member "sim" is one. See the grammar in
// directive.go.
//
// # Reading order
//
// Options and Latency (options.go, latency.go), Simulator (simulator.go), the
// life of one call (call.go, deliver.go), its limits (bucket.go, limits.go) and
// treatment (directive.go, behaviour.go), the endpoints (endpoint.go and one
// file each), what is counted (stats.go, tally.go, bodies.go), the server
// (server.go).
//
// The package imports internal/openai and nothing else of headrace. It logs
// nothing per request.
package simulator
