package e2e_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// pattern is what an object looks like: every key, with its exact value or one
// of the kinds below. A key more or less is a difference.
type pattern map[string]any

// kind stands for values that differ from run to run.
type kind string

const (
	aTime    kind = "<unix seconds of just now>"
	aFileID  kind = "<id of a file>"
	aBatchID kind = "<id of a batch>"
)

// month is 30 days in seconds.
const month = 30 * 24 * 3600

// requireObject compares an object with a pattern; since is before all its
// times.
func requireObject(t *testing.T, want pattern, got map[string]any, since time.Time) {
	t.Helper()
	got = maps.Clone(got)
	for key, value := range want {
		k, ok := value.(kind)
		if !ok {
			continue
		}
		require.Contains(t, got, key)
		requireKind(t, k, got[key], key, since)
		got[key] = k
	}
	wantJSON, err := json.Marshal(want)
	require.NoError(t, err)
	gotJSON, err := json.Marshal(got)
	require.NoError(t, err)
	require.JSONEq(t, string(wantJSON), string(gotJSON))
}

func requireKind(t *testing.T, k kind, value any, key string, since time.Time) {
	t.Helper()
	switch k {
	case aTime:
		n, ok := value.(json.Number)
		require.True(t, ok, "%s is %v", key, value)
		seconds, err := n.Int64()
		require.NoError(t, err, key)
		require.GreaterOrEqual(t, seconds, since.Unix(), key)
		require.LessOrEqual(t, seconds, time.Now().Unix(), key)
	case aFileID:
		require.Regexp(t, `^file-[0-9a-z]{26}$`, value, key)
	case aBatchID:
		require.Regexp(t, `^batch_[0-9a-z]{26}$`, value, key)
	}
}

// validating is a batch right after its creation; more is what differs.
func validating(file string, more pattern) pattern {
	p := pattern{
		"id": aBatchID, "object": "batch", "endpoint": "/v1/chat/completions", "model": nil, "errors": nil,
		"input_file_id": file, "completion_window": "24h", "status": "validating", "output_file_id": nil, "error_file_id": nil,
		"created_at": aTime, "in_progress_at": nil, "finalizing_at": nil, "completed_at": nil, "failed_at": nil,
		"expired_at": nil, "cancelling_at": nil, "cancelled_at": nil,
		"request_counts": pattern{"total": 0, "completed": 0, "failed": 0}, "usage": nil, "metadata": nil,
		"headrace": pattern{
			"max_concurrency": 64, "max_attempts": 5, "timeout": "10m0s", "priority": -50,
			"in_flight": 0, "retrying": 0, "waiting_on": nil,
		},
	}
	maps.Copy(p, more)
	return p
}

// requireExpiry checks expires_at and takes it out of the object.
func requireExpiry(t *testing.T, o map[string]any, seconds int64) {
	t.Helper()
	created, err := o["created_at"].(json.Number).Int64()
	require.NoError(t, err)
	expires, err := o["expires_at"].(json.Number).Int64()
	require.NoError(t, err)
	require.Equal(t, created+seconds, expires)
	delete(o, "expires_at")
}

func TestAFileHasEveryFieldOfTheWireAndNoOther(t *testing.T) {
	t.Parallel()
	s, since := shared(t), time.Now()
	for purpose, expires := range map[string]bool{"batch": true, "assistants": false} {
		r := s.post(t, part{name: "purpose", content: purpose}, part{name: "file", filename: "wire.jsonl", content: "{}\n"})
		require.Equal(t, http.StatusOK, r.status)
		require.Contains(t, r.header.Get("Content-Type"), "application/json")
		for _, o := range []map[string]any{r.object(t), s.get(t, "/v1/files/"+r.object(t)["id"].(string)).object(t)} {
			want := pattern{
				"id": aFileID, "object": "file", "bytes": 3, "created_at": aTime, "filename": "wire.jsonl",
				"purpose": purpose, "status": "processed", "status_details": nil,
			}
			if expires {
				requireExpiry(t, o, month)
			} else {
				want["expires_at"] = nil
			}
			requireObject(t, want, o, since)
		}
	}
}

