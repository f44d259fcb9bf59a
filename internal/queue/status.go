package queue

// Past counts what was spent lately, in slots of five seconds.
type Past [12]Slot

// Slot counts what was spent in some seconds.
type Slot struct {
	At       int64 `json:"at,omitempty"`
	Requests int64 `json:"requests,omitempty"`
	Tokens   int64 `json:"tokens,omitempty"`
}

const slotTime = minute / int64(len(Past{}))

func (p *Past) add(now, requests, tokens int64) {
	at := now / slotTime
	slot := &p[at%int64(len(p))]
	if slot.At != at {
		*slot = Slot{At: at}
	}
	slot.Requests += requests
	slot.Tokens += tokens
}

// lastMinute sums what was spent in the last minute.
func (p *Past) lastMinute(now int64) (requests, tokens int64) {
	for _, slot := range p {
		if slot.At > now/slotTime-int64(len(p)) {
			requests, tokens = requests+slot.Requests, tokens+slot.Tokens
		}
	}
	return requests, tokens
}

// Status tells how the queue stands. It changes nothing: leases whose time is
// over are left out.
func (a *Allocator) Status(now int64) Status {
	now = max(now, a.Now)
	s := Status{Name: a.Name, Settings: a.Settings, Share: float64(a.Share) / whole}
	s.RequestsLastMinute, s.TokensLastMinute = a.Past.lastMinute(now)
	for _, l := range a.Leases {
		if l.Expires <= now {
			continue
		}
		w := Worker{
			Worker: l.Worker, Label: l.Label, Permits: l.Granted, InFlight: l.InFlight, Waiting: l.Waiting,
			Expires: max(l.Expires-grace-now, 0),
		}
		if l.Granted >= plenty {
			w.Permits = NoLimit
		}
		s.Workers = append(s.Workers, w)
		s.InFlight, s.Waiting = s.InFlight.Plus(l.InFlight), s.Waiting.Plus(l.Waiting)
	}
	for _, c := range a.Closed {
		if c.Until > now {
			s.Closings = append(s.Closings, c.closing(now))
		}
	}
	return s
}
