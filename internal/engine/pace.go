package engine

import "time"

// pace measures how fast tasks are settled and how long fetching takes, to
// tell when to fetch and how much: early enough that no hand runs dry, late
// enough that at the end of a batch no lane sits on work that others could do.
type pace struct {
	rate  float64 // tasks settled per second
	fetch time.Duration

	since   time.Time // start of the window that is being counted
	settled int
}

const (
	// paceWindow is the time over which settled tasks are counted.
	paceWindow = 100 * time.Millisecond
	// supply is how long what one fetch brings should last.
	supply = 300 * time.Millisecond
	// safety multiplies the time that a fetch is expected to take.
	safety = 3
	// margin multiplies it where less would let hands run dry.
	margin = 1.5
	// most bounds what is fetched at once.
	most = 4000
	// weight of a new reading in the moving averages.
	weight = 0.3
)

// count books one settled task.
func (p *pace) count() {
	p.settled++
	if p.settled%8 != 0 { // the clock is read now and then only
		return
	}
	now := time.Now()
	if p.since.IsZero() {
		p.since, p.settled = now, 0
		return
	}
	if passed := now.Sub(p.since); passed >= paceWindow {
		p.rate = average(p.rate, float64(p.settled)/passed.Seconds())
		p.since, p.settled = now, 0
	}
}

// fetched books how long a fetch took.
func (p *pace) fetched(took time.Duration) {
	p.fetch = time.Duration(average(float64(p.fetch), float64(took)))
}

// low is the number of fresh tasks below which to fetch: what is settled while
// a fetch takes long, and an eighth of the hands against chance.
func (p *pace) low(hands int) int {
	if p.rate == 0 {
		return hands
	}
	return min(hands/8+1+int(p.rate*safety*p.fetch.Seconds()), most)
}

// want is the number of tasks to fetch.
func (p *pace) want(hands int) Want {
	return Want{
		Most:  min(max(hands, int(p.rate*supply.Seconds())), most),
		Least: min(int(p.rate*margin*p.fetch.Seconds()), most),
	}
}

func average(old, reading float64) float64 {
	if old == 0 {
		return reading
	}
	return old + weight*(reading-old)
}
