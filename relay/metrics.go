package relay

import (
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/outboxrelay/relay/outbox"
)

// metrics are what Prometheus sees. No label holds a URL, a user or a tenant.
type metrics struct {
	eventsCaptured  prometheus.Counter
	attempts        *prometheus.CounterVec
	attemptSeconds  prometheus.Histogram
	deliveries      *prometheus.CounterVec
	spilled         prometheus.Counter
	recordSeconds   prometheus.Histogram
	recordsRefused  prometheus.Counter
	rowsSkipped     prometheus.Counter
	messagesIgnored prometheus.Counter
	slotsRemade     prometheus.Counter

	captured atomic.Uint64

	// Resolved once: a look-up by label costs more than the count.
	byStatus map[outbox.Status]prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, r *Relay) *metrics {
	m := &metrics{
		eventsCaptured: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "relay_events_captured_total", Help: "Events read from the stream."}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "relay_attempts_total", Help: "Attempts made, by what came of them: a class of status codes, or a class of error."},
			[]string{"result"}),
		attemptSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "relay_attempt_duration_seconds", Help: "From the start of an attempt to the answer's headers.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30}}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "relay_deliveries_total", Help: "Deliveries recorded, by the status they took."}, []string{"status"}),
		spilled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "relay_spilled_total", Help: "Deliveries written down as pending because their lane hung or was full."}),
		recordSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "relay_record_duration_seconds", Help: "Time to write a batch of outcomes.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5}}),
		recordsRefused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "relay_records_refused_total", Help: "Records that the database refused for good."}),
		rowsSkipped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "relay_rows_skipped_total", Help: "Rows of the stream that could not be read."}),
		messagesIgnored: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "relay_messages_ignored_total", Help: "Messages of the stream of a kind that the relay does not use."}),
		slotsRemade: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "relay_slots_remade_total", Help: "Times the replication slot was lost and made anew."}),
		byStatus: make(map[outbox.Status]prometheus.Counter),
	}
	for _, s := range []outbox.Status{outbox.StatusPending, outbox.StatusRetrying, outbox.StatusAccepted,
		outbox.StatusRejected, outbox.StatusFailed, outbox.StatusCancelled} {
		m.byStatus[s] = m.deliveries.WithLabelValues(string(s))
	}
	reg.MustRegister(m.eventsCaptured, m.attempts, m.attemptSeconds, m.deliveries, m.spilled, m.recordSeconds,
		m.recordsRefused, m.rowsSkipped, m.messagesIgnored, m.slotsRemade,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "relay_leader", Help: "1 while this relay reads the stream."}, r.leaderGauge),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "relay_requests_in_flight", Help: "Requests in flight."}, r.inFlightGauge),
	)
	return m
}

func (m *metrics) capture() {
	m.eventsCaptured.Inc()
	m.captured.Add(1)
}

// attempted counts an attempt.
func (m *metrics) attempted(d *delivery) {
	result := string(d.outcome.Class)
	if d.outcome.Answered() {
		result = strconv.Itoa(d.outcome.Code/100) + "xx"
	}
	m.attempts.WithLabelValues(result).Inc()
	m.attemptSeconds.Observe(d.outcome.EndedAt.Sub(d.outcome.StartedAt).Seconds())
}

// recorded counts a delivery that was written.
func (m *metrics) recorded(kind entryKind, d *delivery) {
	status := outbox.StatusPending
	switch kind {
	case entryOutcome:
		status = d.decision.Status
	case entryCancel:
		status = outbox.StatusCancelled
	}
	m.byStatus[status].Inc()
}

func (r *Relay) leaderGauge() float64 {
	if _, leads := r.confirmed(); leads {
		return 1
	}
	return 0
}

func (r *Relay) inFlightGauge() float64 {
	r.dispatch.mu.Lock()
	defer r.dispatch.mu.Unlock()
	n := 0
	for _, l := range r.dispatch.lanes {
		n += l.running
	}
	return float64(n)
}

// statusText names a status code for people: 410 Gone.
func statusText(code int) string {
	if text := http.StatusText(code); text != "" {
		return strconv.Itoa(code) + " " + text
	}
	return strconv.Itoa(code)
}
