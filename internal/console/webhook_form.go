package console

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/outboxrelay/relay/internal/store"
)

// webhookForm is what a person says of a subscribed URL, as typed, and what is wrong with it.
type webhookForm struct {
	New    bool
	ID     string // Of a new one: sealed, so that a form sent twice makes one webhook.
	Seen   string // Of one that is there: its version.
	Action string
	Back   string
	Title  string

	Tenant, Name, URL          string
	Everything                 bool
	Chosen                     []string // Event types and user.*, that are ticked.
	Others                     string   // More of them, typed.
	Headers                    []headerField
	Rate, Concurrency, Timeout string
	Groups                     []typeGroup
	AskTenant, OpenMore        bool
	DefaultConcurrency         int
	DefaultTimeout             string
	MostName                   int
	Faults                     []fault
	Conflict                   bool // Somebody else changed it meanwhile.
}

// fault is what is wrong with a field.
type fault struct{ Field, Label, Text string }

// Sentence says it, beside the field and above the form; for templates.
func (f fault) Sentence() string {
	if f.Field == "headers" || strings.HasPrefix(f.Text, "“") {
		return f.Label + ": " + f.Text
	}
	return f.Label + " " + f.Text
}

func faultOf(all []fault, field string) *fault {
	for i := range all {
		if all[i].Field == field {
			return &all[i]
		}
	}
	return nil
}

type headerField struct {
	Name, Value string
	Kept        bool // It is there; without a new value it stays as it is.
	Remove      bool
}

// labels are how people know the fields.
var labels = map[string]string{
	"url": "URL", "name": "Name", "tenant": "Tenant", "types": "Event types", "others": "Other event types", "headers": "Headers",
	"rate": "Requests a second", "concurrency": "At the same time", "timeout": "Seconds to answer",
}

func (f *webhookForm) fault(field, format string, args ...any) {
	f.Faults = append(f.Faults, fault{field, labels[field], fmt.Sprintf(format, args...)})
}

// Fault is what is wrong with one field, or nil; for templates.
func (f *webhookForm) Fault(field string) *fault { return faultOf(f.Faults, field) }

// Ticked says whether an event type is chosen; for templates.
func (f *webhookForm) Ticked(eventType string) bool { return slices.Contains(f.Chosen, eventType) }

// MoreHeaders are the fields for new headers; for templates.
func (f *webhookForm) MoreHeaders() []headerField {
	var all []headerField
	for _, h := range f.Headers {
		if !h.Kept {
			all = append(all, h)
		}
	}
	return append(all, headerField{})
}

func (c *Console) emptyForm(r *request) *webhookForm {
	id := uuid.Must(uuid.NewV7()).String()
	return &webhookForm{
		New: true, ID: c.gate.Seal("new webhook", id), Action: "/webhooks", Back: "/", Title: "Add a webhook",
		Tenant: "default", AskTenant: r.viewer.Operator, Everything: true,
	}
}

func (c *Console) formOf(w *store.Webhook) *webhookForm {
	address := "/webhooks/" + w.ID.String()
	f := &webhookForm{
		Seen: seenText(w.UpdatedAt), Action: address + "/edit", Back: address, Title: webhookTitle(w),
		Tenant: w.Tenant, Name: derefOr(w.Name, ""), URL: w.URL, Headers: headerFields(w.Headers),
		Everything: slices.Contains(w.EventTypes, "*"),
	}
	f.Chosen = slices.DeleteFunc(slices.Clone(w.EventTypes), func(t string) bool { return t == "*" })
	if w.Rate != nil {
		f.Rate = strconv.FormatFloat(*w.Rate, 'f', -1, 64)
	}
	if w.Concurrency != nil {
		f.Concurrency = strconv.Itoa(*w.Concurrency)
	}
	if w.TimeoutUS != nil {
		f.Timeout = strconv.FormatFloat(float64(*w.TimeoutUS)/1e6, 'f', -1, 64)
	}
	f.OpenMore = len(f.Headers) > 0 || f.Rate+f.Concurrency+f.Timeout != ""
	return f
}

// headerFields are the headers that are there, by name. Their values stay where they are.
func headerFields(headers map[string]string) []headerField {
	var all []headerField
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		all = append(all, headerField{Name: name, Kept: true})
	}
	return all
}

