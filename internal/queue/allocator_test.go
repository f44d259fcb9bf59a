package queue_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/queue"
)

// desk is an allocator whose clock stands still unless it is moved.
type desk struct {
	*queue.Allocator

	now int64
}

func open(s queue.Settings) *desk { return &desk{queue.New("q", s), 1_000_000} }

// client is a worker that says what it is told to say, and takes every answer.
type client struct {
	desk    *desk
	request queue.Request
	grant   queue.Grant
}

func (d *desk) client(name string) *client {
	return &client{desk: d, request: queue.Request{Worker: name}}
}

func (c *client) ask() queue.Grant {
	c.grant = c.desk.Ask(c.desk.now, c.request)
	c.request.Lease, c.request.Grant = c.grant.Lease, c.grant.Number
	return c.grant
}

// waits has the client ask with so many calls of batches waiting and in flight.
func (c *client) waits(waiting, inFlight int64) queue.Grant {
	c.request.Waiting, c.request.InFlight = queue.Counts{Batch: waiting}, queue.Counts{Batch: inFlight}
	return c.ask()
}

func TestALoneWorkerHasEveryPermit(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{Concurrency: 50})
	require.EqualValues(t, 50, d.client("a").waits(3, 0).Permits)
}

func TestAWorkerThatComesLaterGetsItsPartWhenTheFirstHasGivenItUp(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{Concurrency: 10})
	a, b := d.client("a"), d.client("b")
	a.waits(100, 0)
	require.Zero(t, b.waits(100, 0).Permits, "the first may use all")
	require.Equal(t, []string{"a"}, d.TakeNudges())

	g := a.waits(90, 10)
	require.EqualValues(t, 5, g.Permits)
	require.True(t, g.Confirm, "somebody waits for the others")
	require.Zero(t, b.waits(100, 0).Permits, "they are in flight still")
	require.EqualValues(t, 5, a.waits(95, 5).Permits)
	require.Equal(t, []string{"b"}, d.TakeNudges())
	require.EqualValues(t, 5, b.waits(100, 0).Permits)
}

func TestAnAnswerThatGotLostTakesNothingAway(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{Concurrency: 10})
	a, b := d.client("a"), d.client("b")
	a.waits(100, 0)
	b.waits(100, 0)
	before := a.request
	require.EqualValues(t, 5, a.waits(100, 0).Permits) // and lost
	a.request = before
	a.waits(100, 0)
	require.Zero(t, b.waits(100, 0).Permits, "the first may believe to have ten")
	require.EqualValues(t, 5, a.waits(100, 0).Permits)
	require.EqualValues(t, 5, b.waits(100, 0).Permits, "now it knows better")
}

func TestCallsThatSomebodyWaitsForGoFirst(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{Concurrency: 10})
	a, b := d.client("a"), d.client("b")
	a.waits(1000, 0)
	b.request.Waiting = queue.Counts{Interactive: 8}
	b.ask()
	require.EqualValues(t, 2, a.waits(1000, 10).Permits)
	a.waits(1000, 2)
	require.EqualValues(t, 8, b.ask().Permits)
}

func TestNoWorkerStarves(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{Concurrency: 4})
	a, b := d.client("a"), d.client("b")
	a.request.Waiting = queue.Counts{Interactive: 1000}
	a.ask()
	b.request.Oldest = 21_000
	b.waits(5, 0)
	a.request.InFlight = queue.Counts{Interactive: 4}
	require.EqualValues(t, 3, a.ask().Permits, "one is for the batch that has waited for long")
}

func TestWeightsShareOutPermits(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{Concurrency: 40})
	a, b := d.client("a"), d.client("b")
	a.request.Weight, b.request.Weight = 3, 1
	a.waits(1000, 0)
	b.waits(1000, 0)
	require.EqualValues(t, 30, a.waits(1000, 40).Permits)
}

