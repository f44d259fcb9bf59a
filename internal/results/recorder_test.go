package results_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/headrace/headrace/internal/ledger"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/results"
	"github.com/headrace/headrace/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testBundle is a store with one batch's run in it.
type testBundle struct {
	dir   string
	store *store.Store
	run   store.Run
	namer results.Namer
}

func setup(tb testing.TB) *testBundle {
	tb.Helper()
	dir := tb.TempDir()
	s, err := store.Open(context.Background(), dir)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	id := openai.NewID(openai.PrefixBatch)
	return &testBundle{dir: dir, store: s, run: store.Run{Project: "default", Batch: id}, namer: results.NewNamer(id)}
}

func (b *testBundle) recorder(tb testing.TB, holder string) *results.Recorder {
	tb.Helper()
	r := results.NewRecorder(context.Background(), b.store, b.run, holder)
	tb.Cleanup(r.Close)
	return r
}

// answer is the line of an answered request.
func (b *testBundle) answer(line int64, text string) []byte {
	body := fmt.Sprintf(`{"text":%q,"usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}}`, text)
	return b.namer.AppendAnswer(nil, line, []byte(`"id"`), llm.Response{Status: 200, RequestID: "req_1", Body: []byte(body)})
}

func (b *testBundle) failure(line int64) []byte {
	return b.namer.AppendFailure(nil, line, []byte(`"id"`), &llm.Error{Status: 400, Body: []byte(`{"error":{"message":"no"}}`)})
}

var usage = openai.Usage{InputTokens: 2, OutputTokens: 3, TotalTokens: 5}

func (b *testBundle) put(t *testing.T, r *results.Recorder, chunk, line int64) {
	t.Helper()
	require.NoError(t, r.Put(t.Context(), chunk, line, results.Answered, usage, b.answer(line, "hello")))
}

func (b *testBundle) keys(t *testing.T, chunk int64) []string {
	t.Helper()
	var names []string
	for key, err := range b.store.Keys(t.Context(), b.run.ChunkPrefix(chunk)) {
		require.NoError(t, err)
		names = append(names, filepath.Base(key))
	}
	return names
}

func TestAChunkFinishedAtOnceIsWrittenOnceAndSorted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.recorder(t, "0-1")
	have, err := r.Open(t.Context(), 7, 3, false)
	require.NoError(t, err)
	require.Empty(t, have)
	b.put(t, r, 7, 12)
	require.NoError(t, r.Put(t.Context(), 7, 11, results.Failed, openai.Usage{}, b.failure(11)))
	b.put(t, r, 7, 10)
	require.NoError(t, r.Flush(t.Context()))

	require.Equal(t, []string{"0-1.err", "0-1.out"}, b.keys(t, 7))
	out, err := b.store.Get(t.Context(), b.run.Output(7, "0-1"))
	require.NoError(t, err)
	require.Equal(t, string(b.answer(10, "hello"))+string(b.answer(12, "hello")), string(out))
	errs, err := b.store.Get(t.Context(), b.run.Errors(7, "0-1"))
	require.NoError(t, err)
	require.Equal(t, string(b.failure(11)), string(errs))

	commits := r.Commits()
	require.Equal(t, []ledger.Commit{{
		Chunk: 7, Holder: "0-1", OutputBytes: int64(len(out)), ErrorBytes: int64(len(errs)),
		Totals: ledger.Totals{Completed: 2, Failed: 1, Usage: openai.Usage{InputTokens: 4, OutputTokens: 6, TotalTokens: 10}},
	}}, commits)
	require.Empty(t, r.Commits(), "each commit is told once")
}

func TestAResultIsInTheStoreWithinAQuarterOfASecond(t *testing.T) {
	t.Parallel()
	// The write itself is given what this machine, busy as it may be, cannot
	// tell: a fifth of the time.
	const begun = 200 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		r := b.recorder(t, "0-1")
		_, err := r.Open(t.Context(), 0, 10, false)
		require.NoError(t, err)
		b.put(t, r, 0, 1)
		time.Sleep(begun)
		synctest.Wait()
		require.Len(t, b.keys(t, 0), 1)
	})
}

func TestWhoeverTakesAChunkOverAddsOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := results.NewRecorder(t.Context(), b.store, b.run, "0-1")
	_, err := first.Open(t.Context(), 3, 4, false)
	require.NoError(t, err)
	b.put(t, first, 3, 33)
	require.NoError(t, first.Flush(t.Context()))
	require.NoError(t, first.Put(t.Context(), 3, 31, results.Failed, openai.Usage{}, b.failure(31)))
	require.NoError(t, first.Flush(t.Context()))
	first.Close() // the process is killed

	second := b.recorder(t, "0-2")
	have, err := second.Open(t.Context(), 3, 4, true)
	require.NoError(t, err)
	require.ElementsMatch(t, []int64{33, 31}, have)
	require.Equal(t, ledger.Totals{Completed: 1, Failed: 1, Usage: usage}, second.Totals(), "read back from the lines")
	b.put(t, second, 3, 30)
	b.put(t, second, 3, 32)
	require.NoError(t, second.Flush(t.Context()))
	require.Equal(t, []string{"0-2.err", "0-2.out"}, b.keys(t, 3), "nothing of the first is left")
	out, err := b.store.Get(t.Context(), b.run.Output(3, "0-2"))
	require.NoError(t, err)
	require.Equal(t, []int64{30, 32, 33}, numbers(t, out))
}

func TestAChunkThatWasWholeButNotCommittedIsTakenOverWithoutACall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := results.NewRecorder(t.Context(), b.store, b.run, "0-1")
	_, err := first.Open(t.Context(), 3, 2, false)
	require.NoError(t, err)
	b.put(t, first, 3, 30)
	b.put(t, first, 3, 31)
	require.NoError(t, first.Flush(t.Context()))
	first.Close()

	second := b.recorder(t, "0-2")
	have, err := second.Open(t.Context(), 3, 2, true)
	require.NoError(t, err)
	require.Len(t, have, 2)
	require.NoError(t, second.Flush(t.Context()))
	require.Equal(t, int64(2), second.Commits()[0].Completed)
	require.Equal(t, []string{"0-2.out"}, b.keys(t, 3))
}

func TestAStoreThatFailsCostsTimeAndNoResult(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.recorder(t, "0-1")
	// A file stands where the folder of the chunks should be.
	blocked := filepath.Join(b.dir, filepath.FromSlash(strings.TrimSuffix(b.run.ChunksPrefix(), "/")))
	require.NoError(t, os.MkdirAll(filepath.Dir(blocked), 0o700))
	require.NoError(t, os.WriteFile(blocked, nil, 0o600))
	_, err := r.Open(t.Context(), 0, 2, false)
	require.NoError(t, err)
	b.put(t, r, 0, 1)
	require.Eventually(t, func() bool {
		_, err := r.Trouble()
		return err != nil
	}, 5*time.Second, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, r.Flush(ctx), context.DeadlineExceeded)
	require.ErrorIs(t, r.Put(ctx, 0, 2, results.Answered, usage, b.answer(2, "hello")), context.DeadlineExceeded,
		"what comes now could be lost")

	require.NoError(t, os.Remove(blocked))
	b.put(t, r, 0, 2)
	require.NoError(t, r.Flush(t.Context()))
	_, err = r.Trouble()
	require.NoError(t, err)
	require.Len(t, r.Commits(), 1)
}

func TestAWriteThatWorksDoesNotHideOneThatFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.recorder(t, "0-1")
	blocked := filepath.Join(b.dir, filepath.FromSlash(strings.TrimSuffix(b.run.ChunkPrefix(0), "/")))
	require.NoError(t, os.MkdirAll(filepath.Dir(blocked), 0o700))
	require.NoError(t, os.WriteFile(blocked, nil, 0o600))
	for chunk := range int64(2) {
		_, err := r.Open(t.Context(), chunk, 9, false)
		require.NoError(t, err)
	}
	b.put(t, r, 0, 1)
	time.Sleep(20 * time.Millisecond) // so that the flush that works comes after the one that fails
	b.put(t, r, 1, 11)
	require.Eventually(t, func() bool { return len(b.keys(t, 1)) > 0 }, 5*time.Second, time.Millisecond)
	_, err := r.Trouble()
	require.Error(t, err)
	require.NoError(t, os.Remove(blocked))
	require.NoError(t, r.Flush(t.Context()))
	_, err = r.Trouble()
	require.NoError(t, err)
}

func TestPutWaitsWhileTooMuchIsUnwritten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	blocked := filepath.Join(b.dir, filepath.FromSlash(strings.TrimSuffix(b.run.ChunksPrefix(), "/")))
	require.NoError(t, os.MkdirAll(filepath.Dir(blocked), 0o700))
	require.NoError(t, os.WriteFile(blocked, nil, 0o600))
	r := b.recorder(t, "0-1")
	_, err := r.Open(t.Context(), 0, 100, false)
	require.NoError(t, err)
	large := b.answer(1, strings.Repeat("x", 65<<20))
	require.NoError(t, r.Put(t.Context(), 0, 1, results.Answered, usage, large))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, r.Put(ctx, 0, 2, results.Answered, usage, b.answer(2, "small")), context.DeadlineExceeded)
}

