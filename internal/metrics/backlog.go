package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"

	"github.com/headrace/headrace/activities"
)

// taskQueues are those that all workers listen to.
var taskQueues = []string{activities.TaskQueue, activities.WebhookQueue}

const labelTaskQueue = "task_queue"

// Describer tells of task queues: Temporal's service.
type Describer interface {
	DescribeTaskQueue(
		ctx context.Context, in *workflowservice.DescribeTaskQueueRequest, opts ...grpc.CallOption,
	) (*workflowservice.DescribeTaskQueueResponse, error)
}

// Backlog asks Temporal, whenever somebody scrapes but at most every few seconds,
// what waits for a worker. All processes are told the same: take the largest.
func (m *Metrics) Backlog(d Describer, temporalNamespace string) {
	m.registry.MustRegister(newBacklog(d, temporalNamespace))
}

// Times of asking for the backlog.
const (
	backlogEvery   = 5 * time.Second
	backlogTimeout = 3 * time.Second
)

// backlog is what waits for workers.
type backlog struct {
	describer Describer
	namespace string

	tasks, age, pollers, up *prometheus.Desc

	mu    sync.Mutex
	asked time.Time
	last  []prometheus.Metric
}

func newBacklog(d Describer, temporalNamespace string) *backlog {
	labels := []string{labelTaskQueue, labelType}
	return &backlog{
		describer: d, namespace: temporalNamespace,
		tasks: prometheus.NewDesc(namespace+"_backlog_tasks",
			"Tasks of workflows and activities that wait for a worker, about. Scale workers by it, not by what waits for permits.", labels, nil),
		age: prometheus.NewDesc(namespace+"_backlog_age_seconds", "How long the oldest of the backlog has waited, about.", labels, nil),
		pollers: prometheus.NewDesc(namespace+"_workers",
			"Processes that have asked for tasks lately: within some minutes, as Temporal remembers.", labels, nil),
		up: prometheus.NewDesc(namespace+"_temporal_up", "1 if Temporal has answered the last question about the backlog.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (b *backlog) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{b.tasks, b.age, b.pollers, b.up} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (b *backlog) Collect(ch chan<- prometheus.Metric) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.asked) >= backlogEvery {
		b.last, b.asked = b.ask(), time.Now()
	}
	for _, m := range b.last {
		ch <- m
	}
}

// ask asks Temporal. Without an answer nothing is known of the backlog, and nothing
// is told of it.
func (b *backlog) ask() []prometheus.Metric {
	ctx, cancel := context.WithTimeout(context.Background(), backlogTimeout) //nolint:forbidigo // a scrape has no context
	defer cancel()
	var all []prometheus.Metric
	up := 1.
	for _, q := range []struct {
		name, label string
		kind        enums.TaskQueueType
	}{
		{activities.TaskQueue, "workflow", enums.TASK_QUEUE_TYPE_WORKFLOW},
		{activities.TaskQueue, "activity", enums.TASK_QUEUE_TYPE_ACTIVITY},
		{activities.WebhookQueue, "activity", enums.TASK_QUEUE_TYPE_ACTIVITY},
	} {
		answer, err := b.describer.DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
			Namespace: b.namespace, TaskQueue: &taskqueue.TaskQueue{Name: q.name, Kind: enums.TASK_QUEUE_KIND_NORMAL},
			TaskQueueType: q.kind, ReportStats: true,
		})
		if err != nil {
			up = 0
			continue
		}
		all = append(all, b.metrics(answer, q.name, q.label)...)
	}
	return append(all, prometheus.MustNewConstMetric(b.up, prometheus.GaugeValue, up))
}

func (b *backlog) metrics(answer *workflowservice.DescribeTaskQueueResponse, labels ...string) []prometheus.Metric {
	workers := map[string]struct{}{}
	for _, p := range answer.GetPollers() {
		workers[p.GetIdentity()] = struct{}{}
	}
	stats := answer.GetStats()
	return []prometheus.Metric{
		prometheus.MustNewConstMetric(b.tasks, prometheus.GaugeValue, float64(stats.GetApproximateBacklogCount()), labels...),
		prometheus.MustNewConstMetric(b.age, prometheus.GaugeValue, stats.GetApproximateBacklogAge().AsDuration().Seconds(), labels...),
		prometheus.MustNewConstMetric(b.pollers, prometheus.GaugeValue, float64(len(workers)), labels...),
	}
}
