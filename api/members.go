package api

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/jsonscan"
)

// member is one member of a JSON object, as it stands in the text.
type member struct {
	name       string
	start      int // of the name, at its quote
	value, end int // of the value
}

// change puts other text into the place of a part of a text.
type change struct {
	start, end int
	with       []byte
}

// membersOf lists the members of a JSON object in their order, those too whose
// name is repeated. It returns false for a text that is no JSON object.
func membersOf(text []byte) ([]member, bool) {
	if !jsonscan.Valid(text) {
		return nil, false
	}
	object := gjson.ParseBytes(text)
	if !object.IsObject() {
		return nil, false
	}
	var members []member
	object.ForEach(func(name, value gjson.Result) bool {
		members = append(members, member{
			name: name.Str, start: name.Index, value: value.Index, end: value.Index + len(value.Raw),
		})
		return true
	})
	return members, true
}

// cutMembers takes the named members out of a JSON object and returns their
// values; of a name that is repeated the last one counts. All other bytes stay
// as they are. It returns false for a text that is no JSON object.
func cutMembers(text []byte, names ...string) (rest []byte, values map[string]json.RawMessage, ok bool) {
	members, ok := membersOf(text)
	if !ok {
		return nil, nil, false
	}
	values = map[string]json.RawMessage{}
	var cuts []change // each with the comma before or after
	end := bytes.IndexByte(text, '{') + 1
	for first, i := true, 0; i < len(members); i++ {
		m, start := members[i], end
		end = m.end
		if !slices.Contains(names, m.name) {
			first = false
			continue
		}
		values[m.name] = text[m.value:m.end]
		if first && i+1 < len(members) {
			end += bytes.IndexByte(text[end:], ',') + 1
		}
		cuts = append(cuts, change{start: start, end: end})
	}
	return changed(text, cuts), values, true
}

// withMember gives a member of a JSON object a value: in its place, or at the
// end of an object that has none of that name. All other bytes stay as they are.
// It returns false for a text that is no JSON object.
func withMember(text []byte, name string, value []byte) ([]byte, bool) {
	members, ok := membersOf(text)
	if !ok {
		return nil, false
	}
	var changes []change
	for _, m := range members {
		if m.name == name {
			changes = append(changes, change{start: m.value, end: m.end, with: value})
		}
	}
	if changes == nil {
		at := bytes.IndexByte(text, '{') + 1
		added := append([]byte(`"`+name+`":`), value...)
		if n := len(members); n > 0 {
			at, added = members[n-1].end, append([]byte{','}, added...)
		}
		changes = []change{{start: at, end: at, with: added}}
	}
	return changed(text, changes), true
}

// changed returns a text with changes, which come in order. Without any it is
// the text itself.
func changed(text []byte, changes []change) []byte {
	if len(changes) == 0 {
		return text
	}
	size := len(text)
	for _, c := range changes {
		size += len(c.with) - (c.end - c.start)
	}
	out := make([]byte, 0, size)
	at := 0
	for _, c := range changes {
		out = append(append(out, text[at:c.start]...), c.with...)
		at = c.end
	}
	return append(out, text[at:]...)
}