func TestABatchHasEveryFieldOfTheWireFromItsFirstMoment(t *testing.T) {
	t.Parallel()
	s, since := shared(t), time.Now()
	file := s.upload(t, requests(1))
	o := s.send(t, http.MethodPost, "/v1/batches", newBatch(file, "")).object(t)
	requireExpiry(t, o, 24*3600)
	requireObject(t, validating(file, nil), o, since)

	o = s.send(t, http.MethodPost, "/v1/batches", `{"input_file_id":"`+file+`","endpoint":"/v1/chat/completions",
		"completion_window":"7d","metadata":{"a":"b"},"output_expires_after":{"anchor":"created_at","seconds":3600},
		"headrace":{"max_concurrency":3,"max_attempts":2,"timeout":"90s"}}`).object(t)
	requireExpiry(t, o, 7*24*3600)
	requireObject(t, validating(file, pattern{
		"completion_window": "7d", "metadata": pattern{"a": "b"}, "headrace": pattern{
			"max_concurrency": 3, "max_attempts": 2, "timeout": "1m30s", "priority": -50,
			"in_flight": 0, "retrying": 0, "waiting_on": nil,
		},
	}), o, since)
	id := o["id"].(string)
	o = s.until(t, id, "completed")
	output := s.get(t, "/v1/files/"+o["output_file_id"].(string)).object(t)
	requireExpiry(t, output, 3600)
	requireObject(t, pattern{
		"id": aFileID, "object": "file", "bytes": len(s.content(t, o, "output_file_id")), "created_at": aTime,
		"filename": id + "_output.jsonl", "purpose": "batch_output", "status": "processed", "status_details": nil,
	}, output, since)
}

func TestACompletedBatchHasItsTimesFilesCountsAndUsage(t *testing.T) {
	t.Parallel()
	s, since := shared(t), time.Now()
	file := s.upload(t, request("good", "Complete wire", "")+"\n"+request("bad", "Complete wire", `,"user":"sim:status=400;code=too_odd"`)+"\n")
	o := s.until(t, s.create(t, file, ""), "completed")
	requireExpiry(t, o, 24*3600)
	output := s.content(t, o, "output_file_id")
	used := func(name string) int64 { return gjson.Get(output, "response.body.usage."+name).Int() }
	requireObject(t, validating(file, pattern{
		"model": "gpt-4o-mini", "status": "completed", "output_file_id": aFileID, "error_file_id": aFileID,
		"in_progress_at": aTime, "finalizing_at": aTime, "completed_at": aTime,
		"request_counts": pattern{"total": 2, "completed": 1, "failed": 1},
		"usage": pattern{
			"input_tokens": used("prompt_tokens"), "input_tokens_details": pattern{"cached_tokens": 0},
			"output_tokens": used("completion_tokens"), "output_tokens_details": pattern{"reasoning_tokens": 0},
			"total_tokens": used("total_tokens"),
		},
	}), o, since)
}

func TestAFailedLineKeepsTheProvidersStatusAndBody(t *testing.T) {
	t.Parallel()
	s := shared(t)
	b := s.process(t, request("bad", "Failed wire", `,"user":"sim:status=422;code=too_odd"`)+"\n")
	require.Equal(t, "completed", b["status"], "a batch whose every request failed is complete")
	require.Nil(t, b["output_file_id"])
	text := s.content(t, b, "error_file_id")
	l := resultsOf(t, text)[0]
	require.Regexp(t, `^batch_req_`, l.ID)
	require.Equal(t, "bad", l.CustomID)
	require.Equal(t, 422, l.Response.StatusCode)
	require.NotEmpty(t, l.Response.RequestID)
	require.Equal(t, "too_odd", gjson.GetBytes(l.Response.Body, "error.code").String())
	require.Nil(t, l.Error)
	require.Equal(t, []string{"id", "custom_id", "response", "error"}, keysOf(text))
	require.Equal(t, []string{"status_code", "request_id", "body"}, keysOf(gjson.Get(text, "response").Raw))
}

// keysOf are the keys of the first object in text, in their order.
func keysOf(text string) []string {
	var keys []string
	gjson.Parse(text).ForEach(func(key, _ gjson.Result) bool {
		keys = append(keys, key.String())
		return true
	})
	return keys
}

