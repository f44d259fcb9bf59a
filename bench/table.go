package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// verdict says whether a target is reached.
type verdict string

const (
	noVerdict     verdict = "–" // a figure without a target
	reached       verdict = "ok"
	missed        verdict = "missed"
	failedVerdict verdict = "error"
)

// row is one line of the table.
type row struct {
	measure, target, bare, headrace, ratio string

	verdict verdict
}

// bound is a target. The zero value asks for nothing.
type bound struct {
	sign  string
	limit float64
}

func atMost(limit float64) bound  { return bound{"≤", limit} }
func atLeast(limit float64) bound { return bound{"≥", limit} }

func (b bound) judge(value float64) verdict {
	switch {
	case b.sign == "":
		return noVerdict
	case b.sign == "≤" && value <= b.limit, b.sign == "≥" && value >= b.limit:
		return reached
	default:
		return missed
	}
}

func (b bound) text(format func(float64) string) string {
	if b.sign == "" {
		return ""
	}
	return b.sign + " " + format(b.limit)
}

// compare is a row whose target is the ratio of two medians.
func compare(name string, target bound, format func(float64) string, bare, headrace []float64) row {
	a, b := median(bare), median(headrace)
	return row{
		measure: name, target: target.text(factor), bare: format(a), headrace: format(b), ratio: factor(b / a),
		verdict: target.judge(b / a),
	}
}

// single is a row whose target is a value of headrace alone. note says what the
// value is, if it is not plain.
func single(name string, target bound, format func(float64) string, value float64, note string) row {
	return row{measure: name, target: target.text(format), headrace: format(value) + note, verdict: target.judge(value)}
}

// How figures are written.
func seconds(v float64) string      { return fmt.Sprintf("%.2f s", v) }
func microseconds(v float64) string { return fmt.Sprintf("%.0f µs", v*1e6) }
func milliseconds(v float64) string { return fmt.Sprintf("%.0f ms", v*1e3) }
func perSecond(v float64) string    { return fmt.Sprintf("%.0f/s", v) }
func megabytes(v float64) string    { return fmt.Sprintf("%.0f MB/s", v/1e6) }
func mebibytes(v float64) string    { return fmt.Sprintf("%.0f MiB", v/(1<<20)) }
func percent(v float64) string      { return fmt.Sprintf("%.2f %%", v*100) }
func whole(v float64) string        { return fmt.Sprintf("%.0f", v) }
func factor(v float64) string       { return fmt.Sprintf("%.3f×", v) }

func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile is the smallest value that at least the share q of values does not
// exceed; for the median of an even number, the mean of the two in the middle.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	if q == 0.5 {
		return (sorted[(n-1)/2] + sorted[n/2]) / 2
	}
	return sorted[max(int(math.Ceil(q*float64(n))), 1)-1]
}

func writeTable(out io.Writer, heading string, rows []row) {
	_, _ = fmt.Fprintf(out, "%s\n\n", heading)
	_, _ = fmt.Fprintln(out, "| measure | target | bare loop, or before | headrace | ratio | |")
	_, _ = fmt.Fprintln(out, "|---|---|---|---|---|---|")
	for _, r := range rows {
		cells := []string{r.measure, r.target, r.bare, r.headrace, r.ratio, string(r.verdict)}
		for i, cell := range cells {
			cells[i] = cmp.Or(cell, string(noVerdict))
		}
		_, _ = fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | "))
	}
}

// facts are those about the machine and the run that the figures depend on.
func facts(ctx context.Context, b *bench) string {
	size := "full sizes"
	if b.quick {
		size = "quick sizes, which show that it works and nothing else"
	}
	return fmt.Sprintf("%d cores (%s), load %s before, data on %s, %s, %s/%s, %s, commit %s; %s; repetitions: %d",
		runtime.NumCPU(), processor(), b.load, filesystem(b.dir), runtime.Version(), runtime.GOOS, runtime.GOARCH,
		time.Now().UTC().Format(time.DateOnly), commit(ctx), size, b.repeat)
}

func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(info)) {
			if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return "unknown"
}

// loadAverage is that of the last minute.
func loadAverage() string {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	minute, _, _ := strings.Cut(string(load), " ")
	return minute
}

// filesystem is the kind that a folder is on.
func filesystem(dir string) string {
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return "an unknown filesystem"
	}
	longest, kind := "", "an unknown filesystem"
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		point := strings.TrimSuffix(fields[1], "/") + "/"
		if strings.HasPrefix(dir, point) && len(point) >= len(longest) {
			longest, kind = point, fields[2]
		}
	}
	return kind
}

// commit is that of the source, with a plus where it was changed since.
func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
