package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
)

// accept measures how fast tasks are taken that come one by one.
func (b *bench) accept(ctx context.Context) ([]row, error) {
	var rows []row
	for _, c := range []struct {
		tasks, connections int
		inTime, rate       bound
	}{
		{b.size(1_000, 100), b.size(1_000, 100), atMost(0.15), bound{}},
		{b.size(10_000, 500), b.size(1_000, 100), bound{}, atLeast(10_000)},
		{b.size(10_000, 500), b.size(50, 10), bound{}, atLeast(4_000)},
	} {
		var last, rate, drained, each []float64
		for range b.repeat {
			p, all, err := b.acceptOnce(ctx, c.tasks, c.connections)
			if err != nil {
				return nil, fmt.Errorf("%d tasks over %d connections: %w", c.tasks, c.connections, err)
			}
			last = append(last, p.last.Seconds())
			rate = append(rate, float64(c.tasks)/p.last.Seconds())
			drained = append(drained, all.whole.Seconds())
			each = append(each, all.processors.Seconds()/float64(c.tasks))
			b.say("  %d tasks over %d connections: all accepted after %s, %s, all done after %s, %s each on processors", c.tasks, c.connections,
				milliseconds(p.last.Seconds()), perSecond(rate[len(rate)-1]), seconds(all.whole.Seconds()), microseconds(each[len(each)-1]))
		}
		name := fmt.Sprintf("%d tasks posted one by one over %d connections: ", c.tasks, c.connections)
		rows = append(rows,
			single(name+"the last 202", c.inTime, milliseconds, median(last), ""),
			single(name+"accepted", c.rate, perSecond, median(rate), ""),
			single(name+"the last result", bound{}, seconds, median(drained), ""),
			single(name+"processor time of each, to its result", bound{}, microseconds, median(each), ""),
		)
	}
	return rows, nil
}

func (b *bench) acceptOnce(ctx context.Context, tasks, connections int) (posted, times, error) {
	s, err := b.newSite(ctx, "0s")
	if err != nil {
		return posted{}, times{}, err
	}
	defer s.close()
	p, err := s.post(ctx, tasks, connections)
	if err != nil {
		return p, times{}, err
	}
	all, err := s.drained(ctx, p)
	return p, all, err
}

// drain measures how fast tasks are done when the upstream takes no time.
func (b *bench) drain(ctx context.Context) ([]row, error) {
	n := b.size(10_000, 500)
	var rates, accepted, each []float64
	for range b.repeat {
		p, took, err := b.drainOnce(ctx, n)
		if err != nil {
			return nil, err
		}
		rates = append(rates, float64(n)/took.whole.Seconds())
		accepted = append(accepted, p.last.Seconds())
		each = append(each, took.processors.Seconds()/float64(n))
		b.say("  %d tasks in one array: accepted after %s, all done after %s, %s, %s each on processors",
			n, milliseconds(p.last.Seconds()), seconds(took.whole.Seconds()), perSecond(rates[len(rates)-1]), microseconds(each[len(each)-1]))
	}
	name := fmt.Sprintf("%d tasks posted as one array, no latency: ", n)
	return []row{
		single(name+"the 202", bound{}, milliseconds, median(accepted), ""),
		single(name+"done with their results stored, from the POST on", atLeast(5_000), perSecond, median(rates), ""),
		single(name+"processor time of each, to its result", bound{}, microseconds, median(each), ""),
	}, nil
}

func (b *bench) drainOnce(ctx context.Context, n int) (posted, times, error) {
	s, err := b.newSite(ctx, "0s")
	if err != nil {
		return posted{}, times{}, err
	}
	defer s.close()
	p, err := s.postAll(ctx, n)
	if err != nil {
		return p, times{}, err
	}
	took, err := s.drained(ctx, p)
	return p, took, err
}

