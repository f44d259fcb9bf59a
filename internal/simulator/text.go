package simulator

import (
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/openai"
)

// Bounds of the API, as far as the simulator has its own.
const (
	bytesPerToken = 4
	maxOutput     = 1_000_000 // tokens in one text
	maxChoices    = 128       // answers to one prompt, as OpenAI has it
	maxPrompts    = 2048      // inputs or prompts in one request, as OpenAI has it
)

// echoPrefix and echoLength make an Echo; filler is repeated where a text has
// to be longer.
const (
	echoPrefix = "Echo: "
	echoLength = 200 // bytes of the prompt
	filler     = " The mill turns while the water runs."
)

// Echo returns the text with which the simulator answers a prompt when the
// request sets no limit: "Echo: " and the first 200 bytes of the prompt, less
// what is left of a character cut in two.
func Echo(prompt string) string { return echoPrefix + cut(prompt, echoLength) }

// cut returns the first n bytes of s, less what is left of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for back := 0; back < utf8.UTFMax && n > 0 && !utf8.RuneStart(s[n]); back++ {
		n--
	}
	return s[:n]
}

// tokens returns what n bytes of text cost.
func tokens(n int) int64 { return int64(n+bytesPerToken-1) / bytesPerToken }

// reply is the text that answers a prompt.
type reply struct {
	text string
	full bool // the limit cut it short
}

// replyTo answers a prompt in exactly limit tokens, or in as many as Echo has
// where limit is 0.
func replyTo(prompt string, limit int64) reply {
	text := Echo(prompt)
	if limit == 0 {
		return reply{text: text}
	}
	size := int(limit) * bytesPerToken
	if len(text) > size {
		return reply{text: cut(text, size), full: true}
	}
	missing := size - len(text)
	return reply{text: text + strings.Repeat(filler, missing/len(filler)+1)[:missing]}
}

func (r reply) finishReason() string {
	if r.full {
		return "length"
	}
	return "stop"
}

// compose reads how many answers of what length are wanted, and makes them.
func (q *request) compose(limitName string, limit gjson.Result) *openai.Error {
	n, err := whole("n", q.fields.n, 1, maxChoices)
	if err != nil {
		return err
	}
	if q.limit, err = whole(limitName, limit, 1, maxOutput); err != nil {
		return err
	}
	q.n = int(max(n, 1))
	if q.limit*int64(q.n)*int64(len(q.prompts)) > maxOutput {
		return openai.InvalidRequest(limitName, openai.CodeInvalidValue,
			"Invalid '%s': all answers together may have %d tokens.", limitName, maxOutput)
	}
	for _, prompt := range q.prompts {
		r := replyTo(prompt, q.limit)
		q.replies = append(q.replies, r)
		q.completionTokens += tokens(len(r.text)) * int64(q.n)
	}
	return nil
}

// choices yields every answer with its index: n for the first prompt, then n
// for the next.
func (q *request) choices() iter.Seq2[int, reply] {
	return func(yield func(int, reply) bool) {
		for i := range q.n * len(q.replies) {
			if !yield(i, q.replies[i/q.n]) {
				return
			}
		}
	}
}

// pieceSize is the size of a delta in a stream, in bytes.
const pieceSize = 4 * bytesPerToken

// pieces yields a text in pieces of whole characters, none for an empty text.
func pieces(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for text != "" {
			piece := cut(text, pieceSize)
			if !yield(piece) {
				return
			}
			text = text[len(piece):]
		}
	}
}

// clean makes valid UTF-8 of what came out of a body.
func clean(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// conversation collects the text of messages.
type conversation struct {
	last, lastUser string
	hasUser        bool
	bytes          int
}

// add reads one message. It returns what is wrong with it.
func (v *conversation) add(name string, message gjson.Result) *openai.Error {
	if !message.IsObject() {
		return invalidType(name, "an object", message)
	}
	var role, content gjson.Result
	message.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "role":
			role = value
		case "content":
			content = value
		}
		return true
	})
	if err := required(name+".role", role); err != nil {
		return err
	}
	text, err := contentText(name+".content", content)
	if err != nil {
		return err
	}
	v.bytes += len(text)
	v.last = text
	if role.Str == "user" {
		v.lastUser, v.hasUser = text, true
	}
	return nil
}

// prompt returns the text to answer.
func (v *conversation) prompt() string {
	if v.hasUser {
		return v.lastUser
	}
	return v.last
}

// contentText returns the text of a message: a string, the texts of its parts
// joined, or nothing.
func contentText(name string, content gjson.Result) (string, *openai.Error) {
	switch {
	case isString(content):
		return clean(content.Str), nil
	case absent(content):
		return "", nil
	case !content.IsArray():
		return "", invalidType(name, "a string or an array of parts", content)
	}
	var all strings.Builder
	content.ForEach(func(_, part gjson.Result) bool {
		all.WriteString(part.Get("text").Str)
		return true
	})
	return clean(all.String()), nil
}
