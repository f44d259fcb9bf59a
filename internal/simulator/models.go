package simulator

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/openai"
)

const pathModels = "/v1/models"

// usualModels are listed when the options name none: then every model is
// served.
func usualModels() []string {
	return []string{"gpt-4o-mini", "gpt-5-mini", "gpt-3.5-turbo-instruct", "omni-moderation-latest", "text-embedding-3-small"}
}

// serves reports whether calls may name a model.
func (set *settings) serves(model string) bool {
	return len(set.Models) == 0 || slices.Contains(set.Models, model)
}

func unknownModel(name string) *openai.Error {
	e := openai.NotFound("", "The model `%s` does not exist or you do not have access to it.", name)
	e.Code = new(codeModelNotFound)
	return e
}

// serveModels answers GET /v1/models and GET /v1/models/{id}.
func (s *Simulator) serveModels(w http.ResponseWriter, r *http.Request) {
	set := s.settings.Load()
	if r.Method != http.MethodGet {
		writeError(w, notAllowed(w, r, http.MethodGet))
		return
	}
	if err := set.authorize(r); err != nil {
		writeError(w, err)
		return
	}
	if name, one := strings.CutPrefix(r.URL.Path, pathModels+"/"); one {
		if !set.serves(name) {
			writeError(w, unknownModel(name))
			return
		}
		writeJSON(w, http.StatusOK, appendModel(nil, name))
		return
	}
	names := set.Models
	if len(names) == 0 {
		names = usualModels()
	}
	b := []byte(`{"object":"list","data":[`)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendModel(b, name)
	}
	writeJSON(w, http.StatusOK, append(b, `]}`...))
}

func appendModel(b []byte, name string) []byte {
	b = append(b, `{"id":`...)
	b = gjson.AppendJSONString(b, name)
	return append(b, `,"object":"model","created":`+created+`,"owned_by":"simulator"}`...)
}
