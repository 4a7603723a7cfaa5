package relay

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/outboxrelay/relay/internal/wire"
	"github.com/outboxrelay/relay/outbox"
)

// errorTextMaxBytes keeps an error to what is worth reading: some quote all that the server sent.
const errorTextMaxBytes = 200

// handshakeError marks what went wrong between the TCP connection and the first byte of HTTP.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "tls handshake: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// classify says why an exchange got no answer: in one of the classes that the log knows, and in words without the URL.
func classify(err error) (outbox.ErrorClass, string) {
	if call, ok := errors.AsType[*url.Error](err); ok {
		err = call.Err
	}
	return errorClass(err), cleanText(errorText(err), errorTextMaxBytes)
}

func errorClass(err error) outbox.ErrorClass {
	switch {
	case isError[*BlockedError](err):
		return outbox.ClassBlocked
	case isError[*net.DNSError](err): // a DNS server that does not answer included
		return outbox.ClassDNS
	case isTimeoutError(err):
		return outbox.ClassTimeout
	case isTLSError(err):
		return outbox.ClassTLS
	case isOutOfFiles(err): // our own fault, not the receiver's
		return outbox.ClassOther
	case isOpError(err, "dial"):
		return outbox.ClassConnect
	case isReset(err):
		return outbox.ClassReset
	case isError[*wire.ProtocolError](err):
		return outbox.ClassProtocol
	default:
		return outbox.ClassOther
	}
}

func isError[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func isOpError(err error, ops ...string) bool {
	op, ok := errors.AsType[*net.OpError](err)
	for _, name := range ops {
		if ok && op.Op == name {
			return true
		}
	}
	return false
}

func isTimeoutError(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout() || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT)
}

// isTLSError includes what comes after the handshake: TLS 1.3 servers refuse a client only then.
func isTLSError(err error) bool {
	return isError[*handshakeError](err) || isError[tls.RecordHeaderError](err) ||
		isError[*tls.CertificateVerificationError](err) || isOpError(err, "remote error", "local error") ||
		isPlainHTTP(err)
}

// isPlainHTTP reports whether the first bytes where TLS was expected were those of an HTTP answer.
func isPlainHTTP(err error) bool {
	record, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok && string(record.RecordHeader[:]) == "HTTP/" || errors.Is(err, http.ErrSchemeMismatch)
}

func isOutOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

func isReset(err error) bool {
	for _, reset := range []error{
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED,
	} {
		if errors.Is(err, reset) {
			return true
		}
	}
	return errors.Is(err, wire.ErrKeptClosed)
}

// errorText is what a person reads.
func errorText(err error) string {
	if blocked, ok := errors.AsType[*BlockedError](err); ok {
		return blocked.Error()
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsTimeout {
			return fmt.Sprintf("lookup %s: no answer from the DNS server", dns.Name)
		}
		return fmt.Sprintf("lookup %s: %s", dns.Name, dns.Err)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" && op.Addr != nil {
		return fmt.Sprintf("dial %s %s: %s", op.Net, op.Addr, rootCause(op.Err))
	}
	if isPlainHTTP(err) {
		return "tls handshake: the server speaks plain HTTP on this port"
	}
	if handshake, ok := errors.AsType[*handshakeError](err); ok {
		return "tls handshake: " + causeText(handshake.err)
	}
	return causeText(err)
}

func causeText(err error) string {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed the connection without an answer"
	case errors.Is(err, net.ErrClosed):
		return "the connection was closed before there was an answer"
	}
	text := rootCause(err)
	if op, ok := errors.AsType[*net.OpError](err); ok && isOpError(op, "remote error", "local error") {
		return op.Op + ": " + text
	}
	return text
}

// rootCause is the text of the innermost error.
func rootCause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// cleanText makes what a server sent fit for Postgres text: at most maxBytes of s, cut between characters, with
// U+FFFD in place of NUL and of whatever is not UTF-8.
func cleanText(s string, maxBytes int) string {
	if len(s) > maxBytes {
		n := maxBytes
		for n > 0 && n > maxBytes-(utf8.UTFMax-1) && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
