package console

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/outboxrelay/relay/internal/store"
)

// overviewView is how the relays do.
type overviewView struct {
	Relays []store.SeenRelay
	Charts []*chart
	Worst  []store.WorstRow
	Told   bool // There are statistics at all.
}

const (
	// relayGone is when a relay that has not been heard of counts as gone: it writes its row every few seconds.
	relayGone = 30 * time.Second
	// forgetRelay is when nobody needs to hear of it any more.
	forgetRelay = 10 * time.Minute
)

func (c *Console) overviewPage(w http.ResponseWriter, r *request) error {
	view, err := c.overview(r.Context())
	if err != nil {
		return err
	}
	c.render(w, r, http.StatusOK, "overview", page{Title: "Overview", Tab: "overview", Body: view})
	return nil
}

func (c *Console) overviewLive(w http.ResponseWriter, r *request) error {
	view, err := c.overview(r.Context())
	if err != nil {
		return err
	}
	c.renderLive(w, r, "overview", view)
	return nil
}

func (c *Console) overview(ctx context.Context) (*overviewView, error) {
	var view overviewView
	relays, err := store.ListRelays(ctx, c.db)
	if err != nil {
		return nil, err
	}
	view.Relays = slices.DeleteFunc(relays, func(r store.SeenRelay) bool { return r.SeenAgo > forgetRelay })
	minutes, err := store.LastHour(ctx, c.db)
	if err != nil {
		return nil, err
	}
	if view.Worst, err = store.ListWorst(ctx, c.db); err != nil {
		return nil, err
	}
	hour := gather(minutes)
	view.Told = len(minutes) > 0
	view.Charts = []*chart{hour.throughputChart(), hour.delayChart(), hour.answerChart(), hour.backlogChart(), hour.lagChart()}
	return &view, nil
}

const minutesShown = 60

// hour is what all relays did together, by minute, the current one last. NaN where nothing is known.
type hour struct {
	accepted, rejected, unreachable [minutesShown]float64 // Attempts a second.
	answers, delays                 [minutesShown]store.Histogram
	pending, retrying, lag, oldest  [minutesShown]float64
	now                             int // The newest minute that something is known of.
}

func gather(rows []store.MinuteRow) *hour {
	var h hour
	for i := range minutesShown {
		h.answers[i], h.delays[i] = store.NewHistogram(), store.NewHistogram()
		h.pending[i], h.retrying[i], h.lag[i], h.oldest[i] = math.NaN(), math.NaN(), math.NaN(), math.NaN()
	}
	for _, row := range rows {
		i := minutesShown - 1 - row.MinutesAgo
		if i < 0 || i >= minutesShown {
			continue
		}
		h.now = max(h.now, i)
		length := 60.0
		if row.MinutesAgo == 0 { // Not over yet; and in its first seconds there is little to tell a rate from.
			length = max(10, float64(time.Now().Second()))
		}
		h.accepted[i] += float64(row.Accepted) / length
		h.rejected[i] += float64(row.Rejected) / length
		h.unreachable[i] += float64(row.Unreachable) / length
		merge(h.answers[i], row.AnswerCounts)
		merge(h.delays[i], row.DelayCounts)
		set(&h.pending[i], row.Pending)
		set(&h.retrying[i], row.Retrying)
		set(&h.lag[i], row.SlotLagBytes)
		if row.OldestSeconds != nil {
			h.oldest[i] = *row.OldestSeconds
		}
	}
	return &h
}

func merge(into, from store.Histogram) {
	for i := range min(len(into), len(from)) {
		into[i] += from[i]
	}
}

func set(to *float64, from *int64) {
	if from != nil {
		*to = float64(*from)
	}
}

func (h *hour) throughputChart() *chart {
	c := &chart{Title: "Attempts", Help: "What was sent each second, by what came of it.", Series: []series{
		{"accepted", "c-accepted", h.accepted[:]}, {"rejected", "c-rejected", h.rejected[:]},
		{"unreachable", "c-unreachable", h.unreachable[:]},
	}}
	c.Now = "0 a second"
	if h.now >= minutesShown-2 { // Otherwise no relay has written anything for more than a minute.
		c.Now = rateText(c.sum(h.now)) + " a second"
	}
	c.stack(rateText)
	return c
}

func (h *hour) delayChart() *chart {
	return percentiles("From commit to attempt", "How long after its commit an event was first sent.", h.delays[:])
}

func (h *hour) answerChart() *chart {
	return percentiles("Time to answer", "How long the receivers took, or until they were given up.", h.answers[:])
}

