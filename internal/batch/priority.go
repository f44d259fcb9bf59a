package batch

// DefaultQueue is the queue of everything that names none.
const DefaultQueue = "default"

// Priorities run from -PriorityLimit to PriorityLimit, the largest first. Two have
// names: that of calls which somebody waits for, and that of batches.
const (
	PriorityLimit       = 100
	PriorityInteractive = 0
	PriorityBatch       = -50

	WordInteractive = "interactive"
	WordBatch       = "batch"
)

// PriorityOf is the priority that a word stands for.
func PriorityOf(word string) (priority int, ok bool) {
	switch word {
	case WordInteractive:
		return PriorityInteractive, true
	case WordBatch:
		return PriorityBatch, true
	default:
		return 0, false
	}
}
