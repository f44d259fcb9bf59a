package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/sse"
)

// scribe notes what observers are told. It is not for concurrent use.
type scribe struct {
	name  string
	notes *[]string
}

type mark string

// Begin implements dispatch.Observer.
func (s scribe) Begin(ctx context.Context, o *dispatch.Observed) (context.Context, dispatch.Watch) {
	*s.notes = append(*s.notes, fmt.Sprintf("%s: begin %s %s in %s, attempt %d", s.name, o.Provider, o.Model, o.Queue, o.Attempt))
	return context.WithValue(ctx, mark(s.name), true), s
}

// First implements dispatch.Watch.
func (s scribe) First() { *s.notes = append(*s.notes, s.name+": first") }

// End implements dispatch.Watch.
func (s scribe) End(r llm.Response, err error) {
	*s.notes = append(*s.notes, fmt.Sprintf("%s: end %d %v", s.name, r.Status, err))
}

func TestObserversAreToldOfEachCallOfATrip(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var notes []string
	s.dispatcher.Observe(scribe{"one", &notes}, scribe{"two", &notes})
	s.a.answer = func(ctx context.Context, r llm.Request) error {
		require.Equal(t, true, ctx.Value(mark("one")), "a call is made under the context of its observers")
		require.Equal(t, true, ctx.Value(mark("two")))
		return refuses(llm.Throttled)(ctx, r)
	}
	c := call(llm.Throttled)
	c.Attempt = 2
	s.insist(t, c)
	require.Equal(t, []string{
		"one: begin a m in default, attempt 2", "two: begin a m in default, attempt 2",
		"one: end 0 throttled: throttled", "two: end 0 throttled: throttled",
		"one: begin b b-for-m in default, attempt 2", "two: begin b b-for-m in default, attempt 2",
		"one: end 200 <nil>", "two: end 200 <nil>",
	}, notes)
}

// speaker answers with frames.
type speaker struct{ frames int }

// Stream implements llm.Streamer.
func (s speaker) Stream(_ context.Context, _ llm.Request, emit func(sse.Frame) error) (llm.Response, error) {
	var err error
	for range s.frames {
		err = errors.Join(err, emit(sse.Frame{}))
	}
	return llm.Response{Status: 200}, err
}

func TestTheFirstFrameOfAStreamIsTold(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var notes []string
	s.dispatcher.Observe(scribe{"one", &notes})
	s.a.Streamer = speaker{3}
	c, frames := call(), 0
	c.Make = func(ctx context.Context, p dispatch.Provider, r llm.Request) (llm.Response, error) {
		return p.Stream(ctx, r, func(sse.Frame) error { frames++; return nil })
	}
	s.insist(t, c)
	require.Equal(t, 3, frames)
	require.Equal(t, []string{"one: begin a m in default, attempt 0", "one: first", "one: end 200 <nil>"}, notes)
}
