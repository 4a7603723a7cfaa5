package console

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
)

// logFilter is what the event log is asked for, as its address says it.
type logFilter struct {
	Status, Type, User, Tenant, Webhook, URL, Event, Within, From, To string
	Faults                                                            []fault
}

// statuses are those to filter by, with what people look for most.
var statuses = []struct {
	Value, Text string
	statuses    []outbox.Status
}{
	{"", "Any status", nil},
	{"unhappy", "Not accepted", []outbox.Status{
		outbox.StatusPending, outbox.StatusRetrying, outbox.StatusRejected, outbox.StatusFailed, outbox.StatusCancelled,
	}},
	{"accepted", "Accepted", []outbox.Status{outbox.StatusAccepted}},
	{"rejected", "Rejected", []outbox.Status{outbox.StatusRejected}},
	{"retrying", "Retrying", []outbox.Status{outbox.StatusRetrying}},
	{"pending", "Pending", []outbox.Status{outbox.StatusPending}},
	{"failed", "Failed", []outbox.Status{outbox.StatusFailed}},
	{"cancelled", "Cancelled", []outbox.Status{outbox.StatusCancelled}},
}

// periods are spans of time up to now.
var periods = []struct {
	Value, Text string
	length      time.Duration
}{
	{"", "Any time", 0}, {"15m", "Last 15 minutes", 15 * time.Minute}, {"1h", "Last hour", time.Hour},
	{"24h", "Last 24 hours", 24 * time.Hour}, {"168h", "Last 7 days", 7 * 24 * time.Hour},
}

func readFilter(r *request) logFilter {
	get := func(name string) string { return strings.TrimSpace(r.Form.Get(name)) }
	f := logFilter{
		Status: get("status"), Type: get("type"), User: get("user"), Webhook: get("webhook"), URL: get("url"), Event: get("event"),
		Within: get("within"), From: get("from"), To: get("to"),
	}
	if r.viewer.Operator {
		f.Tenant = get("tenant")
	}
	return f
}

// query is the filter as an address has it.
func (f *logFilter) query() url.Values {
	values := url.Values{}
	for _, field := range f.fields() {
		setWhere(values, field.name, *field.value)
	}
	return values
}

type filterField struct {
	name, label string
	value       *string
}

func (f *logFilter) fields() []filterField {
	return []filterField{
		{"status", "status", &f.Status}, {"type", "event type", &f.Type}, {"user", "user", &f.User}, {"tenant", "tenant", &f.Tenant},
		{"webhook", "webhook", &f.Webhook}, {"url", "URL contains", &f.URL}, {"event", "event", &f.Event}, {"within", "", &f.Within},
		{"from", "from", &f.From}, {"to", "to", &f.To},
	}
}

// chip is a part of the filter, and the address without it.
type chip struct{ Label, Value, Without string }

func (f *logFilter) chips() []chip {
	var all []chip
	for _, field := range f.fields() {
		if *field.value == "" {
			continue
		}
		less := *f
		without := less.query()
		without.Del(field.name)
		value := *field.value
		for _, p := range periods {
			if field.name == "within" && p.Value == value {
				value = strings.ToLower(p.Text)
			}
		}
		if field.name == "status" && value == "unhappy" {
			value = "not accepted"
		}
		all = append(all, chip{field.label, value, logAddress(without)})
	}
	return all
}

func logAddress(values url.Values) string {
	if len(values) == 0 {
		return "/log"
	}
	return "/log?" + values.Encode()
}

// Empty says whether everything is asked for; for templates.
func (f *logFilter) Empty() bool { return len(f.query()) == 0 }

// filterLabels are how people know the fields that can be wrong.
var filterLabels = map[string]string{
	"status": "Status", "type": "Event type", "webhook": "Webhook", "event": "Event id", "from": "From", "to": "To",
}

func (f *logFilter) fault(field, text string) {
	f.Faults = append(f.Faults, fault{field, filterLabels[field], text})
}

// Fault is what is wrong with one field, or nil; for templates.
func (f *logFilter) Fault(field string) *fault { return faultOf(f.Faults, field) }

// read turns the filter into that of the store, and notes what can't be read.
func (f *logFilter) read(now time.Time) store.LogFilter {
	s := store.LogFilter{Tenant: f.Tenant, UserID: f.User, URL: f.URL}
	f.readType(&s)
	known := f.Status == ""
	for _, status := range statuses {
		if status.Value == f.Status {
			s.Statuses, known = status.statuses, true
		}
	}
	if !known {
		f.fault("status", "is none of those in the list")
	}
	s.SubscriptionID = f.readID("webhook", f.Webhook)
	s.EventID = f.readID("event", f.Event)
	s.From, s.To = f.readTime("from", f.From), f.readTime("to", f.To)
	for _, p := range periods {
		if p.Value == f.Within && p.length > 0 && s.From.IsZero() {
			s.From = now.Add(-p.length)
		}
	}
	return s
}

func (f *logFilter) readType(s *store.LogFilter) {
	if f.Type != "" && !eventPattern.MatchString(f.Type) {
		f.fault("type", "must be an event type, such as user.invited, or user.* for all under a name")
		return
	}
	if f.Type != "*" {
		s.Type = f.Type
	}
}

func (f *logFilter) readID(field, text string) uuid.UUID {
	if text == "" {
		return uuid.Nil
	}
	id, err := parseID(text)
	if err != nil {
		f.fault(field, "must be an id, such as 0199c82c-c07b-7d52-9a53-0f7a2d1c8e44")
	}
	return id
}

// timeFormats are what a browser's field gives, and what people paste.
var timeFormats = []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"}

func (f *logFilter) readTime(field, text string) time.Time {
	if text == "" {
		return time.Time{}
	}
	for _, format := range timeFormats {
		if t, err := time.Parse(format, text); err == nil && t.Year() >= 1 && t.Year() < 10_000 {
			return t
		}
	}
	f.fault(field, "must be a time in UTC, such as 2026-01-31 15:04")
	return time.Time{}
}

// placeText is a place in the log, as an address has it.
func placeText(p store.LogPlace) string {
	return strconv.FormatInt(p.At.UnixMicro(), 10) + "_" + p.ID.String()
}

func parsePlace(text string) (store.LogPlace, error) {
	if text == "" {
		return store.LogPlace{}, nil
	}
	micros, id, _ := strings.Cut(text, "_")
	at, err := strconv.ParseInt(micros, 10, 64)
	if err != nil {
		return store.LogPlace{}, errBadRequest
	}
	t := time.UnixMicro(at).UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		return store.LogPlace{}, errBadRequest
	}
	parsed, err := parseID(id)
	return store.LogPlace{At: t, ID: parsed}, err
}

// isUnder says whether a webhook is among some, for templates' selects.
func isAmong(all []webhookChoice, id string) bool {
	return slices.ContainsFunc(all, func(w webhookChoice) bool { return w.ID == id })
}
