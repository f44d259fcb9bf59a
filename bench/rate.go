package main

import (
	"context"
	"fmt"
)

// rate measures calls per second where nothing but the work on this side
// decides.
func (b *bench) rate(ctx context.Context) ([]row, error) {
	var rows []row
	for _, concurrency := range []int{64, 256} {
		l := load{lines: b.size(100_000, 10_000), concurrency: concurrency, latency: "0s"}
		r, err := b.contest(ctx, l, b.bareLoop(clientOpenAI), b.bareLoop(clientHTTP), b.oneShot(), b.upAlready())
		if err != nil {
			return nil, err
		}
		per := func(took []float64) []float64 {
			return mapped(took, func(s float64) float64 { return float64(l.lines) / s })
		}
		each := func(took []float64) []float64 {
			return mapped(took, func(s float64) float64 { return s / float64(l.lines) })
		}
		bare, through, run, dev := r[0], r[1], r[2], r[3]
		name := fmt.Sprintf("calls/s over %d without latency, %d at once: ", l.lines, concurrency)
		processors := fmt.Sprintf("processor time of a call out of %d, %d at once: ", l.lines, concurrency)
		rows = append(rows,
			compare(name+"`run`, whole process, against go-openai", atLeast(1), perSecond, per(bare.whole), per(run.whole)),
			compare(name+"`run`, first to last call, against go-openai", atLeast(1), perSecond, per(bare.calls), per(run.calls)),
			compare(name+"`run`, first to last call, against net/http", bound{}, perSecond, per(through.calls), per(run.calls)),
			compare(name+"`dev` that is up, upload to download, against go-openai", atLeast(1), perSecond, per(bare.whole), per(dev.whole)),
			compare(name+"`dev` that is up, first to last call, against go-openai", atLeast(1), perSecond, per(bare.calls), per(dev.calls)),
			compare(processors+"`run`, against go-openai", bound{}, microseconds, each(bare.processors), each(run.processors)),
			compare(processors+"`run`, against net/http", bound{}, microseconds, each(through.processors), each(run.processors)),
		)
	}
	return rows, nil
}

func mapped(values []float64, f func(float64) float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = f(v)
	}
	return out
}
