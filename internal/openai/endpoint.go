package openai

import "slices"

// Endpoint is a path of the OpenAI API that a request of a batch may name, as
// it stands in the line's "url" and the batch's "endpoint".
type Endpoint string

// The endpoints that headrace calls. Each takes a JSON body and answers with
// one.
const (
	ChatCompletions Endpoint = "/v1/chat/completions"
	Completions     Endpoint = "/v1/completions"
	Embeddings      Endpoint = "/v1/embeddings"
	Moderations     Endpoint = "/v1/moderations"
	Responses       Endpoint = "/v1/responses"
)

// Endpoints lists every endpoint, in the order in which error messages name
// them.
func Endpoints() []Endpoint {
	return []Endpoint{Responses, ChatCompletions, Embeddings, Completions, Moderations}
}

// Valid reports whether e is one of Endpoints.
func (e Endpoint) Valid() bool { return slices.Contains(Endpoints(), e) }

// Title is the endpoint's name in a sentence, as OpenAI's messages have it.
func (e Endpoint) Title() string {
	switch e {
	case ChatCompletions:
		return "Chat Completions"
	case Completions:
		return "Completions"
	case Embeddings:
		return "Embeddings"
	case Moderations:
		return "Moderations"
	case Responses:
		return "Responses"
	default:
		return string(e)
	}
}