// percentiles draws the middle and the slow end of durations, on a scale where each step is ten times the last.
func percentiles(title, help string, minutes []store.Histogram) *chart {
	c := &chart{Title: title, Help: help, Series: []series{
		{Name: "p50", Class: "c-p50"}, {Name: "p95", Class: "c-p95"}, {Name: "p99", Class: "c-p99"},
	}}
	for _, counts := range minutes {
		for i, q := range []float64{0.5, 0.95, 0.99} {
			c.Series[i].Values = append(c.Series[i].Values, quantile(counts, q))
		}
	}
	// Seconds: from the first step that is counted to the power of ten above the last.
	const low, high = 0.001, 100.0
	c.Now = "–"
	if last := lastKnown(c.Series[0].Values); !math.IsNaN(last) {
		c.Now = fmt.Sprintf("p50 %s, p99 %s", secondsText(last), secondsText(lastKnown(c.Series[2].Values)))
	}
	c.lines([]string{"100 s", "10 s", "1 s", "100 ms", "10 ms", "1 ms"},
		func(v float64) float64 { return math.Log10(max(v, low)/low) / math.Log10(high/low) }, secondsText)
	return c
}

// quantile estimates one of a histogram, in seconds; NaN where it is empty.
func quantile(counts store.Histogram, q float64) float64 {
	var total int64
	for _, n := range counts {
		total += n
	}
	if total == 0 {
		return math.NaN()
	}
	rank, seen := q*float64(total), 0.0
	for i, n := range counts {
		if n == 0 || seen+float64(n) < rank {
			seen += float64(n)
			continue
		}
		if i == len(store.StatSteps) {
			break
		}
		lower := 0.0
		if i > 0 {
			lower = store.StatSteps[i-1].Seconds()
		}
		return lower + (store.StatSteps[i].Seconds()-lower)*(rank-seen)/float64(n)
	}
	return store.StatSteps[len(store.StatSteps)-1].Seconds()
}

func (h *hour) backlogChart() *chart {
	c := &chart{Title: "Backlog", Help: "Deliveries that wait in the database: to be sent, and to be tried again.", Series: []series{
		{"pending", "c-pending", h.pending[:]}, {"retrying", "c-unreachable", h.retrying[:]},
	}}
	most := 0.0
	for _, s := range c.Series {
		for _, v := range s.Values {
			if !math.IsNaN(v) {
				most = max(most, v)
			}
		}
	}
	pending, retrying := lastKnown(h.pending[:]), lastKnown(h.retrying[:])
	c.Now = "–"
	if !math.IsNaN(pending) {
		c.Now = fmt.Sprintf("%s pending, %s retrying", number(int64(pending)), number(int64(retrying)))
		if oldest := lastKnown(h.oldest[:]); !math.IsNaN(oldest) && pending > 0 && oldest >= 1 {
			c.Now += ", the oldest for " + secondsText(oldest)
		}
	}
	edge := max(2, top(most)) // Half of it is a whole number.
	c.linear(edge, func(v float64) string { return number(int64(v)) })
	return c
}

func (h *hour) lagChart() *chart {
	c := &chart{Title: "Slot lag", Help: "WAL that Postgres keeps for the relay: written since the position it confirmed.", Series: []series{
		{"lag", "c-p50", h.lag[:]},
	}}
	most := 0.0
	for _, v := range h.lag {
		if !math.IsNaN(v) {
			most = max(most, v)
		}
	}
	c.Now = "–"
	if last := lastKnown(h.lag[:]); !math.IsNaN(last) {
		c.Now = bytesText(int64(last))
	}
	edge := max(1024, math.Pow(2, math.Ceil(math.Log2(max(most, 1)))))
	c.linear(edge, func(v float64) string { return bytesText(int64(v)) })
	return c
}

// lastKnown is the newest value there is.
func lastKnown(values []float64) float64 {
	for i := len(values) - 1; i >= 0; i-- {
		if !math.IsNaN(values[i]) {
			return values[i]
		}
	}
	return math.NaN()
}

func rateText(v float64) string {
	if v >= 100 {
		return number(int64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

func secondsText(v float64) string {
	if v >= store.StatSteps[len(store.StatSteps)-1].Seconds() {
		return "over 20 s"
	}
	d := time.Duration(v * float64(time.Second))
	if d < 10*time.Millisecond {
		return strconv.FormatFloat(v*1000, 'f', 1, 64) + "\u00a0ms"
	}
	return durationText(d)
}
