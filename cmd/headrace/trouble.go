package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/logs"
)

// changesKept is how many changes of providers wait to be logged. Those beyond it
// are lost rather than waited for.
const changesKept = 256

// tellOfProviders returns what a gate tells of providers, which does not wait for
// the log, and what ends it.
func tellOfProviders(logger *slog.Logger) (tell func(limit.Change), stop func()) {
	changes, done := make(chan limit.Change, changesKept), make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			select {
			case c := <-changes:
				tellOfProvider(logger, c)
			case <-done:
				return
			}
		}
	})
	tell = func(c limit.Change) {
		select {
		case changes <- c:
		default:
		}
	}
	return tell, func() {
		close(done)
		writing.Wait()
	}
}

// everyday is how long a provider may ask to wait before that is worth a line.
const everyday = 10 * time.Second

// levelOf is that of lines about a state: what somebody may have to mend is a
// warning, a pause that a provider asks for is not.
func levelOf(s limit.State) slog.Level {
	switch {
	case s.Kind != llm.Throttled:
		return slog.LevelWarn
	case s.Until.Sub(s.Since) > everyday:
		return slog.LevelInfo
	default:
		return slog.LevelDebug
	}
}

// tellOfProvider logs that a provider takes no calls, or takes them again. It leaves
// out the provider's own words: there may be a key in them.
func tellOfProvider(logger *slog.Logger, c limit.Change) {
	ctx := context.Background() //nolint:forbidigo // it belongs to no call
	which := []slog.Attr{slog.String(logs.KeyProvider, c.Provider), slog.String(logs.KeyQueue, c.Queue)}
	if c.State.Closed() {
		logger.LogAttrs(ctx, levelOf(c.State), "provider takes no calls",
			append(which, slog.String(logs.KeyReason, string(c.State.WaitingOn().Reason)))...)
		return
	}
	logger.LogAttrs(ctx, min(levelOf(c.Was), slog.LevelInfo), "provider takes calls again",
		append(which, slog.Int64(logs.KeySeconds, int64(time.Since(c.Was.Since).Seconds())))...)
}
