package wire

import (
	"errors"
	"io"
	"net/http/httputil"
)

// body is the body of an answer. It lets go of the connection when it has been read to its end, or is closed.
type body struct {
	x      *exchange
	left   int64 // Of a body whose length is known; -1: until the connection ends.
	chunks io.Reader
	keep   bool
	err    error
}

var errClosed = errors.New("read on a closed body")

func (b *body) Read(p []byte) (n int, err error) {
	switch {
	case b.err != nil:
		return 0, b.err
	case len(p) == 0:
		return 0, nil
	case b.chunks != nil:
		n, err = b.chunks.Read(p)
	case b.left < 0:
		n, err = b.x.gear.in.Read(p)
	default:
		n, err = b.x.gear.in.Read(p[:min(int64(len(p)), b.left)])
		b.left -= int64(n)
		switch {
		case b.left == 0:
			err = io.EOF
		case errors.Is(err, io.EOF):
			err = io.ErrUnexpectedEOF
		}
	}
	if err != nil {
		b.finish(err)
	}
	return n, err
}

// Close gives up what has not been read, and the connection with it.
func (b *body) Close() error {
	if b.err == nil {
		b.finish(errClosed)
	}
	return nil
}

// finish ends reading with err: io.EOF where the body is complete.
func (b *body) finish(err error) {
	b.err = err
	b.x.release(b.keep && err == io.EOF) //nolint:errorlint // wrapped, it would not be the end
}

// trailerMaxBytes is more than anyone sends behind the last chunk.
const trailerMaxBytes = 4 << 10

// chunks reads a chunked body, and the trailers behind it, which nobody wants.
type chunks struct {
	io.Reader
	in *lineReader
}

func newChunks(in *lineReader) *chunks {
	return &chunks{Reader: httputil.NewChunkedReader(in.Reader), in: in}
}

func (c *chunks) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err != io.EOF { //nolint:errorlint // the reader returns it bare, at the last chunk
		return n, err
	}
	c.in.left, c.in.crlf = trailerMaxBytes, true
	trailers := fields{head: &head{minor: 1}}
	if err := trailers.read(c.in); err != nil {
		return n, err
	}
	if trailers.odd {
		return n, &ProtocolError{"malformed trailers"}
	}
	return n, io.EOF
}
