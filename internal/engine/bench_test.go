package engine_test

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/engine"
	"github.com/headrace/headrace/internal/llm"
)

// answer is a client whose provider answers at once.
type answer struct{}

func (answer) Call(context.Context, llm.Request) (llm.Response, error) {
	return llm.Response{Status: 200}, nil
}

// supply is a source of so many jobs, a chunk at a time.
type supply struct{ left int }

func (s *supply) Next(context.Context, engine.Want) ([]engine.Job, error) {
	n := min(s.left, 500)
	if n == 0 {
		return nil, io.EOF
	}
	s.left -= n
	return make([]engine.Job, n), nil
}

type drain struct{}

func (drain) Put(context.Context, engine.Outcome) error { return nil }

// BenchmarkEngine measures what the engine and the gate cost a call.
func BenchmarkEngine(b *testing.B) {
	e := engine.New(engine.Options{
		Hands: 64, Caller: newCaller(answer{}), MaxAttempts: 1, Backoff: llm.DefaultBackoff,
	}, &supply{left: b.N}, drain{})
	b.ReportAllocs()
	require.NoError(b, e.Run(b.Context()))
}
