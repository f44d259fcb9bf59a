package simulator

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/headrace/headrace/internal/openai"
)

// Simulator is an http.Handler that plays an OpenAI-compatible provider. It is
// used from any number of goroutines.
type Simulator struct {
	settings atomic.Pointer[settings]
	changing sync.Mutex // held while settings are exchanged

	tally       atomic.Pointer[tally]
	inFlight    atomic.Int64
	admitted    atomic.Int64
	connections atomic.Int64
	sequence    atomic.Uint64 // numbers the request ids
	calls       sync.Pool     // of *call
}

// settings are options in force, and what goes with them. They never change: a
// call keeps to those that it arrived under, but for down.
type settings struct {
	Options
	limits *limits       // nil without RPM and TPM
	down   chan struct{} // closed while the simulator is down
}

// New returns a simulator. Its error says which options are out of range.
func New(o Options) (*Simulator, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("simulator options: %w", err)
	}
	s := &Simulator{}
	s.tally.Store(newTally())
	set := &settings{Options: o.clone(), limits: newLimits(&o), down: make(chan struct{})}
	if o.Down {
		close(set.down)
	}
	s.settings.Store(set)
	return s, nil
}

// Options returns the options in force.
func (s *Simulator) Options() Options { return s.settings.Load().clone() }

// Set puts other options in force, for calls that arrive from now on. Buckets
// whose limits stay the same keep their level, others start full.
func (s *Simulator) Set(o Options) error {
	return s.change(func(current *Options) error {
		*current = o
		return nil
	})
}

// SetDown takes the simulator down or up again. Going down ends the calls that
// wait for an answer.
func (s *Simulator) SetDown(down bool) {
	_ = s.change(func(o *Options) error { // valid options stay valid
		o.Down = down
		return nil
	})
}

// change edits the options in force, one caller at a time.
func (s *Simulator) change(edit func(*Options) error) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	old := s.settings.Load()
	o := old.clone()
	if err := edit(&o); err != nil {
		return err
	}
	if err := o.Validate(); err != nil {
		return fmt.Errorf("simulator options: %w", err)
	}
	next := &settings{Options: o.clone(), limits: old.limits, down: old.down}
	if o.RPM != old.RPM || o.RPMBurst != old.RPMBurst || o.TPM != old.TPM || o.TPMBurst != old.TPMBurst {
		next.limits = newLimits(&o)
	}
	if old.Down && !o.Down {
		next.down = make(chan struct{})
	}
	s.settings.Store(next)
	if o.Down && !old.Down {
		// After the exchange, so that every call sees one or the other.
		close(next.down)
	}
	return nil
}

// ServeHTTP answers the API, /stats and /control.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if end, ok := lookup(r.URL.Path); ok && r.Method == http.MethodPost {
		s.serveCall(w, r, end)
		return
	}
	switch r.URL.Path {
	case pathStats, pathReset:
		s.serveStats(w, r)
	case pathControl:
		s.serveControl(w, r)
	default:
		s.serveOther(w, r)
	}
}

// serveOther answers what is below /v1 and no call, and what does not exist.
func (s *Simulator) serveOther(w http.ResponseWriter, r *http.Request) {
	s.tally.Load().other.Add(1)
	if s.settings.Load().Down {
		abort(w, false)
		return
	}
	if r.URL.Path == pathModels || strings.HasPrefix(r.URL.Path, pathModels+"/") {
		s.serveModels(w, r)
		return
	}
	if _, ok := lookup(r.URL.Path); ok {
		writeError(w, notAllowed(w, r, http.MethodPost))
		return
	}
	writeError(w, openai.NotFound("", "Invalid URL (%s %s)", r.Method, r.URL.Path))
}

// abort closes the connection of a request, with a TCP reset where one is
// wanted.
func abort(w http.ResponseWriter, reset bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		// Not a connection of HTTP/1: let the server end it its own way.
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// ConnState counts open connections for Stats when a server reports to it, as
// http.Server.ConnState.
func (s *Simulator) ConnState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.connections.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.connections.Add(-1)
	case http.StateActive, http.StateIdle:
	}
}
