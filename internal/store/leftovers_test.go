package store_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/store"
	"github.com/headrace/headrace/internal/webhook"
)

const day = 24 * time.Hour

func TestLeftoversOfAnyKindAreDeletedOnceTheyAreOld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	f := b.upload(t)
	run := store.Run{Project: project, Batch: openai.NewID(openai.PrefixBatch)}
	group := openai.NewID("")
	require.NoError(t, b.Put(t.Context(), run.Object(), nil))
	require.NoError(t, b.MarkQueue(t.Context(), "q"))
	delivery := webhook.Delivery{ID: openai.NewID(webhook.PrefixDelivery)}
	require.NoError(t, b.SaveDelivery(t.Context(), project, delivery))
	for _, path := range b.paths(t) { // what is finished stays, however old
		at := time.Now().Add(-100 * day)
		require.NoError(t, os.Chtimes(filepath.Join(b.dir, path), at, at))
	}
	finished := b.paths(t)

	var old, fresh []string
	for _, key := range []string{
		"files/" + project + "/data/" + f.ID, run.Index(), run.Segment(3, "1-2", 4), run.Output(3, "1-2"),
		store.TaskInput(project, group, 0), store.TaskResults(project, group, 0, 1), store.TaskStream(project, group, 0, 1),
		store.TaskDeleted(project, group, 0), store.Answer(project, "ab12"), "queues/q.json", "webhooks/" + project + "/deliveries/" + delivery.ID,
	} {
		old = append(old, b.kill(t, key+".old", 2*day))
		fresh = append(fresh, b.kill(t, key+".fresh", 23*time.Hour))
	}
	others := filepath.Join(b.dir, "report.tmp")
	require.NoError(t, os.WriteFile(others, nil, 0o600))
	require.NoError(t, os.Chtimes(others, time.Time{}, time.Now().Add(-2*day)))

	ended, end := context.WithCancel(t.Context())
	end()
	require.ErrorIs(t, b.DeleteLeftovers(ended, day), context.Canceled)
	for _, path := range old {
		require.FileExists(t, path)
	}
	require.NoError(t, b.DeleteLeftovers(t.Context(), day))
	for i := range old {
		require.NoFileExists(t, old[i])
		require.FileExists(t, fresh[i])
	}
	require.FileExists(t, others, "nobody knows whose it is")
	require.NoError(t, b.DeleteLeftovers(t.Context(), 0))
	require.ElementsMatch(t, append(finished, "report.tmp"), b.paths(t))
}

func TestAWalkForLeftoversPassesOverWhatIsDeletedUnderIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const folders = 300
	for i := range folders {
		require.NoError(t, os.MkdirAll(filepath.Join(b.dir, "tasks", project, openai.NewID("")[:5], openai.NewID("")), 0o700), i)
	}
	deleted := make(chan error, 1)
	go func() { deleted <- os.RemoveAll(filepath.Join(b.dir, "tasks")) }()
	require.NoError(t, b.DeleteLeftovers(t.Context(), day))
	require.NoError(t, <-deleted)
}
