package simulator

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Latency is a distribution of waiting times. Its zero value never waits. It
// has the methods of a flag.Value and a pflag.Value, and is a string in JSON.
type Latency struct {
	shape shape
	// a is the constant, the median, the lower bound or the mean; b is the
	// upper bound of a uniform distribution.
	a, b  time.Duration
	sigma float64
}

type shape uint8

const (
	constant shape = iota
	lognormal
	uniform
	exponential
)

// maxLatency bounds every wait, so that the long tails of lognormal and exp
// stay durations.
const maxLatency = 24 * time.Hour

// maxSigma bounds the spread of a lognormal latency. At 3, one call in a
// thousand takes ten thousand times the median.
const maxSigma = 3

const latencyForms = `allowed are "200ms" (always), "lognormal:200ms,0.5" (median, sigma), ` +
	`"uniform:100ms,300ms" (from, to) and "exp:200ms" (mean), each time from 0s to 24h`

// Constant returns a latency that is always d.
func Constant(d time.Duration) Latency { return Latency{a: d} }

// ParseLatency reads a latency: "200ms" is constant, "lognormal:200ms,0.5" has
// a median and the sigma of its logarithm (0 to 3), "uniform:100ms,300ms" two
// bounds, "exp:200ms" a mean. An empty string never waits. No wait is longer
// than 24 hours. The error says what is allowed.
func ParseLatency(s string) (Latency, error) {
	l, err := parseLatency(strings.TrimSpace(s))
	if err != nil {
		return Latency{}, fmt.Errorf("latency %q: %w: %s", s, err, latencyForms)
	}
	return l, nil
}

func parseLatency(s string) (l Latency, err error) {
	name, args, found := strings.Cut(s, ":")
	first, second, pair := strings.Cut(args, ",")
	switch {
	case s == "":
		return Latency{}, nil
	case !found:
		l.a, err = parseTime(s)
		return l, err
	case name == "lognormal" && pair:
		l.shape = lognormal
		l.sigma, err = parseSigma(second)
	case name == "uniform" && pair:
		l.shape = uniform
		l.b, err = parseTime(second)
	case name == "exp" && !pair:
		l.shape = exponential
	default:
		return Latency{}, fmt.Errorf("not a known form")
	}
	if err != nil {
		return Latency{}, err
	}
	if l.a, err = parseTime(first); err != nil {
		return Latency{}, err
	}
	if l.shape == uniform && l.a > l.b {
		return Latency{}, fmt.Errorf("the first bound is above the second")
	}
	return l, nil
}

func parseTime(s string) (time.Duration, error) {
	d, err := time.ParseDuration(strings.TrimSpace(s))
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration", s)
	}
	if d < 0 || d > maxLatency {
		return 0, fmt.Errorf("%s is out of range", d)
	}
	return d, nil
}

func parseSigma(s string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(v >= 0 && v <= maxSigma) {
		return 0, fmt.Errorf("sigma %q is not a number from 0 to %d", s, maxSigma)
	}
	return v, nil
}

// Quantile returns the wait that a share u of all waits does not exceed, for u
// from 0 (the shortest) up to but not including 1. A uniformly random u makes
// the wait random. It is never negative and at most 24 hours.
func (l Latency) Quantile(u float64) time.Duration {
	wait := float64(l.a)
	switch l.shape {
	case constant:
	case lognormal:
		if l.sigma > 0 {
			wait *= math.Exp(l.sigma * math.Sqrt2 * math.Erfinv(2*u-1))
		}
	case uniform:
		wait += u * float64(l.b-l.a)
	case exponential:
		wait *= -math.Log1p(-u)
	}
	return time.Duration(min(wait, float64(maxLatency)))
}

// String returns the form that ParseLatency reads.
func (l Latency) String() string {
	switch l.shape {
	case constant:
	case lognormal:
		return "lognormal:" + l.a.String() + "," + strconv.FormatFloat(l.sigma, 'g', -1, 64)
	case uniform:
		return "uniform:" + l.a.String() + "," + l.b.String()
	case exponential:
		return "exp:" + l.a.String()
	}
	return l.a.String()
}

// Set makes l the latency that s stands for, as flags want it.
func (l *Latency) Set(s string) error {
	parsed, err := ParseLatency(s)
	if err != nil {
		return err
	}
	*l = parsed
	return nil
}

// Type names the value in the help of a flag.
func (l *Latency) Type() string { return "latency" }

// MarshalText returns String.
func (l Latency) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText is Set.
func (l *Latency) UnmarshalText(text []byte) error { return l.Set(string(text)) }

// validate refuses what Constant lets through and ParseLatency does not.
func (l Latency) validate(name string) error {
	if l.a < 0 || l.a > maxLatency {
		return fmt.Errorf("%s is %s: allowed are 0s to %s", name, l, maxLatency)
	}
	return nil
}
