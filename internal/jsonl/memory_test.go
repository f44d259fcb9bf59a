package jsonl_test

import (
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/jsonl"
	"github.com/headrace/headrace/internal/openai"
)

// TestMemoryDoesNotGrowWithTheFile is not parallel: it looks at the heap of the
// whole process. Up to some 350,000 requests there is less to remember than
// there is room for.
func TestMemoryDoesNotGrowWithTheFile(t *testing.T) {
	small := peakHeap(t, newSynthetic(10_000, 0))
	full := peakHeap(t, newSynthetic(400_000, 0))
	large := peakHeap(t, newSynthetic(1_000_000, 0))
	t.Logf("heap in use: %d KiB for 10,000 lines, %d KiB for 400,000, %d KiB for 1,000,000", small>>10, full>>10, large>>10)
	require.Less(t, large-small, int64(32<<20))
	require.Less(t, large-full, int64(4<<20))
}

func TestMemoryGrowsWithTheLongestLine(t *testing.T) {
	const length = 64 << 20
	peak := peakHeap(t, io.MultiReader(
		strings.NewReader(`{"custom_id":"`), repeated('x', length), strings.NewReader(`","method":"POST","url":"/v1/chat/completions",`+
			`"body":{"model":"m","messages":[{}]}}`+"\n"),
		newSynthetic(10_000, 300),
	))
	t.Logf("heap in use: %d MiB for a line of %d MiB", peak>>20, length>>20)
	require.Less(t, peak, int64(6*length))
}

// peakHeap plans a good file and returns by how much the heap in use grew at
// its highest, garbage not yet collected included.
func peakHeap(t *testing.T, in io.Reader) int64 {
	t.Helper()
	runtime.GC()
	before := heapInUse()
	w := &watched{in: in}
	s, err := jsonl.Plan(t.Context(), w, io.Discard, jsonl.PlanOptions{
		Endpoint: openai.ChatCompletions, Lanes: 4, Hands: 64, TempDir: t.TempDir(),
	})
	require.NoError(t, err)
	require.Empty(t, s.Errors)
	return max(w.peak, heapInUse()) - before
}

// watched looks at the heap at every read.
type watched struct {
	in   io.Reader
	peak int64
}

// Read implements io.Reader.
func (w *watched) Read(b []byte) (int, error) {
	w.peak = max(w.peak, heapInUse())
	return w.in.Read(b)
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}
