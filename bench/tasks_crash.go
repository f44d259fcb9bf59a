package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// taskCrash kills dev in the middle of tasks, again and again.
func (b *bench) taskCrash(ctx context.Context) ([]row, error) {
	n, kills := b.size(1_000, 200), b.size(5, 1)
	var restarts []float64
	var worst recovery
	verdict := reached
	for i := range kills {
		after := n/4 + n/2*i/max(kills-1, 1)
		r, err := b.killTasks(ctx, n, after)
		if err != nil {
			return nil, fmt.Errorf("kill after %d of %d calls: %w", after, n, err)
		}
		b.say("  killed after %d of %d calls: first new call %s after the restart, %d calls in excess (allowed %d: %d in flight and %d just finished), %d answered twice",
			after, n, seconds(r.firstCall.Seconds()), r.excess, r.allowed, r.inFlight, r.allowed-r.inFlight, r.twice)
		restarts = append(restarts, r.firstCall.Seconds())
		if r.excess > r.allowed {
			verdict = missed
		}
		if i == 0 || r.excess-r.allowed > worst.excess-worst.allowed {
			worst = r
		}
	}
	name := fmt.Sprintf("%d × kill -9 amid %d tasks, %d at once: ", kills, n, crashCalls)
	return []row{
		// A task that is lost has ended the measure with an error.
		{measure: name + "tasks lost", target: "0", headrace: "0", verdict: reached},
		{
			measure: name + "calls in excess, worst of all", target: fmt.Sprintf("≤ %d (in flight, or finished in the last 250 ms)", worst.allowed),
			headrace: fmt.Sprint(worst.excess), verdict: verdict,
		},
		single(name+"restart to first new call, median", bound{}, seconds, median(restarts), " (worst "+seconds(quantile(restarts, 1))+")"),
	}, nil
}

// killTasks kills a dev once the upstream has seen so many calls, and sees the
// tasks through after a restart.
func (b *bench) killTasks(ctx context.Context, n, after int) (recovery, error) {
	var r recovery
	bounded := []string{"--task-concurrency", strconv.Itoa(crashCalls)}
	s, err := b.newSite(ctx, "lognormal:100ms,0.5", bounded...)
	if err != nil {
		return r, err
	}
	defer s.close()
	p, err := s.post(ctx, n, readers)
	if err != nil {
		return r, err
	}
	finished, err := s.up.follow(ctx, int64(after))
	if err != nil {
		return r, err
	}
	killed := time.Now()
	s.kill()
	second, firstCall, atKill, err := b.restart(ctx, s.data, s.up, bounded...)
	if err != nil {
		return r, err
	}
	defer second.kill()
	if err := second.completed(ctx, p.ids); err != nil {
		return r, err
	}
	end, err := s.up.stats(ctx)
	if err != nil {
		return r, err
	}
	r.firstCall, r.excess, r.twice = firstCall, end.Calls-int64(n), end.DuplicateSuccesses
	r.inFlight = atKill.ClientGone
	r.allowed = r.inFlight + atKill.Succeeded - finished.before(killed.Add(-repeatable))
	if end.DistinctBodies != int64(n) {
		return r, fmt.Errorf("%d of %d tasks were called for", end.DistinctBodies, n)
	}
	return r, nil
}
