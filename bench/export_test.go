package main

import (
	"context"
	"os"
	"os/exec"
	"time"
)

// Counts are what a kill is judged by.
type Counts = counts

// For the tests.
var (
	AtMost      = atMost
	AtLeast     = atLeast
	CheckOutput = checkOutput
	CheckTask   = checkTask
	Median      = median
	Quantile    = quantile
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
