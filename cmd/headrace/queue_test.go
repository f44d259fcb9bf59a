package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/queue"
)

// queueServer is a headrace that has the given queues and keeps what it is asked.
type queueServer struct {
	env   map[string]string
	asked []string
}

func serveQueues(t *testing.T, queues ...queue.Object) *queueServer {
	t.Helper()
	q := &queueServer{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		q.asked = append(q.asked, strings.TrimSpace(r.Method+" "+r.URL.String()+" "+string(body)))
		var answer any = openai.Envelope{Error: openai.NotFound("name", "No queue found.")}
		if r.URL.Path == "/v1/queues" {
			answer = openai.NewList(queues, false, func(o queue.Object) string { return o.Name })
		}
		for _, o := range queues {
			if r.URL.Path == "/v1/queues/"+o.Name {
				answer = o
			}
		}
		if _, refused := answer.(openai.Envelope); refused && r.Method == http.MethodGet {
			w.WriteHeader(http.StatusNotFound)
		} else if refused { // it is made
			answer = queue.NewObject("new", queue.Settings{})
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	q.env = map[string]string{"HEADRACE_SERVER": s.URL}
	return q
}

// nightly is a queue of which everything is known.
func nightly() queue.Object {
	s := queue.Status{
		Name: "nightly", Settings: queue.Settings{
			Concurrency: 20, TPM: 1_000_000, Weights: map[string]int64{"web": 3, "reports": 1},
			Fallback: batch.Fallback{Targets: []batch.Target{{Model: "small"}, {Provider: "azure"}, {Model: "m", Provider: "p"}}, On: []string{"refused", "throttled"}},
		},
		InFlight: queue.Counts{Interactive: 1, Batch: 19}, Waiting: queue.Counts{Batch: 4711},
		RequestsLastMinute: 1234, TokensLastMinute: 567_890, Share: 0.5,
		Closings: []queue.Closing{{Provider: "openai", Message: "Slow down.", For: 5000}},
		Workers: []queue.Worker{
			{Worker: "w1", Label: "host-1", Permits: 20, InFlight: queue.Counts{Interactive: 1, Batch: 19}, Waiting: queue.Counts{Batch: 4711}},
			{Worker: "w2", Label: "host-2", Permits: queue.NoLimit},
		},
	}
	return s.Object(1_800_000_000_000)
}

func TestQueuesAreListedInATable(t *testing.T) {
	t.Parallel()
	paused := queue.NewObject("mails", queue.Settings{Concurrency: 1, Paused: true})
	s := serveQueues(t, queue.NewObject("default", queue.Settings{}), paused, nightly())
	r := command(t, s.env, "queue", "ls")
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, []string{
		"NAME     CONCURRENCY  RPM  TPM        STATE         IN FLIGHT  WAITING  REQUESTS/MIN  TOKENS/MIN",
		"default  -            -    -          open          ?          ?        ?             ?",
		"mails    1            -    -          paused        ?          ?        ?             ?",
		"nightly  20           -    1,000,000  cooling down  20         4,711    1,234         567,890",
		"",
	}, strings.Split(r.stdout, "\n"))
	require.Equal(t, "No worker has answered for default, mails: either nothing has used it yet, or no worker is up "+
		"('headrace worker' starts one).\n", r.stderr)
}

func TestAQueueIsShownWithItsWorkers(t *testing.T) {
	t.Parallel()
	o := nightly()
	o.Task = &queue.Place{ID: "task_1", Position: new(int64(12))}
	s := serveQueues(t, o)
	r := command(t, s.env, "queue", "get", "nightly", "--task", "task_1")
	require.Equal(t, 0, r.code, r.stderr)
	require.Empty(t, r.stderr)
	require.Equal(t, []string{"GET /v1/queues/nightly?task=task_1"}, s.asked)
	got := strings.Split(r.stdout, "\n")
	require.Equal(t, []string{
		"name         nightly",
		"state        cooling down",
		"concurrency  20",
		"rpm          no limit",
		"tpm          1,000,000",
		"weights      reports=1, web=3",
		"fallback     small, then at azure, then m at p, when refused or throttled",
		"in flight    20 (1 interactive, 19 of batches)",
		"waiting      4,711 (0 interactive, 4,711 of batches)",
		"last minute  1,234 requests, 567,890 tokens",
		"share        50% of the rates, since the provider throttles",
	}, got[:11])
	require.Regexp(t, `^cooldown     openai until \d\d:\d\d:05: Slow down\.$`, got[11])
	require.Equal(t, []string{"task         task_1 is number 12", "", "WORKER  PERMITS  IN FLIGHT  WAITING  UNTIL"}, got[12:15])
	require.Regexp(t, `^host-1  20       20         4,711    \d\d:\d\d:\d\d$`, got[15])
	require.Regexp(t, `^host-2  -        0          0        \d\d:\d\d:\d\d$`, got[16])
}

func TestAQueueWithoutAWorkerSaysSo(t *testing.T) {
	t.Parallel()
	o := queue.NewObject("q", queue.Settings{})
	o.Task = &queue.Place{ID: "task_1"}
	r := command(t, serveQueues(t, o).env, "queue", "get", "q")
	require.Equal(t, 0, r.code)
	require.Equal(t, "name         q\nstate        open\nconcurrency  no limit\nrpm          no limit\ntpm          no limit\n"+
		"task         task_1 does not wait in this queue\n", r.stdout)
	require.Contains(t, r.stderr, "No worker has answered for q:")
}

func TestJSONIsWhatTheServerSays(t *testing.T) {
	t.Parallel()
	s := serveQueues(t, nightly())
	want, err := json.Marshal(nightly())
	require.NoError(t, err)
	for _, line := range []string{"get nightly", "set nightly --rpm 5", "pause nightly", "resume nightly"} {
		r := command(t, s.env, strings.Fields("queue --json "+line)...)
		require.Equal(t, 0, r.code, r.stderr)
		require.Empty(t, r.stderr)
		require.JSONEq(t, string(want), r.stdout)
	}
	r := command(t, s.env, "queue", "ls", "--json")
	require.JSONEq(t, `{"object":"list","data":[`+string(want)+`],"first_id":"nightly","last_id":"nightly","has_more":false}`, r.stdout)
}

func TestSettingALimitLeavesTheOthers(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		"set nightly --concurrency 5":                             {`PATCH /v1/queues/nightly {"concurrency":5}`},
		"set nightly --concurrency 0 --rpm none --tpm 9000000000": {`PATCH /v1/queues/nightly {"concurrency":null,"rpm":null,"tpm":9000000000}`},
		"set nightly --weight web=none --weight a=2 --weight a=4": {"GET /v1/queues/nightly", `PATCH /v1/queues/nightly {"weights":{"a":4,"reports":1}}`},
		"set nightly --weight web=0 --weight reports=0 --rpm 7":   {"GET /v1/queues/nightly", `PATCH /v1/queues/nightly {"rpm":7,"weights":{}}`},
		"set new --weight a=2":                                    {"GET /v1/queues/new", `PATCH /v1/queues/new {"weights":{"a":2}}`},
		"pause nightly":                                           {`PATCH /v1/queues/nightly {"paused":true}`},
		"resume nightly":                                          {`PATCH /v1/queues/nightly {"paused":false}`},
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			s := serveQueues(t, nightly())
			r := command(t, s.env, append([]string{"queue"}, strings.Fields(line)...)...)
			require.Equal(t, 0, r.code, r.stderr)
			require.Equal(t, want, s.asked)
			require.Contains(t, r.stdout, "concurrency  ")
		})
	}
}

