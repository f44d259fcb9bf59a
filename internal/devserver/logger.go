package devserver

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// Keys of log attributes.
const (
	keyError = "error"
	keyStep  = "step"
)

// levelTrace is for what the server itself calls debug.
const levelTrace = slog.LevelDebug - 4

// quietLogger hands the server's messages to slog, at the levels that they have
// for somebody who runs headrace: see Options.Logger. While the server starts
// or stops nothing is above debug, since its parts then complain about each
// other's absence, and Start and Stop themselves tell what goes wrong.
type quietLogger struct {
	ctx     context.Context //nolint:containedctx // the server's interface has none; this one is never cancelled
	handler slog.Handler
	tags    []tag.Tag
	loud    *atomic.Bool // shared by all that With makes
}

var _ log.WithLogger = (*quietLogger)(nil)

func newQuietLogger(ctx context.Context, l *slog.Logger) *quietLogger {
	return &quietLogger{ctx: ctx, handler: l.Handler(), loud: new(atomic.Bool)}
}

// fatalError is the value with which Fatal panics.
type fatalError string

func (e fatalError) Error() string { return string(e) }

// harmless are errors that the server reports and mends by itself: calls that
// ended because the caller went away, or that it makes again.
var harmless = []string{
	"context canceled",
	"task queue closed",
	"workflow update was aborted",
}

func isHarmless(tags []tag.Tag) bool {
	return slices.ContainsFunc(tags, func(t tag.Tag) bool {
		if t.Key() != keyError {
			return false
		}
		text, ok := t.Value().(string)
		return ok && slices.ContainsFunc(harmless, func(h string) bool { return strings.Contains(text, h) })
	})
}

// With implements log.WithLogger.
func (l *quietLogger) With(tags ...tag.Tag) log.Logger {
	with := *l
	with.tags = slices.Concat(l.tags, tags)
	return &with
}

// Debug implements log.Logger.
func (l *quietLogger) Debug(msg string, tags ...tag.Tag) { l.log(levelTrace, msg, tags) }

// Info implements log.Logger.
func (l *quietLogger) Info(msg string, tags ...tag.Tag) { l.log(slog.LevelDebug, msg, tags) }

// Warn implements log.Logger.
func (l *quietLogger) Warn(msg string, tags ...tag.Tag) { l.log(slog.LevelDebug, msg, tags) }

// Error implements log.Logger.
func (l *quietLogger) Error(msg string, tags ...tag.Tag) {
	level := slog.LevelWarn
	if !l.loud.Load() || isHarmless(tags) {
		level = slog.LevelDebug
	}
	l.log(level, msg, tags)
}

// DPanic implements log.Logger. It panics in Temporal's own tests only.
func (l *quietLogger) DPanic(msg string, tags ...tag.Tag) { l.log(slog.LevelError, msg, tags) }

// Panic implements log.Logger.
func (l *quietLogger) Panic(msg string, tags ...tag.Tag) {
	l.log(slog.LevelError, msg, tags)
	panic(msg)
}

// Fatal implements log.Logger. Where Temporal's own logger ends the process,
// this one panics: Start makes an error of it, and anywhere else the effect is
// the same.
func (l *quietLogger) Fatal(msg string, tags ...tag.Tag) {
	l.log(slog.LevelError, msg, tags)
	for _, t := range tags {
		if t.Key() == keyError {
			if text, ok := t.Value().(string); ok {
				msg += ": " + text
			}
		}
	}
	panic(fatalError(msg))
}

func (l *quietLogger) log(level slog.Level, msg string, tags []tag.Tag) {
	if !l.handler.Enabled(l.ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, len(l.tags)+len(tags))
	for _, t := range slices.Concat(l.tags, tags) {
		attrs = append(attrs, slog.Any(t.Key(), t.Value()))
	}
	slog.New(l.handler).LogAttrs(l.ctx, level, msg, attrs...) //nolint:sloglint // the message is the server's
}
