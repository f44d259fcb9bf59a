package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/headrace/headrace/activities"
	"github.com/headrace/headrace/api"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/task"
)

// work counts batches, tasks and webhooks. It implements activities.Observer.
type work struct {
	batchesAccepted, tasksAccepted prometheus.Counter
	batchesEnded, tasksEnded       *prometheus.CounterVec
	batchTime, taskTime            prometheus.Observer
	retries, deliveries            *prometheus.CounterVec
}

func newWork(f factory) *work {
	w := &work{
		batchesAccepted: f.counter("batches_accepted_total", "Batches that this process has made durable."),
		tasksAccepted:   f.counter("tasks_accepted_total", "Tasks that this process has made durable, calls that pass through included."),
		batchesEnded:    f.counters("batches_ended_total", "Batches that have ended, by their final status.", labelStatus),
		tasksEnded:      f.counters("tasks_ended_total", "Tasks whose result is kept, by their final status.", labelStatus),
		batchTime: f.histograms("batch_duration_seconds", "Time from the creation of a batch to its final object.",
			longBuckets).WithLabelValues(),
		taskTime: f.histograms("task_duration_seconds", "Time from the creation of a task to its kept result, in whole seconds.",
			longBuckets).WithLabelValues(),
		retries: f.counters("call_retries_total",
			"Calls that failed and are made again, by the kind of their error. Only transient ones are attempts.", labelReason),
		deliveries: f.counters("webhook_deliveries_total",
			"Attempts to deliver a webhook: accepted, retried or given_up.", labelOutcome),
	}
	for _, d := range []activities.Delivery{activities.DeliveryAccepted, activities.DeliveryRetried, activities.DeliveryGivenUp} {
		w.deliveries.WithLabelValues(string(d)) // so that the first is an increase
	}
	return w
}

// Accepted is told of what an API has made durable, see api.Options.
func (m *Metrics) Accepted(what api.Accepted, n int) {
	switch what {
	case api.AcceptedBatch:
		m.work.batchesAccepted.Add(float64(n))
	case api.AcceptedTask:
		m.work.tasksAccepted.Add(float64(n))
	}
}

// TaskEnded is told of tasks, see runner.Options.
func (m *Metrics) TaskEnded(o *task.Object) {
	m.work.tasksEnded.WithLabelValues(string(o.Status)).Inc()
	if o.FinishedAt != nil {
		m.work.taskTime.Observe(float64(max(*o.FinishedAt-o.CreatedAt, 0)))
	}
}

// BatchEnded implements activities.Observer.
func (w *work) BatchEnded(s openai.Status, took time.Duration) {
	w.batchesEnded.WithLabelValues(string(s)).Inc()
	w.batchTime.Observe(took.Seconds())
}

// Delivered implements activities.Observer.
func (w *work) Delivered(d activities.Delivery) { w.deliveries.WithLabelValues(string(d)).Inc() }

// Retried implements activities.Observer.
func (w *work) Retried(k llm.Kind) { w.retries.WithLabelValues(k.String()).Inc() }
