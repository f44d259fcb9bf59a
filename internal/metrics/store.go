package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/headrace/headrace/internal/store"
)

// storeMetrics measures what a store does.
type storeMetrics struct {
	durations *prometheus.HistogramVec
	failures  *prometheus.CounterVec
	written   *prometheus.CounterVec
}

const labelOperation = "operation"

func newStoreMetrics(f factory) *storeMetrics {
	m := &storeMetrics{
		durations: f.histograms("store_operation_duration_seconds",
			"Time of operations on the store, of those that fail too. A read is the time until its first byte.", quickBuckets, labelOperation),
		failures: f.counters("store_failures_total", "Operations on the store that failed. Writes of results are repeated until they succeed.",
			labelOperation),
		written: f.counters("store_objects_written_total",
			"Objects that were written: chunk, segment, results of tasks, stream, file or other.", "object"),
	}
	for _, op := range []store.Operation{store.Read, store.Write, store.Lookup, store.Delete, store.List} {
		m.failures.WithLabelValues(string(op)) // so that the first failure is an increase
	}
	return m
}

// StoreOperation is told of what a store does, see store.Observer.
func (m *Metrics) StoreOperation(op store.Operation, key string, took time.Duration, err error) {
	m.store.durations.WithLabelValues(string(op)).Observe(took.Seconds())
	if err != nil {
		m.store.failures.WithLabelValues(string(op)).Inc()
	} else if op == store.Write {
		m.store.written.WithLabelValues(string(store.ObjectOf(key))).Inc()
	}
}
