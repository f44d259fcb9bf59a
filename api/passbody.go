package api

import (
	"bytes"
	"encoding/json"

	"github.com/headrace/headrace/internal/openai"
)

// ownMember is the member of a provider's body that is meant for headrace.
const ownMember = "headrace"

// cutOwn takes headrace's member out of a JSON object and returns its value, nil
// if there is none. All other bytes stay as they are. The error is of a body
// that is no JSON object.
func cutOwn(body []byte) (rest []byte, own json.RawMessage, err error) {
	invalid := errNotJSON("expected one JSON object")
	d := json.NewDecoder(bytes.NewReader(body))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, nil, invalid
	}
	rest = body
	var spans [][2]int // of members to cut, with the comma before or after
	end := int(d.InputOffset())
	for first := true; d.More(); {
		start := end
		name, err := d.Token()
		if err != nil {
			return nil, nil, invalid
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return nil, nil, invalid
		}
		end = int(d.InputOffset())
		if name != ownMember {
			first = false
			continue
		}
		own = value
		if first {
			if comma := bytes.IndexByte(body[end:], ','); comma >= 0 && len(bytes.TrimSpace(body[end:end+comma])) == 0 {
				end += comma + 1
			}
		}
		spans = append(spans, [2]int{start, end})
	}
	if _, err := d.Token(); err != nil || len(bytes.TrimSpace(body[d.InputOffset():])) > 0 {
		return nil, nil, invalid
	}
	if len(spans) > 0 {
		rest = without(body, spans)
	}
	return rest, own, nil
}

// without returns text without the given spans.
func without(text []byte, spans [][2]int) []byte {
	rest := make([]byte, 0, len(text))
	at := 0
	for _, span := range spans {
		rest = append(rest, text[at:span[0]]...)
		at = span[1]
	}
	return append(rest, text[at:]...)
}

// ownParams reads headrace's member.
func ownParams(own json.RawMessage) (*params, error) {
	p := &params{path: ownMember + ".", fields: map[string]json.RawMessage{}}
	if own == nil || string(own) == "null" {
		return p, nil
	}
	if json.Unmarshal(own, &p.fields) != nil {
		return nil, openai.InvalidType(ownMember, openai.KindObject, own)
	}
	return p, nil
}
