package relay

import (
	"math"
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
	delaySeconds    prometheus.Histogram
	blockedDials    prometheus.Counter
	deliveries      *prometheus.CounterVec
	spilled         prometheus.Counter
	recordSeconds   prometheus.Histogram
	recordFailures  prometheus.Counter
	recordsRefused  prometheus.Counter
	rowsSkipped     prometheus.Counter
	messagesIgnored prometheus.Counter
	slotsRemade     prometheus.Counter

	captured atomic.Uint64

	// Resolved once: a look-up by label costs more than the count.
	byStatus         map[outbox.Status]prometheus.Counter
	attemptsAccepted prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, r *Relay) *metrics {
	m := &metrics{
		eventsCaptured: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "relay_events_captured_total", Help: "Events read from the stream."}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "relay_attempts_total", Help: "Attempts made, by the status that they gave the delivery, and by the class of " +
				"the answer's code (2xx) or of the error (timeout)."},
			[]string{"outcome", "result"}),
		attemptSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "relay_attempt_duration_seconds", Help: "From the start of an attempt to the answer's headers.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30}}),
		delaySeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "relay_commit_to_attempt_seconds", Help: "From an event's commit to the start of its first attempt, of deliveries sent straight from the stream.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 600, 3600}}),
		blockedDials: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "relay_blocked_dials_total", Help: "Attempts that led to an address which network does not allow."}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "relay_deliveries_total", Help: "Deliveries recorded, by the status they took."}, []string{"status"}),
		spilled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "relay_spilled_total", Help: "Deliveries written down as pending because their lane hung or was full."}),
		recordSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "relay_record_duration_seconds", Help: "Time to write a batch of outcomes.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5}}),
		recordFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "relay_record_failures_total", Help: "Times a batch of outcomes could not be written; it is kept and tried again."}),
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
	m.attemptsAccepted = m.attempts.WithLabelValues(string(outbox.StatusAccepted), "2xx")
	for _, s := range []outbox.Status{outbox.StatusPending, outbox.StatusRetrying, outbox.StatusAccepted,
		outbox.StatusRejected, outbox.StatusFailed, outbox.StatusCancelled} {
		m.byStatus[s] = m.deliveries.WithLabelValues(string(s))
	}
	reg.MustRegister(m.eventsCaptured, m.attempts, m.attemptSeconds, m.delaySeconds, m.blockedDials, m.deliveries, m.spilled,
		m.recordSeconds, m.recordFailures, m.recordsRefused, m.rowsSkipped, m.messagesIgnored, m.slotsRemade,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "relay_leader", Help: "1 while this relay reads the stream."}, r.leaderGauge),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "relay_requests_in_flight", Help: "Requests in flight."}, r.inFlightGauge),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "relay_deliveries_pending", Help: "Deliveries that wait in the database as pending; 0 where another relay leads."},
			func() float64 { return float64(r.observer.last().Pending) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "relay_deliveries_retrying", Help: "Deliveries that wait to be tried again; 0 where another relay leads."},
			func() float64 { return float64(r.observer.last().Retrying) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "relay_oldest_pending_age_seconds", Help: "How long the oldest pending delivery has been due; 0 where another relay leads."},
			func() float64 { return r.observer.last().Oldest.Seconds() }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "relay_slot_lag_bytes", Help: "WAL written since the slot's confirmed position; 0 where another relay leads."},
			func() float64 { return float64(r.observer.last().SlotLagBytes) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "relay_slot_safe_wal_bytes", Help: "WAL that may still be written before the server gives the slot up; +Inf without a limit " +
				"(max_slot_wal_keep_size) or where another relay leads."}, r.safeWALGauge),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "relay_ready", Help: "1 while events are being relayed or this relay stands by."}, r.readyGauge),
	)
	return m
}

func (m *metrics) capture() {
	m.eventsCaptured.Inc()
	m.captured.Add(1)
}

// attempted counts an attempt.
func (m *metrics) attempted(d *delivery) {
	m.attemptCounter(d).Inc()
	m.attemptSeconds.Observe(d.outcome.Duration().Seconds())
	if d.outcome.Class == outbox.ClassBlocked {
		m.blockedDials.Inc()
	}
	if delay, ok := d.delay(); ok {
		m.delaySeconds.Observe(delay.Seconds())
	}
}

// attemptCounter returns the counter of an attempt; that of the commonest is at hand, since looking it up by its labels
// costs more than counting.
func (m *metrics) attemptCounter(d *delivery) prometheus.Counter {
	if d.decision.Status == outbox.StatusAccepted && d.outcome.Code/100 == 2 {
		return m.attemptsAccepted
	}
	return m.attempts.WithLabelValues(string(d.decision.Status), d.outcome.result())
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

func (r *Relay) leaderGauge() float64 { return gauge(r.leads()) }

func (r *Relay) readyGauge() float64 {
	ready, _ := r.Ready()
	return gauge(ready)
}

func gauge(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func (r *Relay) inFlightGauge() float64 { return float64(r.dispatch.inFlight()) }

func (r *Relay) safeWALGauge() float64 {
	if safe := r.observer.last().SafeWALBytes; safe != nil {
		return float64(*safe)
	}
	return math.Inf(1)
}

// statusText names a status code for people: 410 Gone.
func statusText(code int) string {
	if text := http.StatusText(code); text != "" {
		return strconv.Itoa(code) + " " + text
	}
	return strconv.Itoa(code)
}