func TestAChunkTooLargeForMemoryIsPutTogetherFromItsSegments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.recorder(t, "0-1")
	const lines = 8
	_, err := r.Open(t.Context(), 0, lines, false)
	require.NoError(t, err)
	var want bytes.Buffer
	for line := int64(1); line <= lines; line++ {
		want.Write(b.answer(line, strings.Repeat(fmt.Sprint(line), 5<<20)))
	}
	for line := int64(lines); line >= 1; line-- { // in the wrong order
		text := b.answer(line, strings.Repeat(fmt.Sprint(line), 5<<20))
		require.NoError(t, r.Put(t.Context(), 0, line, results.Answered, usage, text))
		if line > 1 {
			require.NoError(t, r.Flush(t.Context()))
		}
	}
	require.NoError(t, r.Flush(t.Context()))
	got, err := b.store.Get(t.Context(), b.run.Output(0, "0-1"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(want.Bytes(), got))
}

func TestResultsSoFarAreSortedAndEachIsThereOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.recorder(t, "0-1")
	_, err := r.Open(t.Context(), 0, 2, false)
	require.NoError(t, err)
	_, err = r.Open(t.Context(), 1, 3, false)
	require.NoError(t, err)
	for _, line := range []int64{2, 1} {
		b.put(t, r, 0, line)
	}
	for _, line := range []int64{5, 3} {
		b.put(t, r, 1, line)
		require.NoError(t, r.Flush(t.Context()))
	}
	// An attempt that was over has written line 5 as well.
	zombie := b.recorder(t, "0-0")
	_, err = zombie.Open(t.Context(), 1, 3, false)
	require.NoError(t, err)
	b.put(t, zombie, 1, 5)
	require.NoError(t, zombie.Flush(t.Context()))

	var got bytes.Buffer
	require.NoError(t, results.Read(t.Context(), b.store, b.run, &got))
	require.Equal(t, []int64{1, 2, 3, 5}, numbers(t, got.Bytes()))
}

func numbers(t require.TestingT, text []byte) []int64 {
	var ns []int64
	for line := range bytes.Lines(text) {
		n, err := results.NumberOf(line)
		require.NoError(t, err)
		ns = append(ns, n)
	}
	return ns
}

// TestHoweverOftenAChunkChangesHandsItEndsWithEachLineOnce has attempts put
// some lines, flush some, and be killed.
func TestHoweverOftenAChunkChangesHandsItEndsWithEachLineOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := setup(t)
		total := rapid.IntRange(1, 30).Draw(rt, "lines")
		paid := map[int64]int{}
		for attempt := 1; ; attempt++ {
			holder := ledger.Holder(0, attempt)
			r := results.NewRecorder(t.Context(), b.store, b.run, holder)
			have, err := r.Open(t.Context(), 0, total, attempt > 1)
			require.NoError(rt, err)
			for _, line := range have {
				paid[line]++
			}
			missing := without(total, have)
			last := rapid.IntRange(0, 3).Draw(rt, "last attempt") == 0
			n := len(missing)
			if !last {
				n = rapid.IntRange(0, n).Draw(rt, "lines before the kill")
			}
			for _, i := range rapid.Permutation(missing).Draw(rt, "order")[:n] {
				b.put(t, r, 0, i)
				if rapid.IntRange(0, 4).Draw(rt, "flush") == 0 {
					require.NoError(rt, r.Flush(t.Context()))
				}
			}
			if last {
				require.NoError(rt, r.Flush(t.Context()))
				require.Equal(rt, int64(total), r.Commits()[0].Completed)
				out, err := b.store.Get(t.Context(), b.run.Output(0, holder))
				require.NoError(rt, err)
				require.Equal(rt, without(total, nil), numbers(rt, out))
				require.Equal(rt, []string{holder + ".out"}, b.keys(t, 0))
			}
			r.Close()
			if last {
				return
			}
		}
	})
}

// without lists the lines from 1 to total that are not in have.
func without(total int, have []int64) []int64 {
	var missing []int64
	for line := int64(1); line <= int64(total); line++ {
		found := false
		for _, h := range have {
			found = found || h == line
		}
		if !found {
			missing = append(missing, line)
		}
	}
	return missing
}

// BenchmarkRecorder measures what keeping a result costs, its store included.
func BenchmarkRecorder(b *testing.B) {
	bundle := setup(b)
	r := bundle.recorder(b, "0-1")
	text := bundle.answer(1, strings.Repeat("x", 500))
	b.SetBytes(int64(len(text)))
	for i := int64(0); b.Loop(); i++ {
		if i%500 == 0 {
			_, err := r.Open(b.Context(), i/500, 500, false)
			require.NoError(b, err)
		}
		require.NoError(b, r.Put(b.Context(), i/500, i, results.Answered, usage, text))
	}
}
