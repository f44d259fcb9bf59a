package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/openai"
)

// progress shows how far a batch is: as a bar that is drawn over and over on a
// terminal, as a line now and then elsewhere.
type progress struct {
	out      io.Writer
	terminal int // file descriptor, or -1
	last     time.Time
	drawn    bool
	shown    string // the waiting message or error that was shown last
	speed    speed
}

// Times between two updates.
const (
	drawEvery  = 100 * time.Millisecond
	printEvery = 5 * time.Second
)

func newProgress(out io.Writer) *progress {
	p := &progress{out: out, terminal: -1}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.terminal = int(f.Fd())
	}
	return p
}

// show shows the batch as it is now, if it is time to.
func (p *progress) show(o batch.Object) {
	now := time.Now()
	p.speed.add(now, o)
	every := drawEvery
	if p.terminal < 0 {
		every = printEvery
	}
	waiting := waitingFor(o)
	news := waiting != "" && waiting != p.shown
	if !news && now.Sub(p.last) < every {
		return
	}
	if p.last.IsZero() && p.terminal < 0 && !news {
		p.last = now // nothing to tell yet
		return
	}
	p.last, p.shown = now, waiting
	line := p.describe(o)
	if waiting != "" {
		line += " · " + waiting
	}
	p.put(line)
}

// trouble shows an error that may pass.
func (p *progress) trouble(err error) {
	if s := err.Error(); s != p.shown {
		p.shown = s
		p.put("waiting for the server: " + s)
	}
}

// end leaves the terminal on a new line.
func (p *progress) end() {
	if p.drawn {
		_, _ = fmt.Fprint(p.out, "\r\x1b[K")
	}
}

func (p *progress) put(line string) {
	if p.terminal < 0 {
		_, _ = fmt.Fprintln(p.out, line)
		return
	}
	if width, _, err := term.GetSize(p.terminal); err == nil && width > 1 {
		if runes := []rune(line); len(runes) >= width {
			line = string(runes[:width-2]) + "…"
		}
	}
	_, _ = fmt.Fprint(p.out, "\r\x1b[K"+line)
	p.drawn = true
}

// describe is the line without what the batch waits for.
func (p *progress) describe(o batch.Object) string {
	c := o.RequestCounts
	if c.Total == 0 {
		return "reading the input"
	}
	done := c.Completed + c.Failed
	share := float64(done) / float64(c.Total)
	var parts []string
	if p.terminal >= 0 {
		parts = append(parts, bar(share))
	}
	parts = append(parts, fmt.Sprintf("%s of %s (%.1f%%)", count(done), count(c.Total), 100*share))
	if c.Failed > 0 {
		parts = append(parts, count(c.Failed)+" failed")
	}
	if o.Headrace.Retrying > 0 {
		parts = append(parts, count(int64(o.Headrace.Retrying))+" retrying")
	}
	calls, tokens := p.speed.rates()
	if calls > 0 {
		parts = append(parts, fmt.Sprintf("%s/s", count(int64(calls+0.5))), fmt.Sprintf("%s tokens/s", short(tokens)))
		if o.Status == openai.InProgress {
			left := time.Duration(float64(c.Total-done) / calls * float64(time.Second))
			parts = append(parts, "ETA "+left.Round(time.Second).String())
		}
	}
	return strings.Join(parts, " · ")
}

// waitingFor says what the batch waits for, in a person's words.
func waitingFor(o batch.Object) string {
	w := o.Headrace.WaitingOn
	if w == nil {
		return ""
	}
	what := map[batch.Reason]string{
		batch.RateLimited:      "rate limited by the provider",
		batch.Unreachable:      "waiting for the provider, which cannot be reached",
		batch.ProviderFailing:  "waiting for the provider, which fails every call",
		batch.Refused:          "held: the provider refuses the key",
		batch.Exhausted:        "held: the provider's quota is used up",
		batch.StorageFailing:   "waiting: results cannot be written",
		batch.Paused:           "paused",
		batch.ConcurrencyLimit: "at the limit of the queue",
		batch.RequestLimit:     "at the limit of the queue",
		batch.TokenLimit:       "at the limit of the queue",
		batch.QueueCrowded:     "waiting for a place in the queue",
		batch.QueueUnavailable: "waiting for the queue",
	}[w.Reason]
	return what + ": " + w.Message
}

const barWidth = 24

func bar(share float64) string {
	full := int(share * barWidth)
	return "[" + strings.Repeat("█", full) + strings.Repeat("░", barWidth-full) + "]"
}

// short writes a rate in as few digits as tell its size.
func short(n float64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.1fM", n/1e6)
	case n >= 1e4:
		return fmt.Sprintf("%.0fk", n/1e3)
	case n >= 1e3:
		return fmt.Sprintf("%.1fk", n/1e3)
	default:
		return fmt.Sprintf("%.0f", n)
	}
}

// speed measures rates over the last few seconds.
type speed struct{ readings []reading }

type reading struct {
	at            time.Time
	calls, tokens int64
}

const speedWindow = 10 * time.Second

func (s *speed) add(now time.Time, o batch.Object) {
	r := reading{at: now, calls: o.RequestCounts.Completed + o.RequestCounts.Failed}
	if o.Usage != nil {
		r.tokens = o.Usage.TotalTokens
	}
	s.readings = append(s.readings, r)
	for len(s.readings) > 2 && now.Sub(s.readings[0].at) > speedWindow {
		s.readings = s.readings[1:]
	}
}

// rates are calls and tokens per second.
func (s *speed) rates() (calls, tokens float64) {
	if len(s.readings) < 2 {
		return 0, 0
	}
	first, last := s.readings[0], s.readings[len(s.readings)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds <= 0 {
		return 0, 0
	}
	return float64(last.calls-first.calls) / seconds, float64(last.tokens-first.tokens) / seconds
}
