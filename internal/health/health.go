// Package health answers whether a process lives and whether it is ready: the
// probes of orchestrators, over HTTP. A process that lives serves; one that is
// ready can do its work, part by part. It knows nothing of the parts.
//
// It imports the standard library only.
package health

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Check says whether a part of the process can do its work.
type Check struct {
	// Name is what people read of the part: "temporal", "store".
	Name string
	// Ready returns nil if the part can do its work. It is called for every probe,
	// from any goroutine, and need not end with ctx: it is not waited for longer.
	Ready func(ctx context.Context) error
}

// Failure is a part that cannot do its work.
type Failure struct {
	Part string
	Err  error
}

// Health knows how the parts of a process do. It is safe for concurrent use.
type Health struct {
	mu       sync.Mutex
	checks   []Check
	draining bool
}

// New returns what knows of the given parts. A process without parts is ready.
func New(checks ...Check) *Health { return &Health{checks: checks} }

// Add adds parts, as they come to life.
func (h *Health) Add(checks ...Check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = append(h.checks, checks...)
}

// Drain makes the process not ready from now on, so that nobody gives it more to
// do while it stops. It may be called more than once.
func (h *Health) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
}

// partDraining is the part that fails while a process stops.
const partDraining = "process"

// errDraining is why a process that stops is not ready.
var errDraining = errors.New("is stopping")

// errSlow is why a part fails that does not say in time how it does.
var errSlow = errors.New("does not answer in time")

// Timeout bounds how long a probe waits for the parts, all of which are asked at
// once.
const Timeout = 2 * time.Second

// Ready returns the parts that cannot do their work, in the order in which they
// were added; none if the process is ready. It returns within Timeout.
func (h *Health) Ready(ctx context.Context) []Failure {
	h.mu.Lock()
	checks, draining := slices.Clip(h.checks), h.draining
	h.mu.Unlock()
	if draining {
		return []Failure{{partDraining, errDraining}}
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	answers := make([]chan error, len(checks))
	for i, c := range checks {
		answers[i] = make(chan error, 1)
		go func() { answers[i] <- c.Ready(ctx) }()
	}
	var failures []Failure
	for i, c := range checks {
		if err := await(ctx, answers[i]); err != nil {
			failures = append(failures, Failure{c.Name, err})
		}
	}
	return failures
}

// await returns an answer, or that there is none in time.
func await(ctx context.Context, answer <-chan error) error {
	select {
	case err := <-answer:
		if err != nil && ctx.Err() != nil {
			return errSlow // whatever it has become on its way
		}
		return err
	case <-ctx.Done():
	}
	select { // an answer that was there before holds
	case err := <-answer:
		if err == nil {
			return nil
		}
	default:
	}
	return errSlow
}

// Error is what is wrong in one line, nil if nothing is.
func Error(failures []Failure) error {
	if len(failures) == 0 {
		return nil
	}
	parts := make([]string, len(failures))
	for i, f := range failures {
		parts[i] = f.Part + ": " + strings.ReplaceAll(f.Err.Error(), "\n", " ")
	}
	return errors.New(strings.Join(parts, "; "))
}

// Paths of probes.
const (
	PathLive  = "/livez"
	PathReady = "/readyz"
	// PathMetrics is where metrics are.
	PathMetrics = "/metrics"
)

// Handler serves the probes, and metrics under /metrics unless that is nil. Whoever
// can reach it may ask: it shows no secrets, but what the process does.
func (h *Health) Handler(metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+PathLive, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET "+PathReady, h.serveReady)
	if metrics != nil {
		mux.Handle("GET "+PathMetrics, metrics)
	}
	return mux
}

// serveReady answers 200, or 503 with a line for each part that fails.
func (h *Health) serveReady(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	failures := h.Ready(r.Context())
	if len(failures) == 0 {
		_, _ = fmt.Fprintln(w, "ok")
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	for _, f := range failures {
		_, _ = fmt.Fprintln(w, Error([]Failure{f}))
	}
}
