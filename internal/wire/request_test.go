package wire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const accepted = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// dialled sends a request and returns the address that it was dialled to, and what was written there.
func dialled(t *testing.T, req *http.Request) (address, written string, err error) {
	t.Helper()
	c := newCanned([]byte(accepted))
	tr := newTransport(t, nil)
	tr.Dial = func(_ context.Context, _, to string) (net.Conn, error) {
		address = to
		return c, nil
	}
	tr.DialTLS = func(ctx context.Context, network, to string) (net.Conn, error) {
		_, err := tr.Dial(ctx, network, to)
		address = "tls " + to
		return c, err
	}
	resp, err := tr.RoundTrip(req.WithContext(t.Context()))
	if err == nil {
		_ = resp.Body.Close()
	}
	return address, c.request.String(), err
}

func TestRequest(t *testing.T) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://a.example/hook?x=y&z", strings.NewReader("body"))
	require.NoError(t, err)
	req.Header["X-One"] = []string{"1", "b\tc \xfc"}
	_, written, err := dialled(t, req)
	require.NoError(t, err)
	require.Equal(t, "POST /hook?x=y&z HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\nX-One: b\tc \xfc\r\nContent-Length: 4\r\n\r\nbody", written)
}

// Where a request goes, and what it calls the place: as with net/http.
func TestHosts(t *testing.T) {
	for _, tt := range []struct{ url, address, host string }{
		{"http://a.example", "a.example:80", "a.example"},
		{"https://a.example/", "tls a.example:443", "a.example"},
		{"http://a.example:80/", "a.example:80", "a.example:80"},
		{"https://a.example:8443/", "tls a.example:8443", "a.example:8443"},
		{"http://a.example.:8080/", "a.example.:8080", "a.example.:8080"},
		{"http://192.0.2.1", "192.0.2.1:80", "192.0.2.1"},
		{"http://[2001:db8::1]/", "[2001:db8::1]:80", "[2001:db8::1]"},
		{"https://[2001:db8::1]:8443/", "tls [2001:db8::1]:8443", "[2001:db8::1]:8443"},
		{"http://[fe80::1%25eth0]:8080/", "[fe80::1%eth0]:8080", "[fe80::1]:8080"},
		{"http://bücher.example/", "xn--bcher-kva.example:80", "xn--bcher-kva.example"},
		{"https://BÜCHER.example:8443/", "tls xn--bcher-kva.example:8443", "xn--bcher-kva.example:8443"},
		{"http://１２７.0.0.1/", "127.0.0.1:80", "127.0.0.1"},
		{"http://ExAmple.COM/", "ExAmple.COM:80", "ExAmple.COM"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, tt.url, nil)
		require.NoError(t, err)
		for _, given := range []string{req.Host, ""} {
			req.Host = given
			address, written, err := dialled(t, req)
			require.NoError(t, err, tt.url)
			require.Equal(t, tt.address, address, tt.url)
			read, err := http.ReadRequest(bufio.NewReader(strings.NewReader(written)))
			require.NoError(t, err, "%q", written)
			require.Equal(t, tt.host, read.Host, tt.url)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://a.example:8080/", nil)
	require.NoError(t, err)
	req.Host = "b.example"
	address, written, err := dialled(t, req)
	require.NoError(t, err)
	require.Equal(t, "a.example:8080", address)
	require.Contains(t, written, "\r\nHost: b.example\r\n")
}

// A transport goes by the request, not by the one before.
func TestRoutesAreNotMixedUp(t *testing.T) {
	var written []*canned
	tr := newTransport(t, func(tr *Transport) { tr.MaxIdlePerHost = 0 })
	tr.Dial = func(context.Context, string, string) (net.Conn, error) {
		written = append(written, newCanned([]byte(accepted)))
		return written[len(written)-1], nil
	}
	tr.DialTLS = tr.Dial
	u := &url.URL{Scheme: "http", Host: "a"}
	for i, change := range []func(){
		func() {}, func() {}, func() { u.Path = "/p" }, func() { u.RawQuery = "q" }, func() { u.Host = "b" }, func() { u.Scheme = "https" },
	} {
		change()
		req := &http.Request{Method: http.MethodPost, URL: u, Header: http.Header{}}
		resp, err := tr.RoundTrip(req.WithContext(t.Context()))
		require.NoError(t, err)
		_ = resp.Body.Close()
		read, err := http.ReadRequest(bufio.NewReader(&written[i].request))
		require.NoError(t, err)
		require.Equal(t, u.RequestURI(), read.RequestURI)
		require.Equal(t, u.Host, read.Host)
	}
}

func TestRefusedRequests(t *testing.T) {
	for name, change := range map[string]func(r *http.Request){
		"no host":                  func(r *http.Request) { r.URL.Host = "" },
		"a port and no host":       func(r *http.Request) { r.URL.Host, r.Host = ":80", "" },
		"another scheme":           func(r *http.Request) { r.URL.Scheme = "ftp" },
		"host with a line feed":    func(r *http.Request) { r.Host = "a\r\nX-Evil: 1" },
		"host with a space":        func(r *http.Request) { r.Host = "a b" },
		"host with a NUL":          func(r *http.Request) { r.Host = "a\x00" },
		"host that is no name":     func(r *http.Request) { r.Host = "\u2488\ufffd\xff" },
		"URL host with line feed":  func(r *http.Request) { r.URL.Host, r.Host = "a\r\nX-Evil: 1", "" },
		"query with a line feed":   func(r *http.Request) { r.URL.RawQuery = "a\r\nX-Evil: 1" },
		"query with a space":       func(r *http.Request) { r.URL.RawQuery = "a HTTP/1.1" },
		"query with a NUL":         func(r *http.Request) { r.URL.RawQuery = "a\x00" },
		"opaque with a line feed":  func(r *http.Request) { r.URL.Opaque = "//a/\r\nX-Evil: 1" },
		"method with a line feed":  func(r *http.Request) { r.Method = "POST / HTTP/1.1\r\nX-Evil: 1\r\n" },
		"another method":           func(r *http.Request) { r.Method = http.MethodHead },
		"empty name":               func(r *http.Request) { r.Header[""] = []string{"x"} },
		"name with a colon":        func(r *http.Request) { r.Header["X-A:"] = []string{"x"} },
		"name with a space":        func(r *http.Request) { r.Header["X-A "] = []string{"x"} },
		"name with a line feed":    func(r *http.Request) { r.Header["X-A\r\nX-Evil"] = []string{"x"} },
		"name that is not ASCII":   func(r *http.Request) { r.Header["X-Ä"] = []string{"x"} },
		"value with a line feed":   func(r *http.Request) { r.Header["X-A"] = []string{"x", "hunter2\nX-Evil: 1"} },
		"value with a return":      func(r *http.Request) { r.Header["X-A"] = []string{"hunter2\rX-Evil: 1"} },
		"value with a NUL":         func(r *http.Request) { r.Header["X-A"] = []string{"hunter2\x00"} },
		"value with a delete":      func(r *http.Request) { r.Header["X-A"] = []string{"hunter2\x7f"} },
		"a host of its own":        func(r *http.Request) { r.Header["Host"] = []string{"b"} },
		"a length of its own":      func(r *http.Request) { r.Header["content-length"] = []string{"1"} },
		"an encoding of its own":   func(r *http.Request) { r.Header["Transfer-Encoding"] = []string{"chunked"} },
		"a connection of its own":  func(r *http.Request) { r.Header["Connection"] = []string{"close"} },
		"an upgrade":               func(r *http.Request) { r.Header["Upgrade"] = []string{"h2c"} },
		"trailers announced":       func(r *http.Request) { r.Header["Trailer"] = []string{"X"} },
		"an expectation":           func(r *http.Request) { r.Header["Expect"] = []string{"100-continue"} },
		"a body of unknown length": func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), -1 },
		"a body and no length":     func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 0 },
		"a length and no body":     func(r *http.Request) { r.Body, r.ContentLength = nil, 1 },
		"a body too short":         func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 2 },
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://a.example/?token=hunter2", nil)
			require.NoError(t, err)
			change(req)
			address, written, err := dialled(t, req)
			require.Error(t, err)
			require.Empty(t, written)
			require.Empty(t, address)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

