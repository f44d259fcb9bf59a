package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/queue"
)

// unknown stands for what only a worker could tell.
const unknown = "?"

// table writes rows of cells that stand in columns.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// writeQueues prints queues, one in a line.
func writeQueues(p program, queues []queue.Object) error {
	rows := [][]string{{"NAME", "CONCURRENCY", "RPM", "TPM", "STATE", "IN FLIGHT", "WAITING", "REQUESTS/MIN", "TOKENS/MIN"}}
	var silent []string
	for _, o := range queues {
		if !o.Live {
			silent = append(silent, o.Name)
		}
		rows = append(rows, []string{
			o.Name, limitText(o.Concurrency, "-"), limitText(o.RPM, "-"), limitText(o.TPM, "-"), stateOf(o),
			allOf(o.InFlight), allOf(o.Waiting), limitText(o.RequestsLastMinute, unknown), limitText(o.TokensLastMinute, unknown),
		})
	}
	if err := table(p.stdout, rows); err != nil {
		return err
	}
	saySilent(p, silent...)
	return nil
}

// saySilent says why there are no numbers of some queues.
func saySilent(p program, names ...string) {
	if len(names) > 0 {
		_, _ = fmt.Fprintf(p.stderr, "No worker has answered for %s: either nothing has used it yet, or no worker is up ('headrace worker' starts one).\n",
			strings.Join(names, ", "))
	}
}

func stateOf(o queue.Object) string {
	switch {
	case o.Paused:
		return "paused"
	case len(o.Cooldowns) > 0:
		return "cooling down"
	default:
		return "open"
	}
}

// limitText writes a number, or what stands for none.
func limitText(n *int64, none string) string {
	if n == nil {
		return none
	}
	return count(*n)
}

func allOf(c *queue.Counts) string {
	if c == nil {
		return unknown
	}
	return count(c.All())
}

// writeQueue prints all of a queue.
func writeQueue(p program, o queue.Object) error {
	const unlimited = "no limit"
	rows := [][]string{
		{"name", o.Name}, {"state", stateOf(o)},
		{"concurrency", limitText(o.Concurrency, unlimited)}, {"rpm", limitText(o.RPM, unlimited)}, {"tpm", limitText(o.TPM, unlimited)},
	}
	if len(o.Weights) > 0 {
		rows = append(rows, []string{"weights", weightsText(o.Weights)})
	}
	if o.Fallback != nil {
		rows = append(rows, []string{"fallback", fallbackText(*o.Fallback)})
	}
	if o.Live {
		rows = append(rows, liveRows(o)...)
	}
	if o.Task != nil {
		rows = append(rows, []string{"task", o.Task.ID + " " + placeText(o.Task.Position)})
	}
	if err := table(p.stdout, rows); err != nil {
		return err
	}
	if !o.Live {
		saySilent(p, o.Name)
	}
	if len(o.Workers) == 0 {
		return nil
	}
	_, _ = fmt.Fprintln(p.stdout)
	return table(p.stdout, workerRows(o.Workers))
}

// liveRows are what a worker has told of a queue.
func liveRows(o queue.Object) [][]string {
	rows := [][]string{{"in flight", countsText(o.InFlight)}, {"waiting", countsText(o.Waiting)}}
	rows = append(rows, []string{"last minute",
		limitText(o.RequestsLastMinute, unknown) + " requests, " + limitText(o.TokensLastMinute, unknown) + " tokens"})
	if o.Share != nil && *o.Share < 1 {
		rows = append(rows, []string{"share", fmt.Sprintf("%.0f%% of the rates, since the provider throttles", *o.Share*100)})
	}
	for _, c := range o.Cooldowns {
		rows = append(rows, []string{"cooldown", strings.TrimSuffix(fmt.Sprintf("%s until %s: %s", c.Provider, clock(c.Until), c.Message), ": ")})
	}
	return rows
}

func workerRows(workers []queue.Holder) [][]string {
	rows := [][]string{{"WORKER", "PERMITS", "IN FLIGHT", "WAITING", "UNTIL"}}
	for _, w := range workers {
		rows = append(rows, []string{
			w.Name, limitText(w.Permits, "-"), count(w.InFlight.All()), count(w.Waiting.All()), clock(w.ExpiresAt),
		})
	}
	return rows
}

func countsText(c *queue.Counts) string {
	if c == nil {
		return unknown
	}
	return fmt.Sprintf("%s (%s interactive, %s of batches)", count(c.All()), count(c.Interactive), count(c.Batch))
}

func weightsText(weights map[string]int64) string {
	var all []string
	for _, project := range slices.Sorted(maps.Keys(weights)) {
		all = append(all, fmt.Sprintf("%s=%d", project, weights[project]))
	}
	return strings.Join(all, ", ")
}

func fallbackText(f batch.Fallback) string {
	var targets []string
	for _, t := range f.Targets {
		text := t.Model
		if t.Provider != "" {
			text = strings.TrimPrefix(text+" at "+t.Provider, " ")
		}
		targets = append(targets, text)
	}
	return strings.Join(targets, ", then ") + ", when " + strings.Join(f.On, " or ")
}

func placeText(position *int64) string {
	if position == nil {
		return "does not wait in this queue"
	}
	return "is number " + count(*position)
}

// clock is a time of unix seconds as a person here reads it.
func clock(at int64) string { return time.Unix(at, 0).Format(time.TimeOnly) }
