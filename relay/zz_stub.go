package relay

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
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
type CodeSet map[int]bool

func (c CodeSet) Contains(n int) bool { return c[n] }

type Policy struct {
	Accept, Retry, Disable CodeSet
	RetryUnreachable       bool
	Schedule               Schedule
}

func NewPolicy(d config.Delivery) (Policy, error) {
	return Policy{Accept: CodeSet{200: true}, RetryUnreachable: true, Schedule: Schedule(d.Retry)}, nil
}

type Decision struct {
	Status  outbox.Status
	Delay   time.Duration
	Disable bool
}

func (p Policy) Decide(o Outcome, attempt int) Decision {
	if o.Code == 200 {
		return Decision{Status: outbox.StatusAccepted}
	}
	if o.Answered() {
		return Decision{Status: outbox.StatusRejected}
	}
	if attempt > p.Schedule.Max {
		return Decision{Status: outbox.StatusFailed}
	}
	return Decision{Status: outbox.StatusRetrying, Delay: p.Schedule.Base + time.Duration(float64(p.Schedule.Unit)*math.Pow(float64(attempt), p.Schedule.Exponent))}
}

type Target struct {
	URL     *url.URL
	Secrets []Secret
	Header  http.Header
}

func NewTarget(rawURL, secret, previousSecret string, headers map[string]string) (*Target, error) {
	u, err := url.Parse(rawURL)
	k, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	return &Target{URL: u, Secrets: []Secret{k}}, err
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
type Sender struct{ o SenderOptions }

func NewSender(o SenderOptions) *Sender { return &Sender{o} }
func (s *Sender) NewClient() *Client {
	return &Client{s, &http.Client{Timeout: s.o.Timeout, Transport: &http.Transport{MaxIdleConnsPerHost: s.o.MaxIdlePerHost}}}
}

type Client struct {
	s *Sender
	c *http.Client
}

func (c *Client) Send(ctx context.Context, t *Target, id string, body []byte) Outcome {
	o := Outcome{StartedAt: time.Now()}
	req, _ := http.NewRequestWithContext(ctx, "POST", t.URL.String(), bytes.NewReader(body))
	ts := strconv.FormatInt(time.Now().Unix(), 10)
	h := hmac.New(sha256.New, t.Secrets[0])
	io.WriteString(h, id+"."+ts+".")
	h.Write(body)
	req.Header["webhook-id"] = []string{id}
	req.Header["webhook-timestamp"] = []string{ts}
	req.Header["webhook-signature"] = []string{"v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))}
	resp, err := c.c.Do(req)
	o.EndedAt = time.Now()
	if err != nil {
		o.Class, o.Error = outbox.ClassOther, err.Error()
		if ctx.Err() != nil {
			o.Aborted = true
		}
		return o
	}
	o.Code = resp.StatusCode
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
	o.ResponseBody = string(b)
	resp.Body.Close()
	return o
}
func (c *Client) CloseIdle() { c.c.CloseIdleConnections() }

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
	dst = append(dst, `{"id":"`+id+`","type":"`+typ+`","timestamp":"`+createdAt.UTC().Format(time.RFC3339Nano)+`","data":`...)
	dst = append(dst, payload...)
	return append(dst, '}')
}
