package main

import (
	"context"
	"fmt"
)

// calls measures how close to a bare loop headrace comes where the provider's
// latency decides.
func (b *bench) calls(ctx context.Context) ([]row, error) {
	l := load{lines: b.size(10_000, 1_000), concurrency: 256, latency: "lognormal:200ms,0.5"}
	r, err := b.contest(ctx, l, b.bareLoop(clientOpenAI), b.oneShot(), b.upAlready())
	if err != nil {
		return nil, err
	}
	bare, run, dev := r[0], r[1], r[2]
	target := atMost(1.03)
	name := fmt.Sprintf("%d calls around 200 ms, %d at once: ", l.lines, l.concurrency)
	return []row{
		compare(name+"`run`, whole process", target, seconds, bare.whole, run.whole),
		compare(name+"`run`, first to last call", target, seconds, bare.calls, run.calls),
		compare(name+"`dev` that is up, upload to download", target, seconds, bare.whole, dev.whole),
		compare(name+"`dev` that is up, first to last call", target, seconds, bare.calls, dev.calls),
	}, nil
}
