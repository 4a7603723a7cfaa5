package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Validate returns everything that is wrong with the values. A missing database.url is not: see RequireDatabase.
func (c *Config) Validate() []Fault {
	var f faults
	c.Database.validate(&f)
	c.Replication.validate(&f)
	c.Delivery.validate(&f)
	c.Network.validate(&f)
	c.HTTP.validate(&f)
	if c.Retention < 0 {
		f.add("retention", "must not be negative; 0 keeps everything")
	}
	validateEventTypes(&f, c.EventTypes)
	validateSubscriptions(&f, c.Subscriptions, c.Network.RequireHTTPS)
	return f
}

func (d Database) validate(f *faults) {
	for _, u := range []struct{ path, url string }{
		{"database.url", d.URL}, {"database.replication_url", d.ReplicationURL},
	} {
		if u.url == "" {
			continue
		}
		// The parser's own error may show the password.
		if _, err := pgconn.ParseConfig(u.url); err != nil {
			f.add(u.path, "is not a Postgres URL: write postgres://user:password@host:5432/database, with special characters of the password as %%XX")
		}
	}
}

var slotName = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)

func (r Replication) validate(f *faults) {
	if !slotName.MatchString(r.Slot) {
		f.add("replication.slot", "%q is not a slot name: 1 to 63 lower-case letters, digits and _", r.Slot)
	}
	if r.Publication == "" || len(r.Publication) > 63 || strings.ContainsRune(r.Publication, 0) {
		f.add("replication.publication", "%q is not a publication name: 1 to 63 bytes", r.Publication)
	}
}

func (d Delivery) validate(f *faults) {
	if d.Timeout <= 0 || d.Timeout > time.Hour {
		f.add("delivery.timeout", "%s is out of range: more than 0, at most 1h", d.Timeout)
	}
	if d.Body != BodyEnvelope && d.Body != BodyPayload {
		f.add("delivery.body", "%q is not known: write envelope or payload", d.Body)
	}
	if len(d.Accept) == 0 {
		f.add("delivery.accept", "is empty, so nothing could ever be accepted: write [200]")
	}
	validateCodes(f, "delivery.accept", d.Accept, "")
	validateCodes(f, "delivery.retry_on", d.RetryOn, "unreachable")
	validateCodes(f, "delivery.disable_on", d.DisableOn, "")
	d.validateAccepted(f, "delivery.retry_on", d.RetryOn)
	d.validateAccepted(f, "delivery.disable_on", d.DisableOn)
	d.Retry.validate(f)
	if d.Concurrency < 1 || d.Concurrency > 100_000 {
		f.add("delivery.concurrency", "%d is out of range: 1 to 100000", d.Concurrency)
	}
	if d.ConcurrencyPerSubscription < 1 || d.ConcurrencyPerSubscription > 10_000 {
		f.add("delivery.concurrency_per_subscription", "%d is out of range: 1 to 10000", d.ConcurrencyPerSubscription)
	}
}

func (d Delivery) validateAccepted(f *faults, path string, codes []string) {
	for i, code := range codes {
		if j := slices.IndexFunc(d.Accept, func(a string) bool { return overlap(a, code) }); j >= 0 {
			f.add(fmt.Sprintf("%s[%d]", path, i), "%s is accepted already, by delivery.accept[%d] (%s)", code, j, d.Accept[j])
		}
	}
}

var statusCode = regexp.MustCompile(`^[1-5]([0-9]{2}|xx)$`)

func validateCodes(f *faults, path string, codes []string, word string) {
	for i, code := range codes {
		if statusCode.MatchString(code) || word != "" && code == word {
			continue
		}
		if word != "" {
			f.add(fmt.Sprintf("%s[%d]", path, i), "%q is neither %s nor a status code (429) nor a class (5xx)", code, word)
		} else {
			f.add(fmt.Sprintf("%s[%d]", path, i), "%q is neither a status code (200) nor a class (2xx)", code)
		}
	}
}

// overlap says whether two codes or classes have a code in common.
func overlap(a, b string) bool {
	if !statusCode.MatchString(a) || !statusCode.MatchString(b) {
		return false
	}
	return a == b || a[0] == b[0] && (strings.HasSuffix(a, "xx") || strings.HasSuffix(b, "xx"))
}

// longestDelay bounds the delay after the last attempt: ten years are a typing mistake.
const longestDelay = 10 * 365 * 24 * time.Hour

func (r Retry) validate(f *faults) {
	if r.Max < 0 || r.Max > 1000 {
		f.add("delivery.retry.max", "%d is out of range: 0 to 1000", r.Max)
	}
	if r.Base < 0 {
		f.add("delivery.retry.base", "must not be negative")
	}
	if r.Unit < 0 {
		f.add("delivery.retry.unit", "must not be negative")
	}
	if r.Exponent < 0 || math.IsNaN(r.Exponent) || r.Exponent > 100 {
		f.add("delivery.retry.exponent", "%v is out of range: 0 to 100", r.Exponent)
		return
	}
	if r.Max > 0 && r.Base+r.Unit <= 0 && r.Base >= 0 && r.Unit >= 0 {
		f.add("delivery.retry", "base and unit are both 0: retries would follow each other without a pause")
	}
	last := float64(r.Base) + float64(r.Unit)*math.Pow(float64(r.Max), r.Exponent)
	if last > float64(longestDelay) {
		f.add("delivery.retry", "the delay before the last retry would be over ten years: lower max, unit or exponent")
	}
}

