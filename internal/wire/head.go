package wire

import (
	"bytes"
	"net/http"
	"strconv"

	"golang.org/x/net/http/httpguts"
)

// head is what counts of an answer's status line and headers.
type head struct {
	status    int
	minor     int // Of HTTP/1.x.
	header    http.Header
	length    int64 // Of the body; -1: chunked, or until the connection ends.
	chunked   bool
	keepAlive bool // The connection may be used again after the body.
	doubt     bool // Something is odd about where the answer ends.
	odd       bool // So odd that programs differ about it: no body is read.
}

// readHead reads status lines and headers, in all no more than maxBytes, up to the answer that is not informational. Of
// its headers it keeps those named.
func readHead(h *head, r *lineReader, maxBytes int, keep []string) error {
	r.left = maxBytes
	for {
		line, err := r.line()
		if err != nil {
			return err
		}
		*h = head{header: http.Header{}}
		if h.status, h.minor, err = parseStatusLine(line); err != nil {
			return err
		}
		f := fields{head: h, keep: keep}
		if err := f.read(r); err != nil {
			return err
		}
		if h.status >= http.StatusOK || h.status == http.StatusSwitchingProtocols {
			f.frame()
			return nil
		}
	}
}

// parseStatusLine reads "HTTP/1.1 200 OK", where the reason may be missing, and the space before it.
func parseStatusLine(line []byte) (status, minor int, err error) {
	const prefix, version, code = len("HTTP/1."), len("HTTP/1.1"), len("HTTP/1.1 200")
	switch {
	case len(line) < version || string(line[:prefix]) != "HTTP/1." || !isDigit(line[prefix]):
		return 0, 0, malformed("HTTP response", line)
	case len(line) < code || line[version] != ' ' || len(line) > code && line[code] != ' ':
		return 0, 0, malformed("HTTP status code", line)
	}
	for _, c := range line[version+1 : code] {
		if !isDigit(c) {
			return 0, 0, malformed("HTTP status code", line)
		}
		status = 10*status + int(c-'0')
	}
	if status < http.StatusContinue {
		return 0, 0, malformed("HTTP status code", line)
	}
	return status, int(line[prefix] - '0'), nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// fields gathers what the headers say.
type fields struct {
	*head
	keep []string

	lengths   int // How many times a length was given.
	encodings int // And a transfer encoding.
	close     bool
	persist   bool // Connection: keep-alive
}

// read reads the headers up to the empty line. A line that begins with white space goes on with the one before, a form
// that is obsolete.
func (f *fields) read(r *lineReader) error {
	first, counts := true, false
	for ; ; first = false {
		line, err := r.line()
		if err != nil || len(line) == 0 {
			return err
		}
		if line[0] == ' ' || line[0] == '\t' {
			if first || !validValue(line) {
				return malformed("header line", line)
			}
			f.odd = f.odd || counts
			continue
		}
		name, value, ok := bytes.Cut(line, []byte{':'})
		if !ok || !f.validName(name) || !validValue(value) {
			return malformed("header line", line)
		}
		counts = f.take(name, bytes.Trim(value, " \t"))
	}
}

// take notes a header and says whether it is one that counts.
func (f *fields) take(name, value []byte) (counts bool) {
	switch {
	case is(name, "Content-Length"):
		f.takeLength(value)
		return true
	case is(name, "Transfer-Encoding"):
		f.encodings++
		f.odd = f.odd || f.minor > 0 && (f.encodings > 1 || !is(value, "chunked"))
		return true
	case is(name, "Connection"):
		f.takeConnection(value)
		return true
	}
	for _, kept := range f.keep {
		if is(name, kept) {
			f.header[kept] = append(f.header[kept], string(value))
			return true
		}
	}
	return false
}

func (f *fields) takeLength(value []byte) {
	n, err := strconv.ParseUint(string(value), 10, 63) // Takes digits alone: no sign, no underscore.
	f.odd = f.odd || err != nil || f.lengths > 0 && int64(n) != f.length
	f.length = int64(n)
	f.lengths++
}

func (f *fields) takeConnection(value []byte) {
	for token := range bytes.SplitSeq(value, []byte{','}) {
		token = bytes.Trim(token, " \t")
		f.close = f.close || is(token, "close")
		f.persist = f.persist || is(token, "keep-alive")
	}
}

// frame works out where the body ends (RFC 9112, section 6.3), and whether the connection outlives it.
func (f *fields) frame() {
	f.doubt = f.lengths > 1 || f.encodings > 0 && (f.lengths > 0 || f.minor == 0)
	f.keepAlive = !f.close && (f.minor > 0 || f.persist)
	switch {
	case f.odd: // The status says what became of the request; what follows is left alone.
		f.length, f.keepAlive = 0, false
	case f.status < http.StatusOK: // The connection speaks something else from here on.
		f.length, f.keepAlive = 0, false
	case f.status == http.StatusNoContent, f.status == http.StatusNotModified:
		f.doubt = f.doubt || f.encodings > 0 || f.status == http.StatusNoContent && f.length > 0
		f.length = 0
	case f.encodings > 0 && f.minor > 0:
		f.length, f.chunked = -1, true
	case f.lengths == 0:
		f.length, f.keepAlive = -1, false
	}
}

func is(name []byte, what string) bool {
	return len(name) == len(what) && bytes.EqualFold(name, []byte(what))
}

// validName reports whether this is a header's name. One with spaces is let pass, as net/http does.
func (f *fields) validName(name []byte) bool {
	for _, c := range name {
		if c == ' ' {
			f.odd = true
		} else if !httpguts.IsTokenRune(rune(c)) {
			return false
		}
	}
	return len(name) > 0
}

// validValue reports whether value has no control character but the tab.
func validValue(value []byte) bool {
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
