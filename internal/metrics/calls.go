package metrics

import (
	"cmp"
	"context"
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/headrace/headrace/internal/dispatch"
	"github.com/headrace/headrace/internal/llm"
	"github.com/headrace/headrace/internal/openai"
	"github.com/headrace/headrace/internal/price"
)

// Labels.
const (
	labelProvider = "provider"
	labelModel    = "model"
	labelOutcome  = "outcome"
	labelType     = "type"
	labelQueue    = "queue"
	labelReason   = "reason"
	labelClass    = "class"
	labelStatus   = "status"
)

// Outcomes of calls that are no llm.Kind.
const (
	outcomeOK     = "ok"
	outcomeCutOff = "cut_off" // cancelled, or its process or its lease ended
)

// Elsewhere is the label of calls that go to no provider: HTTP tasks.
const Elsewhere = "http"

// calls measures calls to providers. It implements dispatch.Observer.
type calls struct {
	made      *prometheus.CounterVec
	tokens    *prometheus.CounterVec
	durations *prometheus.HistogramVec
	firsts    *prometheus.HistogramVec
	inFlight  *prometheus.GaugeVec
	perQueue  *prometheus.CounterVec
	spent     *prometheus.CounterVec
	cost      *prometheus.Desc

	prices         map[string]price.Table
	models, queues *names

	// ways are those of calls that have served, found without a lock.
	ways atomic.Pointer[map[wayKey]*way]

	mu        sync.RWMutex
	series    map[seriesKey]*series
	lines     map[string]*queueSeries
	providers map[string]prometheus.Gauge
}

type seriesKey struct{ provider, model string }

// series are the metrics of one model of one provider, found once.
type series struct {
	outcomes [outcomes]prometheus.Counter
	tokens   [tokenTypes]prometheus.Counter
	duration prometheus.Observer

	cost atomic.Int64 // a price.Amount
}

// queueSeries are the metrics of one queue.
type queueSeries struct{ calls, tokens prometheus.Counter }

// The index of an outcome is its llm.Kind, or one of these.
const (
	indexOK     = int(llm.Permanent) + 1
	indexCutOff = indexOK + 1
	outcomes    = indexCutOff + 1
)

// Types of tokens. Input includes what was cached, output the reasoning.
const (
	tokensInput = iota
	tokensCached
	tokensOutput
	tokensReasoning
	tokenTypes
)

var tokenNames = [tokenTypes]string{"input", "cached", "output", "reasoning"}

func newCalls(f factory, prices map[string]price.Table) *calls {
	c := &calls{
		made: f.counters("calls_total",
			"Calls to providers that have ended, by outcome: ok, a kind of error, or cut_off.", labelProvider, labelModel, labelOutcome),
		tokens: f.counters("tokens_total",
			"Tokens that providers have counted. Input includes cached ones, output includes reasoning.", labelProvider, labelModel, labelType),
		durations: f.histograms("call_duration_seconds",
			"Time of calls to providers from the start of the call to the end of its answer, whatever came of it.",
			callBuckets, labelProvider, labelModel),
		firsts: f.histograms("call_first_event_seconds",
			"Time from the start of a streaming call to the first event of its answer.", callBuckets, labelProvider, labelModel),
		inFlight: f.gauges("calls_in_flight", "Calls to providers that are under way.", labelProvider),
		perQueue: f.counters("queue_calls_total", "Calls that have ended, by queue. Compare its rate with headrace_queue_limit.", labelQueue),
		spent:    f.counters("queue_tokens_total", "Tokens that calls of a queue have cost. Compare its rate with headrace_queue_limit.", labelQueue),
		cost: prometheus.NewDesc(namespace+"_cost_dollars_total",
			"What calls have cost in US dollars, by the prices of the configuration.", []string{labelProvider, labelModel}, nil),
		prices: prices, models: newNames(), queues: newNames(),
		series: map[seriesKey]*series{}, lines: map[string]*queueSeries{}, providers: map[string]prometheus.Gauge{},
	}
	c.ways.Store(&map[wayKey]*way{})
	f.registry.MustRegister(c)
	return c
}

// Begin implements dispatch.Observer.
func (m *calls) Begin(ctx context.Context, o *dispatch.Observed) (context.Context, dispatch.Watch) {
	c := &call{calls: m, observed: o, begun: time.Now()}
	if c.way = (*m.ways.Load())[wayKey{o.Provider, o.Model, o.Queue}]; c.way != nil {
		c.flying = c.way.flying
	} else {
		c.flying = m.flying(o.Provider)
	}
	c.flying.Inc()
	return ctx, c
}

// call is one call to a provider. It implements dispatch.Watch.
type call struct {
	calls    *calls
	observed *dispatch.Observed
	way      *way // nil until it is known
	flying   prometheus.Gauge
	begun    time.Time
}

// First implements dispatch.Watch.
func (c *call) First() {
	model := c.calls.models.label(c.observed.Model, true)
	c.calls.firsts.WithLabelValues(c.observed.Provider, model).Observe(time.Since(c.begun).Seconds())
}

