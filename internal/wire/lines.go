package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// ProtocolError is of an answer that is not HTTP/1.x, or so broken that it can't be told what it says.
type ProtocolError struct{ Text string }

func (e *ProtocolError) Error() string { return e.Text }

// malformed quotes what could not be made out.
func malformed(what string, line []byte) error {
	const quoteMaxBytes = 80
	if len(line) > quoteMaxBytes {
		line = line[:quoteMaxBytes]
	}
	return &ProtocolError{fmt.Sprintf("malformed %s %q", what, line)}
}

// readerBytes is enough for nearly all answers. The reader of chunks takes no longer lines than this.
const readerBytes = 4 << 10

// lineReader reads an answer, at most left bytes of lines.
type lineReader struct {
	*bufio.Reader
	left  int
	begun bool // Anything has come.
	crlf  bool // Lines end with a carriage return too: in headers they need not, between chunks they must.
}

func newLineReader() lineReader { return lineReader{Reader: bufio.NewReaderSize(nil, readerBytes)} }

func (r *lineReader) reset(from io.Reader) {
	r.Reset(from)
	r.begun, r.crlf = false, false
}

// line returns the next line without its end. It is good until the next read.
func (r *lineReader) line() ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line, err = r.longLine(line)
	}
	r.begun = r.begun || len(line) > 0
	r.left -= len(line)
	switch {
	case r.left < 0:
		return nil, &ProtocolError{"the answer's headers are too large"}
	case err == nil:
	case errors.Is(err, io.EOF) && len(line) > 0:
		return nil, malformed("HTTP response: it ends within a line", line)
	case errors.Is(err, io.EOF) && r.begun:
		return nil, io.ErrUnexpectedEOF
	default:
		return nil, err
	}
	bare := line[:len(line)-1]
	if n := len(bare); n > 0 && bare[n-1] == '\r' {
		return bare[:n-1], nil
	}
	if r.crlf {
		return nil, malformed("trailer", line)
	}
	return bare, nil
}

// longLine goes on with a line that is longer than the buffer, until its end or until it is too long.
func (r *lineReader) longLine(start []byte) ([]byte, error) {
	line := bytes.Clone(start)
	for len(line) <= r.left {
		more, err := r.ReadSlice('\n')
		line = append(line, more...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
	return line, nil
}
