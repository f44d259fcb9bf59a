package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/simulator"
)

// alone is a system of the test's own, for tests that look at all there is.
func alone(t *testing.T, more ...string) *system {
	t.Helper()
	up := sim(t, simulator.Options{})
	_, url := dev(t, t.TempDir(), up.URL(), more...)
	return &system{url: url, upstream: up}
}

// page is a listing as it is on the wire.
type page struct {
	ids         []string
	first, last any
	more        bool
}

func (s *system) page(t *testing.T, path string) page {
	t.Helper()
	o := s.get(t, path).object(t)
	require.ElementsMatch(t, []string{"object", "data", "first_id", "last_id", "has_more"}, keysOf(string(s.get(t, path).body)))
	require.Equal(t, "list", o["object"])
	p := page{ids: []string{}, first: o["first_id"], last: o["last_id"], more: o["has_more"].(bool)}
	for _, element := range o["data"].([]any) {
		p.ids = append(p.ids, element.(map[string]any)["id"].(string))
	}
	return p
}

// TestListingsArePaged looks at seven files and seven batches, none of which
// has an output.
func TestListingsArePaged(t *testing.T) {
	t.Parallel()
	s := alone(t)
	empty := page{ids: []string{}}
	require.Equal(t, empty, s.page(t, "/v1/files"))
	require.Equal(t, empty, s.page(t, "/v1/batches"))
	var files, batches []string // newest first
	for range 7 {
		file := s.upload(t, "nonsense\n")
		files = append(files, file)
		batches = append(batches, s.create(t, file, ""))
	}
	slices.Reverse(files)
	slices.Reverse(batches)
	for path, ids := range map[string][]string{"/v1/files": files, "/v1/batches": batches} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			requirePages(t, s, path, ids)
		})
	}
	t.Run("the official SDK pages by itself", func(t *testing.T) {
		t.Parallel()
		requireAutoPaging(t, s, files, batches)
	})
	t.Run("go-openai lists batches", func(t *testing.T) {
		t.Parallel()
		limit := 3
		list, err := s.goOpenAI().ListBatch(t.Context(), &batches[1], &limit)
		require.NoError(t, err)
		require.True(t, list.HasMore)
		require.Equal(t, batches[2], list.FirstID)
		require.Equal(t, batches[4], list.LastID)
		require.Equal(t, batches[3], list.Data[1].ID)
	})
}

func requirePages(t *testing.T, s *system, path string, ids []string) {
	t.Helper()
	oldestFirst := slices.Clone(ids)
	slices.Reverse(oldestFirst)
	of := func(all []string, from, to int) page {
		return page{ids: all[from:to], first: all[from], last: all[to-1], more: to < len(all)}
	}
	require.Equal(t, of(ids, 0, 7), s.page(t, path))
	require.Equal(t, of(ids, 0, 7), s.page(t, path+"?limit=7"))
	require.Equal(t, of(ids, 0, 3), s.page(t, path+"?limit=3"))
	require.Equal(t, of(ids, 3, 6), s.page(t, path+"?limit=3&after="+ids[2]))
	require.Equal(t, of(ids, 6, 7), s.page(t, path+"?limit=3&after="+ids[5]))
	require.Equal(t, page{ids: []string{}}, s.page(t, path+"?after="+ids[6]))
	require.Equal(t, of(ids, 0, 2), s.page(t, path+"?order=desc&limit=2"))
	require.Equal(t, of(oldestFirst, 0, 2), s.page(t, path+"?order=asc&limit=2"))
	require.Equal(t, of(oldestFirst, 2, 7), s.page(t, path+"?order=asc&after="+oldestFirst[1]))
}

func requireAutoPaging(t *testing.T, s *system, files, batches []string) {
	t.Helper()
	c, two := s.official(), param.NewOpt(int64(2))
	var got []string
	pager := c.Files.ListAutoPaging(t.Context(), sdk.FileListParams{Limit: two})
	for pager.Next() {
		got = append(got, pager.Current().ID)
	}
	require.NoError(t, pager.Err())
	require.Equal(t, files, got)
	got = nil
	batchPager := c.Batches.ListAutoPaging(t.Context(), sdk.BatchListParams{Limit: two})
	for batchPager.Next() {
		got = append(got, batchPager.Current().ID)
	}
	require.NoError(t, batchPager.Err())
	require.Equal(t, batches, got)
}

func TestAListingGoesOnAfterAFileThatIsGone(t *testing.T) {
	t.Parallel()
	s := alone(t)
	var files []string
	for range 3 {
		files = append(files, s.upload(t, "{}\n"))
	}
	require.Equal(t, http.StatusOK, s.send(t, http.MethodDelete, "/v1/files/"+files[1], "").status)
	require.Equal(t, []string{files[0]}, s.page(t, "/v1/files?after="+files[1]).ids)
	require.Equal(t, []string{files[2], files[0]}, s.page(t, "/v1/files").ids)
}

func TestFilesAreListedByPurpose(t *testing.T) {
	t.Parallel()
	s := alone(t)
	batch := s.upload(t, requests(1))
	other := s.post(t, part{name: "purpose", content: "evals"}, part{name: "file", filename: "e.jsonl", content: "x"}).object(t)["id"].(string)
	b := s.until(t, s.create(t, batch, ""), "completed")
	for purpose, want := range map[string]string{"batch": batch, "evals": other, "batch_output": b["output_file_id"].(string)} {
		require.Equal(t, []string{want}, s.page(t, "/v1/files?purpose="+purpose).ids)
	}
	require.Empty(t, s.page(t, "/v1/files?purpose=vision").ids)
	limited := s.page(t, "/v1/files?purpose=evals&limit=1")
	require.Equal(t, page{ids: []string{other}, first: other, last: other}, limited, "files of other purposes are no more")
}

func TestBatchesAreListedTwentyAtATime(t *testing.T) {
	t.Parallel()
	s := alone(t)
	file := s.upload(t, "nonsense\n")
	for range 21 {
		s.create(t, file, "")
	}
	first := s.page(t, "/v1/batches")
	require.Len(t, first.ids, 20)
	require.True(t, first.more)
	require.Len(t, s.page(t, fmt.Sprintf("/v1/batches?after=%s", first.last)).ids, 1)
	require.True(t, strings.HasPrefix(first.ids[0], "batch_"))
}
