package api

import (
	"encoding/json"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
)

// priority reads a priority, otherwise if absent: an integer, or one of the words
// that have one.
func (p *params) priority(field string, otherwise int) int {
	var word string
	if raw := p.fields[field]; json.Unmarshal(raw, &word) != nil {
		return int(p.integer(field, -batch.PriorityLimit, batch.PriorityLimit, int64(otherwise)))
	}
	if p.take(field) == nil {
		return otherwise
	}
	n, ok := batch.PriorityOf(word)
	if !ok {
		p.fail(openai.InvalidRequest(p.path+field, openai.CodeInvalidValue,
			"Invalid value for '%s': expected an integer from %d to %d, '%s' (%d) or '%s' (%d), but got '%s'.", p.path+field,
			-batch.PriorityLimit, batch.PriorityLimit, batch.WordInteractive, batch.PriorityInteractive,
			batch.WordBatch, batch.PriorityBatch, word))
	}
	return n
}
