// Bench measures headrace as a whole, next to a bare loop that makes the same
// calls in the same run. It prints progress on standard error and, at the end,
// one Markdown table on standard output.
//
//	go run ./bench                      everything; about half an hour
//	go run ./bench -only calls,memory   some of it
//	go run ./bench -quick               small sizes, to see that it works
//
// The headrace program is built once and runs as it does for users, in
// processes of its own. So do the upstream (headrace sim, started anew for each
// repetition) and the bare loops, which are this program in another role: each
// side pays for a process, a scheduler and a garbage collector. Repetitions are
// interleaved (A B A B), figures are medians, and a run whose results are not
// complete, in order and called for once each is an error, not a figure. All
// processes share the machine, so the upstream takes its part of it on either
// side.
//
// A line of input has about 300 bytes, and no two have the same body. Files are
// kept in the system's temporary folder, or below -dir: where that is memory
// rather than a disk, syncing costs nothing and flatters headrace.
//
// # What is measured
//
// calls: the time of 10,000 calls, 256 at once, to an upstream that takes around
// 200 ms (lognormal, sigma 0.5, the same draw for the same body). The bare loop
// uses go-openai over kept connections, as many as calls in flight, and writes
// each answer as one line as soon as it comes; it neither syncs nor sorts.
// "Whole process" is from the start of a process to its end, with the start of
// the embedded Temporal on headrace's side; "first to last call" is what the
// upstream saw; "dev that is up" is upload, creation, polling and download.
//
// rate: calls per second over 100,000 calls to an upstream that answers at
// once, 64 and 256 at a time, in the same ways, against go-openai and against
// net/http that passes bytes through and decodes nothing. Next to it stands what
// a call costs on this side's processors, with the start of the process, which
// other work on the machine disturbs less.
//
// memory: the resident set of dev, which hosts the worker, while it runs one
// batch of 1,000,000 lines, against 20 batches of 10,000 lines one after the
// other. One small batch would be over before the garbage collector has found
// its pace, so that its peak would be that of the start; as many as add up to
// the same million would weigh Temporal's caches of 100 workflows instead.
// Peak is VmHWM from start to end, upload and validation included; steady is
// the median of VmRSS while batches are in progress.
//
// plan: jsonl.Plan over a file of 1,000,000 lines and 300 MB with GOMAXPROCS=1.
// The file was just written, so that it is read from memory.
//
// ready: dev from the start of its process to /readyz, in a new folder and in
// one with a past batch.
//
// crash: dev is killed (SIGKILL) in the middle of 10,000 calls, 64 at once,
// around 100 ms, and started again at once in the same folder. What may be called
// again is what was in flight and what the upstream finished in the last 250 ms.
//
// cancel: calls take 10 s and 64 are in flight. From SIGINT to run, and from a
// cancellation with abort to dev, until the upstream sees none of them any more.
//
// accept: tasks of a hundred bytes posted one by one over kept connections that
// are open before the clock starts: 1,000 at once over 1,000, 10,000 over 1,000,
// and 10,000 over 50. "The last result" is when the upstream has answered all of
// them and the last 200 that were posted can be read as completed. All of them
// are read and checked after that, off the clock, here and in the next two. What
// a task costs on this side's processors stands next to it: other work on the
// machine disturbs that less.
//
// drain: 10,000 tasks posted as one array, to an upstream that answers at once;
// from the POST until the last result can be read.
//
// idle: one task at a time over one connection, POST and then GET with ?wait=.
//
// steady: 1,000 tasks whose call takes a second, 40 at once: 25 s at best.
//
// stalled: 10,000 tasks wait for an upstream that does not answer; 2,000 of them,
// drawn at random, are read one after the other.
//
// taskcrash: as crash, with 1,000 tasks.
//
// The next ones run several workers, one of them in dev, on one queue with limits.
//
// peak: 4 workers and a queue of 50 calls at once, around 300 ms each, in a batch
// that has hands for twenty times as many; twenty tasks a second go before it, so
// that permits move between workers. In a minute, 6 of the workers beside dev
// are killed (SIGKILL) at random times and have successors up to 5 s later. The
// upstream goes on with the calls of the dead, as most providers do, and counts
// them as in flight until their time is over: its peak is of the whole run. The
// mean in flight, looked at every 20 ms of that minute, says what the dead cost:
// what they held is nobody's until their lease has run out.
//
// share: 3 workers and an upstream with true buckets of 3,000 requests and 1,000,000
// tokens a minute, which grant 5 seconds' worth at once. The queue has the same
// limits. Each request costs a little less, or a little more, than a three-thousandth
// of the tokens, so that either limit binds and the other is nearly used up. The
// share is what was granted in the 3 minutes from the first call on, over what the
// rate allows in this time; the burst is not added to that.
//
// retryafter: 3 workers with 10 calls or more in flight each, around 300 ms, when
// the upstream begins to answer everything with 429 and a Retry-After of 20 s. Each
// worker comes in through a door of its own, which notes when calls arrive. Counted
// are those that arrive from a second after the first 429 was sent until the 20
// seconds are over, of the worker that makes most; the news takes part of the
// second to get to the others. Requests have one attempt: one that was used up
// would fail its line, which is an error. Without limits, with a limit of
// concurrency and with one of requests.
//
// outage: amid a batch on 3 workers, 50 calls at once, the upstream is away for 2
// minutes: it closes every connection, answers 500 to everything, or is killed and
// started again. From when it is back until it has answered a call, and until 50
// are in flight again. A line that fails is an error.
//
// interactive: a batch of 100,000 requests of 200 ms fills a queue of 50 calls at
// once on 2 workers; 20 tasks are posted to the queue one by one. From the POST to
// the arrival of the task's call at the upstream.
//
// pause: a queue with 50 calls in flight on 2 workers is paused and resumed, 5
// times; then, likewise, a batch. From the request to the last arrival at the upstream before nothing arrives
// for two seconds, and to the first arrival after it is resumed. The target is for
// the worst.
//
// gate: what Enter and Leave of the gate of a queue without limits take in this
// process, by Go's own benchmark, one at a time and from 64 goroutines for each
// processor.
//
// The engine alone is measured by the benchmarks of internal/engine.
//
// # Reading order
//
// main.go, contest.go (two sides of one load), a file for each measure, and for
// tasks tasks_load.go, tasks_crash.go over tasks.go and tasks_conn.go, for limits limits_*.go
// over limits.go and limits_door.go; below them process.go, upstream.go, service.go, loop.go (the bare loops), input.go
// and table.go.
package main
