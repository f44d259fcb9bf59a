package simulator

import (
	"encoding/json"
	"net/http"
	"time"
)

// Stats is what a simulator has seen since it started or since the last reset,
// and the answer to GET /stats. Calls that were in flight at a reset end in the
// counts before it.
//
// Every call ends in exactly one of ByStatus, Cut, ClientGone and Dropped, so
// that without a reset
//
//	Calls = sum of ByStatus + Cut + ClientGone + Dropped + InFlight.
type Stats struct {
	// Calls counts POST requests to the endpoints that arrived, refused ones
	// and those that found the simulator down too.
	Calls int64 `json:"calls"`
	// OtherRequests counts the rest below /v1: models, wrong paths and methods.
	OtherRequests int64 `json:"other_requests"`

	// InFlight counts calls that have arrived and whose answer is not written;
	// PeakInFlight is the highest it has been. A call leaves before its caller
	// can see the end of its answer, so a caller that keeps n calls in flight
	// makes a peak of at most n.
	InFlight     int64 `json:"in_flight"`
	PeakInFlight int64 `json:"peak_in_flight"`
	// PeakAdmitted is the highest number of calls that held a place under
	// Options.MaxConcurrency at the same time: never more than that.
	PeakAdmitted int64 `json:"peak_admitted"`
	// OpenConnections counts the TCP connections of a server made by Start, or
	// of one that reports to ConnState.
	OpenConnections int64 `json:"open_connections"`

	// ByStatus counts calls by the status of their answer, such as "200".
	ByStatus map[string]int64 `json:"by_status"`
	// Cut counts calls whose connection a fault closed.
	Cut int64 `json:"cut"`
	// ClientGone counts calls whose client left before the end of the answer.
	ClientGone int64 `json:"client_gone"`
	// Dropped counts calls that ended because the simulator was down.
	Dropped int64 `json:"dropped"`
	// Refused counts calls that a limit answered with 429: "rpm", "tpm",
	// "concurrency".
	Refused map[string]int64 `json:"refused"`
	// Faults counts calls that a fault befell, by chance or by a directive:
	// the names of the Faults, and "status".
	Faults map[string]int64 `json:"faults"`

	// Succeeded counts calls whose right and whole answer was handed to the
	// operating system: the ones that a provider would bill.
	Succeeded int64 `json:"succeeded"`
	// PromptTokens and CompletionTokens sum the usage of Succeeded.
	PromptTokens     int64 `json:"prompt_tokens"`
	CompletionTokens int64 `json:"completion_tokens"`

	// DistinctBodies counts the different request bodies that have arrived.
	DistinctBodies int64 `json:"distinct_bodies"`
	// DuplicateCalls counts the calls beyond the first of each body;
	// DuplicateSuccesses the successes beyond the first: what was paid twice.
	DuplicateCalls     int64 `json:"duplicate_calls"`
	DuplicateSuccesses int64 `json:"duplicate_successes"`
	// CallsPerBody tells how many bodies arrived 1, 2, 3 … times,
	// SuccessesPerBody how many had 0, 1, 2 … successes.
	CallsPerBody     map[int64]int64 `json:"calls_per_body"`
	SuccessesPerBody map[int64]int64 `json:"successes_per_body"`

	// Since is the time of the start or the last reset. The others are null
	// until they happen; LastEnd is when a call was last in flight.
	Since        time.Time  `json:"since"`
	FirstArrival *time.Time `json:"first_arrival"`
	LastArrival  *time.Time `json:"last_arrival"`
	LastEnd      *time.Time `json:"last_end"`
}

// Stats returns the counts. It visits every distinct body, so it takes
// milliseconds after a million of them.
func (s *Simulator) Stats() Stats {
	st := s.tally.Load().snapshot()
	st.InFlight = s.inFlight.Load()
	st.OpenConnections = s.connections.Load()
	return st
}

// ResetStats starts the counts anew; the peaks start at what is in flight. It
// also forgets how often each body was seen, so that chance and fail=N start
// from the beginning.
func (s *Simulator) ResetStats() {
	t := newTally()
	t.peak.Store(s.inFlight.Load())
	t.peakAdmitted.Store(s.admitted.Load())
	s.tally.Store(t)
}

// Calls returns how many calls with exactly this body have arrived since the
// last reset.
func (s *Simulator) Calls(body []byte) int {
	if n := s.tally.Load().bodies.peek(keyOf(body)); n != nil {
		return int(n.arrived.Load())
	}
	return 0
}

// Successes returns how many of the Calls were answered in full and without a
// fault.
func (s *Simulator) Successes(body []byte) int {
	if n := s.tally.Load().bodies.peek(keyOf(body)); n != nil {
		return int(n.succeeded.Load())
	}
	return 0
}

// Paths of the counts.
const (
	pathStats = "/stats"
	pathReset = "/stats/reset"
)

// serveStats answers GET /stats, and resets on DELETE /stats and POST
// /stats/reset, which answer with the counts before the reset.
func (s *Simulator) serveStats(w http.ResponseWriter, r *http.Request) {
	allowed := http.MethodGet + ", " + http.MethodDelete
	reset := r.Method == http.MethodDelete
	right := reset || r.Method == http.MethodGet
	if r.URL.Path == pathReset {
		allowed = http.MethodPost
		reset = r.Method == http.MethodPost
		right = reset
	}
	if !right {
		writeError(w, notAllowed(w, r, allowed))
		return
	}
	st := s.Stats()
	if reset {
		s.ResetStats()
	}
	body, err := json.Marshal(st)
	if err != nil {
		panic(err) // numbers, strings and times of this age: it cannot fail
	}
	writeJSON(w, http.StatusOK, body)
}
