package store_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/store"
)

// told is what an observer was told.
type told struct {
	mu  sync.Mutex
	all []string
}

func (o *told) observe(op store.Operation, key string, took time.Duration, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	line := string(op) + " " + string(store.ObjectOf(key))
	if err != nil {
		line += " failed"
	}
	if took < 0 {
		line += " before it began"
	}
	o.all = append(o.all, line)
}

func (o *told) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.all
	o.all = nil
	return all
}

func TestEachOperationIsToldOnce(t *testing.T) {
	t.Parallel()
	b, o := setup(t), &told{}
	b.Observe(o.observe)
	ctx, run := t.Context(), store.Run{Project: "p", Batch: "b"}
	require.NoError(t, b.Put(ctx, run.Segment(1, "1-1", 0), []byte("x")))
	require.NoError(t, b.PutNew(ctx, run.Output(1, "1-1"), []byte("x")))
	require.ErrorIs(t, b.PutNew(ctx, run.Output(1, "1-1"), []byte("x")), store.ErrExists)
	_, err := b.Get(ctx, run.Output(1, "1-1"))
	require.NoError(t, err)
	_, err = b.Get(ctx, "nothing")
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = b.Exists(ctx, "nothing")
	require.NoError(t, err)
	require.NoError(t, b.Delete(ctx, "nothing"))
	require.Len(t, collect(t, b.Keys(ctx, run.ChunksPrefix())), 2)
	require.Equal(t, []string{
		"write segment", "write chunk", "write chunk", "read chunk", "read other", "lookup other", "delete other", "list other",
	}, o.take(), "what is not there, or is there already, is no failure")
}

func TestAWriteThatFailsIsToldAsFailed(t *testing.T) {
	t.Parallel()
	b, o := setup(t), &told{}
	b.Observe(o.observe)
	w, err := b.Create(t.Context(), "other/x")
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(filepath.Join(b.dir, "other")))
	require.Error(t, w.Commit())
	require.Equal(t, []string{"write other failed"}, o.take())
}

func TestObjectsAreKnownByTheirKeys(t *testing.T) {
	t.Parallel()
	require.Equal(t, store.Results, store.ObjectOf(store.TaskResults("p", "group", 0, 1)))
	require.Equal(t, store.Stream, store.ObjectOf(store.TaskStream("p", "group", 0, 1)))
	require.Equal(t, store.Other, store.ObjectOf(store.Run{Project: "p", Batch: "b"}.Object()))
	require.Equal(t, store.Chunk, store.ObjectOf(store.Run{Project: "p", Batch: "b"}.Errors(1, "1-1")))
}
