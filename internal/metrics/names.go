package metrics

import "sync"

// names lets the first names that are known have labels of their own. Users choose
// them: each could be a new time series.
type names struct {
	most int

	mu    sync.RWMutex
	known map[string]struct{}
}

// Other is the label of names beyond those that have one.
const Other = "other"

// mostNames is how many models, and how many queues, have labels.
const mostNames = 100

func newNames() *names { return &names{most: mostNames, known: map[string]struct{}{}} }

// label is that of a name. Only one that serves becomes known: a model that does not
// exist takes no label away from those that do.
func (n *names) label(name string, serves bool) string {
	if n.has(name) {
		return name
	}
	if !serves {
		return Other
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.known) >= n.most || len(name) > longestName {
		return Other
	}
	n.known[name] = struct{}{}
	return name
}

// longestName bounds the length of a label.
const longestName = 128

func (n *names) has(name string) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	_, ok := n.known[name]
	return ok
}