func (n Network) validate(f *faults) {
	for i, text := range n.Allow {
		if _, err := netip.ParsePrefix(text); err == nil {
			continue
		}
		at := fmt.Sprintf("network.allow[%d]", i)
		if strings.Contains(text, "%") {
			f.add(at, "%q names an interface: write the network without it, such as fe80::/64", text)
		} else if addr, err := netip.ParseAddr(text); err == nil {
			f.add(at, "%q is an address: write the network %s/%d", text, text, addr.BitLen())
		} else {
			f.add(at, "%q is not a network: write 10.0.0.0/8 or fd00::/8", text)
		}
	}
}

var (
	eventType    = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	eventPattern = regexp.MustCompile(`^(\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?)$`)
)

func validateEventTypes(f *faults, types []EventType) {
	seen := make(map[string]int)
	for i, t := range types {
		at := fmt.Sprintf("event_types[%d]", i)
		if !eventType.MatchString(t.Type) {
			f.add(at+".type", "%q is not an event type: letters, digits, _ and -, with dots between, such as user.invited", t.Type)
		} else if first, ok := seen[t.Type]; ok {
			f.add(at+".type", "%s stands at event_types[%d] already", t.Type, first)
		}
		seen[t.Type] = i
		if strings.ContainsRune(t.Description, 0) {
			f.add(at+".description", "%s", noNUL)
		}
		var value json.RawMessage // Any number is good, and none is read.
		if t.Sample == "" {
			f.add(at+".sample", "is missing: write JSON text, such as '{}'")
		} else if err := json.Unmarshal([]byte(t.Sample), &value); err != nil {
			f.add(at+".sample", "is not JSON: %s", jsonError(err))
		}
		validateSchema(f, at, t)
	}
}

func jsonError(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("%v, at byte %d", err, syntax.Offset)
	}
	return err.Error()
}

func validateSubscriptions(f *faults, subscriptions []Subscription, https bool) {
	seen := make(map[[2]string]int)
	for i, s := range subscriptions {
		at := fmt.Sprintf("subscriptions[%d]", i)
		tenant := s.Tenant
		if tenant == "" {
			tenant = "default"
		}
		switch first, ok := seen[[2]string{tenant, s.Name}]; {
		case s.Name == "":
			f.add(at+".name", "is missing: the subscription is kept under it")
		case ok:
			f.add(at+".name", "%q stands at subscriptions[%d] already", s.Name, first)
		}
		seen[[2]string{tenant, s.Name}] = i
		validateKey(f, at+".name", s.Name, 600)
		validateKey(f, at+".tenant", s.Tenant, 2000)
		if what := urlFault(s.URL, https); what != "" {
			f.add(at+".url", "%s", what)
		}
		if len(s.EventTypes) == 0 {
			f.add(at+".event_types", "is empty: write [user.invited], [user.*] or ['*']")
		}
		for j, p := range s.EventTypes {
			if !eventPattern.MatchString(p) {
				f.add(fmt.Sprintf("%s.event_types[%d]", at, j), "%q is neither an event type (user.invited) nor user.* nor *", p)
			}
		}
		if what := secretFault(s.Secret); what != "" {
			f.add(at+".secret", "%s", what)
		}
		validateHeaders(f, at+".headers", s.Headers)
		s.validateLimits(f, at)
	}
}

// noNUL is said of text with a byte 0.
const noNUL = "holds a NUL character, which Postgres can't keep"

// validateKey holds text to what an index takes: 2,700 bytes, of name and tenant together.
func validateKey(f *faults, path, text string, maxBytes int) {
	if strings.ContainsRune(text, 0) {
		f.add(path, "%s", noNUL)
	} else if len(text) > maxBytes {
		f.add(path, "is too long: %d bytes, of at most %d", len(text), maxBytes)
	}
}

// validateLimits holds the limits to what the table takes.
func (s Subscription) validateLimits(f *faults, at string) {
	if s.Rate != 0 && (!(s.Rate >= 0.001) || s.Rate > 100_000) {
		f.add(at+".rate", "%v is out of range: 0.001 to 100000 requests a second, or 0 for no limit", s.Rate)
	}
	if s.Concurrency < 0 || s.Concurrency > 10_000 {
		f.add(at+".concurrency", "%d is out of range: 1 to 10000, or 0 for delivery.concurrency_per_subscription", s.Concurrency)
	}
	if s.Timeout != 0 && (s.Timeout < time.Millisecond || s.Timeout > time.Hour) {
		f.add(at+".timeout", "%s is out of range: 1ms to 1h, or 0 for delivery.timeout", s.Timeout)
	}
}

// reservedHeaders are what HTTP and the signature need; schema.sql refuses the same.
var reservedHeaders = []string{
	"host", "content-length", "content-type", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect",
	"keep-alive", "user-agent", "accept-encoding", "idempotency-key", "x-idempotency-key", "webhook-id",
	"webhook-timestamp", "webhook-signature",
}

var (
	headerName  = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	headerValue = regexp.MustCompile(`^[^\x00-\x08\x0a-\x1f\x7f]*$`)
)

func validateHeaders(f *faults, path string, headers map[string]string) {
	names := make([]string, 0, len(headers))
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch {
		case !headerName.MatchString(name):
			f.add(path, "%q is not a header name", name)
		case slices.Contains(reservedHeaders, strings.ToLower(name)):
			f.add(path+"."+name, "is the relay's own and cannot be replaced")
		case !headerValue.MatchString(headers[name]):
			f.add(path+"."+name, "holds a control character")
		}
	}
}
