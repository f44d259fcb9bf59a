package results

import (
	"github.com/headrace/headrace/internal/ledger"
	"github.com/headrace/headrace/internal/openai"
)

// Result says what became of a request.
type Result int

// What can become of a request.
const (
	Answered Result = iota
	Failed
	// Unmade requests were never sent: the batch was cancelled or expired.
	Unmade
)

// entry is one line of an open chunk. Its text is in memory, or in the store
// under key at offset, or in both.
type entry struct {
	line   int64
	result Result
	usage  openai.Usage
	bytes  int64

	text   []byte
	key    string
	offset int64
}

func (e entry) stored() bool { return e.key != "" }

// totals is what the entry adds to the totals of its chunk.
func (e entry) totals() ledger.Totals {
	t := ledger.Totals{Usage: e.usage}
	switch e.result {
	case Answered:
		t.Completed = 1
	case Failed:
		t.Failed = 1
	case Unmade:
	}
	return t
}
