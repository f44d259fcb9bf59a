//go:build cluster

package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/client"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/simulator"
	"github.com/headrace/headrace/internal/testbed"
)

// What the cluster is asked to do while everything fails.
const (
	clusterRequests = 18_000 // in one batch
	clusterTasks    = 2_000  // posted meanwhile
	tasksAtOnce     = 10     // in one post
	clusterLimit    = 120    // calls in flight that its queue allows
	clusterQueue    = "cluster"

	outage = 20 * time.Second
	// freeze is longer than any lease of a frozen worker.
	freeze = 20 * time.Second
	// settling is the time in which all that a trouble may repeat is repeated:
	// a worker that is gone is missed after 6 s, its permits after 9 s.
	settling = 12 * time.Second
)

// fleet is a headrace of several processes on servers of its own.
type fleet struct {
	*cluster

	bed     *bed
	up      *simulator.Running
	witness *witness
	front   *front
	apis    []*member
	workers []*member
}

// member is a process that can be started again as what it was.
type member struct {
	*process

	start func() *process
	door  *door // of a worker: all its calls go through it
}

// startFleet starts two APIs behind a proxy, and three workers.
func startFleet(t *testing.T) *fleet {
	t.Helper()
	up := sim(t, simulator.Options{Latency: latency(t, "uniform:1200ms,2200ms"), MaxConcurrency: clusterLimit})
	b := newBed(t)
	f := &fleet{cluster: b.ground(t), bed: b, up: up, witness: watch(t, up.Simulator), front: &front{}}
	for range sharedAPIs {
		address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
		m := &member{start: func() *process {
			p := start(t, f.env, append([]string{"api", "--listen", address}, f.flags()...)...)
			p.await(p.stdout, `API (http://\S+)/v1`)
			return p
		}}
		m.process = m.start()
		f.apis = append(f.apis, m)
		f.front.add(t, "http://"+address)
	}
	for range sharedWorkers {
		m := &member{door: newDoor(t, up.Simulator)}
		m.start = func() *process { return f.worker(m.door.url) }
		m.process = m.start()
		f.workers = append(f.workers, m)
	}
	proxy := httptest.NewServer(f.front)
	t.Cleanup(proxy.Close)
	f.url = proxy.URL
	return f
}

// trouble is one thing that goes wrong. make makes it go wrong and right again,
// and calls struck when it has: then it is counted how many calls are in flight
// of the workers that are concerned.
type trouble struct {
	name    string
	workers []int // whose calls may be made again; nil for nobody's
	make    func(f *fleet, struck func())
}

func troubles() []trouble {
	all := []trouble{}
	for i := range sharedWorkers {
		all = append(all, trouble{fmt.Sprintf("kill -9 of worker %d", i+1), []int{i}, func(f *fleet, struck func()) {
			struck()
			f.workers[i].kill()
			f.workers[i].process = f.workers[i].start()
		}})
	}
	for i := range sharedAPIs {
		all = append(all, trouble{fmt.Sprintf("kill -9 of API %d", i+1), nil, func(f *fleet, struck func()) {
			struck()
			f.apis[i].kill()
			f.apis[i].process = f.apis[i].start()
		}})
	}
	everybody := []int{0, 1, 2}
	return append(all,
		trouble{"kill -9 of Temporal", everybody, func(f *fleet, struck func()) {
			struck()
			f.bed.temporal.Kill()
			f.bed.temporal.Start()
		}},
		trouble{"Temporal restarted", everybody, func(f *fleet, struck func()) {
			struck()
			f.bed.temporal.Stop()
			f.bed.temporal.Start()
		}},
		trouble{"PostgreSQL crashes", everybody, func(f *fleet, struck func()) {
			struck()
			f.bed.postgres.Crash()
			f.bed.postgres.Start()
		}},
		trouble{"PostgreSQL stopped for 20 s", everybody, func(f *fleet, struck func()) {
			struck()
			f.bed.postgres.Stop()
			lasts(f.t, outage)
			f.bed.postgres.Start()
		}},
		trouble{"kill -9 of the object store", nil, func(f *fleet, struck func()) {
			struck()
			f.bed.s3.Kill()
			f.bed.s3.Start()
		}},
		trouble{"object store refuses writes for 20 s", nil, func(f *fleet, struck func()) {
			struck()
			f.bed.s3.Refuse(testbed.RefuseWrites)
			lasts(f.t, outage)
			f.bed.s3.Refuse(testbed.RefuseNothing)
		}},
		trouble{"worker 1 frozen for 20 s", []int{0}, func(f *fleet, struck func()) {
			f.workers[0].signal(syscall.SIGSTOP)
			struck()
			lasts(f.t, freeze)
			f.workers[0].signal(syscall.SIGCONT)
		}},
		trouble{"rolling restart of all workers", nil, func(f *fleet, struck func()) {
			struck()
			for _, w := range f.workers {
				w.signal(syscall.SIGTERM)
				require.Equal(f.t, 0, w.wait())
				w.process = w.start()
			}
		}},
	)
}

