package relay

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/wire"
	"github.com/outboxrelay/relay/outbox"
)

func TestClassify(t *testing.T) {
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}
	op := func(name string, err error) error {
		return &net.OpError{Op: name, Net: "tcp", Addr: addr, Err: err}
	}
	call := func(name string, errno syscall.Errno) error { return os.NewSyscallError(name, errno) }
	for _, tt := range []struct {
		name  string
		err   error
		class outbox.ErrorClass
		text  string
	}{
		{
			"blocked", op("dial", &BlockedError{"127.0.0.1", "loopback"}), outbox.ClassBlocked,
			"address 127.0.0.1 refused: loopback, not in network.allow",
		},
		{
			"no such host", op("dial", &net.DNSError{Err: "no such host", Name: "a.example", Server: "10.0.0.2:53", IsNotFound: true}),
			outbox.ClassDNS, "lookup a.example: no such host",
		},
		{
			"name server silent", op("dial", &net.DNSError{Err: "i/o timeout", Name: "a.example", IsTimeout: true}),
			outbox.ClassDNS, "lookup a.example: no answer from the DNS server",
		},
		{
			"refused", op("dial", call("connect", syscall.ECONNREFUSED)), outbox.ClassConnect,
			"dial tcp 127.0.0.1:9: connection refused",
		},
		{
			"no route", op("dial", call("connect", syscall.EHOSTUNREACH)), outbox.ClassConnect,
			"dial tcp 127.0.0.1:9: no route to host",
		},
		{
			"no network", op("dial", call("connect", syscall.ENETUNREACH)), outbox.ClassConnect,
			"dial tcp 127.0.0.1:9: network is unreachable",
		},
		{
			"reset while connecting", op("dial", call("connect", syscall.ECONNRESET)), outbox.ClassConnect,
			"dial tcp 127.0.0.1:9: connection reset by peer",
		},
		{
			"connecting takes too long", op("dial", os.ErrDeadlineExceeded), outbox.ClassTimeout,
			"dial tcp 127.0.0.1:9: i/o timeout",
		},
		{
			"the system's own timeout", op("dial", call("connect", syscall.ETIMEDOUT)), outbox.ClassTimeout,
			"dial tcp 127.0.0.1:9: connection timed out",
		},
		{
			"too many files", op("dial", call("socket", syscall.EMFILE)), outbox.ClassOther,
			"dial tcp 127.0.0.1:9: too many open files",
		},
		{"reset", op("read", call("read", syscall.ECONNRESET)), outbox.ClassReset, "connection reset by peer"},
		{"broken pipe", op("write", call("write", syscall.EPIPE)), outbox.ClassReset, "broken pipe"},
		{"end", io.EOF, outbox.ClassReset, "the server closed the connection without an answer"},
		{"half an answer", fmt.Errorf("x: %w", io.ErrUnexpectedEOF), outbox.ClassReset, "the server closed the connection without an answer"},
		{
			"idle connection closed", fmt.Errorf("x: %w", wire.ErrKeptClosed), outbox.ClassReset,
			"the server closed the kept connection as the request was on its way",
		},
		{
			"unknown authority", &handshakeError{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}},
			outbox.ClassTLS, "tls handshake: x509: certificate signed by unknown authority",
		},
		{
			"plain HTTP", http.ErrSchemeMismatch, outbox.ClassTLS,
			"tls handshake: the server speaks plain HTTP on this port",
		},
		{
			"no TLS", &handshakeError{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}},
			outbox.ClassTLS, "tls handshake: tls: first record does not look like a TLS handshake",
		},
		{
			"alert", &handshakeError{&net.OpError{Op: "remote error", Err: tls.AlertError(40)}}, outbox.ClassTLS,
			"tls handshake: remote error: tls: handshake failure",
		},
		{
			"alert after the handshake", &net.OpError{Op: "remote error", Err: tls.AlertError(116)}, outbox.ClassTLS,
			"remote error: tls: certificate required",
		},
		{
			"end in the handshake", &handshakeError{io.EOF}, outbox.ClassTLS,
			"tls handshake: the server closed the connection without an answer",
		},
		{
			"timeout in the handshake", &handshakeError{op("read", os.ErrDeadlineExceeded)}, outbox.ClassTimeout,
			"tls handshake: i/o timeout",
		},
		{
			"not HTTP", &wire.ProtocolError{Text: `malformed HTTP response "SSH-2.0"`},
			outbox.ClassProtocol, `malformed HTTP response "SSH-2.0"`,
		},
		{"anything else", errors.New("who knows"), outbox.ClassOther, "who knows"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, err := range []error{tt.err, &url.Error{Op: "Post", URL: "http://u:hunter2@a/?token=hunter2", Err: tt.err}} {
				class, text := classify(err)
				require.Equal(t, tt.class, class)
				require.Equal(t, tt.text, text)
			}
		})
	}
}

func TestClassifyIsShort(t *testing.T) {
	_, text := classify(errors.New("malformed HTTP response " + strings.Repeat("ü\x00\xff", 1<<14)))
	require.LessOrEqual(t, len(text), 2*errorTextMaxBytes)
	require.True(t, utf8.ValidString(text))
	require.NotContains(t, text, "\x00")
}

func TestCleanText(t *testing.T) {
	for _, tt := range []struct {
		in   string
		max  int
		want string
	}{
		{"", 4, ""},
		{"abcd", 4, "abcd"},
		{"abcde", 4, "abcd"},
		{"ab\x00c", 4, "ab\uFFFDc"},
		{"a\xff\xfeb", 4, "a\uFFFDb"},
		{"abcü", 4, "abc"},
		{"abüc", 4, "abü"},
		{"a🎉", 4, "a"},
		{"🎉🎉", 4, "🎉"},
		{"\xbf\xbf\xbf\xbf\xbf\xbf", 4, "\uFFFD"},
		{"abc\xf0\x9f", 5, "abc\uFFFD"},
	} {
		require.Equal(t, tt.want, cleanText(tt.in, tt.max), "%q", tt.in)
	}
}

func FuzzCleanText(f *testing.F) {
	f.Add("a\x00\xffü🎉", 5)
	f.Fuzz(func(t *testing.T, in string, limit int) {
		if limit < 0 || limit > 1<<20 {
			return
		}
		text := cleanText(in, limit)
		require.True(t, utf8.ValidString(text))
		require.NotContains(t, text, "\x00")
		require.LessOrEqual(t, len(text), 3*limit)
		if len(in) <= limit && utf8.ValidString(in) && !strings.Contains(in, "\x00") {
			require.Equal(t, in, text, "good text is left alone")
		}
	})
}
