package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"

	"github.com/headrace/headrace/internal/openai"
)

const pathControl = "/control"

// maxControl bounds the body of POST /control, in bytes.
const maxControl = 1 << 20

// serveControl answers GET /control with the options in force, and changes
// those that the body of a POST /control names. It obeys the machine it runs
// on only. The API key is not told.
func (s *Simulator) serveControl(w http.ResponseWriter, r *http.Request) {
	if !fromLoopback(r) {
		e := openai.InvalidRequest("", "", "%s answers requests from the same machine only.", pathControl)
		e.Status = http.StatusForbidden
		writeError(w, e)
		return
	}
	switch r.Method {
	case http.MethodGet:
	case http.MethodPost:
		err := s.change(func(o *Options) error { return decodeOptions(http.MaxBytesReader(w, r.Body, maxControl), o) })
		if err != nil {
			writeError(w, openai.InvalidRequest("", openai.CodeInvalidValue, "%s", err))
			return
		}
	default:
		writeError(w, notAllowed(w, r, http.MethodGet+", "+http.MethodPost))
		return
	}
	o := s.Options()
	o.APIKey = ""
	body, err := json.Marshal(o) //nolint:gosec // the key was just blanked
	if err != nil {
		panic(err) // numbers and strings only: it cannot fail
	}
	writeJSON(w, http.StatusOK, body)
}

func fromLoopback(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && peer.Addr().Unmap().IsLoopback()
}

// decodeOptions reads one JSON object into o, and refuses members that are no
// options.
func decodeOptions(r io.Reader, o *Options) error {
	decoder := json.NewDecoder(r)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(o); err != nil {
		return fmt.Errorf("decode options: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("decode options: more than one JSON value")
	}
	return nil
}
