package simulator

import (
	"math"
	"time"
)

// bucket is a token bucket that starts full. It counts in whole numbers, so
// that it never grants more than its burst plus its rate times the time, to the
// microsecond: in which a clock of whole microseconds counts. Its caller locks.
type bucket struct {
	rate  int64 // tokens per minute, at least 1
	burst int64 // the most it holds, at least 1

	level int64 // what it holds, in quanta
	at    int64 // when level was true, in microseconds
}

// quantum is the number of quanta in a token: a rate of n per minute brings n
// quanta in a microsecond.
const quantum = int64(time.Minute / time.Microsecond)

func newBucket(rate, burst int64, now time.Duration) *bucket {
	if burst == 0 {
		burst = rate
	}
	return &bucket{rate: rate, burst: burst, level: burst * quantum, at: now.Microseconds()}
}

// refill brings level up to now, a time since any fixed origin. A clock that
// steps back changes nothing.
func (b *bucket) refill(now time.Duration) {
	elapsed := now.Microseconds() - b.at
	if elapsed <= 0 {
		return
	}
	b.at += elapsed
	missing := b.burst*quantum - b.level
	if elapsed > missing/b.rate { // also keeps the product from overflowing
		b.level += missing
		return
	}
	b.level += elapsed * b.rate
}

// wait returns how long from the last refill until n tokens are there, 0 when
// they are. For more than the burst it returns false: they never will be.
func (b *bucket) wait(n int64) (time.Duration, bool) {
	if n > b.burst {
		return 0, false
	}
	return b.until(n * quantum), true
}

// until returns the time until level has reached quanta, rounded up, or the
// longest duration where that is shorter.
func (b *bucket) until(quanta int64) time.Duration {
	missing := max(quanta-b.level, 0)
	micros := missing / b.rate
	if missing%b.rate > 0 {
		micros++
	}
	return time.Duration(min(micros, math.MaxInt64/int64(time.Microsecond))) * time.Microsecond
}

// take spends n tokens, which wait has said are there.
func (b *bucket) take(n int64) { b.level -= n * quantum }

// remaining returns the whole tokens that are there.
func (b *bucket) remaining() int64 { return b.level / quantum }

// reset returns the time until the bucket is full.
func (b *bucket) reset() time.Duration { return b.until(b.burst * quantum) }
