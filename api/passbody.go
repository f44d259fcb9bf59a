package api

import (
	"encoding/json"

	"github.com/headrace/headrace/internal/openai"
)

// ownMember is the member of a provider's body that is meant for headrace.
const ownMember = "headrace"

// cutOwn takes headrace's member out of a JSON object and returns its value, nil
// if there is none. All other bytes stay as they are. The error is of a body
// that is no JSON object.
func cutOwn(body []byte) (rest []byte, own json.RawMessage, err error) {
	rest, values, ok := cutMembers(body, ownMember)
	if !ok {
		return nil, nil, errNotJSON("expected one JSON object")
	}
	return rest, values[ownMember], nil
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
