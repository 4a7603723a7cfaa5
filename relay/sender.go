package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/outboxrelay/relay/internal/wire"
	"github.com/outboxrelay/relay/outbox"
)

const (
	// responseBodyMaxBytes is what the log keeps of an answer's body.
	responseBodyMaxBytes = 1 << 10
	// responseReadMaxBytes is what is read of it at most: a connection can be used again only once the body has been
	// read to its end, and answers to webhooks are short.
	responseReadMaxBytes = 4 << 10
	// responseReadTimeout is how long the body may take after the headers. The outcome is settled by then.
	responseReadTimeout = 250 * time.Millisecond
	// responseHeaderMaxBytes is far more than any receiver sends, and far less than would hurt.
	responseHeaderMaxBytes = 64 << 10
	// idleConnTimeout is shorter than the five seconds after which Node.js servers, the most impatient of the common
	// ones, close a kept connection: a request that meets the closing is lost, and would be tried again.
	idleConnTimeout = 4 * time.Second
	// maxConnAge bounds how long a receiver that moves in DNS is looked for at its old address: a connection in constant use is
	// never idle, and where the old server goes on answering nothing else ends it.
	maxConnAge = 5 * time.Minute
	// defaultMaxIdlePerHost is delivery.concurrency_per_subscription's default: as many as can be in use.
	defaultMaxIdlePerHost = 64
	// tlsSessions are kept for all clients together, so that most handshakes are short ones.
	tlsSessions = 1024
)

// SenderOptions say how requests are made.
type SenderOptions struct {
	Timeout        time.Duration  // For the whole exchange until the answer's headers have come. Default: 15s.
	Guard          *Guard         // Which addresses may be reached. Default: public ones.
	UserAgent      string         // Default: relay.
	RequireHTTPS   bool           // Refuse http URLs.
	MaxIdlePerHost int            // Connections that a client keeps for use again. Default: 64.
	MaxConnections int            // Of all clients, idle ones included, as long as not more are in use. Default: no bound.
	RootCAs        *x509.CertPool // Default: the system's.
	Resolver       *net.Resolver  // Default: Go's own, which gives up when told to.
}

// Sender makes the clients that send, alike in all but their connections. Several goroutines may use it.
type Sender struct {
	timeout        time.Duration
	guard          *Guard
	userAgent      []string
	requireHTTPS   bool
	maxIdlePerHost int
	budget         *wire.Budget
	dialer         *net.Dialer
	tls            *tls.Config
}

// NewSender makes a sender.
func NewSender(o SenderOptions) *Sender {
	s := &Sender{
		timeout:        o.Timeout,
		guard:          o.Guard,
		userAgent:      []string{o.UserAgent},
		requireHTTPS:   o.RequireHTTPS,
		maxIdlePerHost: o.MaxIdlePerHost,
		tls: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			RootCAs:            o.RootCAs,
			NextProtos:         []string{"http/1.1"},
			ClientSessionCache: tls.NewLRUClientSessionCache(tlsSessions),
		},
	}
	if s.timeout <= 0 {
		s.timeout = 15 * time.Second
	}
	if s.guard == nil {
		s.guard = &Guard{}
	}
	if o.UserAgent == "" {
		s.userAgent = []string{"relay"}
	}
	if s.maxIdlePerHost <= 0 {
		s.maxIdlePerHost = defaultMaxIdlePerHost
	}
	if o.MaxConnections > 0 {
		s.budget = wire.NewBudget(o.MaxConnections)
	}
	if o.Resolver == nil {
		o.Resolver = &net.Resolver{PreferGo: true}
	}
	s.dialer = &net.Dialer{
		KeepAlive:      -1, // an exchange has its deadline, an idle connection its few seconds
		Resolver:       o.Resolver,
		ControlContext: s.control,
	}
	return s
}

// Client sends to one subscription. Clients share no connections, since an exchange that fails closes all idle
// connections of its client. Several goroutines may use it.
type Client struct {
	sender *Sender
	http   *retryablehttp.Client
}

// NewClient makes a client with connections of its own.
func (s *Sender) NewClient() *Client {
	return s.newClient(&wire.Transport{
		Dial:           s.dial, // and no proxy: the guard would see nothing but that
		DialTLS:        s.dialTLS,
		Timeout:        s.timeout,
		BodyTimeout:    responseReadTimeout,
		HeaderMaxBytes: responseHeaderMaxBytes,
		Keep:           []string{"Retry-After"},
		IdleTimeout:    idleConnTimeout,
		MaxAge:         maxConnAge,
		MaxIdlePerHost: s.maxIdlePerHost,
		Budget:         s.budget,
	})
}

