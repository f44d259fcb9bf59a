package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// site is a dev of its own with an upstream of its own.
type site struct {
	*service

	up    *upstream
	data  string
	close func()
}

// newSite starts a dev whose calls take the given time. more are flags of dev.
func (b *bench) newSite(ctx context.Context, latency string, more ...string) (*site, error) {
	up, err := b.startUpstream(ctx, latency)
	if err != nil {
		return nil, err
	}
	dir, remove, err := b.folder()
	if err != nil {
		up.kill()
		return nil, err
	}
	data := filepath.Join(dir, "data")
	s, err := b.startService(ctx, data, up.url, more...)
	if err != nil {
		up.kill()
		remove()
		return nil, err
	}
	return &site{service: s, up: up, data: data, close: func() {
		s.kill()
		up.kill()
		remove()
	}}, nil
}

const pathTasks = "/v1/tasks"

// newTask is the body that asks for the i-th task: small, and like no other.
func newTask(i int) string {
	return fmt.Sprintf(`{"url":"/v1/chat/completions","body":{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Task %d"}]}}`, i)
}

// tasks are requests that post n tasks one by one.
func (s *service) tasks(n int) [][]byte {
	requests := make([][]byte, n)
	for i := range requests {
		requests[i] = s.request(http.MethodPost, pathTasks, newTask(i))
	}
	return requests
}

// posted is what became of posting tasks.
type posted struct {
	begun time.Time
	ids   []string
	last  time.Duration // until the last was accepted
	spent time.Duration // what the service had spent on processors before
}

// post posts n tasks one by one over so many connections.
func (s *service) post(ctx context.Context, n, connections int) (posted, error) {
	p := posted{ids: make([]string, n)}
	requests := s.tasks(n)
	links, hangUp, err := s.dial(ctx, connections)
	if err != nil {
		return p, err
	}
	defer hangUp()
	times := make([]time.Duration, n)
	if p.spent, err = s.spentSoFar(); err != nil {
		return p, err
	}
	p.begun = time.Now()
	err = each(links, requests, http.StatusAccepted, func(i int, at time.Duration, body []byte) error {
		times[i], p.ids[i] = at, gjson.GetBytes(body, "id").Str
		if p.ids[i] == "" {
			return fmt.Errorf("a task without an id: %s", body)
		}
		return nil
	})
	p.last = slices.Max(times)
	return p, err
}

// postAll posts n tasks with one request.
func (s *service) postAll(ctx context.Context, n int) (posted, error) {
	bodies := make([]string, n)
	for i := range bodies {
		bodies[i] = newTask(i)
	}
	return s.postArray(ctx, bodies)
}

// postArray posts tasks with one request.
func (s *service) postArray(ctx context.Context, bodies []string) (posted, error) {
	p := posted{}
	request := s.request(http.MethodPost, pathTasks, "["+strings.Join(bodies, ",")+"]")
	links, hangUp, err := s.dial(ctx, 1)
	if err != nil {
		return p, err
	}
	defer hangUp()
	if p.spent, err = s.spentSoFar(); err != nil {
		return p, err
	}
	p.begun = time.Now()
	body, err := links[0].ask(request, http.StatusAccepted)
	p.last = time.Since(p.begun)
	for _, task := range gjson.GetBytes(body, "data").Array() {
		p.ids = append(p.ids, task.Get("id").Str)
	}
	if err == nil && len(p.ids) != len(bodies) {
		err = fmt.Errorf("%d of %d tasks came back", len(p.ids), len(bodies))
	}
	return p, err
}

const (
	// lastTasks is how many of the tasks that were posted last are waited for:
	// when these are over, all are.
	lastTasks = 200
	// readers is the number of connections over which tasks are read.
	readers = 50
)

// drained waits until every task has its result in the store, and returns what
// that took since the first was posted. All of them are looked at after that,
// which the figures do not count.
func (s *site) drained(ctx context.Context, p posted) (took times, err error) {
	n := len(p.ids)
	if err := s.called(ctx, int64(n)); err != nil {
		return took, err
	}
	if err := s.completed(ctx, p.ids[max(0, n-lastTasks):]); err != nil {
		return took, err
	}
	took.whole = time.Since(p.begun)
	if took.processors, err = s.spentSoFar(); err != nil {
		return took, err
	}
	took.processors -= p.spent
	if err := s.completed(ctx, p.ids); err != nil {
		return took, err
	}
	stats, err := s.up.stats(ctx)
	if err != nil {
		return took, err
	}
	return took, onceEach(stats, n, n)
}

// called waits until so many calls have succeeded.
func (s *site) called(ctx context.Context, n int64) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTooLong)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		stats, err := s.up.stats(ctx)
		if err != nil || stats.Succeeded >= n {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d calls: %w", stats.Succeeded, n, context.Cause(ctx))
		case <-s.exited:
			return s.failure("ended")
		case <-ticker.C:
		}
	}
}

// completed waits until each of the tasks is, and checks its answer.
func (s *service) completed(ctx context.Context, ids []string) error {
	links, hangUp, err := s.dial(ctx, min(readers, len(ids)))
	if err != nil {
		return err
	}
	defer hangUp()
	requests := make([][]byte, len(ids))
	for i, id := range ids {
		requests[i] = s.request(http.MethodGet, pathTasks+"/"+id+"?wait=30s", "")
	}
	return each(links, requests, http.StatusOK, func(_ int, _ time.Duration, body []byte) error {
		return checkTask(body)
	})
}

// checkTask makes sure that a task has its answer.
func checkTask(body []byte) error {
	status := gjson.GetBytes(body, "status").Str
	if status != "completed" || !gjson.GetBytes(body, "result.body.choices").Exists() {
		return errors.New("a task without an answer: " + string(body))
	}
	return nil
}
