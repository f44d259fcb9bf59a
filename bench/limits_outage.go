package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/client"
)

// Sizes of the measure outage.
const (
	outageWorkers = 3
	outageCalls   = 50
	outageLatency = "lognormal:200ms,0.5"
)

// trouble is a way for a provider to serve nobody.
type trouble struct {
	name       string
	begin, end func(context.Context, *bench, *upstream) error
}

func troubles() []trouble {
	told := func(options string) func(context.Context, *bench, *upstream) error {
		return func(ctx context.Context, _ *bench, up *upstream) error { return up.control(ctx, options) }
	}
	return []trouble{
		{"closes every connection", told(`{"down":true}`), told(`{"down":false}`)},
		{"answers 500 to everything", told(`{"faults":{"error":1}}`), told(`{"faults":{"error":0}}`)},
		{"refuses connections", func(_ context.Context, _ *bench, up *upstream) error {
			up.kill()
			return nil
		}, func(ctx context.Context, b *bench, up *upstream) error {
			u, err := url.Parse(up.url)
			if err != nil {
				return err
			}
			again, err := b.startUpstreamAt(ctx, u.Host, outageLatency)
			if err == nil {
				*up = *again
			}
			return err
		}},
	}
}

// outage measures whether a batch survives a provider that is away for long, and
// how soon it goes on after that.
func (b *bench) outage(ctx context.Context) ([]row, error) {
	away := time.Duration(b.size(120, 3)) * time.Second
	var rows []row
	for _, t := range troubles()[:b.size(len(troubles()), 1)] {
		first, full, err := b.outageOnce(ctx, t, away)
		if err != nil {
			return nil, fmt.Errorf("the provider %s: %w", t.name, err)
		}
		b.say("  the provider %s for %s: first answer %s after that, all permits in use after %s", t.name, away, seconds(first), seconds(full))
		name := fmt.Sprintf("provider %s for %s amid a batch, %d workers, %d calls at once: ", t.name, away, outageWorkers, outageCalls)
		rows = append(rows,
			// A line that fails has ended the measure with an error.
			row{measure: name + "lines failed", target: "0", headrace: "0", verdict: reached},
			single(name+"back, to the first answer", atMost(5), seconds, first, ""),
			single(name+"back, to as many calls in flight as may be", bound{}, seconds, full, ""),
		)
	}
	return rows, nil
}

// outageOnce has a provider away for a time amid a batch. It returns the seconds
// until it has answered again, and until it has as many calls as before.
func (b *bench) outageOnce(ctx context.Context, t trouble, away time.Duration) (first, full float64, err error) {
	up, err := b.startUpstream(ctx, outageLatency)
	if err != nil {
		return 0, 0, err
	}
	defer func() { up.kill() }()
	c, err := b.newCluster(ctx, repeated(up.url, outageWorkers)...)
	if err != nil {
		return 0, 0, err
	}
	defer c.close()
	if err := c.set(ctx, map[string]any{"concurrency": outageCalls}); err != nil {
		return 0, 0, err
	}
	batches, err := c.occupy(ctx, b.size(1_500, 600), client.NewBatchOptions{MaxConcurrency: batch.HandsPerLane},
		func() (bool, error) { return c.allCall(ctx) })
	if err != nil {
		return 0, 0, err
	}
	if _, err := up.busy(ctx, outageCalls); err != nil {
		return 0, 0, err
	}
	if err := t.begin(ctx, b, up); err != nil {
		return 0, 0, err
	}
	if err := pauseFor(ctx, away); err != nil {
		return 0, 0, err
	}
	if first, full, err = b.back(ctx, t, up); err != nil {
		return 0, 0, err
	}
	if err := c.flawless(ctx, batches...); err != nil {
		return 0, 0, err
	}
	return first, full, c.alive()
}

// back ends the trouble and waits until calls flow as before.
func (b *bench) back(ctx context.Context, t trouble, up *upstream) (first, full float64, err error) {
	if err := t.end(ctx, b, up); err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	if err := up.forget(ctx); err != nil {
		return 0, 0, err
	}
	err = until(ctx, "a call is answered", func() (bool, error) {
		stats, err := up.stats(ctx)
		return stats.Succeeded > 0, err
	})
	if err != nil {
		return 0, 0, err
	}
	first = time.Since(begun).Seconds()
	at, err := up.busy(ctx, outageCalls)
	return first, at.Sub(begun).Seconds(), err
}
