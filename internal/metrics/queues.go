package metrics

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/headrace/headrace/internal/batch"
	"github.com/headrace/headrace/internal/limit"
	"github.com/headrace/headrace/internal/queue"
)

// gateCollector asks a gate how it stands whenever somebody scrapes.
type gateCollector struct {
	report func() limit.Report

	waiting, oldest, inFlight, limits, permits, paused, leaseAge *prometheus.Desc
	closed, slots, slotsUsed                                     *prometheus.Desc
}

// Gate has how calls wait at a gate told.
func (m *Metrics) Gate(g interface{ Report() limit.Report }) {
	m.registry.MustRegister(newGateCollector(g.Report))
}

func newGateCollector(report func() limit.Report) *gateCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
	}
	return &gateCollector{
		report: report,
		waiting: desc("queue_waiting", "Calls that wait in this process, by what keeps them. Only process_full is mended by more workers.",
			labelQueue, labelReason),
		oldest:   desc("queue_oldest_waiting_seconds", "How long the call waits that is next in its turn, at the longest.", labelQueue),
		inFlight: desc("queue_in_flight", "Calls of this process that are under way.", labelQueue, labelClass),
		limits: desc("queue_limit", "What the queue allows all processes together: concurrency, requests_per_minute, tokens_per_minute. Absent without a limit.",
			labelQueue, "limit"),
		permits:  desc("queue_permits", "Calls in flight that this process has leased of the concurrency of the queue. Absent without a limit.", labelQueue),
		paused:   desc("queue_paused", "1 if the queue is paused.", labelQueue),
		leaseAge: desc("queue_lease_age_seconds", "Time since the lease of a limited queue was renewed. It ends after about nine.", labelQueue),
		closed: desc("provider_closed_seconds",
			"How long a provider has taken no calls, by why: rate_limited, provider_failing, unreachable, refused or exhausted. Absent while it takes them.",
			labelProvider, labelReason),
		slots:     desc("task_slots", "The most calls of tasks in flight in this process."),
		slotsUsed: desc("task_slots_used", "Calls of tasks in flight, or whose result is not kept yet, in this process."),
	}
}

// Describe implements prometheus.Collector.
func (c *gateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.waiting, c.oldest, c.inFlight, c.limits, c.permits, c.paused, c.leaseAge, c.closed, c.slots, c.slotsUsed,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *gateCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	r := c.report()
	if r.Bound > 0 {
		gauge(c.slots, float64(r.Bound))
		gauge(c.slotsUsed, float64(r.Bound-r.Room))
	}
	closed := map[[2]string]time.Duration{}
	for _, q := range busiest(r.Queues) {
		c.collectQueue(gauge, q)
		for _, p := range q.Providers {
			if p.State.Closed() {
				key := [2]string{p.Name, string(p.State.WaitingOn().Reason)}
				closed[key] = max(closed[key], time.Since(p.State.Since))
			}
		}
	}
	for key, since := range closed {
		gauge(c.closed, since.Seconds(), key[0], key[1])
	}
}

func (c *gateCollector) collectQueue(gauge func(*prometheus.Desc, float64, ...string), q limit.QueueReport) {
	for reason, n := range q.Waiting {
		gauge(c.waiting, float64(n), q.Name, string(reason))
	}
	gauge(c.oldest, q.Oldest.Seconds(), q.Name)
	gauge(c.inFlight, float64(q.InFlight.Interactive), q.Name, "interactive")
	gauge(c.inFlight, float64(q.InFlight.Batch), q.Name, "batch")
	for name, n := range map[string]int64{
		"concurrency": q.Settings.Concurrency, "requests_per_minute": q.Settings.RPM, "tokens_per_minute": q.Settings.TPM,
	} {
		if n > 0 {
			gauge(c.limits, float64(n), q.Name, name)
		}
	}
	if q.Leased && q.Permits != queue.NoLimit {
		gauge(c.permits, float64(q.Permits), q.Name)
	}
	if q.Leased && q.Settings.Limited() {
		gauge(c.leaseAge, q.Age.Seconds(), q.Name)
	}
	paused := 0.
	if q.Settings.Paused {
		paused = 1
	}
	gauge(c.paused, paused, q.Name)
}

// busiest bounds the queues that have labels of their own. The others are one,
// named Other: there may be any number of queues.
func busiest(all []limit.QueueReport) []limit.QueueReport {
	if len(all) <= mostNames {
		return all
	}
	load := func(q limit.QueueReport) int64 {
		n := q.InFlight.All()
		for _, waiting := range q.Waiting {
			n += waiting
		}
		return n
	}
	slices.SortFunc(all, func(a, b limit.QueueReport) int {
		return cmp.Or(cmp.Compare(load(b), load(a)), cmp.Compare(a.Name, b.Name))
	})
	rest := limit.QueueReport{Name: Other, Waiting: map[batch.Reason]int64{}}
	for _, q := range all[mostNames:] {
		rest.InFlight = rest.InFlight.Plus(q.InFlight)
		for reason, n := range q.Waiting {
			rest.Waiting[reason] += n
		}
		rest.Oldest = max(rest.Oldest, q.Oldest)
		rest.Providers = append(rest.Providers, q.Providers...)
	}
	return append(all[:mostNames:mostNames], rest)
}

// leases measures how queues answer.
type leases struct {
	durations prometheus.Observer
	failures  prometheus.Counter
}

func newLeases(f factory) *leases {
	return &leases{
		durations: f.histograms("lease_request_duration_seconds", "Time of requests for leases of queues, of those that fail too.",
			quickBuckets).WithLabelValues(),
		failures: f.counter("lease_failures_total", "Requests for leases of queues that failed."),
	}
}

// Leaser is l, whose answers are measured.
func (m *Metrics) Leaser(l limit.Leaser) limit.Leaser { return measuredLeaser{l, m.leases} }

type measuredLeaser struct {
	limit.Leaser

	leases *leases
}

// Lease implements limit.Leaser.
func (l measuredLeaser) Lease(ctx context.Context, name string, r queue.Request) (queue.Grant, error) {
	begun := time.Now()
	grant, err := l.Leaser.Lease(ctx, name, r)
	if err != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		return grant, err // the process ends
	}
	l.leases.durations.Observe(time.Since(begun).Seconds())
	if err != nil {
		l.leases.failures.Inc()
	}
	return grant, err
}
