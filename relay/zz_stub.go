package relay

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/outbox"
)

type Secret []byte
type Schedule struct {
	Max        int
	Base, Unit time.Duration
	Exponent   float64
}
type CodeSet struct{}

func (CodeSet) Contains(int) bool { return true }

type Policy struct {
	Accept, Retry, Disable CodeSet
	RetryUnreachable       bool
	Schedule               Schedule
}

func NewPolicy(d config.Delivery) (Policy, error) { return Policy{}, nil }

type Decision struct {
	Status  outbox.Status
	Delay   time.Duration
	Disable bool
}

func (p Policy) Decide(o Outcome, attempt int) Decision { return Decision{} }

type Target struct {
	URL     *url.URL
	Secrets []Secret
	Header  http.Header
}

func NewTarget(rawURL, secret, previousSecret string, headers map[string]string) (*Target, error) {
	return nil, nil
}

type Guard struct{}

func NewGuard(n config.Network) (*Guard, error) { return nil, nil }

type SenderOptions struct {
	Timeout        time.Duration
	Guard          *Guard
	UserAgent      string
	RequireHTTPS   bool
	MaxIdlePerHost int
	RootCAs        *x509.CertPool
	Resolver       *net.Resolver
}
type Sender struct{}

func NewSender(o SenderOptions) *Sender { return nil }
func (s *Sender) NewClient() *Client    { return nil }

type Client struct{}

func (c *Client) Send(ctx context.Context, t *Target, id string, body []byte) Outcome {
	return Outcome{}
}
func (c *Client) CloseIdle() {}

type Outcome struct {
	StartedAt, EndedAt time.Time
	Code               int
	Class              outbox.ErrorClass
	Error              string
	ResponseBody       string
	RetryAfter         string
	Aborted            bool
}

func (o Outcome) Answered() bool { return o.Code != 0 }
func appendEnvelope(dst []byte, id string, typ string, createdAt time.Time, payload []byte) []byte {
	return dst
}
