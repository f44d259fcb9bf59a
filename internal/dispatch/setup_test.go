package dispatch_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
)

// provider is scripted: answer says what a call comes to, nil for success.
type provider struct {
	llm.Streamer

	answer func(ctx context.Context, r llm.Request) error

	mu       sync.Mutex
	requests []llm.Request
}

func (p *provider) Call(ctx context.Context, r llm.Request) (llm.Response, error) {
	p.mu.Lock()
	p.requests = append(p.requests, r)
	answer := p.answer
	p.mu.Unlock()
	if answer != nil {
		if err := answer(ctx, r); err != nil {
			return llm.Response{}, err
		}
	}
	return llm.Response{Status: http.StatusOK, Body: r.Body, Usage: openai.Usage{TotalTokens: 7}}, nil
}

// mend has the provider answer from now on.
func (p *provider) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = nil
}

func (p *provider) calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.requests)
}

// refuses answers every call with an error of a kind.
func refuses(kind llm.Kind) func(context.Context, llm.Request) error {
	return func(context.Context, llm.Request) error { return &llm.Error{Kind: kind, Message: kind.String()} }
}

// bundle is a dispatcher to providers named a, b and c.
type bundle struct {
	a, b, c    *provider
	gate       *limit.Gate
	dispatcher *dispatch.Dispatcher
}

func setup(tb testing.TB) *bundle {
	tb.Helper()
	s := &bundle{a: &provider{}, b: &provider{}, c: &provider{}, gate: limit.New(limit.Options{Bound: 1})}
	s.dispatcher = dispatch.New(s.gate,
		dispatch.Route{Name: "a", Provider: s.a},
		dispatch.Route{Name: "b", Provider: s.b, Models: patterns(tb, "b-*"), Rewrite: map[string]string{"m": "b-for-m"}},
		dispatch.Route{Name: "c", Provider: s.c, Models: patterns(tb, "c-*")},
	)
	return s
}

func patterns(tb testing.TB, texts ...string) []dispatch.Pattern {
	tb.Helper()
	all := make([]dispatch.Pattern, len(texts))
	for i, text := range texts {
		var err error
		all[i], err = dispatch.ParsePattern(text)
		require.NoError(tb, err)
	}
	return all
}

// call is one of the model m that falls back to b, then c, on kinds of errors.
func call(on ...llm.Kind) *dispatch.Call {
	c := &dispatch.Call{Request: llm.Request{Model: "m", Body: []byte(`{"model":"m","n":1.0}`), Timeout: time.Minute}}
	for _, kind := range on {
		c.Fallback.On = append(c.Fallback.On, kind.String())
	}
	if len(on) > 0 {
		c.Fallback.Targets = []batch.Target{{Provider: "b"}, {Model: "c-large"}}
	}
	return c
}

func (s *bundle) do(t *testing.T, c *dispatch.Call) (llm.Response, error) {
	t.Helper()
	return s.dispatcher.Do(t.Context(), t.Context(), c)
}

// insist makes a call as often as it comes to an error that is no attempt.
func (s *bundle) insist(t *testing.T, c *dispatch.Call) llm.Response {
	t.Helper()
	for {
		response, err := s.do(t, c)
		if err == nil {
			return response
		}
		e, ok := errors.AsType[*llm.Error](err)
		require.True(t, ok, "%v", err)
		require.Contains(t, []llm.Kind{llm.Throttled, llm.Exhausted, llm.Refused, llm.Unreachable}, e.Kind)
	}
}

// counts are the calls that came to a, b and c.
func (s *bundle) counts() []int { return []int{s.a.calls(), s.b.calls(), s.c.calls()} }

// hold has the gate hold the provider a, by a call that it refuses.
func (s *bundle) hold(t *testing.T, kind llm.Kind) {
	t.Helper()
	answer := s.a.answer
	s.a.answer = refuses(kind)
	_, err := s.do(t, call())
	require.Error(t, err)
	require.True(t, s.gate.State("", "a").Closed())
	s.a.answer = answer
	s.a.requests = nil
}

// log notes what Failed is told.
type log struct{ told []string }

func (l *log) failed(to batch.Target, _ time.Time, e *llm.Error) {
	l.told = append(l.told, to.Provider+" "+to.Model+" "+e.Kind.String())
}

func (l *log) all() []string { return slices.Clone(l.told) }
