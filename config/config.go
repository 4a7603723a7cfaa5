// Package config holds the settings of the relay: what relay.yaml and the environment say, with the defaults filled in.
package config

import (
	"slices"
	"time"
)

// Config is one relay's settings. Default gives a value of each but Database.URL.
type Config struct {
	Database      Database
	Replication   Replication
	Delivery      Delivery
	Network       Network
	HTTP          HTTP
	Retention     time.Duration // How long events and their log are kept; 0 keeps them for ever. Default: 720h.
	EventTypes    []EventType   // The catalogue of event types.
	Subscriptions []Subscription

	file     bool // A file was read.
	warnings []string
}

// Warnings returns a line for each RELAY_ variable that Load found and that sets nothing, as it looks like no key.
func (c *Config) Warnings() []string { return slices.Clone(c.warnings) }

// DeclaresSubscriptions says whether what was declared before, and is not in Subscriptions, is to be switched off. It is left
// alone where there is no file and no RELAY_SUBSCRIPTIONS: started in another folder, a relay knows nothing of it.
func (c *Config) DeclaresSubscriptions() bool { return c.file || c.Subscriptions != nil }

// DeclaresEventTypes says the same of EventTypes, which are removed.
func (c *Config) DeclaresEventTypes() bool { return c.file || c.EventTypes != nil }

// Database says where Postgres is.
type Database struct {
	URL            string // Where events and the log are; may go through a pooler. Required.
	ReplicationURL string // A direct connection to the same database, for replication. Default: URL.
}

// Replication names what the relay keeps in Postgres for itself.
type Replication struct {
	Slot        string // Default: relay.
	Publication string // Default: relay.
}

// Delivery says how events are sent and what counts as received.
type Delivery struct {
	Timeout   time.Duration // Until the status line and headers have arrived. Default: 15s.
	Body      Body          // Default: envelope.
	Accept    []string      // Codes (200) and classes (2xx) that mean accepted. Default: 200.
	RetryOn   []string      // "unreachable", codes and classes that are tried again. Default: unreachable.
	DisableOn []string      // Codes that also switch the subscription off. Default: none.
	Retry     Retry
	// Requests in flight, or answered and not yet recorded, in all. It is no strict bound: one that has been in flight for
	// over half a second no longer counts, and each subscription may have two in any case. Default: 512.
	Concurrency                int
	ConcurrencyPerSubscription int // Requests in flight to one subscription. Default: 64.
}

// Body is what a request carries.
type Body string

// The kinds of body.
const (
	BodyEnvelope Body = "envelope" // {"id", "type", "timestamp", "data"}
	BodyPayload  Body = "payload"  // The payload alone.
)

// Retry is the schedule: the delay after attempt N is Base + Unit × N^Exponent.
type Retry struct {
	Max      int           // Retries after the first attempt. Default: 15.
	Base     time.Duration // Default: 5s.
	Unit     time.Duration // Default: 1s.
	Exponent float64       // Default: 4.
}

// Network says which addresses deliveries may reach.
type Network struct {
	Allow        []string // CIDRs of private networks that may be reached; all others are refused. Default: none.
	RequireHTTPS bool     // Refuse http URLs. Default: false.
}

// HTTP is the relay's own server: console, /metrics, /healthz and /readyz.
type HTTP struct {
	Listen         string   // host:port; empty switches it off. Default: 127.0.0.1:8080.
	Console        bool     // Whether the console is served. Default: true.
	Hosts          []string // Names that browsers reach the server by, beside localhost and IP addresses. Default: none.
	Auth           Auth     // Who may come in. Required for the console where Listen is no loopback address.
	OpenMetrics    bool     // Let everybody read /metrics, whatever Auth says. Default: false.
	LinkKey        string   // Signs links for one tenant: base64 of 32 bytes or more. Default: none, so there are no links.
	FrameAncestors []string // Origins whose pages may show the console in a frame. Default: none.
}

// Auth says who may come in to the relay's own server. Without users and tokens everybody who reaches it may.
type Auth struct {
	Users  []User   // Who signs in with a password.
	Tokens []string // SHA-256, in hex, of each token that programs send as a bearer.
}

// Required says whether a login is asked for.
func (a Auth) Required() bool { return len(a.Users)+len(a.Tokens) > 0 }

// User is somebody who signs in to the console.
type User struct {
	Name         string
	PasswordHash string // bcrypt, as `relay hash-password` makes it.
}

// EventType is one entry of the catalogue.
type EventType struct {
	Type        string
	Description string
	Sample      string     // JSON text, sent byte for byte by a test.
	Schema      JSONSchema // Of the payload; the sample satisfies it. Default: none.
}

// Subscription is one that relay.yaml declares; it is kept in outbox.subscriptions under its name.
type Subscription struct {
	Name       string
	Tenant     string // Default: default.
	URL        string
	EventTypes []string
	Secret     string // Default: made by the database.
	Headers    map[string]string

	Rate        float64       // Requests a second at most, evenly spaced. Default: 0, no limit.
	Concurrency int           // Requests in flight at most. Default: 0, Delivery.ConcurrencyPerSubscription.
	Timeout     time.Duration // How long its server may take to answer. Default: 0, Delivery.Timeout.
}

// Default returns the settings that hold where relay.yaml and the environment are silent.
func Default() *Config {
	return &Config{
		Replication: Replication{Slot: "relay", Publication: "relay"},
		Delivery: Delivery{
			Timeout:                    15 * time.Second,
			Body:                       BodyEnvelope,
			Accept:                     []string{"200"},
			RetryOn:                    []string{"unreachable"},
			Retry:                      Retry{Max: 15, Base: 5 * time.Second, Unit: time.Second, Exponent: 4},
			Concurrency:                512,
			ConcurrencyPerSubscription: 64,
		},
		HTTP:      HTTP{Listen: "127.0.0.1:8080", Console: true},
		Retention: 720 * time.Hour,
	}
}