func (s *Sender) newClient(transport http.RoundTripper) *Client {
	return &Client{sender: s, http: &retryablehttp.Client{
		HTTPClient:   &http.Client{Transport: transport, CheckRedirect: noRedirect},
		RetryMax:     0, // the schedule is in the database, and every attempt counts
		CheckRetry:   checkRetry,
		Backoff:      retryablehttp.DefaultBackoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}}
}

// CloseIdle closes the connections that are not in use. The client stays usable.
func (c *Client) CloseIdle() { c.http.HTTPClient.CloseIdleConnections() }

// Send makes one attempt: one POST of body to t, signed, with id as the webhook-id. It blocks until the status line and
// headers have arrived and a little of the body has been read, until the sender's timeout, or until ctx is done: then the
// outcome is Aborted. Redirects are not followed; whatever the server answers is the outcome. A nil t is an outcome too.
//
// The request goes out once. Where a kept connection turns out to be dead before a single byte was written to it, another
// one is taken; where anything was written it is given up.
//
// body must not be changed, not even after Send has returned: a server may answer before it has read everything.
func (c *Client) Send(ctx context.Context, t *Target, id string, body []byte) Outcome {
	return c.SendTraced(ctx, t, id, "", body)
}

// SendTraced is Send for an event that belongs to a trace: traceparent is sent as the header of that name, unless it is
// empty or the target has one of its own. It must be a value that a header can hold.
func (c *Client) SendTraced(ctx context.Context, t *Target, id, traceparent string, body []byte) Outcome {
	o := Outcome{StartedAt: time.Now()}
	switch {
	case t == nil:
		o.EndedAt, o.Class, o.Error = o.StartedAt, outbox.ClassOther, "the subscription's URL, secret or headers are of no use"
		return o
	case c.sender.requireHTTPS && t.URL.Scheme != "https":
		o.EndedAt, o.Class, o.Error = o.StartedAt, outbox.ClassBlocked, "http refused: network.require_https is set"
		return o
	}
	x := &exchange{Context: ctx, timeout: c.sender.timeout}
	if t.Timeout > 0 {
		x.timeout = t.Timeout
	}
	request := x.request(t, c.sender.userAgent, id, traceparent, o.StartedAt, body)
	resp, err := c.http.Do(&retryablehttp.Request{Request: request})
	o.EndedAt = time.Now()
	if resp == nil {
		o.Class, o.Error, o.Aborted = x.failure(err, t)
		return o
	}
	o.Code = resp.StatusCode
	o.RetryAfter = cleanText(resp.Header.Get("Retry-After"), retryAfterMaxBytes)
	o.ResponseBody = readBody(resp)
	return o
}

// checkRetry is the library's own judgement where there was no answer. An answer is final, 429 and 5xx included, which the
// library would try again: here the policy decides, and later. Once the exchange has been given up, the transport's error
// says more than that it was.
func checkRetry(ctx context.Context, _ *http.Response, err error) (bool, error) {
	if err != nil && ctx.Err() == nil {
		return retryablehttp.DefaultRetryPolicy(ctx, nil, err)
	}
	return false, nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

var responseBuffers = sync.Pool{New: func() any { return new([responseReadMaxBytes + 1]byte) }}

// readBody reads the answer's body, as much of it as is wanted and comes in time, closes it, and returns its beginning.
func readBody(resp *http.Response) string {
	defer resp.Body.Close()
	if resp.Body == http.NoBody {
		return ""
	}
	buffer := responseBuffers.Get().(*[responseReadMaxBytes + 1]byte)
	defer responseBuffers.Put(buffer)
	n, _ := io.ReadFull(resp.Body, buffer[:]) // beyond the last byte wanted is the end, which frees the connection
	return cleanText(string(buffer[:min(n, responseBodyMaxBytes+1)]), responseBodyMaxBytes)
}

func (s *Sender) dial(ctx context.Context, network, address string) (net.Conn, error) {
	enterStage(ctx, stageLookup)
	conn, err := s.dialer.DialContext(ctx, network, address)
	if err == nil {
		enterStage(ctx, stageConnected)
	}
	return conn, err
}

// control is called for each address that a connection is tried to.
func (s *Sender) control(ctx context.Context, network, address string, c syscall.RawConn) error {
	enterStage(ctx, stageConnect)
	return s.guard.Control(network, address, c)
}

func (s *Sender) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := s.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	enterStage(ctx, stageHandshake)
	config := s.tls.Clone()
	config.ServerName = serverName(address)
	client := tls.Client(conn, config)
	if err := client.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, &handshakeError{err}
	}
	enterStage(ctx, stageConnected)
	return client, nil
}

func serverName(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return strings.TrimSuffix(host, ".")
}
