package limit

import (
	"cmp"

	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/openai"
)

// estimate is what is known of the tokens that calls of one model cost.
type estimate struct {
	perByte    float64 // of the prompt
	completion float64
	seen       int
}

// What is assumed of a model until it has answered so many calls.
const (
	tokensPerByte    = 0.25 // English text in JSON
	usualCompletion  = 256
	enoughSeen       = 5
	newestWeight     = 0.1
	mostEstimateSize = 1000 // models that are remembered
)

// estimate guesses what a call will cost. Whoever calls it holds the lock.
func (g *Gate) estimate(t *Ticket) int64 {
	e := g.models[t.Model]
	most := mostTokens(t.Body)
	perByte, completion := tokensPerByte, float64(cmp.Or(most, usualCompletion))
	if e != nil && e.seen >= enoughSeen {
		perByte, completion = e.perByte, e.completion
	}
	if most > 0 {
		completion = min(completion, float64(most))
	}
	return max(int64(perByte*float64(len(t.Body))+completion), 1)
}

// mostTokens is the bound that a request sets to its completion, 0 for none.
func mostTokens(body []byte) int64 {
	for _, field := range gjson.GetManyBytes(body, "max_completion_tokens", "max_tokens", "max_output_tokens") {
		if n := field.Int(); n > 0 {
			return n
		}
	}
	return 0
}

// learn books what a call has cost. Whoever calls it holds the lock.
func (g *Gate) learn(p *Pass, usage openai.Usage) {
	e := g.models[p.model]
	if e == nil {
		if len(g.models) >= mostEstimateSize {
			clear(g.models)
		}
		e = &estimate{}
		g.models[p.model] = e
	}
	weight := max(newestWeight, 1/float64(e.seen+1))
	e.seen++
	e.perByte += weight * (float64(usage.InputTokens)/float64(max(p.bytes, 1)) - e.perByte)
	e.completion += weight * (float64(usage.OutputTokens) - e.completion)
}
