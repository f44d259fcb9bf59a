package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// requests measures requests to the API. It implements api.Observer.
type requests struct {
	answered  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	inFlight  prometheus.Gauge
}

func newRequests(f factory) *requests {
	return &requests{
		answered: f.counters("http_requests_total",
			"Requests to the API by route and status. The route of what has none is empty.", "method", "route", labelStatus),
		durations: f.histograms("http_request_duration_seconds",
			"Time until a request was answered. Streams, ?wait= and calls that pass through take as long as what they wait for.",
			callBuckets, "method", "route"),
		inFlight: f.gauges("http_requests_in_flight", "Requests to the API that are being answered.").WithLabelValues(),
	}
}

// Begin implements api.Observer.
func (m *requests) Begin(r *http.Request, route string) (*http.Request, func(status int)) {
	begun, method := time.Now(), methodLabel(r.Method)
	m.inFlight.Inc()
	return r, func(status int) {
		m.inFlight.Dec()
		m.answered.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
		m.durations.WithLabelValues(method, route).Observe(time.Since(begun).Seconds())
	}
}

// methodLabel bounds methods, which clients may make up.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	default:
		return Other
	}
}
