package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/headrace/headrace/internal/simulator"
)

// door is a way into a simulator of this process that notes who comes in. Each
// worker has its own, so that one can tell which of them calls, when, and what
// for. Calls through a door cost less than through a proxy.
type door struct {
	url    string // with /v1
	sim    *simulator.Simulator
	server *http.Server

	mu     sync.Mutex
	visits []*visit
}

// visit is a call that came in.
type visit struct {
	arrived time.Time
	left    time.Time // zero while it is there
	status  int       // of the answer, 0 while there is none
	body    []byte
}

// openDoors opens n doors into a new simulator.
func openDoors(ctx context.Context, o simulator.Options, n int) (*simulator.Simulator, []*door, func(), error) {
	sim, err := simulator.New(o)
	if err != nil {
		return nil, nil, nil, err
	}
	var doors []*door
	shut := func() {
		for _, d := range doors {
			_ = d.server.Close()
		}
	}
	for range n {
		var config net.ListenConfig
		listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			shut()
			return nil, nil, nil, err
		}
		d := &door{url: "http://" + listener.Addr().String() + "/v1", sim: sim}
		d.server = &http.Server{Handler: d, ReadHeaderTimeout: patience}
		doors = append(doors, d)
		go func() { _ = d.server.Serve(listener) }()
	}
	return sim, doors, shut, nil
}

// ServeHTTP implements http.Handler.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := &visit{arrived: time.Now()}
	v.body, _ = io.ReadAll(r.Body) // who breaks off is not answered either
	r.Body = io.NopCloser(bytes.NewReader(v.body))
	d.mu.Lock()
	d.visits = append(d.visits, v)
	d.mu.Unlock()
	answer := &witness{ResponseWriter: w, status: http.StatusOK}
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		v.left, v.status = time.Now(), answer.status
	}()
	d.sim.ServeHTTP(answer, r)
}

// seen are copies of the visits so far.
func (d *door) seen() []visit {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]visit, len(d.visits))
	for i, v := range d.visits {
		all[i] = *v
	}
	return all
}

// find returns when a visit arrived that is as wanted, and whether there is one
// since a time.
func (d *door) find(since time.Time, wanted func(*visit) bool) (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, v := range slices.Backward(d.visits) {
		if v.arrived.Before(since) {
			break
		}
		if wanted(v) {
			return v.arrived, true
		}
	}
	return time.Time{}, false
}

// allOccupied reports whether calls are under way through each door.
func allOccupied(doors []*door) bool {
	recently := time.Now().Add(-patience)
	for _, d := range doors {
		if _, found := d.find(recently, func(v *visit) bool { return v.left.IsZero() }); !found {
			return false
		}
	}
	return true
}

// witness notes the status of an answer.
type witness struct {
	http.ResponseWriter

	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *witness) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController through.
func (w *witness) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func urls(doors []*door) []string {
	all := make([]string, len(doors))
	for i, d := range doors {
		all[i] = d.url
	}
	return all
}
