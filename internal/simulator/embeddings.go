package simulator

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/openai"
)

// Sizes of embeddings: the usual one, as in text-embedding-3-small, and the
// largest that may be asked for.
const (
	defaultDimensions = 1536
	maxDimensions     = 8192
)

func parseEmbeddings(q *request) *openai.Error {
	if err := q.parsePrompts("input", q.fields.input); err != nil {
		return err
	}
	if slices.Contains(q.prompts, "") {
		return openai.InvalidRequest("input", openai.CodeInvalidValue, "Invalid 'input': input cannot be an empty string.")
	}
	if _, err := q.dimensions(); err != nil {
		return err
	}
	switch format := q.fields.encodingFormat; {
	case absent(format), format.Str == "float", format.Str == "base64":
		return nil
	default:
		return openai.InvalidRequest("encoding_format", openai.CodeInvalidValue,
			"Invalid value: %s. Supported values are: 'float' and 'base64'.", clean(format.Raw))
	}
}

func (q *request) dimensions() (int64, *openai.Error) {
	n, err := whole("dimensions", q.fields.dimensions, 1, maxDimensions)
	if n == 0 {
		n = defaultDimensions
	}
	return n, err
}

func appendEmbeddings(b []byte, q *request) []byte {
	n, _ := q.dimensions() // parseEmbeddings has seen its error
	vector := make([]float32, n)
	b = append(b, `{"object":"list","data":[`...)
	for i, prompt := range q.prompts {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"object":"embedding","index":`...)
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, `,"embedding":`...)
		embed(vector, q.seed, prompt)
		if q.fields.encodingFormat.Str == "base64" {
			b = appendBase64(b, vector)
		} else {
			b = appendFloats(b, vector)
		}
		b = append(b, '}')
	}
	b = append(b, `],"model":`...)
	b = gjson.AppendJSONString(b, q.model)
	b = append(b, `,"usage":{"prompt_tokens":`...)
	b = strconv.AppendInt(b, q.promptTokens, 10)
	b = append(b, `,"total_tokens":`...)
	b = strconv.AppendInt(b, q.promptTokens, 10)
	b = append(b, `}}`...)
	q.padAt = len(b)
	return b
}

// embed fills v with the unit vector of a text: the same text has the same
// vector, whatever else is in the request.
func embed(v []float32, seed uint64, text string) {
	state := mix(mix(seed, uint64(keyOf([]byte(text)))), uint64(forVector))
	var squares float64
	for i := range v {
		x := 2*unit(mix(state, uint64(i))) - 1
		squares += x * x
		v[i] = float32(x)
	}
	norm := float32(1 / math.Sqrt(squares))
	for i := range v {
		v[i] *= norm
	}
}

func appendFloats(b []byte, v []float32) []byte {
	b = append(b, '[')
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, float64(x), 'g', -1, 32)
	}
	return append(b, ']')
}

func appendBase64(b []byte, v []float32) []byte {
	raw := make([]byte, 0, 4*len(v))
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, raw)
	return append(b, '"')
}
