package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Sizes of the measure scale: a worker's share of a batch keeps it busy for so
// many times the latency of the provider.
const (
	scaleHands   = 128 // for each worker
	scaleRounds  = 50
	scaleLatency = "200ms"
	// scaleShare is the least part of n times what one worker does that n workers
	// should do.
	scaleShare = 0.95
)

// scaled is what so many workers did.
type scaled struct {
	rate []float64 // calls a second, first to last
	busy []float64 // share of the machine's processors
}

// scale measures how much more several workers do than one. The last number of
// workers is there to show where the machine ends.
func (b *bench) scale(ctx context.Context) ([]row, error) {
	counts := []int{1, 2, 4, 8, 16}
	if b.quick {
		counts = []int{1, 2}
	}
	all := make([]scaled, len(counts))
	for range b.repeat {
		for i, n := range counts {
			if err := b.scaleOnce(ctx, n, &all[i]); err != nil {
				return nil, fmt.Errorf("%d workers: %w", n, err)
			}
		}
	}
	one := median(all[0].rate)
	var rows []row
	for i, n := range counts {
		target := bound{}
		if n > 1 && n <= 4 {
			target = atLeast(scaleShare)
		}
		linear := []float64{one * float64(n)}
		name := fmt.Sprintf("calls/s of %d workers with %d calls in flight each around %s, processors busy %s: ",
			n, scaleHands, scaleLatency, percent(median(all[i].busy)))
		rows = append(rows, compare(name+fmt.Sprintf("against %d times one worker", n), target, perSecond, linear, all[i].rate))
	}
	return rows, nil
}

// scaleOnce has n workers make a batch.
func (b *bench) scaleOnce(ctx context.Context, n int, to *scaled) error {
	up, err := b.startUpstream(ctx, scaleLatency)
	if err != nil {
		return err
	}
	defer up.kill()
	c, err := b.newCluster(ctx, repeated(up.url, n)...)
	if err != nil {
		return err
	}
	defer c.close()
	lines := n * scaleHands * b.size(scaleRounds, 5)
	input, err := b.input(lines)
	if err != nil {
		return err
	}
	before, err := processors()
	if err != nil {
		return err
	}
	id, err := c.submitAll(ctx, input, n*scaleHands)
	if err != nil {
		return err
	}
	if err := c.flawless(ctx, id); err != nil {
		return err
	}
	after, err := processors()
	if err != nil {
		return err
	}
	stats, err := up.stats(ctx)
	if err != nil {
		return err
	}
	rate := float64(lines) / stats.LastEnd.Sub(*stats.FirstArrival).Seconds()
	busy := 1 - (after.idle-before.idle)/(after.all-before.all)
	b.say("  %d workers: %.0f calls/s, processors busy %s", n, rate, percent(busy))
	to.rate, to.busy = append(to.rate, rate), append(to.busy, busy)
	return c.alive()
}

// ticks are how long the machine's processors have been there, and idle.
type ticks struct{ all, idle float64 }

// processors reads what the kernel counts of all processors together.
func processors() (ticks, error) {
	const path, idle, iowait = "/proc/stat", 3, 4
	text, err := os.ReadFile(path)
	if err != nil {
		return ticks{}, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	var t ticks
	for i, field := range strings.Fields(first)[1:] {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return t, fmt.Errorf("%s: %w", path, err)
		}
		t.all += n
		if i == idle || i == iowait {
			t.idle += n
		}
	}
	return t, nil
}
