package api

import (
	"sync"
	"time"
)

// recentFor is how long a process remembers the groups that it has started.
// Temporal lists a workflow some hundredths of a second after its start, more
// under load; whoever has just posted a task expects to see it.
const recentFor = 5 * time.Second

// recent is the groups that this process has started a moment ago. The zero value
// is ready. It is safe for concurrent use.
type recent struct {
	mu     sync.Mutex
	groups []recentGroup // in the order of their starts
}

type recentGroup struct {
	project string
	name    string
	started time.Time
}

// add remembers a group.
func (r *recent) add(project, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget()
	r.groups = append(r.groups, recentGroup{project, name, time.Now()})
}

// since returns the groups of a project that a page lists which begins with a
// group, "" for the first page.
func (r *recent) since(project, first string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget()
	var names []string
	for _, g := range r.groups {
		if g.project == project && g.name >= first {
			names = append(names, g.name)
		}
	}
	return names
}

// forget drops what is old.
func (r *recent) forget() {
	n := 0
	for n < len(r.groups) && time.Since(r.groups[n].started) > recentFor {
		n++
	}
	r.groups = r.groups[n:]
}
