package console

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/relay"
)

const (
	maxNameLength   = 100
	maxURLLength    = 2000 // What servers and proxies take.
	maxTypes        = 200
	maxHeaders      = 20
	maxHeaderLength = 4000
)

var eventPattern = regexp.MustCompile(`^(\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?)$`)

// check reads the form into what a subscription holds, and notes what is wrong. kept are the headers that are there.
func (f *webhookForm) check(c *Console, r *request, kept map[string]string) store.WebhookFields {
	fields := store.WebhookFields{Name: f.Name, URL: f.URL}
	if utf8.RuneCountInString(f.Name) > maxNameLength {
		f.fault("name", "must have no more than %d characters", maxNameLength)
	}
	if f.AskTenant && f.Tenant == "" {
		f.fault("tenant", "is missing; where there are no tenants it is default")
	}
	f.checkURL(c)
	fields.EventTypes = f.checkTypes()
	fields.Headers = f.checkHeaders(kept)
	f.limits(c, r, &fields)
	return fields
}

// placeholderSecret is a well-formed one, for checks that look at everything else.
const placeholderSecret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" //nolint:gosec // It signs nothing.

func (f *webhookForm) checkURL(c *Console) {
	switch {
	case f.URL == "":
		f.fault("url", "is missing: where are the events to be sent?")
		return
	case len(f.URL) > maxURLLength:
		f.fault("url", "must have no more than %d characters", maxURLLength)
		return
	}
	if err := config.CheckURL(f.URL); err != nil {
		f.fault("url", "%v", err)
		return
	}
	if u, err := url.Parse(f.URL); c.cfg.Network.RequireHTTPS && (err != nil || u.Scheme != "https") {
		f.fault("url", "must begin with https://")
	}
}

func (f *webhookForm) checkTypes() []string {
	if f.Everything {
		return []string{"*"}
	}
	all := slices.Clone(f.Chosen)
	for _, t := range strings.FieldsFunc(f.Others, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t' }) {
		if !eventPattern.MatchString(t) {
			f.fault("others", "“%s” is neither an event type (user.invited) nor everything under a name (user.*)", t)
			continue
		}
		all = append(all, t)
	}
	for _, t := range f.Chosen {
		if !eventPattern.MatchString(t) {
			f.fault("types", "“%s” is not an event type", t)
		}
	}
	if len(all) == 0 && f.Fault("others") == nil {
		f.fault("types", "are missing: choose at least one, or everything")
	}
	if len(all) > maxTypes {
		f.fault("types", "are too many: choose no more than %d, or user.* for all under a name", maxTypes)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (f *webhookForm) checkHeaders(kept map[string]string) map[string]string {
	headers := make(map[string]string)
	for _, h := range f.Headers {
		if h.Kept && h.Remove {
			continue
		}
		value := h.Value
		if h.Kept && value == "" {
			value = kept[h.Name]
		}
		_, twice := headers[h.Name]
		for name := range headers {
			twice = twice || strings.EqualFold(name, h.Name)
		}
		switch {
		case h.Name == "":
			f.fault("headers", "a value has no name")
		case twice:
			f.fault("headers", "“%s” is there twice", h.Name)
		case len(value) > maxHeaderLength:
			f.fault("headers", "the value of “%s” is longer than %d characters", h.Name, maxHeaderLength)
		}
		headers[h.Name] = value
	}
	if len(headers) > maxHeaders {
		f.fault("headers", "there can be no more than %d", maxHeaders)
	}
	if f.Fault("headers") != nil {
		return headers
	}
	// The same check as the engine's, which names the header and never its value.
	if _, err := relay.NewTarget("https://example.com", placeholderSecret, "", headers); err != nil {
		f.fault("headers", "%s", strings.TrimPrefix(err.Error(), "headers: "))
	}
	return headers
}

// refusals says, by the table's constraint, which field is wrong and how: for what the checks above let through.
var refusals = map[string]fault{
	"subscriptions_name_key":          {Field: "name", Text: "is taken by another webhook"},
	"subscriptions_tenant_check":      {Field: "tenant", Text: "must have no more than 2000 bytes"},
	"subscriptions_name_check":        {Field: "name", Text: "can't be used"},
	"subscriptions_url_check":         {Field: "url", Text: "must be http://… or https://… with a host, and without user and password"},
	"subscriptions_event_types_check": {Field: "types", Text: "must each be an event type (user.invited), everything under a name (user.*) or *"},
	"subscriptions_headers_check": {Field: "headers", Text: "can't be used: a name is letters, digits and -, a value has no control " +
		"characters, and the relay's own can't be replaced"},
	"subscriptions_rate_check":        {Field: "rate", Text: "must be from 0.001 to 100000"},
	"subscriptions_concurrency_check": {Field: "concurrency", Text: "must be from 1 to 10000"},
	"subscriptions_timeout_check":     {Field: "timeout", Text: "must be more than 0, and at most an hour"},
}

// refused notes what the table refused, and says whether that was about a field.
func (f *webhookForm) refused(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	known, ok := refusals[pg.ConstraintName]
	if ok {
		f.fault(known.Field, "%s", known.Text)
	}
	return ok
}
