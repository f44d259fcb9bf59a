package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

func TestTheSameQuestionAtTheSameTimeIsAskedOnce(t *testing.T) {
	t.Parallel()
	s := alone(t)
	const n = 30
	body := directed("Asked by many", "latency=5s")
	task := chatTask(body, `,"headrace":{"coalesce":true}`)
	ids := make([]string, n)
	var posts sync.WaitGroup
	for i := range n {
		posts.Go(func() { // no more than a moment apart
			res, err := http.Post(s.url+"/v1/tasks", "application/json", strings.NewReader(task))
			if err != nil {
				t.Error(err)
				return
			}
			answer, err := io.ReadAll(res.Body)
			if err := errors.Join(err, res.Body.Close()); err != nil {
				t.Error(err)
			}
			ids[i] = gjson.GetBytes(answer, "id").Str
		})
	}
	posts.Wait()
	coalesced := 0
	var answer string
	for _, id := range ids {
		o := s.completed(t, id)
		if answer == "" {
			answer = o.Get("result.body").Raw
		}
		require.Equal(t, answer, o.Get("result.body").Raw)
		require.False(t, o.Get("result.cached").Bool())
		if o.Get("result.coalesced").Bool() {
			coalesced++
			require.Empty(t, o.Get("attempts").Array())
		}
	}
	require.Equal(t, n-1, coalesced)
	require.EqualValues(t, 1, s.upstream.Stats().Calls)

	s.completed(t, s.addID(t, chatTask(body, "")))
	require.EqualValues(t, 2, s.upstream.Stats().Calls, "nobody gets another's answer who has not asked for it")
}

func TestAnAnswerIsReusedWhileItIsFreshEnough(t *testing.T) {
	t.Parallel()
	s := alone(t)
	body := chatBody("Asked again and again", "")
	ask := func(age string) gjson.Result {
		return s.completed(t, s.addID(t, chatTask(body, fmt.Sprintf(`,"cache":%q`, age))))
	}
	require.False(t, ask("1h").Get("result.cached").Bool())
	// The answer is announced once its task has ended.
	eventually(t, func() bool { return ask("1h").Get("result.cached").Bool() }, "no answer is reused")
	calls := s.upstream.Stats().Calls
	r := s.send(t, http.MethodPost, "/v1/chat/completions", body[:len(body)-1]+`,"headrace":{"cache":"1h"}}`)
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	require.Equal(t, calls, s.upstream.Stats().Calls, "what an SDK asks is the same question")
	require.False(t, ask("1ns").Get("result.cached").Bool())
	require.Equal(t, calls+1, s.upstream.Stats().Calls)

	r = s.send(t, http.MethodPost, "/v1/chat/completions", chatBody("No", `,"stream":true,"headrace":{"coalesce":true}`))
	require.Equal(t, http.StatusBadRequest, r.status)
}
