package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/headrace/headrace/internal/simulator"
)

// crashCalls is how many calls are in flight when dev is killed.
const crashCalls = 64

// repeatable is how long before a crash a call may have finished and be made
// again.
const repeatable = 250 * time.Millisecond

// recovery is what one kill came to.
type recovery struct {
	firstCall time.Duration // from the restart to the first new call
	excess    int64         // calls beyond one for each line
	allowed   int64         // what excess may be
	twice     int64         // calls of excess whose first answer had been sent
	inFlight  int64
}

// crash kills dev in the middle of a batch, again and again.
func (b *bench) crash(ctx context.Context) ([]row, error) {
	lines, kills := b.size(10_000, 1_000), b.size(5, 2)
	var restarts []float64
	var worst recovery
	verdict := reached
	for i := range kills {
		// From a quarter to three quarters of the batch.
		after := lines/4 + lines/2*i/max(kills-1, 1)
		r, err := b.killOnce(ctx, lines, after)
		if err != nil {
			return nil, fmt.Errorf("kill after %d of %d calls: %w", after, lines, err)
		}
		b.say("  killed after %d of %d calls: first new call %s after the restart, %d calls in excess (allowed %d: %d in flight and %d just finished), %d answered twice",
			after, lines, seconds(r.firstCall.Seconds()), r.excess, r.allowed, r.inFlight, r.allowed-r.inFlight, r.twice)
		restarts = append(restarts, r.firstCall.Seconds())
		if r.excess > r.allowed {
			verdict = missed
		}
		if i == 0 || r.excess-r.allowed > worst.excess-worst.allowed {
			worst = r
		}
	}
	name := fmt.Sprintf("%d × kill -9 amid %d calls, %d at once: ", kills, lines, crashCalls)
	return []row{
		// A result that is lost or doubled has ended the measure with an error.
		{measure: name + "results lost, doubled", target: "0, 0", headrace: "0, 0", verdict: reached},
		{
			measure: name + "calls in excess, worst of all", target: fmt.Sprintf("≤ %d (in flight, or finished in the last 250 ms)", worst.allowed),
			headrace: fmt.Sprint(worst.excess), ratio: factor(float64(worst.excess) / float64(worst.allowed)), verdict: verdict,
		},
		single(name+"restart to first new call, median", bound{}, seconds, median(restarts), ""),
		single(name+"restart to first new call, worst", atMost(10), seconds, quantile(restarts, 1), ""),
	}, nil
}

// killOnce kills a dev once the upstream has seen so many calls, and sees its
// batch through after a restart.
func (b *bench) killOnce(ctx context.Context, lines, after int) (recovery, error) {
	var r recovery
	input, err := b.input(lines)
	if err != nil {
		return r, err
	}
	up, err := b.startUpstream(ctx, "lognormal:100ms,0.5")
	if err != nil {
		return r, err
	}
	defer up.kill()
	dir, remove, err := b.folder()
	if err != nil {
		return r, err
	}
	defer remove()
	data := filepath.Join(dir, "data")
	first, err := b.startService(ctx, data, up.url)
	if err != nil {
		return r, err
	}
	defer first.kill()
	file, err := first.upload(ctx, input)
	if err != nil {
		return r, err
	}
	id, err := first.create(ctx, file, crashCalls)
	if err != nil {
		return r, err
	}
	finished, err := up.follow(ctx, int64(after))
	if err != nil {
		return r, err
	}
	killed := time.Now()
	first.kill()
	second, firstCall, atKill, err := b.restart(ctx, data, up)
	if err != nil {
		return r, err
	}
	defer second.kill()
	output := filepath.Join(dir, "output.jsonl")
	if err := second.outlast(ctx, id, output, lines); err != nil {
		return r, err
	}
	end, err := up.stats(ctx)
	if err != nil {
		return r, err
	}
	r.firstCall, r.excess, r.twice = firstCall, end.Calls-int64(lines), end.DuplicateSuccesses
	r.inFlight = atKill.ClientGone
	r.allowed = r.inFlight + atKill.Succeeded - finished.before(killed.Add(-repeatable))
	if end.DistinctBodies != int64(lines) {
		return r, fmt.Errorf("%d of %d lines were called for", end.DistinctBodies, lines)
	}
	return r, nil
}

// outlast waits for a batch and checks its output.
func (s *service) outlast(ctx context.Context, id, output string, lines int) error {
	o, err := s.final(ctx, id, nil)
	if err != nil {
		return err
	}
	if err := s.download(ctx, o, output); err != nil {
		return err
	}
	return checkOutput(output, lines, true)
}

// count is how many calls had succeeded at a time.
type count struct {
	at        time.Time
	succeeded int64
}

type counts []count

// before is the last count that was taken before a time.
func (c counts) before(t time.Time) int64 {
	var n int64
	for _, r := range c {
		if r.at.After(t) {
			break
		}
		n = r.succeeded
	}
	return n
}

// follow counts finished calls until so many have succeeded.
func (u *upstream) follow(ctx context.Context, calls int64) (counts, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTooLong)
	defer cancel()
	var all counts
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		at := time.Now() // before the answer, so that a count is of its time or later
		s, err := u.stats(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, count{at, s.Succeeded})
		if s.Succeeded >= calls {
			return all, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// restart starts dev again, and returns it with the time to its first call and
// what the upstream had seen before that. more are flags of dev.
func (b *bench) restart(ctx context.Context, data string, up *upstream, more ...string) (*service, time.Duration, simulator.Stats, error) {
	begun := time.Now()
	type started struct {
		service *service
		err     error
	}
	starting := make(chan started, 1)
	go func() {
		s, err := b.startService(ctx, data, up.url, more...)
		starting <- started{s, err}
	}()
	// The connections of the dead process are closed long before the new one
	// can call.
	var atKill, now simulator.Stats
	err := until(ctx, "the dead process's calls are gone", func() (bool, error) {
		var err error
		atKill, err = up.stats(ctx)
		return atKill.InFlight == 0, err
	})
	if err == nil {
		err = until(ctx, "dev calls again", func() (bool, error) {
			var err error
			now, err = up.stats(ctx)
			return now.Calls > atKill.Calls, err
		})
	}
	firstCall := time.Since(begun)
	s := <-starting
	if err = errors.Join(err, s.err); err != nil {
		if s.service != nil {
			s.service.kill()
		}
		return nil, 0, atKill, err
	}
	return s.service, firstCall, atKill, nil
}