// End implements dispatch.Watch.
func (c *call) End(r llm.Response, err error) {
	c.flying.Dec()
	took := time.Since(c.begun)
	if c.way == nil {
		c.way = c.calls.way(c.observed, err == nil)
	}
	w := c.way
	w.outcomes[outcomeOf(err)].Inc()
	w.duration.Observe(took.Seconds())
	w.queue.calls.Inc()
	if r.Usage != (openai.Usage{}) {
		w.queue.tokens.Add(float64(r.Usage.TotalTokens))
		w.count(r.Usage)
		w.spend(w.price, r.Usage)
	}
}

// way is what a call of a queue to a model is counted by.
type way struct {
	*series

	queue  *queueSeries
	flying prometheus.Gauge
	price  *price.Price // that of the model, also where it has no label; nil for none
}

type wayKey struct{ provider, model, queue string }

// mostWays bounds the ways that are remembered. Others are found anew for each call.
const mostWays = 1000

// way finds the way of a call, and remembers that of one whose labels are known to
// stay.
func (m *calls) way(o *dispatch.Observed, serves bool) *way {
	provider, model := o.Provider, ""
	if provider == "" {
		provider = Elsewhere
	} else {
		model = m.models.label(o.Model, serves)
	}
	w := &way{series: m.of(provider, model), queue: m.queue(m.queues.label(o.Queue, serves)), flying: m.flying(o.Provider)}
	if p, ok := m.prices[o.Provider].Of(o.Model); ok {
		w.price = &p
	}
	if serves {
		m.remember(wayKey{o.Provider, o.Model, o.Queue}, w)
	}
	return w
}

func (m *calls) remember(key wayKey, w *way) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := *m.ways.Load()
	if len(known) >= mostWays {
		return
	}
	more := maps.Clone(known) // whoever reads has no lock
	more[key] = w
	m.ways.Store(&more)
}

// outcomeOf is the index of an outcome.
func outcomeOf(err error) int {
	e, failed := err.(*llm.Error) //nolint:errorlint // clients return it unwrapped, and this path is hot
	switch {
	case err == nil:
		return indexOK
	case failed && e.Kind >= 0 && e.Kind <= llm.Permanent:
		return int(e.Kind)
	default:
		return indexCutOff
	}
}

// count books tokens.
func (s *series) count(u openai.Usage) {
	for i, n := range [tokenTypes]int64{
		u.InputTokens, u.InputTokensDetails.CachedTokens, u.OutputTokens, u.OutputTokensDetails.ReasoningTokens,
	} {
		if n > 0 {
			s.tokens[i].Add(float64(n))
		}
	}
}

// spend books what tokens cost, to the picodollar.
func (s *series) spend(p *price.Price, u openai.Usage) {
	if p == nil {
		return
	}
	more := int64(p.Of(u))
	for {
		sum := s.cost.Load()
		if s.cost.CompareAndSwap(sum, sum+min(more, math.MaxInt64-sum)) {
			return
		}
	}
}

// cached returns what m has under key, which mu guards. It is made once.
func cached[K comparable, V any](mu *sync.RWMutex, m map[K]V, key K, create func() V) V {
	mu.RLock()
	v, ok := m[key]
	mu.RUnlock()
	if ok {
		return v
	}
	mu.Lock()
	defer mu.Unlock()
	if v, ok = m[key]; !ok {
		v = create()
		m[key] = v
	}
	return v
}

// flying is the number of calls to a provider that are under way.
func (m *calls) flying(provider string) prometheus.Gauge {
	return cached(&m.mu, m.providers, provider, func() prometheus.Gauge {
		return m.inFlight.WithLabelValues(cmp.Or(provider, Elsewhere))
	})
}

// queue returns the metrics of a queue.
func (m *calls) queue(name string) *queueSeries {
	return cached(&m.mu, m.lines, name, func() *queueSeries {
		return &queueSeries{m.perQueue.WithLabelValues(name), m.spent.WithLabelValues(name)}
	})
}

// of returns the metrics of a model of a provider.
func (m *calls) of(provider, model string) *series {
	return cached(&m.mu, m.series, seriesKey{provider, model}, func() *series {
		s := &series{duration: m.durations.WithLabelValues(provider, model)}
		for i := range s.outcomes {
			s.outcomes[i] = m.made.WithLabelValues(provider, model, outcomeName(i))
		}
		for i, name := range tokenNames {
			s.tokens[i] = m.tokens.WithLabelValues(provider, model, name)
		}
		return s
	})
}

func outcomeName(i int) string {
	switch i {
	case indexOK:
		return outcomeOK
	case indexCutOff:
		return outcomeCutOff
	default:
		return llm.Kind(i).String()
	}
}

// Describe implements prometheus.Collector, for what calls have cost.
func (m *calls) Describe(ch chan<- *prometheus.Desc) { ch <- m.cost }

// Collect implements prometheus.Collector.
func (m *calls) Collect(ch chan<- prometheus.Metric) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for key, s := range m.series {
		if cost := price.Amount(s.cost.Load()); cost > 0 {
			ch <- prometheus.MustNewConstMetric(m.cost, prometheus.CounterValue, cost.Dollars(), key.provider, key.model)
		}
	}
}
