package simulator

import (
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/openai"
)

// parsePrompts reads the texts of completions and embeddings: a string, a list
// of strings, a list of token numbers, or a list of such lists. Token numbers
// stand for their JSON as text, and cost one token each.
func (q *request) parsePrompts(name string, value gjson.Result) *openai.Error {
	if err := required(name, value); err != nil {
		return err
	}
	switch {
	case isString(value):
		q.addText(value)
		return nil
	case !value.IsArray():
		return invalidType(name, "a string or an array", value)
	case value.Get("0").Type == gjson.Number:
		return q.addTokens(name, value)
	}
	var err *openai.Error
	value.ForEach(func(_, item gjson.Result) bool {
		err = q.addPrompt(name, item)
		return err == nil
	})
	switch {
	case err != nil:
		return err
	case len(q.prompts) == 0:
		return emptyArray(name)
	case len(q.prompts) > maxPrompts:
		return openai.InvalidRequest(name, "array_above_max_length",
			"Invalid '%s': array too long. Expected an array with maximum length %d, but got an array with length %d instead.",
			name, maxPrompts, len(q.prompts))
	}
	return nil
}

func (q *request) addPrompt(name string, item gjson.Result) *openai.Error {
	switch {
	case isString(item):
		q.addText(item)
		return nil
	case item.IsArray():
		return q.addTokens(name, item)
	default:
		return invalidType(name, "strings or arrays of token numbers", item)
	}
}

func (q *request) addText(value gjson.Result) {
	text := clean(value.Str)
	q.prompts = append(q.prompts, text)
	q.promptTokens += tokens(len(text))
}

func (q *request) addTokens(name string, list gjson.Result) *openai.Error {
	var (
		count int64
		err   *openai.Error
	)
	list.ForEach(func(_, item gjson.Result) bool {
		count++
		_, err = whole(name, item, 0, 1<<31)
		return err == nil
	})
	if err != nil {
		return err
	}
	if count == 0 {
		return emptyArray(name)
	}
	q.prompts = append(q.prompts, list.Raw)
	q.promptTokens += count
	return nil
}
