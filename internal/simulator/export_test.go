package simulator

import "time"

// Bucket shows the token bucket to the tests, which live outside the package.
type Bucket struct{ b *bucket }

// NewTestBucket makes a full bucket at the origin of time.
func NewTestBucket(rate, burst int64) Bucket { return Bucket{newBucket(rate, burst, 0)} }

// Take spends n tokens at now if they are there; otherwise it returns how long
// to wait, and whether they will ever be.
func (t Bucket) Take(now time.Duration, n int64) (granted bool, wait time.Duration, ever bool) {
	t.b.refill(now)
	wait, ever = t.b.wait(n)
	granted = ever && wait == 0
	if granted {
		t.b.take(n)
	}
	return granted, wait, ever
}

// Remaining and Reset show the state at the last Take.
func (t Bucket) Remaining() int64     { return t.b.remaining() }
func (t Bucket) Reset() time.Duration { return t.b.reset() }

// CheckDirective parses a directive.
func CheckDirective(s string) error {
	_, err := parseDirective(s)
	return err
}

// SeeBodies counts the arrival of n different bodies, once each.
func (s *Simulator) SeeBodies(n int) {
	b := s.tally.Load().bodies
	for i := range n {
		b.entry(bodyKey(mix(1, uint64(i)))).arrived.Add(1)
	}
}