func TestASmallerLimitHoldsAsSoonAsCallsHaveEnded(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{Concurrency: 10})
	a, b := d.client("a"), d.client("b")
	a.waits(100, 0)
	four := int64(4)
	d.Set(d.now, queue.Change{Concurrency: &four})
	require.Equal(t, []string{"a"}, d.TakeNudges())
	require.EqualValues(t, 4, a.waits(100, 10).Permits)
	require.Zero(t, b.waits(100, 0).Permits)
	require.EqualValues(t, 2, a.waits(100, 7).Permits)
	require.Zero(t, b.waits(100, 0).Permits, "seven are in flight, of four")
	a.waits(100, 2)
	require.EqualValues(t, 2, b.waits(100, 0).Permits)
}

func TestALimitThatIsSetHoldsForWorkersThatHadNone(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{})
	a, b := d.client("a"), d.client("b")
	require.EqualValues(t, queue.NoLimit, a.waits(0, 70).Permits)
	five := int64(5)
	d.Set(d.now, queue.Change{Concurrency: &five})
	require.Zero(t, b.waits(1, 0).Permits, "nobody knows what the first does")
	a.waits(0, 70)
	a.waits(0, 3)
	require.EqualValues(t, 1, b.waits(9, 0).Permits)
	a.waits(0, 3)
	require.EqualValues(t, 2, b.waits(9, 0).Permits)
}

func TestAQueueWithARateAloneHasPermitsForAll(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{RPM: 60})
	for _, name := range []string{"a", "b"} {
		require.EqualValues(t, queue.NoLimit, d.client(name).waits(9, 0).Permits)
	}
}

func TestAPausedQueueGivesNothingAndKeepsItsPlace(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{Concurrency: 10, RPM: 60})
	a := d.client("a")
	a.waits(100, 0)
	yes, no := true, false
	d.Set(d.now, queue.Change{Paused: &yes})
	require.Equal(t, []string{"a"}, d.TakeNudges())
	require.Zero(t, a.waits(100, 0).Permits)
	d.now += 3_000
	a.waits(100, 0)
	d.Set(d.now, queue.Change{Paused: &no})
	require.Equal(t, []string{"a"}, d.TakeNudges())
	require.EqualValues(t, 10, a.waits(100, 0).Permits)
	require.Len(t, d.Leases, 1)
}

func TestWhatAVanishedWorkerHeldIsFreeWhenItsLeaseEnds(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{Concurrency: 10})
	a, b := d.client("a"), d.client("b")
	ttl := a.waits(100, 0).TTL
	d.now += ttl - 1
	require.Zero(t, b.waits(100, 0).Permits)
	d.now += 2100
	require.Zero(t, b.waits(100, 0).Permits, "clocks may be two seconds apart")
	d.now = d.NextExpiry()
	d.TakeNudges()
	d.Expire(d.now)
	require.Equal(t, []string{"b"}, d.TakeNudges())
	require.EqualValues(t, 10, b.waits(100, 0).Permits)
}

func TestTwoWorkersWithOneNameHaveTwoLeases(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{Concurrency: 10})
	a, twin := d.client("same"), d.client("same")
	require.EqualValues(t, 10, a.waits(100, 0).Permits)
	require.Zero(t, twin.waits(100, 0).Permits)
	require.NotEqual(t, a.grant.Lease, twin.grant.Lease)
	require.EqualValues(t, 5, a.waits(100, 0).Permits)
	a.waits(100, 5)
	require.EqualValues(t, 5, twin.waits(100, 0).Permits)
}

func TestASequentialQueueServesInOrderOfAcceptance(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{Concurrency: 1})
	a, b := d.client("a"), d.client("b")
	a.request.First, b.request.First = 100, 50
	require.EqualValues(t, 1, a.waits(3, 0).Permits)
	require.Zero(t, b.waits(3, 0).Permits)
	require.Equal(t, []string{"a"}, d.TakeNudges())
	g := a.waits(3, 0)
	require.Zero(t, g.Permits)
	require.EqualValues(t, 50, g.Before, "the other's call was accepted earlier")
	a.waits(3, 0)
	g = b.waits(3, 0)
	require.EqualValues(t, 1, g.Permits)
	require.EqualValues(t, 100, g.Before, "of the next calls only those before a's are b's to make")
}

