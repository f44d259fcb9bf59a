package ledger

import (
	"fmt"

	"github.com/headrace/headrace/internal/openai"
)

// Request is what a lane says to the ledger: what it has finished and how much
// it wants.
type Request struct {
	Lane int `json:"lane"`
	// Attempt is the attempt of the lane's activity, from 1. A higher one takes
	// over what the lower one held; a lower one is refused.
	Attempt int      `json:"attempt"`
	Commits []Commit `json:"commits,omitempty"`
	// Want is the number of chunks asked for, Least that without which the lane
	// runs dry before it can ask again.
	Want  int `json:"want"`
	Least int `json:"least,omitempty"`
	// Leaving says that the lane ends after this request: what it still holds
	// goes back.
	Leaving bool `json:"leaving,omitempty"`
	// Draining says that the lane starts no more calls, since its worker stops.
	// It gives back all that it holds but for Keep, the chunks that it has begun,
	// and gets no hands and no work any more.
	Draining bool    `json:"draining,omitempty"`
	Keep     []int64 `json:"keep,omitempty"`

	// Partials are the results in the store of chunks that a leaving lane has not
	// finished.
	Partials []Partial `json:"partials,omitempty"`

	// Host is the task queue that only the lane's process listens to: nudges go
	// there. A lane without one hears of changes when it asks for other reasons.
	Host string `json:"host,omitempty"`
	// Most is the most calls that can be in flight in the lane until it has this
	// answer.
	Most int `json:"most,omitempty"`
	// Rest is set by a lane that will lease no more: it needs no more hands than
	// it has requests left.
	Rest int `json:"rest,omitempty"`
}

// Commit says that every request of a chunk has its result in the store.
type Commit struct {
	Chunk int64 `json:"chunk"`
	// Holder names the objects that hold the results, see Holder.
	Holder string `json:"holder"`
	// OutputBytes and ErrorBytes are the sizes of these objects; 0 means that
	// there is none.
	OutputBytes int64 `json:"output_bytes"`
	ErrorBytes  int64 `json:"error_bytes"`

	Totals
}

// Partial sums the results of a chunk that is not finished. Whoever leases it next
// finds them.
type Partial struct {
	Chunk int64 `json:"chunk"`

	Totals
}

// Totals sums results. Requests that were never made are in neither count.
type Totals struct {
	Completed int64        `json:"completed"`
	Failed    int64        `json:"failed"`
	Usage     openai.Usage `json:"usage"`
}

// Add adds o to t.
func (t *Totals) Add(o Totals) {
	t.Completed += o.Completed
	t.Failed += o.Failed
	t.Usage.Add(o.Usage)
}

// Grant is the ledger's answer.
type Grant struct {
	Chunks []Lease `json:"chunks,omitempty"`
	// Totals sums all that this lane has committed, over all its attempts.
	Totals Totals `json:"totals"`
	// Stop tells the lane to leave, and how.
	Stop Stop `json:"stop,omitempty"`
	// Exhausted says that nothing is left to lease: the lane leaves when it has
	// finished what it holds.
	Exhausted bool `json:"exhausted,omitempty"`
	// Settings hold from now on. A workflow of an earlier release says nothing:
	// then what the lane was opened with holds.
	Settings *Settings `json:"settings,omitempty"`
	// Draining acknowledges that the lane drains: it may take its leave as soon as
	// its calls have ended, and others go on. A workflow of an earlier release says
	// nothing, and would not open another lane.
	Draining bool `json:"draining,omitempty"`
}

// Lease hands a chunk to a lane.
type Lease struct {
	Chunk int64 `json:"chunk"`
	// Touched says that somebody held the chunk before and may have left
	// results in the store.
	Touched bool `json:"touched,omitempty"`
}

// Stop tells a lane how to leave.
type Stop string

// Ways to leave. A lane that is told to stop starts no call.
const (
	Go Stop = ""
	// Drain: calls in flight finish and are recorded.
	Drain Stop = "drain"
	// Abort: calls in flight are cut off.
	Abort Stop = "abort"
)

// Holder names the objects that one attempt of a lane writes. No two attempts
// share a name, so that one which is over can overwrite nothing.
func Holder(lane, attempt int) string { return fmt.Sprintf("%d-%d", lane, attempt) }