// harm is what one trouble did.
type harm struct {
	name               string
	took, still        time.Duration // the trouble; the longest time in which no call finished
	inFlight, finished int64         // calls that it may repeat: in flight, and finished just before
	repeated           int64
}

// suffer makes one trouble and waits until calls flow again.
func (f *fleet) suffer(tr trouble) harm {
	f.t.Helper()
	h := harm{name: tr.name}
	before := f.up.Stats()
	begun := time.Now()
	tr.make(f, func() {
		for _, i := range tr.workers {
			h.inFlight += f.workers[i].door.inFlight.Load()
		}
		if tr.workers != nil {
			h.finished = f.witness.finishedSince(time.Now().Add(-unsafe))
		}
	})
	h.took = time.Since(begun)
	f.witness.awaitCalls(f.up.Stats().Calls, 2*clusterLimit)
	lasts(f.t, settling)
	h.still = f.witness.stillness(begun)
	h.repeated = f.up.Stats().DuplicateCalls - before.DuplicateCalls
	f.t.Logf("%+v after %d calls", h, f.up.Stats().Calls)
	return h
}

// stillness is the longest time since then in which no call finished.
func (w *witness) stillness(then time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var longest time.Duration
	last := w.at(then)
	for _, s := range w.samples {
		if s.at.After(then) && s.succeeded > last.succeeded {
			longest, last = max(longest, s.at.Sub(last.at)), s
		}
	}
	return longest
}

// TestAClusterLosesNothingAndDoublesNothing runs a batch and many tasks while
// every process is killed and everything that headrace stands on fails in turn.
func TestAClusterLosesNothingAndDoublesNothing(t *testing.T) {
	f := startFleet(t)
	s := &system{url: f.url, upstream: f.up}
	r := s.send(t, http.MethodPut, "/v1/queues/"+clusterQueue, fmt.Sprintf(`{"concurrency":%d}`, clusterLimit))
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	o := submit(t, f.url, requests(clusterRequests), client.NewBatch{
		Headrace: client.NewBatchOptions{MaxConcurrency: 2 * clusterLimit, Queue: clusterQueue},
	})
	tasks := f.postTasks(s)

	var harms []harm
	f.witness.awaitCalls(0, clusterLimit)
	for _, tr := range troubles() {
		harms = append(harms, f.suffer(tr))
		require.Less(t, f.up.Stats().Succeeded, int64(clusterRequests), "the work is done before all troubles are")
	}
	o = awaitEnd(t, f.url, o.ID, openai.Completed)
	answers, _ := requireEach(t, f.url, o, clusterRequests)
	require.Len(t, answers, clusterRequests)
	for _, id := range <-tasks {
		s.completed(t, id)
	}
	f.report(harms)
	stats := f.up.Stats()
	require.EqualValues(t, clusterRequests+clusterTasks, stats.DistinctBodies)
	require.Empty(t, stats.Refused, "the limit was exceeded")
	require.LessOrEqual(t, stats.PeakInFlight, int64(clusterLimit))
	for _, h := range harms {
		require.LessOrEqual(t, h.repeated, h.inFlight+h.finished, h.name)
	}
}

// postTasks posts tasks all the time, each post until it is accepted, and sends
// their ids in the end.
func (f *fleet) postTasks(s *system) <-chan []string {
	done := make(chan []string, 1)
	var g sync.WaitGroup
	g.Go(func() {
		var ids []string
		for n := 0; n < clusterTasks; n += tasksAtOnce {
			f.witness.awaitCalls(0, int64(n*clusterRequests/clusterTasks*9/10))
			ids = append(ids, f.post(s, n)...)
		}
		done <- ids
	})
	f.t.Cleanup(g.Wait)
	return done
}

// post posts one array of tasks until it is accepted.
func (f *fleet) post(s *system, n int) (ids []string) {
	var all []string
	for i := range tasksAtOnce {
		all = append(all, chatTask(chatBody(fmt.Sprintf("Task %d", n+i), ""), `,"queue":"`+clusterQueue+`"`))
	}
	body, key := list(all...), fmt.Sprintf("post-%d", n)
	poll(f.t, "the acceptance of tasks", func() bool {
		ids = idsOf(s.trySend(body, key))
		return len(ids) == tasksAtOnce
	})
	return ids
}

// report prints what happened.
func (f *fleet) report(harms []harm) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "trouble\ttook\tno call finished for\tin flight\tfinished in the 250 ms before\trepeated")
	var repeated int64
	for _, h := range harms {
		_, _ = fmt.Fprintf(w, "%s\t%v\t%v\t%d\t%d\t%d\n", h.name, h.took.Round(10*time.Millisecond), h.still.Round(10*time.Millisecond),
			h.inFlight, h.finished, h.repeated)
		repeated += h.repeated
	}
	_ = w.Flush()
	stats := f.up.Stats()
	fmt.Println(strings.Join([]string{
		fmt.Sprintf("%d requests, %d calls", clusterRequests+clusterTasks, stats.Calls),
		fmt.Sprintf("%d repeated within a trouble, %d in all", repeated, stats.DuplicateCalls),
		fmt.Sprintf("at most %d in flight of %d", stats.PeakInFlight, clusterLimit),
	}, "; "))
}
