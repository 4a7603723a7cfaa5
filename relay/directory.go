package relay

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// subscription is a row of outbox.subscriptions at one moment. It is never changed; a newer one takes its place.
type subscription struct {
	id         uuid.UUID
	tenant     string
	eventTypes []string
	active     bool
	url        string
	limits     limits
	target     *Target
	fault      error // Why there is no target.

	// While a secret is being rotated, target signs with both; from this time on rotated takes its place.
	rotatedAt time.Time
	rotated   *Target

	seen uint64 // The last match that found it, so that it is found once; for the directory alone.
}

// limits are a subscription's own; zero values stand for the relay's.
type limits struct {
	rate        float64       // Requests a second; 0: as many as there are.
	concurrency int           // Requests in flight; 0: delivery.concurrency_per_subscription.
	timeout     time.Duration // 0: delivery.timeout.
}

// subscriptionRow is the JSON that the journal holds: row_to_json of the table's row, and its timeout in microseconds.
type subscriptionRow struct {
	ID                      uuid.UUID         `json:"id"`
	Tenant                  string            `json:"tenant"`
	URL                     string            `json:"url"`
	EventTypes              []string          `json:"event_types"`
	Secret                  string            `json:"secret"`
	Headers                 map[string]string `json:"headers"`
	Active                  bool              `json:"active"`
	PreviousSecret          *string           `json:"previous_secret"`
	PreviousSecretExpiresAt *string           `json:"previous_secret_expires_at"`
	Rate                    float64           `json:"rate"`
	Concurrency             int               `json:"concurrency"`
	TimeoutMicroseconds     int64             `json:"timeout_us"`
}

// parseSubscription reads a row. A row whose URL, secret or headers are of no use still matches events: its deliveries
// then say what is wrong with it.
func parseSubscription(row []byte) (*subscription, error) {
	r, err := readSubscription(row)
	if err != nil {
		return nil, fmt.Errorf("read subscription: %w", err)
	}
	s := &subscription{id: r.ID, tenant: r.Tenant, eventTypes: r.EventTypes, active: r.Active, url: r.URL}
	s.limits = limits{
		rate: r.Rate, concurrency: r.Concurrency, timeout: time.Duration(r.TimeoutMicroseconds) * time.Microsecond,
	}
	s.target, s.fault = NewTarget(r.URL, r.Secret, "", r.Headers)
	if s.fault != nil {
		return s, nil
	}
	s.target.Timeout = s.limits.timeout
	if r.PreviousSecret == nil {
		return s, nil
	}
	both, err := NewTarget(r.URL, r.Secret, *r.PreviousSecret, r.Headers)
	if err != nil {
		return s, nil // The old secret is of no use, the new one is.
	}
	both.Timeout = s.limits.timeout
	s.rotated, s.target = s.target, both
	if r.PreviousSecretExpiresAt != nil {
		if t, err := time.Parse(time.RFC3339, *r.PreviousSecretExpiresAt); err == nil { // Not so: infinity.
			s.rotatedAt = t
		}
	}
	return s, nil
}

// readSubscription reads a row's JSON. Of a database of encoding SQL_ASCII it may not be UTF-8, and encoding/json would put
// something else in place of what is not; but events are matched by the very bytes of the tenant. So it is given each byte
// as the character of that number. Such a database has no escapes of other characters: it can't read them.
func readSubscription(row []byte) (r subscriptionRow, err error) {
	if utf8.Valid(row) {
		err = json.Unmarshal(row, &r)
		return r, err
	}
	wide := make([]rune, len(row))
	for i, b := range row {
		wide[i] = rune(b)
	}
	if err := json.Unmarshal([]byte(string(wide)), &r); err != nil {
		return r, err
	}
	r.Tenant, r.URL = narrow(r.Tenant), narrow(r.URL)
	for name, value := range r.Headers {
		r.Headers[name] = narrow(value)
	}
	return r, nil
}

// narrow turns characters back into the bytes of their numbers.
func narrow(wide string) string {
	b := make([]byte, 0, len(wide))
	for _, c := range wide {
		b = append(b, byte(c))
	}
	return string(b)
}

// host is where it sends to, without what may be a secret.
func (s *subscription) host() string {
	if s.target == nil {
		return ""
	}
	return s.target.URL.Host
}

// targetAt returns where to send at a moment; nil where fault says why not.
func (s *subscription) targetAt(now time.Time) *Target {
	if !s.rotatedAt.IsZero() && !now.Before(s.rotatedAt) {
		return s.rotated
	}
	return s.target
}

// directory finds the subscriptions that an event goes to. It is for one goroutine.
type directory struct {
	byID    map[uuid.UUID]*subscription
	tenants map[string]*tenantIndex
	matches uint64
	active  int // How many are switched on.
}

// tenantIndex finds a tenant's active subscriptions without looking at each: by exact type, by the name that the type
// begins with, and those that take everything.
type tenantIndex struct {
	exact      map[string][]*subscription
	under      map[string][]*subscription // By the name before ".*".
	everything []*subscription
}

func newDirectory() *directory {
	return &directory{byID: make(map[uuid.UUID]*subscription), tenants: make(map[string]*tenantIndex)}
}

// set puts a subscription in place of what stood under its id.
func (d *directory) set(s *subscription) {
	d.remove(s.id)
	d.byID[s.id] = s
	if !s.active {
		return
	}
	d.active++
	t := d.tenants[s.tenant]
	if t == nil {
		t = &tenantIndex{exact: make(map[string][]*subscription), under: make(map[string][]*subscription)}
		d.tenants[s.tenant] = t
	}
	for _, p := range s.eventTypes {
		if name, ok := strings.CutSuffix(p, ".*"); ok {
			t.under[name] = append(t.under[name], s)
		} else if p == "*" {
			t.everything = append(t.everything, s)
		} else {
			t.exact[p] = append(t.exact[p], s)
		}
	}
}

func (d *directory) remove(id uuid.UUID) {
	old := d.byID[id]
	if old == nil {
		return
	}
	delete(d.byID, id)
	if !old.active {
		return
	}
	d.active--
	t := d.tenants[old.tenant]
	for _, p := range old.eventTypes {
		if name, ok := strings.CutSuffix(p, ".*"); ok {
			cut(t.under, name, old)
		} else if p == "*" {
			t.everything = without(t.everything, old)
		} else {
			cut(t.exact, p, old)
		}
	}
	if len(t.exact) == 0 && len(t.under) == 0 && len(t.everything) == 0 {
		delete(d.tenants, old.tenant)
	}
}

// match appends to dst the subscriptions that an event of this tenant and type goes to, each once.
func (d *directory) match(dst []*subscription, tenant, typ string) []*subscription {
	t := d.tenants[tenant]
	if t == nil {
		return dst
	}
	d.matches++
	take := func(found []*subscription) {
		for _, s := range found {
			if s.seen != d.matches {
				s.seen = d.matches
				dst = append(dst, s)
			}
		}
	}
	take(t.everything)
	take(t.exact[typ])
	if len(t.under) > 0 {
		for i := range len(typ) {
			if typ[i] == '.' {
				take(t.under[typ[:i]])
			}
		}
	}
	return dst
}

func cut(index map[string][]*subscription, key string, s *subscription) {
	if left := without(index[key], s); len(left) > 0 {
		index[key] = left
	} else {
		delete(index, key)
	}
}

func without(all []*subscription, s *subscription) []*subscription {
	var left []*subscription
	for _, other := range all {
		if other != s {
			left = append(left, other)
		}
	}
	return left
}
