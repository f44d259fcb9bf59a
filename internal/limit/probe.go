package limit

import (
	"cmp"
	"errors"
	"time"

	"github.com/headrace/headrace/internal/queue"
)

// errNotNow is why a call leaves the line that was not let in at once.
var errNotNow = errors.New("not now")

// Probe lets a call in at once as the one that finds out whether a held provider
// serves again, if that is due. Whoever has somewhere else to go asks for this
// instead of waiting: if nobody waited for the provider, nobody would notice that it
// is back.
func (g *Gate) Probe(t Ticket) (Pass, bool) {
	t.Queue = cmp.Or(t.Queue, queue.Default)
	t.Patience = 0
	g.mu.Lock()
	l := g.line(t.Queue)
	u := l.upstream(t.Provider)
	if u == nil || u.hold == nil || u.wait(time.Now()) != 0 {
		g.mu.Unlock()
		return Pass{}, false
	}
	w, err := l.join(&t)
	g.mu.Unlock()
	if err != nil {
		return Pass{}, false
	}
	pass, err := w.giveUp(errNotNow)
	return pass, err == nil
}
