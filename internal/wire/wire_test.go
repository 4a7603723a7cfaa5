package wire

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newTransport makes a transport whose connections end with the test. change, if given, changes it before its use.
func newTransport(t testing.TB, change func(*Transport)) *Transport {
	t.Helper()
	tr := &Transport{
		Dial: (&net.Dialer{}).DialContext, Timeout: 20 * time.Second, BodyTimeout: 10 * time.Second,
		HeaderMaxBytes: 64 << 10, Keep: []string{"Retry-After"}, IdleTimeout: time.Minute, MaxIdlePerHost: 8,
	}
	if change != nil {
		change(tr)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// trustingTLS dials with a handshake that believes anything.
func trustingTLS(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	over := tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test
	if err := over.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return over, nil
}

// post makes a request and reads the answer's body to its end.
func post(ctx context.Context, rt http.RoundTripper, url string, body []byte) (code int, text string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	read, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode, string(read), err
}

func requirePost(t *testing.T, rt http.RoundTripper, url string, body []byte) (code int, text string) {
	t.Helper()
	code, text, err := post(t.Context(), rt, url, body)
	require.NoError(t, err)
	return code, text
}

// canned is a connection on which the answer lies ready.
type canned struct {
	answer *bytes.Reader

	mu      sync.Mutex
	request bytes.Buffer
	closed  bool
}

func newCanned(answer []byte) *canned { return &canned{answer: bytes.NewReader(answer)} }

func (c *canned) Read(p []byte) (int, error) { return c.answer.Read(p) }

func (c *canned) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.request.Write(p)
}

func (c *canned) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return nil
}

func (c *canned) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (*canned) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*canned) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*canned) SetDeadline(time.Time) error      { return nil }
func (*canned) SetReadDeadline(time.Time) error  { return nil }
func (*canned) SetWriteDeadline(time.Time) error { return nil }

// over makes every connection of tr to be c.
func over(c net.Conn) func(*Transport) {
	return func(tr *Transport) {
		tr.Dial = func(context.Context, string, string) (net.Conn, error) { return c, nil }
		tr.DialTLS = tr.Dial
	}
}

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }
