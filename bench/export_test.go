package main

import "time"

// For the tests.
type (
	Count  = count
	Counts = counts
)

var (
	AtMost      = atMost
	AtLeast     = atLeast
	CheckOutput = checkOutput
	Median      = median
	Quantile    = quantile
	Reached     = string(reached)
	Missed      = string(missed)
)

// NewCount makes a Count.
var NewCount = func(atMillisecond int, succeeded int64) Count { return count{millisecond(atMillisecond), succeeded} }

// Before returns the count before a millisecond.
func (c counts) Before(atMillisecond int) int64 { return c.before(millisecond(atMillisecond)) }

// Judge returns the verdict on a value.
func (b bound) Judge(value float64) string { return string(b.judge(value)) }

func millisecond(n int) time.Time { return time.UnixMilli(int64(n)) }