// idle measures what one task costs a service that has nothing else to do.
func (b *bench) idle(ctx context.Context) ([]row, error) {
	n := b.size(200, 10)
	s, err := b.newSite(ctx, "0s")
	if err != nil {
		return nil, err
	}
	defer s.close()
	links, hangUp, err := s.dial(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	var accepted, total []float64
	for _, request := range s.tasks(n) {
		begun := time.Now()
		body, err := links[0].ask(request, http.StatusAccepted)
		if err != nil {
			return nil, err
		}
		accepted = append(accepted, time.Since(begun).Seconds())
		id := gjson.GetBytes(body, "id").Str
		if body, err = links[0].ask(s.request(http.MethodGet, pathTasks+"/"+id+"?wait=30s", ""), http.StatusOK); err != nil {
			return nil, err
		}
		total = append(total, time.Since(begun).Seconds())
		if err := checkTask(body); err != nil {
			return nil, err
		}
	}
	b.say("  one task after the other: 202 %s; result %s", spread(accepted), spread(total))
	name := fmt.Sprintf("one task at a time, no latency, %d of them: ", n)
	return []row{
		single(name+"POST to 202, p50", atMost(0.005), tenths, median(accepted), ""),
		single(name+"POST to 202, p99", bound{}, tenths, quantile(accepted, 0.99), ""),
		single(name+"POST to result, p50", atMost(0.015), tenths, median(total), ""),
		single(name+"POST to result, p99", atMost(0.040), tenths, quantile(total, 0.99), ""),
	}, nil
}

// tenths writes milliseconds where their parts count.
func tenths(v float64) string { return fmt.Sprintf("%.1f ms", v*1e3) }

// Sizes of the measure steady.
const (
	steadyCalls   = 40
	steadyLatency = time.Second
)

// steady measures how well so many hands are kept busy.
func (b *bench) steady(ctx context.Context) ([]row, error) {
	n := b.size(1_000, 2*steadyCalls)
	s, err := b.newSite(ctx, steadyLatency.String(), "--task-concurrency", strconv.Itoa(steadyCalls))
	if err != nil {
		return nil, err
	}
	defer s.close()
	p, err := s.post(ctx, n, readers)
	if err != nil {
		return nil, err
	}
	all, err := s.drained(ctx, p)
	if err != nil {
		return nil, err
	}
	took := all.whole
	stats, err := s.up.stats(ctx)
	if err != nil {
		return nil, err
	}
	if stats.PeakInFlight > steadyCalls {
		return nil, fmt.Errorf("%d calls were in flight, allowed are %d", stats.PeakInFlight, steadyCalls)
	}
	b.say("  %d tasks, %d at once: all done after %s", n, steadyCalls, seconds(took.Seconds()))
	best := (time.Duration(n/steadyCalls) * steadyLatency).Seconds()
	const spare = 0.5
	name := fmt.Sprintf("%d tasks of %s, %d at once: from the first POST to the last result", n, steadyLatency, steadyCalls)
	return []row{{
		measure: name, target: atMost(best + spare).text(seconds), bare: seconds(best), headrace: seconds(took.Seconds()),
		ratio: factor(took.Seconds() / best), verdict: atMost(best + spare).judge(took.Seconds()),
	}}, nil
}

// stalled measures how soon a task can be looked at while many wait for a
// provider that does not answer.
func (b *bench) stalled(ctx context.Context) ([]row, error) {
	n, gets := b.size(10_000, 500), b.size(2_000, 100)
	s, err := b.newSite(ctx, "1h")
	if err != nil {
		return nil, err
	}
	defer s.close()
	p, err := s.post(ctx, n, readers)
	if err != nil {
		return nil, err
	}
	links, hangUp, err := s.dial(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	var took []float64
	for range gets {
		id := p.ids[rand.IntN(n)]
		request := s.request(http.MethodGet, pathTasks+"/"+id, "")
		begun := time.Now()
		body, err := links[0].ask(request, http.StatusOK)
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(begun).Seconds())
		if got := gjson.GetBytes(body, "id").Str; got != id {
			return nil, fmt.Errorf("asked for %s: %s", id, body)
		}
	}
	b.say("  %d tasks wait: GET %s", n, spread(took))
	name := fmt.Sprintf("GET of a task while %d wait for a stalled provider, ", n)
	return []row{
		single(fmt.Sprintf("%sp99 of %d", name, gets), atMost(0.025), tenths, quantile(took, 0.99), " (p50 "+tenths(median(took))+")"),
	}, nil
}
