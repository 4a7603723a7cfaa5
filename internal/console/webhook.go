package console

import (
	"html/template"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/outboxrelay/relay/internal/store"
)

// webhookView is one subscribed URL.
type webhookView struct {
	webhookRow
	Limits   []string
	Headers  []string // Names; the values are often secrets.
	Taken    []string // Event types that a test can send and the webhook takes.
	Others   []string // Those that a test can send as well.
	Latest   []logRowView
	MoreLog  string
	Tested   *testView
	Editable bool
	Seen     string // For forms: when the webhook was last changed.
	Secret   string // Shown this once.
	SecretOf string // Why it is shown: added or rotated.
	Until    time.Time
	Warning  string
	Day      template.HTML
}

func (c *Console) webhookPage(w http.ResponseWriter, r *request) error {
	id, err := r.pathID()
	if err != nil {
		return err
	}
	view, err := c.webhookView(r, id)
	if err != nil {
		return err
	}
	return c.showWebhook(w, r, http.StatusOK, view)
}

func (c *Console) showWebhook(w http.ResponseWriter, r *request, status int, view *webhookView) error {
	c.render(w, r, status, "webhook", page{Title: view.Title, Tab: "webhooks", Body: view})
	return nil
}

// latestShown is enough to see whether it works.
const latestShown = 10

func (c *Console) webhookView(r *request, id uuid.UUID) (*webhookView, error) {
	webhook, err := store.FindWebhook(r.Context(), c.db, r.scope(), id)
	if err != nil {
		return nil, err
	}
	rows, err := c.withDays(r, []store.Webhook{*webhook})
	if err != nil {
		return nil, err
	}
	view := &webhookView{
		webhookRow: rows[0], Limits: c.limits(webhook), Editable: !webhook.Declared, Seen: seenText(webhook.UpdatedAt),
		MoreLog: "/log?webhook=" + id.String(),
	}
	for _, h := range headerFields(webhook.Headers) {
		view.Headers = append(view.Headers, h.Name)
	}
	if view.Taken, view.Others, err = c.testTypes(r, webhook); err != nil {
		return nil, err
	}
	walk, err := store.Browse(r.Context(), c.db, r.scope(), store.LogFilter{SubscriptionID: id}, store.LogPlace{}, latestShown)
	if err != nil {
		return nil, err
	}
	view.Latest = logRowViews(r, walk.Rows)
	return view, nil
}

// IsTested says whether a test was made of an event type; for templates.
func (v *webhookView) IsTested(eventType string) bool {
	return v.Tested != nil && v.Tested.Type == eventType
}

// testTypes are the event types whose samples can be sent: those that the webhook takes, and the others.
func (c *Console) testTypes(r *request, webhook *store.Webhook) (taken, others []string, err error) {
	all, err := c.catalogue(r.Context())
	if err != nil {
		return nil, nil, err
	}
	for _, t := range all {
		if wants(webhook.EventTypes, t.Type) {
			taken = append(taken, t.Type)
		} else {
			others = append(others, t.Type)
		}
	}
	if len(all) == 0 {
		taken = []string{ping.Type}
	}
	return taken, others, nil
}

// limits says what holds for a webhook, its own or the relay's.
func (c *Console) limits(w *store.Webhook) []string {
	var own []string
	if w.Rate != nil {
		own = append(own, "at most "+strconv.FormatFloat(*w.Rate, 'f', -1, 64)+plural(*w.Rate == 1, " request", " requests")+" a second")
	}
	concurrency := c.cfg.Delivery.ConcurrencyPerSubscription
	if w.Concurrency != nil {
		concurrency = *w.Concurrency
	}
	timeout := c.cfg.Delivery.Timeout
	if w.TimeoutUS != nil {
		timeout = time.Duration(*w.TimeoutUS) * time.Microsecond
	}
	return append(own, "at most "+strconv.Itoa(concurrency)+" at the same time", "answer within "+durationText(timeout))
}

// seenText is a version of a webhook, as forms carry it.
func seenText(at time.Time) string { return strconv.FormatInt(at.UnixMicro(), 10) }

func parseSeen(text string) (time.Time, error) {
	micros, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, errBadRequest
	}
	return time.UnixMicro(micros), nil
}
