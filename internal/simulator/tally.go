package simulator

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// tally counts what has happened since the last reset. A call keeps the tally
// that it arrived in, so that a reset splits no call.
type tally struct {
	since time.Time

	calls, other              atomic.Int64
	cut, gone, dropped        atomic.Int64
	succeeded                 atomic.Int64
	prompt, completion        atomic.Int64
	peak, peakAdmitted        atomic.Int64
	firstArrival, lastArrival atomic.Int64 // unix nanoseconds, 0 for never
	lastEnd                   atomic.Int64
	refusedRPM, refusedTPM    atomic.Int64
	refusedConcurrency        atomic.Int64
	statuses                  [statusCount]atomic.Int64
	faults                    [faultCount]atomic.Int64
	bodies                    *bodies
}

const (
	statusCount = 600 // one more than the highest HTTP status
	faultCount  = 11  // all of fault but noFault
)

func newTally() *tally { return &tally{since: time.Now(), bodies: newBodies()} }

// arrive counts a call at its entry.
func (t *tally) arrive(now time.Time, inFlight int64) {
	t.calls.Add(1)
	raise(&t.peak, inFlight)
	nanos := now.UnixNano()
	t.firstArrival.CompareAndSwap(0, nanos)
	raise(&t.lastArrival, nanos)
}

// raise makes value at least n.
func raise(value *atomic.Int64, n int64) {
	for {
		old := value.Load()
		if n <= old || value.CompareAndSwap(old, n) {
			return
		}
	}
}

// refused returns the counter of calls that a limit refused.
func (t *tally) refused(by limit) *atomic.Int64 {
	switch by {
	case limitRPM:
		return &t.refusedRPM
	case limitTPM:
		return &t.refusedTPM
	case limitConcurrency:
	}
	return &t.refusedConcurrency
}

// fault returns the counter of a fault.
func (t *tally) fault(kind fault) *atomic.Int64 {
	for i, known := range allFaults() {
		if kind == known {
			return &t.faults[i]
		}
	}
	return &t.faults[0] // unreachable
}

// allFaults lists the faults that are counted.
func allFaults() [faultCount]fault {
	return [faultCount]fault{
		faultStatus, faultError, faultUnavailable, faultThrottled, faultQuota, faultCut,
		faultReset, faultMiddle, faultHalf, faultHTML, faultStall,
	}
}

// snapshot fills in what the tally knows.
func (t *tally) snapshot() Stats {
	sum := t.bodies.summarize()
	st := Stats{
		Calls: t.calls.Load(), OtherRequests: t.other.Load(),
		PeakInFlight: t.peak.Load(), PeakAdmitted: t.peakAdmitted.Load(),
		ByStatus: make(map[string]int64), Faults: make(map[string]int64), Refused: make(map[string]int64),
		Cut: t.cut.Load(), ClientGone: t.gone.Load(), Dropped: t.dropped.Load(),
		Succeeded: t.succeeded.Load(), PromptTokens: t.prompt.Load(), CompletionTokens: t.completion.Load(),
		DistinctBodies: sum.distinct, DuplicateCalls: sum.duplicateCalls, DuplicateSuccesses: sum.duplicateSuccesses,
		CallsPerBody: sum.calls, SuccessesPerBody: sum.successes,
		Since: t.since, FirstArrival: moment(&t.firstArrival), LastArrival: moment(&t.lastArrival),
		LastEnd: moment(&t.lastEnd),
	}
	for status := http.StatusContinue; status < statusCount; status++ {
		if n := t.statuses[status].Load(); n != 0 {
			st.ByStatus[strconv.Itoa(status)] = n
		}
	}
	for i, kind := range allFaults() {
		if n := t.faults[i].Load(); n != 0 {
			st.Faults[string(kind)] = n
		}
	}
	for _, by := range []limit{limitRPM, limitTPM, limitConcurrency} {
		if n := t.refused(by).Load(); n != 0 {
			st.Refused[string(by)] = n
		}
	}
	return st
}

// moment returns a time in unix nanoseconds, nil for never.
func moment(nanos *atomic.Int64) *time.Time {
	n := nanos.Load()
	if n == 0 {
		return nil
	}
	return new(time.Unix(0, n).UTC())
}
