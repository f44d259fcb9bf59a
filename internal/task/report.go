package task

import "github.com/headrace/headrace/internal/batch"

// PartSize is the most tasks that are run, and kept in the store, as one part
// of their group.
const PartSize = 256

// Part names consecutive tasks of a group: those from Number*PartSize on.
type Part struct {
	Project string `json:"project"`
	Group   string `json:"group"`
	Number  int    `json:"number"`
}

// Part returns the part that a task belongs to.
func (id ID) Part(project string) Part {
	return Part{Project: project, Group: id.Group, Number: id.N / PartSize}
}

// ID returns the id of the task with number n in the group.
func (p Part) ID(n int) ID { return ID{Group: p.Group, N: n} }

// Work is what a worker is given to run: some tasks of one part.
type Work struct {
	Part    Part   `json:"part"`
	Created Millis `json:"created"`
	// Items are the tasks. Without them, those of the group's object in the
	// store are meant that Only names.
	Items []Item `json:"items,omitempty"`
	// Only are the numbers of the tasks of a group that is in the store; empty
	// means the whole part.
	Only []int `json:"only,omitempty"`
	// Earlier tells what became of tasks that were handed back before.
	Earlier []Again `json:"earlier,omitempty"`
	// Cancel are the numbers of tasks that are not to be made any more.
	Cancel []int `json:"cancel,omitempty"`
}

// Item is a task and its number in the group.
type Item struct {
	N int `json:"n"`
	Spec
}

// Report is what came of Work.
type Report struct {
	// Unfinished says that tasks are still under way in the process that
	// listens to Host, or nowhere if Host is empty.
	Unfinished bool   `json:"unfinished,omitempty"`
	Host       string `json:"host,omitempty"`
	// Heartbeat is how long whoever waits there may be silent: the longer, the
	// more groups that process has to speak for. 0 is for the workflow to choose.
	Heartbeat batch.Duration `json:"heartbeat,omitempty,omitzero"`
	// Again are tasks that wait longer than a worker should.
	Again []Again `json:"again,omitempty"`
	// Failed and Cancelled count tasks that ended so; the others are completed.
	Failed    int `json:"failed,omitempty"`
	Cancelled int `json:"cancelled,omitempty"`
}

// Again is a task that is handed back until its time has come.
type Again struct {
	N         int              `json:"n"`
	At        Millis           `json:"at"`
	StartedAt int64            `json:"started_at,omitempty"` // unix seconds
	Tries     int              `json:"tries,omitempty"`      // attempts that count
	Attempts  []Attempt        `json:"attempts,omitempty"`
	WaitingOn *batch.WaitingOn `json:"waiting_on,omitempty"`
}

// Progress is what a worker tells of tasks that it has under way.
type Progress struct {
	N         int              `json:"n"`
	StartedAt int64            `json:"started_at,omitempty"` // unix seconds; 0 before the first call
	Tries     int              `json:"tries,omitempty"`      // attempts that count
	Attempts  []Attempt        `json:"attempts,omitempty"`
	WaitingOn *batch.WaitingOn `json:"waiting_on,omitempty"`
}

// Resume makes of what a worker told last what the next one needs to know.
func Resume(progress []Progress) []Again {
	earlier := make([]Again, len(progress))
	for i, p := range progress {
		earlier[i] = Again{N: p.N, StartedAt: p.StartedAt, Tries: p.Tries, Attempts: p.Attempts}
	}
	return earlier
}