func TestTheFlagNamesTheServerRatherThanTheEnvironment(t *testing.T) {
	t.Parallel()
	s := serveQueues(t, nightly())
	r := command(t, map[string]string{"HEADRACE_SERVER": "http://127.0.0.1:1"}, "queue", "ls", "--server", s.env["HEADRACE_SERVER"]+"/v1")
	require.Equal(t, 0, r.code, r.stderr)
	r = command(t, map[string]string{"HEADRACE_SERVER": "nowhere"}, "queue", "ls")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.stderr, `HEADRACE_SERVER "nowhere" is no URL such as http://127.0.0.1:8080`)
}

func TestErrorsOfQueueCommandsComeWithTheNextStep(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"ls", "get q", "set q --rpm 1", "set q --weight a=1", "pause q", "resume q"} {
		r := command(t, map[string]string{"HEADRACE_SERVER": "http://127.0.0.1:1"}, strings.Fields("queue "+line)...)
		require.Equal(t, 1, r.code)
		require.Empty(t, r.stdout)
		require.Contains(t, r.stderr, "connection refused\nIs headrace running there? 'headrace dev' starts it.\n")
	}
	r := command(t, serveQueues(t).env, "queue", "get", "q")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.stderr, "No queue found.\n'headrace queue ls' shows what there is; 'headrace queue set NAME --concurrency N' makes a queue.\n")
}
