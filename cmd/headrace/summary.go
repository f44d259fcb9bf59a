package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/headrace/headrace/internal/batch"
)

// failures counts failed requests by kind.
type failures map[string]int64

// count books the line of a failed request under its status and code.
func (f failures) count(line []byte) {
	fields := gjson.GetManyBytes(line, "response.status_code", "response.body.error.code", "response.body.error.type", "error.code")
	status := fields[0].String()
	kind := cmp.Or(fields[3].String(), fields[1].String(), fields[2].String())
	f[strings.TrimSpace(status+" "+kind)]++
}

// String lists the kinds, most frequent first.
func (f failures) String() string {
	kinds := slices.SortedFunc(maps.Keys(f), func(a, b string) int {
		return cmp.Or(cmp.Compare(f[b], f[a]), cmp.Compare(a, b))
	})
	for i, kind := range kinds {
		kinds[i] = fmt.Sprintf("%s × %s", count(f[kind]), kind)
	}
	return strings.Join(kinds, ", ")
}

func (j *job) saySummary(o batch.Object, failed failures) {
	c := o.RequestCounts
	took := time.Since(j.begun)
	j.say("%s requests in %s: %s answered, %s failed", count(c.Total), round(took), count(c.Completed), count(c.Failed))
	if o.Usage != nil {
		j.say("tokens: %s in, %s out", count(o.Usage.InputTokens), count(o.Usage.OutputTokens))
	}
	if len(failed) > 0 {
		j.say("failed: %s", failed)
	}
	for _, f := range j.outputs.files {
		j.say("written: %s", f.path)
	}
}

// count writes a number with separators.
func count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// round shortens a duration to what a person wants to know.
func round(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}
