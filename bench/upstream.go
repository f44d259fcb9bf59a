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
	return b.startUpstreamAt(ctx, "127.0.0.1:0", latency)
}

func (b *bench) startUpstreamAt(ctx context.Context, address, latency string) (*upstream, error) {
	p, err := start(ctx, nil, b.headrace, "sim", "--listen", address, "--latency", latency, "--seed", seed)
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
	err := u.ask(ctx, http.MethodGet, "/stats", "", &s)
	return s, err
}

// forget has the provider count anew.
func (u *upstream) forget(ctx context.Context) error {
	return u.ask(ctx, http.MethodDelete, "/stats", "", &simulator.Stats{})
}

// control changes how the provider behaves: options, as JSON.
func (u *upstream) control(ctx context.Context, options string) error {
	return u.ask(ctx, http.MethodPost, "/control", options, &simulator.Options{})
}

func (u *upstream) ask(ctx context.Context, method, path, body string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(u.url, "/v1")+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the upstream: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s of the upstream: %s", method, path, res.Status)
	}
	return json.NewDecoder(res.Body).Decode(answer)
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
