package queue

import "cmp"

// Class tells calls that somebody waits for from those of batches.
type Class int

// Classes of calls, the first served first.
const (
	Interactive Class = iota
	Batch
)

// ClassOf is the class of a priority: those below zero are of batches.
func ClassOf(priority int) Class {
	if priority < 0 {
		return Batch
	}
	return Interactive
}

// Counts are numbers of calls by class.
type Counts struct {
	Interactive int64 `json:"interactive"`
	Batch       int64 `json:"batch"`
}

// Add adds n calls of a class.
func (c *Counts) Add(class Class, n int64) {
	if class == Interactive {
		c.Interactive += n
	} else {
		c.Batch += n
	}
}

// Plus is the sum of two counts.
func (c Counts) Plus(o Counts) Counts {
	return Counts{Interactive: c.Interactive + o.Interactive, Batch: c.Batch + o.Batch}
}

// All is the number of calls of both classes.
func (c Counts) All() int64 { return c.Interactive + c.Batch }

// Turn is the place of a call in a sequential queue: that of its class, of when it
// was accepted, in unix ms, and of its number in what was accepted with it.
type Turn struct {
	Class           Class
	Accepted, Order int64
}

// Compare is less than zero if the call goes before the other. Two calls that were
// accepted in one millisecond, each apart, may be equal: either may go first.
func (t Turn) Compare(o Turn) int {
	return cmp.Or(cmp.Compare(t.Class, o.Class), cmp.Compare(t.Accepted, o.Accepted), cmp.Compare(t.Order, o.Order))
}

// Request is what a worker says to a queue: how it stands and what it needs. One
// request of a worker is under way at a time. It may be sent again, also after
// its answer was lost.
type Request struct {
	// Worker names the process: no two, of whatever time, share a name. Nudges go
	// to the task queue of that name. Label is for people.
	Worker string `json:"worker"`
	Label  string `json:"label,omitempty"`
	// Lease is the number of the worker's lease, 0 if it has none, and Grant that
	// of the last grant which it has applied.
	Lease int64 `json:"lease,omitempty"`
	Grant int64 `json:"grant,omitempty"`

	InFlight Counts `json:"in_flight"`
	Waiting  Counts `json:"waiting"`
	// Oldest is for how long the call has waited that waits longest, in ms.
	Oldest int64 `json:"oldest,omitempty"`
	// First is when the call was accepted that is next in order, in unix ms,
	// FirstOrder its place in what was accepted with it, and FirstClass its class.
	First      int64 `json:"first,omitempty"`
	FirstOrder int64 `json:"first_order,omitempty"`
	FirstClass Class `json:"first_class,omitempty"`
	// Weight is the sum of the weights of the projects whose calls wait; 0 is 1.
	Weight int64 `json:"weight,omitempty"`

	// Requests and Tokens are what has been spent of this lease's budgets since it
	// began: calls that were started; tokens of answers, and of calls in flight
	// what was reserved for them.
	Requests int64 `json:"requests,omitempty"`
	Tokens   int64 `json:"tokens,omitempty"`
	// Need is how many tokens the next call needs at once.
	Need int64 `json:"need,omitempty"`
	// Used are the tokens of answers since the last request.
	Used int64 `json:"used,omitempty"`

	// Closings are what providers have asked for since the last request.
	Closings []Closing `json:"closings,omitempty"`
	// Leaving gives the lease back with all that it holds. No call is in flight.
	Leaving bool `json:"leaving,omitempty"`
}

// Closing says that a provider asked to wait.
type Closing struct {
	Provider string `json:"provider"`
	Message  string `json:"message,omitempty"`
	// For is how long still, in ms, and Age how long ago it was asked.
	For int64 `json:"for"`
	Age int64 `json:"age,omitempty"`
}

// NoLimit is the number of permits, or the budget, of what is not limited.
const NoLimit = -1

// Grant is a queue's answer to a worker.
type Grant struct {
	// Lease and Number are to be said in the next request. A lease that the worker
	// did not name is a new one: its budgets begin at zero.
	Lease  int64 `json:"lease"`
	Number int64 `json:"number"`

	Settings Settings `json:"settings"`
	// Permits is the most calls in flight in this worker.
	Permits int64 `json:"permits"`
	// Requests and Tokens are the budgets since the lease began, as a whole.
	Requests int64 `json:"requests"`
	Tokens   int64 `json:"tokens"`
	// RequestRate and TokenRate are what the worker should keep to, a minute.
	RequestRate int64 `json:"request_rate,omitempty"`
	TokenRate   int64 `json:"token_rate,omitempty"`

	// TTL is how long the lease holds from when the request was sent, in ms: by
	// its end nothing may be in flight. RenewAfter is when to ask again, at the
	// latest.
	TTL        int64 `json:"ttl"`
	RenewAfter int64 `json:"renew_after"`
	// Confirm asks for another request as soon as no more calls are in flight than
	// there are permits: somebody waits for those that are given up.
	Confirm bool `json:"confirm,omitempty"`
	// Before is set in a sequential queue: another worker's next call, accepted at
	// that time, goes before those that come after it in order. BeforeOrder and
	// BeforeClass are its place and its class, see Request.First.
	Before      int64 `json:"before,omitempty"`
	BeforeOrder int64 `json:"before_order,omitempty"`
	BeforeClass Class `json:"before_class,omitempty"`

	Closings []Closing `json:"closings,omitempty"`
}

// Status is a queue as its operator sees it.
type Status struct {
	Name     string   `json:"name"`
	Settings Settings `json:"settings"`

	InFlight Counts `json:"in_flight"`
	Waiting  Counts `json:"waiting"`
	// RequestsLastMinute and TokensLastMinute are of calls that were started, and
	// of answers that have come.
	RequestsLastMinute int64 `json:"requests_last_minute"`
	TokensLastMinute   int64 `json:"tokens_last_minute"`
	// Share is what is used of the rates, from 0 to 1: less than 1 after the
	// provider has throttled calls that were within them.
	Share    float64   `json:"share"`
	Closings []Closing `json:"closings,omitempty"`
	Workers  []Worker  `json:"workers,omitempty"`
}

// Worker is one that holds a lease.
type Worker struct {
	Worker   string `json:"worker"`
	Label    string `json:"label,omitempty"`
	Permits  int64  `json:"permits"` // NoLimit if the queue has none
	InFlight Counts `json:"in_flight"`
	Waiting  Counts `json:"waiting"`
	// Expires is in how many ms the lease ends unless it is renewed.
	Expires int64 `json:"expires"`
}
