package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
)

// race sends the same request so many times at once, in turn to each of the
// systems.
func race(t *testing.T, times int, method, path, body string, headers []string, to ...*system) []reply {
	t.Helper()
	answers := make([]reply, times)
	var wait sync.WaitGroup
	for i := range answers {
		wait.Go(func() { answers[i] = to[i%len(to)].send(t, method, path, body, headers...) })
	}
	wait.Wait()
	return answers
}

// requireOne checks that all answers tell of one thing and that all but one are
// replays, and returns its id.
func requireOne(t *testing.T, answers []reply, status int) string {
	t.Helper()
	firsts := 0
	id := gjson.GetBytes(answers[0].body, "id").Str
	for _, r := range answers {
		require.Equal(t, status, r.status, "%s", r.body)
		require.Equal(t, id, gjson.GetBytes(r.body, "id").Str)
		if r.header.Get("Idempotency-Replayed") != "true" {
			firsts++
		}
	}
	require.Equal(t, 1, firsts, "requests that take themselves for the first")
	return id
}

// ids are those of a listing.
func (s *system) ids(t *testing.T, path string) []string {
	t.Helper()
	var ids []string
	for _, o := range gjson.GetBytes(s.get(t, path).body, "data").Array() {
		ids = append(ids, o.Get("id").Str)
	}
	return ids
}

func TestFiftyRacingRequestsWithOneKeyMakeOneBatchThatOutlivesAKill(t *testing.T) {
	t.Parallel()
	up, dir := sim(t, simulator.Options{}), t.TempDir()
	p, url := dev(t, dir, up.URL())
	s := &system{url: url, upstream: up}
	body := newBatch(s.upload(t, requests(20)), "")
	key := []string{"Idempotency-Key: night of the 14th"}
	id := requireOne(t, race(t, 50, http.MethodPost, "/v1/batches", body, key, s), http.StatusOK)
	require.Equal(t, []string{id}, s.ids(t, "/v1/batches"))

	p.kill()
	_, s.url = dev(t, dir, up.URL())
	again := s.send(t, http.MethodPost, "/v1/batches", body, key...)
	require.Equal(t, http.StatusOK, again.status, "%s", again.body)
	require.Equal(t, id, again.object(t)["id"])
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))

	other := s.send(t, http.MethodPost, "/v1/batches", body+" ", key...)
	require.Equal(t, http.StatusConflict, other.status)
	require.Equal(t, "false", other.header.Get("X-Should-Retry"))
	require.Equal(t, "idempotency_key_reused", gjson.GetBytes(other.body, "error.code").Str)

	awaitEnd(t, s.url, id, openai.Completed)
	again = s.send(t, http.MethodPost, "/v1/batches", body, key...)
	require.Equal(t, "completed", again.object(t)["status"])
	require.Equal(t, []string{id}, s.ids(t, "/v1/batches"))
	require.EqualValues(t, 20, up.Stats().DistinctBodies)
	require.Equal(t, http.StatusBadRequest, s.send(t, http.MethodPost, "/v1/batches", body, "Idempotency-Key: ").status, "an empty key")
}

// secondAPI starts one more API and returns its URL, without /v1.
func (c *cluster) secondAPI() string {
	c.t.Helper()
	p := start(c.t, c.env, append([]string{"api", "--listen", "127.0.0.1:0"}, c.flags()...)...)
	return p.await(p.stdout, `API (http://\S+)/v1`)
}

func TestTwoServersThatRaceWithOneKeyMakeOneBatch(t *testing.T) {
	t.Parallel()
	up := sim(t, simulator.Options{})
	c := ownCluster(t)
	first := &system{url: c.url, upstream: up}
	second := &system{url: c.secondAPI(), upstream: up}
	body := newBatch(first.upload(t, requests(5)), "")
	// No worker is up: a key needs none.
	id := requireOne(t, race(t, 20, http.MethodPost, "/v1/batches", body, []string{"Idempotency-Key: k"}, first, second), http.StatusOK)
	c.worker(up.URL())
	awaitEnd(t, second.url, id, openai.Completed)
	require.EqualValues(t, 5, up.Stats().Calls)
	require.Equal(t, []string{id}, second.ids(t, "/v1/batches"))
}

// TestRepeatedRequestsThatMeetKillsLeaveNothingBehind sends requests again until
// they are answered, while the service is killed at any point of them.
func TestRepeatedRequestsThatMeetKillsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	const keys, rounds, within = 30, 5, 250 * time.Millisecond
	up, dir := sim(t, simulator.Options{}), t.TempDir()
	p, url := dev(t, dir, up.URL())
	s := &system{url: url, upstream: up}
	body := newBatch(s.upload(t, requests(3)), "")
	told := make([]map[string]bool, keys) // the ids that each key was answered with
	for i := range told {
		told[i] = map[string]bool{}
	}
	for round := range rounds {
		var wait sync.WaitGroup
		for i := range told {
			wait.Go(func() {
				if id := s.tryBatch(body, fmt.Sprintf("key %d", i)); id != "" {
					told[i][id] = true
				}
			})
		}
		if round < rounds-1 {
			lasts(t, rand.N(within))
			p.kill()
		}
		wait.Wait()
		if round < rounds-1 {
			p, s.url = dev(t, dir, up.URL())
		}
	}
	listed := s.ids(t, "/v1/batches?limit=100")
	require.Len(t, listed, keys)
	for _, ids := range told {
		require.Len(t, ids, 1)
		for id := range ids {
			require.Contains(t, listed, id)
			awaitEnd(t, s.url, id, openai.Completed)
		}
	}
	var left []string
	eventually(t, func() bool {
		left = filesBelow(t, filepath.Join(dir, "store", "files", "default", "pins"))
		return len(left) == 0
	}, "pins are left: %v", &left)
	require.Len(t, filesBelow(t, filepath.Join(dir, "store", "batches", "default", "created")), keys)
}

// tryBatch posts a batch to a service that may be gone, and returns its id.
func (s *system) tryBatch(body, key string) string {
	req, err := http.NewRequest(http.MethodPost, s.url+"/v1/batches", strings.NewReader(body))
	if err != nil {
		return ""
	}
	req.Header.Set("Idempotency-Key", key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer func() { _ = res.Body.Close() }()
	content, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return ""
	}
	return gjson.GetBytes(content, "id").Str
}

// filesBelow are the names of all files in a folder, which need not exist. What
// a kill has left half written is no object of the store.
func filesBelow(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) != ".tmp" {
			names = append(names, filepath.Base(path))
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	require.NoError(t, err)
	return names
}
