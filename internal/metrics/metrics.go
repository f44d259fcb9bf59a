package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/price"
	"github.com/headrace/headrace/internal/version"
)

// Options configures Metrics.
type Options struct {
	// Prices are the price lists of providers, by their names. What has no price
	// costs nothing.
	Prices map[string]price.Table
}

// Metrics is what one process measures, on a registry of its own. Each of its methods
// is for one part of the process to tell, or to be asked. It is safe for concurrent
// use.
type Metrics struct {
	registry *prometheus.Registry
	factory  factory

	calls    *calls
	requests *requests
	work     *work
	leases   *leases
	store    *storeMetrics
	sdk      *sdk
}

// Names of all metrics begin so, but for those of Go, of the process and of
// Temporal's SDK.
const namespace = "headrace"

// New returns metrics that have counted nothing.
func New(o Options) *Metrics {
	registry := prometheus.NewRegistry()
	f := factory{registry}
	m := &Metrics{registry: registry, factory: f}
	m.calls, m.requests, m.work = newCalls(f, o.Prices), newRequests(f), newWork(f)
	m.leases, m.store, m.sdk = newLeases(f), newStoreMetrics(f), newSDK(f)
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	f.gauges("build_info", "Always 1. The version of headrace is a label.", "version").WithLabelValues(version.String()).Set(1)
	return m
}

// Handler serves the metrics in the formats of Prometheus and OpenMetrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true, Timeout: scrapeTimeout})
}

// Calls is told of calls to providers.
func (m *Metrics) Calls() dispatch.Observer { return m.calls }

// Requests is told of requests to the API.
func (m *Metrics) Requests() api.Observer { return m.requests }

// Activities is told of what activities do.
func (m *Metrics) Activities() activities.Observer { return m.work }

// scrapeTimeout bounds a scrape: Prometheus waits for ten seconds as a rule.
const scrapeTimeout = 8 * time.Second

// Gatherer is what Handler serves.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Followers has the number of readers told who follow a stream of a task.
func (m *Metrics) Followers(count func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "stream_followers", Help: "Readers that follow the stream of a task in this process.",
	}, func() float64 { return float64(count()) }))
}

// factory makes metrics that are registered.
type factory struct{ registry prometheus.Registerer }

func (f factory) counters(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	f.registry.MustRegister(v)
	return v
}

func (f factory) counter(name, help string) prometheus.Counter {
	return f.counters(name, help).WithLabelValues()
}

func (f factory) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
	f.registry.MustRegister(v)
	return v
}

func (f factory) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
	f.registry.MustRegister(v)
	return v
}

// Buckets of histograms, in seconds.
var (
	// callBuckets are for answers of models, which take from milliseconds to ten
	// minutes.
	callBuckets = []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600}
	// quickBuckets are for what should take milliseconds.
	quickBuckets = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
	// longBuckets are for work that may take days.
	longBuckets = []float64{0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600}
)
