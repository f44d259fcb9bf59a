package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"
	"go.temporal.io/api/serviceerror"

	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/task"
)

// renamed gives the provider's response the id that its clients know, and says
// that it was made in the background. All other bytes stay as they are. It
// returns false for what is no JSON object.
func renamed(body []byte, id string) ([]byte, bool) {
	body, ok := withMember(body, "id", quoted(id))
	if !ok {
		return nil, false
	}
	return withMember(body, memberBackground, []byte("true"))
}

// findRequest looks up what a response was asked for with. The runner tells it
// while the call is under way here, which is when clients ask again and again.
// Once Temporal has forgotten the task it is not known any more, and empty.
func (a *API) findRequest(ctx context.Context, r *response) error {
	if r.request != nil {
		return nil
	}
	if a.runner != nil {
		if spec, ok := a.runner.Spec(r.project, r.id); ok {
			r.request = []byte(spec.Body)
			return nil
		}
	}
	r.request = []byte{}
	in, err := a.groupInput(ctx, r.id.Group)
	if _, forgotten := errors.AsType[*serviceerror.NotFound](err); forgotten || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	g := &group{in: in, parts: map[int][]task.Spec{}}
	spec, _, err := g.spec(ctx, a.store, r.id.N)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	r.request = []byte(spec.Body)
	return nil
}

// echoed are the members that a response without an answer takes from its
// request, and what OpenAI has in the place of those that the request leaves
// out.
var echoed = []struct{ name, otherwise string }{
	{"instructions", "null"}, {"max_output_tokens", "null"}, {"max_tool_calls", "null"}, {"model", `""`}, {"output", "[]"},
	{"parallel_tool_calls", "true"}, {"previous_response_id", "null"}, {"prompt_cache_key", "null"},
	{"reasoning", `{"effort":null,"summary":null}`}, {"safety_identifier", "null"}, {"service_tier", `"auto"`},
	{"store", "true"}, {"temperature", "1.0"}, {"text", `{"format":{"type":"text"}}`}, {"tool_choice", `"auto"`},
	{"tools", "[]"}, {"top_logprobs", "0"}, {"top_p", "1.0"}, {"truncation", `"disabled"`}, {"usage", "null"},
	{"user", "null"}, {"metadata", "{}"},
}

// ownMembers are those of echoed that are no request's to say.
var ownMembers = []string{"output", "usage"}

// statusObject is a response of which there is no answer: it waits, is under
// way, has failed or was cancelled. It is one line, for the sake of streams.
func statusObject(o task.Object, request []byte) []byte {
	b := append([]byte(`{"id":`), quoted(o.ResponseID)...)
	b = append(b, `,"object":"`+objectResponse+`","created_at":`...)
	b = strconv.AppendInt(b, o.CreatedAt, 10)
	b = append(append(b, `,"status":`...), quoted(string(o.Status))...)
	b = append(b, `,"background":true,"error":`...)
	b = append(b, responseError(o)...)
	b = append(b, `,"incomplete_details":null`...)
	for _, m := range echoed {
		value := gjson.GetBytes(request, m.name)
		b = append(append(b, ',', '"'), m.name...)
		b = append(b, '"', ':')
		if !value.Exists() || value.Type == gjson.Null || slices.Contains(ownMembers, m.name) {
			b = append(b, m.otherwise...)
		} else {
			b = append(b, oneLine([]byte(value.Raw))...)
		}
	}
	return append(b, '}')
}

// oneLine leaves the white space between the parts of a JSON text out.
func oneLine(text []byte) []byte {
	var b bytes.Buffer
	if json.Compact(&b, text) != nil {
		return []byte("null") // what came in as part of a valid text is valid
	}
	return b.Bytes()
}

func quoted(s string) []byte {
	data, _ := json.Marshal(s) // a string always encodes
	return data
}

// codeServer is the code of errors for which OpenAI has no other.
const codeServer = "server_error"

// responseCodes are those that the errors of responses may have, which some SDKs
// have as an enumeration.
var responseCodes = []string{
	codeServer, "rate_limit_exceeded", "invalid_prompt", "vector_store_timeout", "invalid_image", "invalid_image_format",
	"invalid_base64_image", "invalid_image_url", "image_too_large", "image_too_small", "image_parse_error",
	"image_content_policy_violation", "invalid_image_mode", "image_file_too_large", "unsupported_image_media_type",
	"empty_image_file", "failed_to_download_image", "image_file_not_found",
}

// errNoResponse is the error of a response whose provider has answered with
// something else.
var errNoResponse = &task.Error{Code: codeServer, Message: "The provider's answer is not a JSON object."}

// responseError is the error of a response, null for one that has not failed.
func responseError(o task.Object) []byte {
	if o.Status != task.Failed || o.Error == nil {
		return []byte("null")
	}
	e := *o.Error
	if !slices.Contains(responseCodes, e.Code) {
		e.Code = codeServer
	}
	data, _ := json.Marshal(e) // two strings always encode
	return data
}
