package metrics

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
)

// sdk takes the metrics of Temporal's SDK. Their names are the SDK's, with the unit
// and _total where Prometheus wants them. The SDK makes them as it goes, with
// whatever tags a metric has: those that are not in sdkLabels are left out, so that
// all metrics have the same labels and none has many values.
type sdk struct {
	registry prometheus.Registerer

	mu         sync.Mutex
	counters   map[string]*prometheus.CounterVec
	gauges     map[string]*prometheus.GaugeVec
	histograms map[string]*prometheus.HistogramVec
}

// sdkLabels are the tags that are kept. A task queue that belongs to one process is
// called "host".
var sdkLabels = []string{"namespace", "operation", "worker_type", "poller_type", labelTaskQueue, "workflow_type", "activity_type", "status_code"}

// hostQueue is the label of a task queue that belongs to one process.
const hostQueue = "host"

func newSDK(f factory) *sdk {
	return &sdk{
		registry: f.registry, counters: map[string]*prometheus.CounterVec{}, gauges: map[string]*prometheus.GaugeVec{},
		histograms: map[string]*prometheus.HistogramVec{},
	}
}

// SDK takes the metrics of Temporal's SDK, see client.Options.
func (m *Metrics) SDK() client.MetricsHandler { return sdkHandler{sdk: m.sdk} }

// sdkHandler is the SDK's view of sdk, with tags that have been set.
type sdkHandler struct {
	sdk  *sdk
	tags map[string]string
}

// WithTags implements client.MetricsHandler.
func (h sdkHandler) WithTags(tags map[string]string) client.MetricsHandler {
	merged := maps.Clone(h.tags)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, tags)
	return sdkHandler{h.sdk, merged}
}

// values are those of sdkLabels.
func (h sdkHandler) values() []string {
	values := make([]string, len(sdkLabels))
	for i, label := range sdkLabels {
		values[i] = h.tags[label]
		switch {
		case values[i] == "none":
			values[i] = ""
		case label == labelTaskQueue && values[i] != "" && !slices.Contains(taskQueues, values[i]):
			values[i] = hostQueue
		}
	}
	return values
}

// Counter implements client.MetricsHandler.
func (h sdkHandler) Counter(name string) client.MetricsCounter {
	v := vector(h.sdk, h.sdk.counters, name, func() *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: strings.TrimSuffix(name, "_total") + "_total", Help: sdkHelp}, sdkLabels)
	})
	c := v.WithLabelValues(h.values()...)
	return sdkCounter(func(n int64) { c.Add(float64(n)) })
}

// Gauge implements client.MetricsHandler.
func (h sdkHandler) Gauge(name string) client.MetricsGauge {
	v := vector(h.sdk, h.sdk.gauges, name, func() *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: sdkHelp}, sdkLabels)
	})
	return sdkGauge(v.WithLabelValues(h.values()...).Set)
}

// Timer implements client.MetricsHandler.
func (h sdkHandler) Timer(name string) client.MetricsTimer {
	v := vector(h.sdk, h.sdk.histograms, name, func() *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name + "_seconds", Help: sdkHelp, Buckets: quickBuckets}, sdkLabels)
	})
	o := v.WithLabelValues(h.values()...)
	return sdkTimer(func(d time.Duration) { o.Observe(d.Seconds()) })
}

const sdkHelp = "Of Temporal's SDK, see https://docs.temporal.io/references/sdk-metrics."

// vector returns the metric of a name, which is registered when it is made.
func vector[V prometheus.Collector](s *sdk, all map[string]V, name string, create func() V) V {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := all[name]
	if !ok {
		v = create()
		all[name] = v
		s.registry.MustRegister(v)
	}
	return v
}

type (
	sdkCounter func(int64)
	sdkGauge   func(float64)
	sdkTimer   func(time.Duration)
)

// Inc implements client.MetricsCounter.
func (f sdkCounter) Inc(n int64) { f(n) }

// Update implements client.MetricsGauge.
func (f sdkGauge) Update(v float64) { f(v) }

// Record implements client.MetricsTimer.
func (f sdkTimer) Record(d time.Duration) { f(d) }
