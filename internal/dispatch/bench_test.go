package dispatch_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/llm"
)

// BenchmarkDo is what a call costs here that goes to its first target.
func BenchmarkDo(b *testing.B) {
	for name, on := range map[string][]llm.Kind{"plain": nil, "fallback": {llm.Throttled}} {
		b.Run(name, func(b *testing.B) {
			s, c := setup(b), call(on...)
			b.ReportAllocs()
			for b.Loop() {
				_, err := s.dispatcher.Do(b.Context(), b.Context(), c)
				require.NoError(b, err)
				s.a.requests = s.a.requests[:0]
			}
		})
	}
}
