package main

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/headrace/headrace/internal/simulator"
)

// Counts are what a kill is judged by.
type Counts = counts

// For the tests.
var (
	AtMost      = atMost
	AtLeast     = atLeast
	CheckOutput = checkOutput
	CheckTask   = checkTask
	Costing     = costing
	Median      = median
	NewTask     = newTask
	Quantile    = quantile
	Queued      = queued
	Reached     = string(reached)
	Missed      = string(missed)
)

// Note appends a count that was taken at a millisecond.
func (c *counts) Note(atMillisecond, succeeded int64) {
	*c = append(*c, count{time.UnixMilli(atMillisecond), succeeded})
}

// Before returns the count before a millisecond.
func (c *counts) Before(atMillisecond int64) int64 { return c.before(time.UnixMilli(atMillisecond)) }

// Judge returns the verdict on a value.
func (b bound) Judge(value float64) string { return string(b.judge(value)) }

// Choose returns why measures cannot be chosen.
func Choose(only string) error {
	_, err := choose(only)
	return err
}

// Post posts n tasks to a server and returns their ids.
func Post(ctx context.Context, url string, n, connections int) ([]string, error) {
	p, err := (&service{process: &process{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}, url: url}).post(ctx, n, connections)
	return p.ids, err
}

// Visited is a call that came to a worker's door.
type Visited = visit

// Visit is a call that came to a worker's door and left, at milliseconds; one
// that is still there left at 0.
func Visit(arrived, left int64, status int) Visited {
	v := Visited{arrived: time.UnixMilli(arrived), status: status}
	if left > 0 {
		v.left = time.UnixMilli(left)
	}
	return v
}

// SilenceOf returns, for each worker, how many calls were under way at the first
// 429, and how many came soon after it and later.
func SilenceOf(pause time.Duration, workers ...[]Visited) (underWay, soon, late []int, err error) {
	s, err := silenceOf(workers, pause)
	return s.underWay, s.soon, s.late, err
}

// Shares returns the parts of the requests, the tokens and the calls that a use
// comes to.
func Shares(calls, granted, refused, tokens int64, took time.Duration) (requests, ofTokens, refusals float64) {
	u := use{calls: calls, granted: granted, refused: refused, tokens: tokens, took: took}
	return u.requests(), u.ofTokens(), u.refusals()
}

// Workers returns how many workers beside dev are left after each event of a
// schedule, drawn from a seed.
func Workers(seed uint64, span time.Duration, kills int) []int {
	left := peakWorkers - 1
	var all []int
	for _, e := range schedule(rand.New(rand.NewPCG(seed, 0)), span, kills) {
		left++
		if e.kill {
			left -= 2
		}
		all = append(all, left)
	}
	return all
}

// Door is a way into a simulator.
type Door struct{ *door }

// OpenDoors opens n doors into a new simulator, until ctx is done.
func OpenDoors(ctx context.Context, o simulator.Options, n int) (*simulator.Simulator, []Door, error) {
	sim, doors, shut, err := openDoors(ctx, o, n)
	if err != nil {
		return nil, nil, err
	}
	context.AfterFunc(ctx, shut)
	all := make([]Door, n)
	for i, d := range doors {
		all[i] = Door{d}
	}
	return sim, all, nil
}

// URL is that of the door, with /v1.
func (d Door) URL() string { return d.url }

// Statuses are those of the calls that came through the door, 0 for those that are
// still there.
func (d Door) Statuses() []int {
	var all []int
	for _, v := range d.seen() {
		status := v.status
		if v.left.IsZero() {
			status = 0
		}
		all = append(all, status)
	}
	return all
}

// Came reports whether a call whose body contains text came through the door since
// a time.
func (d Door) Came(since time.Time, text string) bool {
	_, found := d.find(since, func(v *visit) bool { return strings.Contains(string(v.body), text) })
	return found
}