func TestASequentialQueueServesWhatWasAcceptedTogetherInItsOrder(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{Concurrency: 1})
	a, b := d.client("a"), d.client("b")
	a.request.First, a.request.FirstOrder = 100, 256
	b.request.First, b.request.FirstOrder = 100, 0
	require.EqualValues(t, 1, a.waits(3, 0).Permits)
	require.Zero(t, b.waits(3, 0).Permits)
	require.Equal(t, []string{"a"}, d.TakeNudges())
	g := a.waits(3, 0)
	require.Zero(t, g.Permits, "b's come first")
	require.EqualValues(t, 100, g.Before)
	require.Zero(t, g.BeforeOrder)
	a.waits(3, 0)
	g = b.waits(3, 0)
	require.EqualValues(t, 1, g.Permits)
	require.EqualValues(t, 256, g.BeforeOrder, "of the next calls only those before a's are b's to make")

	a.request.FirstClass = queue.Batch
	b.request.FirstOrder = 512
	b.waits(3, 0)
	a.waits(3, 0)
	require.EqualValues(t, 1, b.waits(3, 0).Permits, "somebody waits for b's calls")
}

// A worker that has a permit makes one call after another without asking.
func TestAWorkerOfASequentialQueueHearsOfACallThatComesBeforeItsLaterOnes(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{Concurrency: 1})
	a, b := d.client("a"), d.client("b")
	a.request.First, b.request.First = 100, 150
	require.Zero(t, a.waits(3, 0).Before)
	require.Zero(t, b.waits(3, 0).Permits)
	require.Equal(t, []string{"a"}, d.TakeNudges())
	require.EqualValues(t, 150, a.waits(3, 0).Before)
	b.waits(4, 0)
	require.Empty(t, d.TakeNudges(), "it knows")
	b.request.First = 120
	b.waits(5, 0)
	require.Equal(t, []string{"a"}, d.TakeNudges())
	require.EqualValues(t, 120, a.waits(3, 0).Before)
	b.request.First = 150
	b.waits(5, 0)
	require.Empty(t, d.TakeNudges(), "it will ask before it makes a call after that one")

	a.request.First = 200
	require.Zero(t, a.waits(2, 1).Permits)
	a.waits(2, 0)
	require.Equal(t, []string{"b"}, d.TakeNudges())
	require.EqualValues(t, 1, b.waits(5, 0).Permits)
	require.Empty(t, d.TakeNudges())
	c := d.client("c")
	c.request.First = 140
	c.waits(1, 0)
	require.Equal(t, []string{"b"}, d.TakeNudges(), "who has no permit need not hear")
}

func TestAWorkerThatLeavesGivesBackWhatItHasNotSpent(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{RPM: 6000, TPM: 600_000})
	a := d.client("a")
	a.waits(100, 0)
	d.now += 1000
	g := a.waits(100, 0)
	requests, tokens := d.Requests.Level, d.Tokens.Level
	a.request.Requests, a.request.Tokens, a.request.Leaving = g.Requests-7, g.Tokens+900, true
	a.waits(0, 0)
	const quantum = 60_000_000
	require.Equal(t, requests+7*quantum, d.Requests.Level)
	require.Equal(t, tokens-900*quantum, d.Tokens.Level, "what it owes is charged")
}

func TestBudgetsFollowTheRate(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{RPM: 3000})
	workers := []*client{d.client("a"), d.client("b"), d.client("c")}
	var spent int64
	for i := range 240 { // a minute
		d.now += 250
		for j := range workers { // in turns
			w := workers[(i+j)%len(workers)]
			g := w.waits(64, 1)
			w.request.Requests = min(g.Requests, w.request.Requests+g.RequestRate/240)
		}
	}
	for _, w := range workers {
		require.InDelta(t, 1000, w.request.Requests, 100, "every worker has its part")
		spent += w.request.Requests
	}
	require.InDelta(t, 3000, spent, 101, "all of the rate, and no more than two seconds' worth beyond it")
}

