package relay

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/outboxrelay/relay/internal/receiver"
	"github.com/outboxrelay/relay/outbox"
)

// http2GoAway is an empty SETTINGS frame and GOAWAY.
const http2GoAway = "\x00\x00\x00\x04\x00\x00\x00\x00\x00" +
	"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"

// hostile is a receiver that behaves badly, and what is to come of it.
type hostile struct {
	name   string
	script receiver.Script // Plain TCP, unless config is given.
	config func(a *receiver.Authority) *tls.Config
	url    func(s *receiver.Scripted) string // Default: plain HTTP, or HTTPS with a config.

	code  int // 0: no answer
	class outbox.ErrorClass
	or    outbox.ErrorClass // Where it depends on who is faster.
	text  string            // What the error contains.
}

func hostiles(canary string) []hostile {
	httpsURL := func(s *receiver.Scripted) string { return "https://" + s.Address() + "/hook" }
	nothing := func(net.Conn) {}
	redirect := func(code int, to string) hostile {
		return hostile{
			name:   fmt.Sprintf("redirect %d to %s", code, to),
			script: receiver.Answer(fmt.Sprintf("HTTP/1.1 %d R\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", code, to)),
			code:   code,
		}
	}
	good := func(a *receiver.Authority) *tls.Config { return a.Config("127.0.0.1", nil) }
	all := []hostile{
		{
			name:   "accepts and says nothing",
			script: receiver.Silence, class: outbox.ClassTimeout, text: "no answer within 500ms",
		},
		{
			name:   "does not even read",
			script: func(c net.Conn) { hold(c) }, class: outbox.ClassTimeout, text: "no answer within 500ms",
		},
		{
			name:   "hangs after the status line",
			script: receiver.Answer("HTTP/1.1 200 OK\r\n"), class: outbox.ClassTimeout, text: "no answer within 500ms",
		},
		{
			name:   "hangs after most of the headers",
			script: receiver.Answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"), class: outbox.ClassTimeout,
		},
		{
			name:   "drips the status line",
			script: receiver.Drip("", "H", 20*time.Millisecond), class: outbox.ClassTimeout,
		},
		{
			name:   "drips headers",
			script: receiver.Drip("HTTP/1.1 200 OK\r\n", "X-A: b\r\n", 5*time.Millisecond), class: outbox.ClassTimeout,
		},
		{
			name:   "drips a body",
			script: receiver.Drip("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", "x", 20*time.Millisecond), code: 200,
		},
		{
			name:   "hangs before the body",
			script: receiver.Answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), code: 200,
		},
		{
			name:   "endless body",
			script: receiver.Drip("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 64<<10), 0), code: 200,
		},
		{
			name:   "endless chunk sizes",
			script: receiver.Drip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", strings.Repeat("0", 64<<10), 0), code: 200,
		},
		{
			name:   "gzip bomb",
			script: receiver.Answer("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + zipped(64<<20)), code: 200,
		},
		{
			name:   "one endless header",
			script: receiver.Drip("HTTP/1.1 200 OK\r\nX-A: ", strings.Repeat("x", 64<<10), 0), class: outbox.ClassProtocol,
		},
		{
			name:   "endless headers",
			script: receiver.Drip("HTTP/1.1 200 OK\r\n", strings.Repeat("X-A: b\r\n", 8<<10), 0), class: outbox.ClassProtocol,
		},
		{
			name:   "an endless status line",
			script: receiver.Drip("HTTP/1.1 200 ", strings.Repeat("x", 64<<10), 0), class: outbox.ClassProtocol,
		},
		{
			name:   "informational answers without end",
			script: receiver.Drip("", strings.Repeat("HTTP/1.1 103 Early Hints\r\nX-A: b\r\n\r\n", 1<<10), 0), class: outbox.ClassProtocol,
		},
		{
			name:   "closes at once",
			script: nothing, class: outbox.ClassReset,
		},
		{
			name:   "closes after reading",
			script: receiver.Close, class: outbox.ClassReset, text: "the server closed the connection without an answer",
		},
		{
			name:   "closes between headers",
			script: answerAndClose("HTTP/1.1 200 OK\r\nX-A: b\r\n"), class: outbox.ClassReset,
		},
		{
			name:   "closes within a header",
			script: answerAndClose("HTTP/1.1 200 OK\r\nContent-"), class: outbox.ClassProtocol,
		},
		{
			name:   "resets after reading",
			script: receiver.Reset(""), class: outbox.ClassReset,
		},
		{
			name: "resets within the body", code: 200,
			script: func(c net.Conn) {
				if receiver.ReadRequest(c) == nil {
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx")
					time.Sleep(50 * time.Millisecond) // a reset takes what has not been read yet with it
					_ = c.(*net.TCPConn).SetLinger(0)
				}
			},
		},
		{
			name:   "less body than it says",
			script: answerAndClose("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx"), code: 200,
		},
		{
			name:   "answers, but is slow to close",
			script: receiver.Answer("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nx"), code: 200,
		},
		{
			name:   "not HTTP",
			script: receiver.Answer("SSH-2.0-OpenSSH_9.6\r\n"), class: outbox.ClassProtocol, text: "malformed HTTP response",
		},
		{
			name:   "speaks first, and not HTTP",
			script: func(c net.Conn) { _, _ = io.WriteString(c, "220 mail ESMTP\r\n"); receiver.Silence(c) },
			class:  outbox.ClassProtocol, or: outbox.ClassReset,
		},
		{
			name:   "bytes",
			script: receiver.Answer("\x00\x01\x02\xff\xfe\r\n\r\n"), class: outbox.ClassProtocol,
		},
		{
			name:   "no status code",
			script: receiver.Answer("HTTP/1.1 OK\r\n\r\n"), class: outbox.ClassProtocol,
		},
		{
			name:   "status code 000",
			script: receiver.Answer("HTTP/1.1 000 Zero\r\nContent-Length: 0\r\n\r\n"), class: outbox.ClassProtocol,
		},
		{
			name:   "negative status code",
			script: receiver.Answer("HTTP/1.1 -20 Minus\r\n\r\n"), class: outbox.ClassProtocol,
		},
		{
			name:   "HTTP of the future",
			script: receiver.Answer("HTTP/9.z 200 OK\r\n\r\n"), class: outbox.ClassProtocol,
		},
		{
			name:   "no colon",
			script: receiver.Answer("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"), class: outbox.ClassProtocol,
		},
		{
			name:   "two lengths that differ",
			script: receiver.Answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), code: 200,
		},
		{
			name:   "a length that is none",
			script: receiver.Answer("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nxx"), code: 200,
		},
		{
			name:   "an encoding that is none",
			script: receiver.Answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\nxx"), code: 200,
		},
		{
			name:   "NUL in a header",
			script: receiver.Answer("HTTP/1.1 200 OK\r\nRetry-After: a\x00b\r\nContent-Length: 0\r\n\r\n"), class: outbox.ClassProtocol,
		},
		{
			name:   "chunked and a length at once",
			script: receiver.Answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"), code: 200,
		},
		{
			name:   "two encodings",
			script: receiver.Answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), code: 200,
		},
		{
			name:   "a header that breaks out of its line",
			script: receiver.Answer("HTTP/1.1 200 OK\r\nX-A: b\rX-B: c\r\nContent-Length: 0\r\n\r\n"), class: outbox.ClassProtocol,
		},
		{
			name:   "answers twice",
			script: receiver.Answer(strings.Repeat("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 2)), code: 200,
		},
		{
			name:   "speaks HTTP/2, says GOAWAY",
			script: answerAndClose(http2GoAway), class: outbox.ClassProtocol,
		},
		{
			name:   "speaks nothing but HTTP/2 over TLS",
			config: func(a *receiver.Authority) *tls.Config { c := good(a); c.NextProtos = []string{"h2"}; return c },
			script: answerAndClose(http2GoAway), class: outbox.ClassProtocol,
		},
		{
			name:   "speaks HTTP/2 over TLS and falls silent",
			config: func(a *receiver.Authority) *tls.Config { c := good(a); c.NextProtos = []string{"h2"}; return c },
			script: receiver.Answer(http2GoAway[:9]), class: outbox.ClassTimeout,
		},
		{
			name:   "speaks something else over TLS",
			config: func(a *receiver.Authority) *tls.Config { c := good(a); c.NextProtos = []string{"acme-tls/1"}; return c },
			script: receiver.Silence, class: outbox.ClassTLS, text: "no application protocol",
		},
		{
			name:   "silent after the TLS handshake",
			config: good, script: receiver.Silence, class: outbox.ClassTimeout, text: "no answer within 500ms",
		},
		{
			name:   "silent in the TLS handshake",
			script: receiver.Silence, url: httpsURL, class: outbox.ClassTimeout, text: "tls handshake not finished within 500ms",
		},
		{
			name:   "plain HTTP on the https port",
			script: func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); receiver.Silence(c) },
			url:    httpsURL, class: outbox.ClassTLS, text: "plain HTTP",
		},
		{
			name:   "bytes on the https port",
			script: func(c net.Conn) { _, _ = io.WriteString(c, "\x00\x01\x02\x03\x04\x05"); receiver.Silence(c) },
			url:    httpsURL, class: outbox.ClassTLS,
		},
		{
			name:   "TLS on the http port",
			config: good, script: receiver.Silence, url: (*receiver.Scripted).URL, class: outbox.ClassReset,
		},
		{
			name:   "a TLS alert on the http port",
			script: receiver.Answer("\x15\x03\x01\x00\x02\x02\x46\n"), class: outbox.ClassProtocol,
		},
		{
			name: "certificate expired",
			config: func(a *receiver.Authority) *tls.Config {
				return a.Config("127.0.0.1", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
			},
			script: receiver.Silence, class: outbox.ClassTLS, text: "expired",
		},
		{
			name: "certificate of tomorrow",
			config: func(a *receiver.Authority) *tls.Config {
				return a.Config("127.0.0.1", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })
			},
			script: receiver.Silence, class: outbox.ClassTLS, text: "not yet valid",
		},
		{
			name:   "certificate for another host",
			config: func(a *receiver.Authority) *tls.Config { return a.Config("crm.example.com", nil) },
			script: receiver.Silence, class: outbox.ClassTLS, text: "127.0.0.1",
		},
		{
			name:   "certificate that it signed itself",
			config: func(a *receiver.Authority) *tls.Config { return a.SelfSigned("127.0.0.1") },
			script: receiver.Silence, class: outbox.ClassTLS, text: "unknown authority",
		},
		{
			name: "TLS of the past",
			config: func(a *receiver.Authority) *tls.Config {
				c := good(a)
				c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 //nolint:gosec // what is to be refused
				return c
			},
			script: receiver.Silence, class: outbox.ClassTLS,
		},
		{
			name: "asks for a client certificate",
			config: func(a *receiver.Authority) *tls.Config {
				c := good(a)
				c.ClientAuth = tls.RequireAnyClientCert
				return c
			},
			script: receiver.Silence, class: outbox.ClassTLS,
		},
		{
			name: "certificates without end",
			config: func(a *receiver.Authority) *tls.Config {
				c := good(a)
				for range 800 {
					c.Certificates[0].Certificate = append(c.Certificates[0].Certificate, c.Certificates[0].Certificate[0])
				}
				return c
			},
			script: receiver.Silence, class: outbox.ClassTLS,
		},
	}
	for _, code := range []int{301, 302, 303, 307, 308} {
		all = append(all, redirect(code, canary))
	}
	return append(all, redirect(302, "/hook"), redirect(307, "//"), redirect(302, "gopher://x"), redirect(301, "::%zz"))
}

// hold keeps the connection open and reads nothing of it, until the server is stopped.
func hold(c net.Conn) {
	for {
		if _, err := c.Write(nil); err != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func answerAndClose(text string) receiver.Script {
	return func(c net.Conn) {
		if receiver.ReadRequest(c) == nil {
			_, _ = io.WriteString(c, text)
		}
	}
}

func zipped(size int) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(make([]byte, size))
	_ = w.Close()
	return b.String()
}
