package dispatch

import (
	"encoding/json"

	"github.com/tidwall/gjson"
)

// withModel is a body that names another model, and is otherwise the same byte for
// byte. A body that names none stays as it is. Of a name that is repeated every
// value changes: nobody knows which of them a provider reads.
func withModel(body []byte, model string) []byte {
	var result []byte
	copied := 0
	name, _ := json.Marshal(model) // a string always encodes
	gjson.ParseBytes(body).ForEach(func(key, value gjson.Result) bool {
		if key.Str == "model" && value.Type == gjson.String {
			result = append(append(result, body[copied:value.Index]...), name...)
			copied = value.Index + len(value.Raw)
		}
		return true
	})
	if copied == 0 {
		return body
	}
	return append(result, body[copied:]...)
}
