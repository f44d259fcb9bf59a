package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	gates "github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/queue"
)

// gate measures what passing the gate costs a call when nothing is limited.
func (b *bench) gate(ctx context.Context) ([]row, error) {
	testing.Init() // without which Benchmark does not work outside of tests
	g := gates.New(gates.Options{Leaser: openBooks{queue.New(queueName, queue.Settings{})}, Worker: "bench", Label: "bench"})
	defer g.Close()
	var rows []row
	for _, goroutines := range []int{1, 64} {
		var took []float64
		for range b.repeat {
			each, err := passing(ctx, g, goroutines)
			if err != nil {
				return nil, err
			}
			took = append(took, each)
		}
		b.say("  Enter and Leave with %d goroutines: %s", goroutines, nanoseconds(median(took)))
		name := fmt.Sprintf("Enter and Leave of the gate of a queue without limits, %d at once", goroutines)
		rows = append(rows, single(name, atMost(2e-6), nanoseconds, median(took), ""))
	}
	return rows, nil
}

func nanoseconds(v float64) string { return fmt.Sprintf("%.0f ns", v*1e9) }

// passing is what a pass through the gate takes, in seconds, while so many
// goroutines pass it.
func passing(ctx context.Context, g *gates.Gate, goroutines int) (float64, error) {
	result := testing.Benchmark(func(b *testing.B) { //nolint:thelper // it is a benchmark, if outside of tests
		b.SetParallelism(goroutines)
		pass := func(order int) {
			p, err := g.Enter(ctx, gates.Ticket{Queue: queueName, Provider: "openai", Project: "bench", Flow: "bench", Order: int64(order)})
			if err != nil {
				b.Error(err)
				return
			}
			g.Leave(&p, nil, openai.Usage{})
		}
		pass(0) // which waits for the lease
		b.ResetTimer()
		if goroutines == 1 {
			for i := range b.N {
				pass(i)
			}
			return
		}
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				pass(i)
			}
		})
	})
	if result.N == 0 {
		return 0, errors.New("the gate lets nobody in")
	}
	return result.T.Seconds() / float64(result.N), nil
}

// openBooks is a queue without limits that is asked without a network.
type openBooks struct{ books *queue.Allocator }

// Lease implements limit.Leaser.
func (o openBooks) Lease(_ context.Context, _ string, r queue.Request) (queue.Grant, error) {
	return o.books.Ask(time.Now().UnixMilli(), r), nil
}

// Nudges implements limit.Leaser.
func (openBooks) Nudges(string) (nudges <-chan struct{}, stop func()) {
	return make(chan struct{}), func() {}
}
