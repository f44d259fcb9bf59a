package simulator

import (
	"iter"

	"github.com/headrace/headrace/internal/openai"
)

// endpoint is what tells the endpoints of the API apart: three functions of a
// request and of nothing else.
type endpoint struct {
	// parse checks the members of its own and fills in what the request asks.
	parse func(q *request) *openai.Error
	// answer appends the body of the answer to b, and notes where it may be
	// filled up (request.padAt).
	answer func(b []byte, q *request) []byte
	// events yields the events of a stream, and true with the last. The bytes
	// are overwritten by the next. It is nil where there are no streams.
	events func(q *request) iter.Seq2[[]byte, bool]
	// model is the model of requests that name none; empty where they must.
	model string
}

// lookup finds the endpoint of a path.
func lookup(path string) (endpoint, bool) {
	switch openai.Endpoint(path) {
	case openai.ChatCompletions:
		return endpoint{parse: parseChat, answer: appendChat, events: chatEvents}, true
	case openai.Completions:
		return endpoint{parse: parseCompletion, answer: appendCompletion, events: completionEvents}, true
	case openai.Embeddings:
		return endpoint{parse: parseEmbeddings, answer: appendEmbeddings}, true
	case openai.Moderations:
		return endpoint{parse: parseModeration, answer: appendModeration, model: "omni-moderation-latest"}, true
	case openai.Responses:
		return endpoint{parse: parseResponse, answer: appendResponse, events: responseEvents}, true
	default:
		return endpoint{}, false
	}
}

// created is the time at which everything was created, 2026-01-01 in unix
// seconds: the real time would make answers to the same request differ.
const created = "1767225600"

// Answer returns the body that a call with this body gets when nothing goes
// wrong: of a stream, all its events. No directive is obeyed, nothing is
// counted. The error, for a body that is refused, is an *openai.Error; for an
// endpoint that does not exist too.
func (s *Simulator) Answer(e openai.Endpoint, body []byte) ([]byte, error) {
	end, ok := lookup(string(e))
	if !ok {
		return nil, openai.NotFound("", "Invalid URL (POST %s)", e)
	}
	set := s.settings.Load()
	q := request{seed: set.Seed, key: keyOf(body)}
	if err := q.parse(body, end, set); err != nil {
		return nil, err
	}
	if !q.stream {
		return end.answer(nil, &q), nil
	}
	var all []byte
	for event := range end.events(&q) {
		all = append(all, event...)
	}
	return all, nil
}
