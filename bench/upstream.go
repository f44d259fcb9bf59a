package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/headrace/headrace/internal/simulator"
)

// upstream is a simulated provider in a process of its own.
type upstream struct {
	*process

	url string // with /v1
}

// seed makes latencies the same for both sides of a comparison.
const seed = "1"

// startUpstream starts a provider that takes the given time to answer.
func (b *bench) startUpstream(ctx context.Context, latency string) (*upstream, error) {
	p, err := start(ctx, nil, b.headrace, "sim", "--listen", "127.0.0.1:0", "--latency", latency, "--seed", seed)
	if err != nil {
		return nil, err
	}
	url, err := p.url()
	if err != nil {
		p.kill()
		return nil, err
	}
	return &upstream{p, url}, nil
}

var urlPattern = regexp.MustCompile(`http://\S+`)

// url is the first that the process announces.
func (p *process) url() (string, error) {
	line, err := p.announced()
	if err != nil {
		return "", err
	}
	url := urlPattern.FindString(line)
	if url == "" {
		return "", p.failure("announces no URL but " + line)
	}
	return url, nil
}

// stats asks what the provider has seen.
func (u *upstream) stats(ctx context.Context) (simulator.Stats, error) {
	var s simulator.Stats
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(u.url, "/v1")+"/stats", nil)
	if err != nil {
		return s, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, fmt.Errorf("ask the upstream: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	return s, json.NewDecoder(res.Body).Decode(&s)
}

// busy waits until so many calls are in flight and returns when they were.
func (u *upstream) busy(ctx context.Context, calls int64) (time.Time, error) {
	err := until(ctx, fmt.Sprintf("%d calls are in flight", calls), func() (bool, error) {
		s, err := u.stats(ctx)
		return s.InFlight == calls, err
	})
	return time.Now(), err
}

// span is the time from the first call's arrival to the last one's end.
func span(s simulator.Stats) (time.Duration, error) {
	if s.FirstArrival == nil || s.LastEnd == nil {
		return 0, fmt.Errorf("the upstream was not called")
	}
	return s.LastEnd.Sub(*s.FirstArrival), nil
}

// onceEach makes sure that each line was called for once and that no more calls
// were in flight than allowed: otherwise the sides did not do the same work.
func onceEach(s simulator.Stats, lines, concurrency int) error {
	n := int64(lines)
	if s.Calls != n || s.Succeeded != n || s.DistinctBodies != n {
		return fmt.Errorf("%d lines made %d calls with %d bodies, and %d succeeded", n, s.Calls, s.DistinctBodies, s.Succeeded)
	}
	if s.PeakInFlight > int64(concurrency) {
		return fmt.Errorf("%d calls were in flight, allowed are %d", s.PeakInFlight, concurrency)
	}
	return nil
}