// read takes over what was typed.
func (f *webhookForm) read(r *request) {
	f.Name, f.URL = strings.TrimSpace(r.PostForm.Get("name")), strings.TrimSpace(r.PostForm.Get("url"))
	if f.AskTenant {
		f.Tenant = strings.TrimSpace(r.PostForm.Get("tenant"))
	}
	f.Everything = r.PostForm.Get("which") == "all"
	f.Chosen, f.Others = r.PostForm["type"], strings.TrimSpace(r.PostForm.Get("others"))
	f.Rate, f.Concurrency = strings.TrimSpace(r.PostForm.Get("rate")), strings.TrimSpace(r.PostForm.Get("concurrency"))
	f.Timeout = strings.TrimSpace(r.PostForm.Get("timeout"))
	f.OpenMore = f.OpenMore || f.Rate+f.Concurrency+f.Timeout != ""
	f.readHeaders(r)
}

func (f *webhookForm) readHeaders(r *request) {
	names, values, removed := r.PostForm["header_name"], r.PostForm["header_value"], r.PostForm["header_remove"]
	for i, name := range names {
		name = strings.TrimSpace(name)
		value := ""
		if i < len(values) {
			value = strings.TrimSpace(values[i])
		}
		at := slices.IndexFunc(f.Headers, func(h headerField) bool { return h.Name == name })
		switch {
		case at >= 0 && f.Headers[at].Kept:
			f.Headers[at].Value, f.Headers[at].Remove = value, slices.Contains(removed, name)
		case name != "" || value != "":
			f.Headers, f.OpenMore = append(f.Headers, headerField{Name: name, Value: value}), true
		}
	}
}

// fill adds what every form shows beside what was typed.
func (c *Console) fill(r *request, f *webhookForm) error {
	all, err := c.catalogue(r.Context())
	if err != nil {
		return err
	}
	f.Groups = groupTypes(all)
	f.DefaultConcurrency, f.DefaultTimeout = c.cfg.Delivery.ConcurrencyPerSubscription, durationText(c.cfg.Delivery.Timeout)
	f.MostName = maxNameLength
	// What is chosen and not in the catalogue is shown as typed.
	var typed []string
	f.Chosen = slices.DeleteFunc(f.Chosen, func(t string) bool {
		if f.offers(t) {
			return false
		}
		typed = append(typed, t)
		return true
	})
	f.Others = strings.TrimSpace(f.Others + " " + strings.Join(typed, " "))
	return nil
}

// offers says whether there is a box to tick for an event type.
func (f *webhookForm) offers(eventType string) bool {
	for _, g := range f.Groups {
		if g.Name != "" && eventType == g.Name+".*" {
			return true
		}
		for _, t := range g.Types {
			if t.Type == eventType {
				return true
			}
		}
	}
	return false
}

func (c *Console) showForm(w http.ResponseWriter, r *request, status int, f *webhookForm) error {
	if err := c.fill(r, f); err != nil {
		return err
	}
	title := f.Title
	if !f.New {
		title = "Edit " + title
	}
	if len(f.Faults) > 0 {
		title = "Please check: " + title
	}
	c.render(w, r, status, "webhook_form", page{Title: title, Tab: "webhooks", Body: f})
	return nil
}

// number reads an optional number of a field.
func (f *webhookForm) number(field, text string, least, most float64) *float64 {
	if text == "" {
		return nil
	}
	n, err := strconv.ParseFloat(strings.ReplaceAll(strings.TrimSuffix(strings.TrimSuffix(text, "s"), " "), ",", "."), 64)
	if err != nil || math.IsNaN(n) || n < least || n > most {
		f.fault(field, "must be a number from %s to %s", strconv.FormatFloat(least, 'f', -1, 64), strconv.FormatFloat(most, 'f', -1, 64))
		return nil
	}
	return &n
}

// limits reads the limits. A tenant's own may be narrower than the relay's, not wider.
func (f *webhookForm) limits(c *Console, r *request, fields *store.WebhookFields) {
	mostAtOnce, longest := 10_000.0, time.Hour
	if !r.viewer.Operator {
		mostAtOnce, longest = float64(c.cfg.Delivery.ConcurrencyPerSubscription), c.cfg.Delivery.Timeout
	}
	fields.Rate = f.number("rate", f.Rate, 0.001, 100_000)
	if n := f.number("concurrency", f.Concurrency, 1, mostAtOnce); n != nil {
		if *n != math.Trunc(*n) {
			f.fault("concurrency", "must be a whole number")
		}
		fields.Concurrency = new(int(*n))
	}
	if n := f.number("timeout", f.Timeout, 0.001, longest.Seconds()); n != nil {
		fields.Timeout = new(time.Duration(*n * float64(time.Second)).Round(time.Microsecond))
	}
}
