package simulator

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/openai"
)

// flagWord in an input makes a moderation flag it as violence.
const flagWord = "sim:flag"

const flaggedCategory = "violence"

// categories lists the categories of omni-moderation.
func categories() []string {
	return []string{
		"harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent",
		"self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors",
		flaggedCategory, "violence/graphic",
	}
}

// parseModeration reads a string, a list of strings, or one input of several
// parts (text and images).
func parseModeration(q *request) *openai.Error {
	input := q.fields.input
	if !input.IsArray() || !input.Get("0").IsObject() {
		return q.parsePrompts("input", input)
	}
	text, err := contentText("input", input)
	if err != nil {
		return err
	}
	q.prompts, q.promptTokens = append(q.prompts, text), tokens(len(text))
	return nil
}

func appendModeration(b []byte, q *request) []byte {
	b = append(b, `{"id":"`...)
	b = q.appendID(b, "modr-")
	b = append(b, `","model":`...)
	b = gjson.AppendJSONString(b, q.model)
	b = append(b, `,"results":[`...)
	for i, prompt := range q.prompts {
		if i > 0 {
			b = append(b, ',')
		}
		b = q.appendModerationResult(b, prompt)
	}
	b = append(b, `]}`...)
	q.padAt = len(b)
	return b
}

func (q *request) appendModerationResult(b []byte, text string) []byte {
	flagged := strings.Contains(text, flagWord)
	hit := func(category string) bool { return flagged && category == flaggedCategory }
	b = append(b, `{"flagged":`...)
	b = strconv.AppendBool(b, flagged)
	b = append(b, `,"categories":`...)
	b = appendCategories(b, func(b []byte, _ int, category string) []byte {
		return strconv.AppendBool(b, hit(category))
	})
	b = append(b, `,"category_scores":`...)
	key := keyOf([]byte(text))
	b = appendCategories(b, func(b []byte, i int, category string) []byte {
		score := draw(q.seed, key, i, forScore) / 1000
		if hit(category) {
			score = 1 - score
		}
		return strconv.AppendFloat(b, score, 'g', -1, 64)
	})
	b = append(b, `,"category_applied_input_types":`...)
	b = appendCategories(b, func(b []byte, _ int, _ string) []byte { return append(b, `["text"]`...) })
	return append(b, '}')
}

// appendCategories writes an object with a member per category, whose value is
// written by a function of its index and name.
func appendCategories(b []byte, value func(b []byte, i int, category string) []byte) []byte {
	b = append(b, '{')
	for i, category := range categories() {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), category...), `":`...)
		b = value(b, i, category)
	}
	return append(b, '}')
}