// What is refused and what fails closes the body too.
func TestBodyIsClosed(t *testing.T) {
	for name, change := range map[string]func(r *http.Request, tr *Transport){
		"accepted":   func(*http.Request, *Transport) {},
		"bad URL":    func(r *http.Request, _ *Transport) { r.URL.Scheme = "ftp" },
		"bad header": func(r *http.Request, _ *Transport) { r.Header[""] = []string{""} },
		"bad length": func(r *http.Request, _ *Transport) { r.ContentLength++ },
		"no connection": func(_ *http.Request, tr *Transport) {
			tr.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("refused") }
		},
		"no answer": func(_ *http.Request, tr *Transport) { over(newCanned(nil))(tr) },
		"gone": func(r *http.Request, _ *Transport) {
			ctx, cancel := context.WithCancel(r.Context())
			cancel()
			*r = *r.WithContext(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			body := &closing{Reader: strings.NewReader("body")}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://a/", body)
			require.NoError(t, err)
			req.ContentLength = 4
			tr := newTransport(t, over(newCanned([]byte(accepted))))
			change(req, tr)
			resp, err := tr.RoundTrip(req)
			require.Equal(t, name == "accepted", err == nil)
			if err == nil {
				_ = resp.Body.Close()
			}
			require.Equal(t, 1, body.closed)
		})
	}
}

type closing struct {
	io.Reader
	closed int
}

func (c *closing) Close() error {
	c.closed++
	return nil
}

// Whatever is asked for, it is refused, or what is written is one request that says exactly that.
func FuzzRequest(f *testing.F) {
	f.Add("http://a.example:8080/p?q", "", "X-A", "b", []byte("body"))
	f.Add("http://a/\r\n", "b", "X-A\r\n", "b\r\nX-Evil: 1", []byte("\r\n\r\n"))
	f.Add("https://[fe80::1%25eth0]/%0d%0a?%0d%0a", "a b", "content-length", "7", []byte{})
	f.Add("http://bücher.example/ü?ü", "ü", "X", "\x80", []byte("x"))
	f.Fuzz(func(t *testing.T, rawURL, host, name, value string, body []byte) {
		u, err := url.Parse(rawURL)
		if err != nil || len(body) > wholeMaxBytes {
			return
		}
		header := http.Header{name: {value}}
		req := &http.Request{Method: http.MethodPost, URL: u, Host: host, Header: header, ContentLength: int64(len(body))}
		if len(body) > 0 {
			req.Body = io.NopCloser(bytes.NewReader(body))
		}
		_, written, err := dialled(t, req)
		if err != nil {
			require.Empty(t, written)
			return
		}
		r := bufio.NewReader(strings.NewReader(written))
		read, err := http.ReadRequest(r)
		require.NoError(t, err, "%q", written)
		got, err := io.ReadAll(read.Body)
		require.NoError(t, err)
		require.Equal(t, string(body), string(got))
		require.Zero(t, r.Buffered())
		require.Equal(t, u.RequestURI(), read.RequestURI)
		require.Equal(t, http.MethodPost, read.Method)
		read.Header.Del("Content-Length")
		require.Equal(t, http.Header{http.CanonicalHeaderKey(name): {strings.Trim(value, " \t")}}, read.Header)
	})
}
