package ledger

import "slices"

// Settings are what holds for the calls of a lane. Those of a later answer replace
// those of an earlier one.
type Settings struct {
	// Hands is the most calls that the lane keeps in flight. With 0 it starts none,
	// and leaves when none is in flight any more, unless it is to Wait: there are
	// hands for it that other lanes have not given up yet.
	Hands int  `json:"hands"`
	Wait  bool `json:"wait,omitempty"`
	// Confirm asks for another request when fewer calls are in flight: somebody
	// waits for the hands that this lane has given up.
	Confirm bool `json:"confirm,omitempty"`

	// Queue and Priority are the batch's, see batch.Options.
	Queue    string `json:"queue,omitempty"`
	Priority int    `json:"priority,omitempty"`
}

// Deal shares hands out, so that all lanes together never keep more calls in flight
// than there are hands, but for those that began when there were more. Lanes that
// are open keep what they have, or lose it from the last one on, or grow to perLane
// from the first one on; those that drain have none. Each learns of it by the answer
// to its next request.
//
// It returns how many hands lanes may have that are opened now. That may be fewer
// than are left over: a lane that gives hands up holds them while its calls last.
func (l *Ledger) Deal(hands, perLane int) (more int) {
	l.Hands = hands
	left := hands
	for i := range l.Lanes {
		lane := &l.Lanes[i]
		lane.Hands = min(lane.Hands, left)
		left -= lane.Hands
	}
	for i := range l.Lanes {
		lane := &l.Lanes[i]
		grow := min(perLane-lane.Hands, left)
		if lane.Draining {
			grow = 0
		}
		if lane.Rest > 0 {
			grow = min(grow, lane.Rest-lane.Hands)
		}
		grow = max(grow, 0)
		lane.Hands += grow
		left -= grow
	}
	return max(min(left, hands-l.most(nil)), 0)
}

// Hosts returns, each once, the hosts of open lanes that have not heard of the hands
// they may have, or of all lanes.
func (l *Ledger) Hosts(all bool) []string {
	var hosts []string
	for i := range l.Lanes {
		lane := &l.Lanes[i]
		if (all || l.allowed(lane) != lane.Told) && lane.Host != "" && !slices.Contains(hosts, lane.Host) {
			hosts = append(hosts, lane.Host)
		}
	}
	return hosts
}

// note books what a lane says of itself.
func (l *Ledger) note(lane *Lane, r Request) {
	lane.Host, lane.Rest = r.Host, r.Rest
	if r.Host != "" { // otherwise it is one that cannot tell
		lane.Most = r.Most
	}
	if r.Rest > 0 {
		lane.Hands = min(lane.Hands, r.Rest)
	}
}

// tell returns what holds for a lane from now on.
func (l *Ledger) tell(lane *Lane) *Settings {
	lane.Told = l.allowed(lane)
	lane.Most = max(lane.Most, lane.Told)
	return &Settings{
		Hands: lane.Told, Wait: lane.Told == 0 && lane.Hands > 0, Confirm: l.Hands > 0 && lane.Most > lane.Told,
	}
}

// allowed is how many hands a lane may have now: those dealt to it, as far as no
// other lane still has them.
func (l *Ledger) allowed(lane *Lane) int {
	return max(min(lane.Hands, l.Hands-l.most(lane)), 0)
}

// most is how many calls all lanes together, but for one, may have in flight.
func (l *Ledger) most(but *Lane) int {
	sum := 0
	for i := range l.Lanes {
		if lane := &l.Lanes[i]; lane != but {
			sum += lane.Most
		}
	}
	return sum
}
