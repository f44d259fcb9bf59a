package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/headrace/headrace/internal/simulator"
)

// Sizes of the measure share. Requests of so many tokens use up both limits alike.
const (
	shareWorkers = 3
	shareRPM     = 3_000
	shareTPM     = 1_000_000
	shareEven    = shareTPM / shareRPM
	shareBurst   = 5 // seconds' worth of either that the provider grants at once
)

// share measures how much is used of the requests and tokens that a minute allows.
func (b *bench) share(ctx context.Context) ([]row, error) {
	var rows []row
	for _, c := range []struct {
		binds  string
		tokens int // of each request
	}{
		{"requests", shareEven * 96 / 100},
		{"tokens", shareEven * 104 / 100},
	} {
		u, err := b.shareOnce(ctx, c.tokens)
		if err != nil {
			return nil, fmt.Errorf("%s bind: %w", c.binds, err)
		}
		b.say("  %d tokens each: %d calls granted in %s, %s of the requests and %s of the tokens; %d of %d were refused",
			c.tokens, u.granted, seconds(u.took.Seconds()), percent(u.requests()), percent(u.ofTokens()), u.refused, u.calls)
		name := fmt.Sprintf("%d workers, %d requests and %d tokens a minute, of which %s bind, %s long: ",
			shareWorkers, shareRPM, shareTPM, c.binds, u.took.Round(time.Second))
		rows = append(rows,
			single(name+"share used", atLeast(0.97), percent, max(u.requests(), u.ofTokens()), ""),
			single(name+"calls refused with 429", atMost(0.005), percent, u.refusals(), ""),
		)
	}
	return rows, nil
}

// use is what a provider granted and refused in a time.
type use struct {
	calls, granted, refused int64
	tokens                  int64 // of each call
	took                    time.Duration
}

// requests is the granted part of the requests that the time allows.
func (u use) requests() float64 { return float64(u.granted) / (shareRPM * u.took.Minutes()) }

// ofTokens is the granted part of the tokens.
func (u use) ofTokens() float64 {
	return float64(u.granted*u.tokens) / (shareTPM * u.took.Minutes())
}

// refusals is the part of the calls that were refused.
func (u use) refusals() float64 { return float64(u.refused) / float64(max(u.calls, 1)) }

// shareOnce runs a batch whose requests take so many tokens each.
func (b *bench) shareOnce(ctx context.Context, tokens int) (use, error) {
	span := time.Duration(b.size(180, 5)) * time.Second
	up, err := b.startUpstream(ctx, "lognormal:200ms,0.5")
	if err != nil {
		return use{}, err
	}
	defer up.kill()
	limits := fmt.Sprintf(`{"rpm":%d,"tpm":%d,"rpm_burst":%d,"tpm_burst":%d}`,
		shareRPM, shareTPM, shareRPM*shareBurst/60, shareTPM*shareBurst/60)
	if err := up.control(ctx, limits); err != nil {
		return use{}, err
	}
	c, err := b.newCluster(ctx, repeated(up.url, shareWorkers)...)
	if err != nil {
		return use{}, err
	}
	defer c.close()
	if err := c.set(ctx, map[string]any{"rpm": shareRPM, "tpm": shareTPM}); err != nil {
		return use{}, err
	}
	// More than both limits allow together with all bursts.
	lines := int(shareRPM*(span.Minutes()+1)) + shareRPM/2
	input, err := b.inputOf(fmt.Sprintf("tokens-%d-%d.jsonl", tokens, lines), lines, costing(tokens))
	if err != nil {
		return use{}, err
	}
	const hands = 384 // six lanes
	if _, err := c.submitAll(ctx, input, hands); err != nil {
		return use{}, err
	}
	stats, err := up.after(ctx, span)
	if err != nil {
		return use{}, err
	}
	if spent := stats.PromptTokens + stats.CompletionTokens; spent != stats.Succeeded*int64(tokens) {
		return use{}, fmt.Errorf("%d calls cost %d tokens, not %d each", stats.Succeeded, spent, tokens)
	}
	u := use{calls: stats.Calls, tokens: int64(tokens), took: time.Since(*stats.FirstArrival)}
	u.refused = stats.ByStatus[strconv.Itoa(http.StatusTooManyRequests)]
	u.granted = u.calls - u.refused
	return u, c.alive()
}

// after waits until the first call is so long ago.
func (u *upstream) after(ctx context.Context, span time.Duration) (simulator.Stats, error) {
	first, err := u.firstArrival(ctx)
	if err != nil {
		return simulator.Stats{}, err
	}
	if err := pauseFor(ctx, span-time.Since(first)); err != nil {
		return simulator.Stats{}, err
	}
	return u.stats(ctx)
}

// firstArrival waits for the first call.
func (u *upstream) firstArrival(ctx context.Context) (first time.Time, err error) {
	err = until(ctx, "a call arrives", func() (bool, error) {
		stats, err := u.stats(ctx)
		if stats.FirstArrival != nil {
			first = *stats.FirstArrival
		}
		return stats.FirstArrival != nil, err
	})
	return first, err
}

// costing writes lines that cost so many tokens each, as the simulator counts
// them: four bytes of the prompt are one, and the answer has as many as it may.
func costing(tokens int) func(io.Writer, int) {
	const prompt = 10
	return func(w io.Writer, i int) {
		_, _ = fmt.Fprintf(w, `{"custom_id":"%s","method":"POST","url":"/v1/chat/completions",`+
			`"body":{"model":"gpt-4o-mini","messages":[{"role":"user","content":"%0*d"}],"max_tokens":%d}}`+"\n",
			customID(i), 4*prompt, i, tokens-prompt)
	}
}