func TestACancelledBatchHasBothItsTimes(t *testing.T) {
	t.Parallel()
	s, since := shared(t), time.Now()
	file := s.upload(t, request("slow", "Cancelled wire", `,"user":"sim:latency=60s"`)+"\n")
	id := s.create(t, file, "")
	eventually(t, func() bool { return s.batch(t, id)["headrace"].(map[string]any)["in_flight"] == json.Number("1") }, "no call begins")
	running := s.batch(t, id)
	requireExpiry(t, running, 24*3600)
	own := pattern{
		"max_concurrency": 64, "max_attempts": 5, "timeout": "10m0s", "priority": -50,
		"in_flight": 1, "retrying": 0, "waiting_on": nil,
	}
	none := pattern{
		"input_tokens": 0, "input_tokens_details": pattern{"cached_tokens": 0},
		"output_tokens": 0, "output_tokens_details": pattern{"reasoning_tokens": 0}, "total_tokens": 0,
	}
	requireObject(t, validating(file, pattern{
		"model": "gpt-4o-mini", "status": "in_progress", "in_progress_at": aTime, "usage": none, "headrace": own,
		"request_counts": pattern{"total": 1, "completed": 0, "failed": 0},
	}), running, since)

	asked := s.send(t, http.MethodPost, "/v1/batches/"+id+"/cancel", `{"headrace":{"abort":true}}`)
	require.Equal(t, http.StatusOK, asked.status, "%s", asked.body)
	require.Equal(t, "cancelling", asked.object(t)["status"])
	require.NotNil(t, asked.object(t)["cancelling_at"])
	o := s.until(t, id, "cancelled")
	requireExpiry(t, o, 24*3600)
	requireObject(t, validating(file, pattern{
		"model": "gpt-4o-mini", "status": "cancelled", "in_progress_at": aTime, "cancelling_at": aTime, "cancelled_at": aTime,
		"error_file_id": aFileID, "usage": none, "request_counts": pattern{"total": 1, "completed": 0, "failed": 0},
	}), o, since)
	require.Contains(t, s.content(t, s.batch(t, id), "error_file_id"), `"batch_cancelled"`)
	again := s.send(t, http.MethodPost, "/v1/batches/"+id+"/cancel", "")
	require.Equal(t, http.StatusOK, again.status, "a cancelled batch may be cancelled")
	require.Equal(t, "cancelled", again.object(t)["status"])
}

func TestABatchThatEndedCannotBeCancelled(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for status, input := range map[string]string{"completed": requests(1), "failed": "nonsense\n"} {
		b := s.process(t, input)
		require.Equal(t, status, b["status"])
		r := s.send(t, http.MethodPost, "/v1/batches/"+b["id"].(string)+"/cancel", "")
		requireRefusal(t, refusal{status: 409, message: "Cannot cancel a batch with status '" + status + "'."}, r)
		require.Equal(t, "false", r.header.Get("X-Should-Retry"), "SDKs retry 409 otherwise")
	}
}

func TestABatchExpiresWithWhatItHas(t *testing.T) {
	t.Parallel()
	s := shared(t)
	file := s.upload(t, request("quick", "Expiry", "")+"\n"+request("slow", "Expiry", `,"user":"sim:latency=4s"`)+"\n"+request("never", "Expiry", "")+"\n")
	r := s.send(t, http.MethodPost, "/v1/batches", strings.Replace(newBatch(file, `,"headrace":{"max_concurrency":1}`), "24h", "2s", 1))
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	b := s.until(t, r.object(t)["id"].(string), "expired")
	require.NotNil(t, b["expired_at"])
	require.Equal(t, map[string]int64{"total": 3, "completed": 2, "failed": 0}, counts(t, b))
	made := resultsOf(t, s.content(t, b, "output_file_id"))
	require.Equal(t, []string{"quick", "slow"}, []string{made[0].CustomID, made[1].CustomID}, "calls in flight may end")
	unmade := resultsOf(t, s.content(t, b, "error_file_id"))
	require.Len(t, unmade, 1)
	require.Equal(t, "never", unmade[0].CustomID)
	require.Nil(t, unmade[0].Response)
	require.Equal(t, "batch_expired", unmade[0].Error.Code)
}