func TestALowRateGoesToWhoWaitsLongestAndNobodySpins(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{RPM: 6})
	a, b := d.client("a"), d.client("b")
	require.EqualValues(t, 1, a.waits(9, 0).Requests)
	a.request.Requests = 1
	b.request.Oldest = 5000
	d.now += 8_000
	require.Zero(t, b.waits(9, 0).Requests)
	a.request.Oldest = 1000
	g := a.waits(9, 0)
	require.EqualValues(t, 1, g.Requests, "which it has spent")
	require.GreaterOrEqual(t, g.RenewAfter, int64(2000), "asking sooner would bring nothing")
	d.now += 2_500
	require.EqualValues(t, 1, a.waits(9, 0).Requests, "it is b's")
	require.EqualValues(t, 1, b.waits(9, 0).Requests)
}

func TestACallLargerThanTheBurstGetsItsTokens(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{TPM: 60_000})
	a := d.client("a")
	a.request.Need = 20_000
	a.waits(1, 0)
	for range 25 {
		d.now += 1000
		a.waits(1, 0)
	}
	require.GreaterOrEqual(t, a.grant.Tokens, int64(20_000))
}

func TestACoolDownReachesEveryWorker(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{})
	a, b := d.client("a"), d.client("b")
	a.waits(0, 5)
	b.waits(0, 5)
	a.request.Closings = []queue.Closing{{Provider: "p", Message: "slow down", For: 20_000}}
	a.ask()
	require.Equal(t, []string{"b"}, d.TakeNudges())
	d.now += 1000
	require.Equal(t, []queue.Closing{{Provider: "p", Message: "slow down", For: 19_000, Age: 1000}}, b.ask().Closings)
	d.now += 19_000
	require.Empty(t, b.ask().Closings)
}

func TestARateThatIsNotAllOursIsUsedLess(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{RPM: 6000})
	a := d.client("a")
	a.waits(100, 0)
	throttled := func() {
		a.request.Closings = []queue.Closing{{Provider: "p", For: 1000}}
		a.ask()
		a.request.Closings = nil
	}
	throttled()
	throttled()
	require.InDelta(t, 0.8, d.Status(d.now).Share, 0.001, "one cool-down counts once")
	d.now += 6000
	throttled()
	require.InDelta(t, 0.68, d.Status(d.now).Share, 0.01, "a little had come back")
	d.now += 60_000
	a.ask()
	require.InDelta(t, 1, d.Status(d.now).Share, 0.001)
}

func TestALimitThatComesLaterForgivesWhatWasSpentWithoutOne(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{})
	a := d.client("a")
	a.waits(1, 0)
	a.request.Requests = 100_000
	a.waits(1, 0)
	sixty := int64(600)
	d.Set(d.now, queue.Change{RPM: &sixty})
	require.Greater(t, a.waits(1, 0).Requests, int64(100_000))
}

func TestTheBooksSayWhenNobodyNeedsThem(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{})
	require.True(t, d.Unused())
	a := d.client("a")
	a.waits(0, 0)
	require.False(t, d.Unused())
	a.request.Leaving = true
	a.ask()
	require.True(t, d.Unused())
	yes := true
	d.Set(d.now, queue.Change{Paused: &yes})
	require.False(t, d.Unused())
}

func TestTheStatusAddsUpWhatWorkersSay(t *testing.T) {
	t.Parallel()
	d := open(queue.Settings{Concurrency: 10})
	a, b := d.client("a"), d.client("b")
	a.request.Requests, a.request.Used = 0, 0
	a.waits(7, 0)
	a.request.Requests, a.request.Used = 12, 3400
	a.waits(7, 5)
	b.request.Waiting = queue.Counts{Interactive: 2}
	b.ask()
	s := d.Status(d.now)
	require.Equal(t, queue.Counts{Interactive: 2, Batch: 7}, s.Waiting)
	require.Equal(t, queue.Counts{Batch: 5}, s.InFlight)
	require.EqualValues(t, 12, s.RequestsLastMinute)
	require.EqualValues(t, 3400, s.TokensLastMinute)
	require.Len(t, s.Workers, 2)
	require.EqualValues(t, 10, s.Workers[0].Permits)
	later := d.Status(d.now + 70_000)
	require.Zero(t, later.TokensLastMinute)
	require.Empty(t, later.Workers)
}
