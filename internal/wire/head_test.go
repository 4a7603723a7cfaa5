package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Answers, what they are taken for, and whether the connection may be used again after them.
var answers = []struct {
	name   string
	answer string
	code   int
	body   string
	keep   bool
}{
	{"length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true},
	{"no body", "HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", 200, "", true},
	{"204", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", true},
	{"304 with the length it would have", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", 304, "", true},
	{"no reason", "HTTP/1.1 418\r\nContent-Length: 0\r\n\r\n", 418, "", true},
	{"empty reason", "HTTP/1.1 418 \r\nContent-Length: 0\r\n\r\n", 418, "", true},
	{"later HTTP/1", "HTTP/1.9 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", true},
	{"999", "HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n", 999, "", true},
	{"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, "ok", true},
	{"white space around values", "HTTP/1.1 200 OK\r\nContent-Length: \t 2 \t \r\n\r\nok", 200, "ok", true},
	{"a header that goes on", "HTTP/1.1 200 OK\r\nX-A: b\r\n\tc\r\nContent-Length: 0\r\n\r\n", 200, "", true},
	{"bytes beyond ASCII", "HTTP/1.1 200 Gr\xfc\xdf\r\nX-A: \xfc\r\nContent-Length: 0\r\n\r\n", 200, "", true},
	{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;a=b\r\nok\r\n1\r\n!\r\n0\r\n\r\n", 200, "ok!", true},
	{"trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n1\r\nx\r\n0\r\nX-A: b\r\n\r\n", 200, "x", true},
	{"informational first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", true},
	{"HTTP/1.0 that stays", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", 200, "x", true},
	{"expects nothing", "HTTP/1.1 200 OK\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n", 200, "", true},

	{"until the end", "HTTP/1.1 200 OK\r\n\r\nwhatever", 200, "whatever", false},
	{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", false},
	{"HTTP/1.0 until the end", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nx", 200, "x", false},
	{"says close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 200, "x", false},
	{"says close among others", "HTTP/1.1 200 OK\r\nConnection: x, Close ,y\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", 200, "x", false},
	{"another protocol", "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello", 101, "", false},
	{"more than it says", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 500 Oops\r\n\r\n", 200, "x", false},
	{"more than nothing", "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 500 Oops\r\n\r\n", 204, "", false},
	{"more after the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx", 200, "", false},
	{"two lengths that agree", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 200, "x", false},
	{"chunked and a length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 200, "x", false},
	{"a length and chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n1\r\nx\r\n0\r\n\r\n", 200, "x", false},
	{"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\nx", 200, "x", false},
	{"204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\n", 204, "", false},
	{"204 and chunked", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 204, "", false},
}

func TestAnswers(t *testing.T) {
	for _, tt := range answers {
		t.Run(tt.name, func(t *testing.T) {
			c := newCanned([]byte(tt.answer))
			tr := newTransport(t, over(c))
			code, body := requirePost(t, tr, "http://a/", nil)
			require.Equal(t, tt.code, code)
			require.Equal(t, tt.body, body)
			require.Equal(t, tt.keep, !c.isClosed(), "kept")
			require.Equal(t, tt.keep, len(tr.pool.idle) > 0, "kept")
		})
	}
}

// A body that ends before it should, or is broken, is an answer all the same, and the end of the connection.
func TestBrokenBodies(t *testing.T) {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, answer := range map[string]string{
		"short":                   "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
		"huge":                    "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\nok",
		"chunks end early":        chunked + "2\r\nok",
		"no last chunk":           chunked + "2\r\nok\r\n",
		"no end after the last":   chunked + "2\r\nok\r\n0\r\n",
		"size is none":            chunked + "2\r\nok\r\nzz\r\n0\r\n\r\n",
		"size with a sign":        chunked + "2\r\nok\r\n+1\r\nx\r\n0\r\n\r\n",
		"size too large":          chunked + "2\r\nok\r\n11111111111111111\r\nx\r\n0\r\n\r\n",
		"chunk too long":          chunked + "2\r\nok!!\r\n0\r\n\r\n",
		"bare line feed":          chunked + "2\r\nok\r\n1\nx\r\n0\r\n\r\n",
		"trailer that is none":    chunked + "2\r\nok\r\n0\r\nnonsense\r\n\r\n",
		"trailer ends bare":       chunked + "2\r\nok\r\n0\r\nX-A: b\n\r\n",
		"odd trailers":            chunked + "2\r\nok\r\n0\r\nX A: b\r\n\r\n",
		"the end is bare":         chunked + "2\r\nok\r\n0\r\n\n",
		"endless trailers":        chunked + "2\r\nok\r\n0\r\n" + strings.Repeat("X-A: b\r\n", 9999) + "\r\n",
		"extensions without end":  chunked + "2\r\nok\r\n" + strings.Repeat("1;"+strings.Repeat("x", 999)+"\r\nx\r\n", 999) + "0\r\n\r\n",
		"a line that never stops": chunked + "2\r\nok\r\n" + strings.Repeat("0", 99999),
	} {
		t.Run(name, func(t *testing.T) {
			c := newCanned([]byte(answer))
			code, body, err := post(t.Context(), newTransport(t, over(c)), "http://a/", nil)
			require.Error(t, err)
			require.Equal(t, 200, code)
			require.True(t, strings.HasPrefix(body, "ok"), body)
			require.True(t, c.isClosed())
		})
	}
}

// Headers that leave in doubt where the body ends don't change what the status says. The rest of the connection is left alone.
func TestOddHeaders(t *testing.T) {
	const start = "HTTP/1.1 200 OK\r\n"
	for _, answer := range []string{
		start + "Server : b\r\n\r\n", start + "X A: b\r\n\r\n", start + "Content-Length : 1\r\nContent-Length: 1\r\n\r\nx",
		start + "Content-Length: 1\r\n 2\r\n\r\nx",
		start + "Transfer-Encoding:\r\n chunked\r\n\r\n", start + "Connection:\r\n close\r\n\r\n", start + "Retry-After: 1\r\n 2\r\n\r\n",

		start + "Content-Length: -1\r\n\r\n", start + "Content-Length: +1\r\n\r\nx", start + "Content-Length:\r\n\r\n",
		start + "Content-Length: 1 1\r\n\r\nx", start + "Content-Length: 1,1\r\n\r\nx", start + "Content-Length: 0x1\r\n\r\nx",
		start + "Content-Length: 1_0\r\n\r\nx", start + "Content-Length: 9223372036854775808\r\n\r\n", start + "Content-Length: ١\r\n\r\nx",
		start + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", start + "Content-Length: 2\r\nX-A: b\r\ncontent-length: 1\r\n\r\nxx",
		start + "Transfer-Encoding: rot13\r\n\r\n", start + "Transfer-Encoding: gzip, chunked\r\n\r\n", start + "Transfer-Encoding: identity\r\n\r\n",
		start + "Transfer-Encoding: chunked, chunked\r\n\r\n", start + "Transfer-Encoding: \"chunked\"\r\n\r\n", start + "Transfer-Encoding:\r\n\r\n",
		start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		c := newCanned([]byte(answer))
		tr := newTransport(t, over(c))
		code, body := requirePost(t, tr, "http://a/", nil)
		require.Equal(t, http.StatusOK, code, "%q", answer)
		require.Empty(t, body, "%q", answer)
		require.True(t, c.isClosed(), "%q", answer)
		require.Empty(t, tr.pool.idle, "%q", answer)
	}
}

func TestNotHTTP(t *testing.T) {
	const start = "HTTP/1.1 200 OK\r\n"
	for _, answer := range []string{
		"\r\n\r\n", "\r\n" + start + "\r\n", " " + start + "\r\n", "SSH-2.0-OpenSSH_9.6\r\n", "ICY 200 OK\r\n\r\n", "HTTP\r\n\r\n", "HTTP/1.1\r\n\r\n",
		"HTTP/1.1 \r\n\r\n", "HTTP/1.1 OK\r\n\r\n", "HTTP/1.1 20\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 200OK\r\n\r\n",
		"HTTP/1.1 000 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 -20 OK\r\n\r\n", "HTTP/1.1 +20 OK\r\n\r\n", "HTTP/1.1 2 0 OK\r\n\r\n",
		"HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1\t200 OK\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/0.9 200 OK\r\n\r\n", "HTTP/1.x 200 OK\r\n\r\n",
		"HTTP/9.z 200 OK\r\n\r\n", "HTTP/1.10 200 OK\r\n\r\n", "http/1.1 200 OK\r\n\r\n", "HTTP/1.1 ٢٠٠ OK\r\n\r\n",

		start + "nonsense\r\n\r\n", start + ": x\r\n\r\n", start + " X-A: b\r\n\r\n", start + "\tX-A: b\r\n\r\n",
		start + "X\x00A: b\r\n\r\n", start + "X-Ä: b\r\n\r\n", start + "X-A: \x00\r\n\r\n", start + "X-A: a\rb\r\n\r\n",
		start + "X-A: a\x7f\r\n\r\n", start + "X-A: b\r\n c\x01\r\n\r\n", start + "X-A: b\r\r\n\r\n",
		"HTTP/1.1 103 Hints\r\nnonsense\r\n\r\n" + start + "\r\n", "HTTP/1.1 100 Continue\r\n\r\n220 mail\r\n",
		start + "Content-", "HTTP/1.1 20", "\x00\x01\x02\xff\xfe", "\x15\x03\x01\x00\x02\x02\x46\n",
	} {
		c := newCanned([]byte(answer))
		_, _, err := post(t.Context(), newTransport(t, over(c)), "http://a/", nil)
		var protocol *ProtocolError
		require.ErrorAs(t, err, &protocol, "%q", answer)
		require.Less(t, len(err.Error()), 500)
		require.True(t, c.isClosed(), "%q", answer)
	}
}

func TestEndsBeforeTheAnswer(t *testing.T) {
	for answer, want := range map[string]error{
		"": io.EOF, "HTTP/1.1 200 OK\r\n": io.ErrUnexpectedEOF, "HTTP/1.1 200 OK\r\nX-A: b\r\n": io.ErrUnexpectedEOF,
		"HTTP/1.1 100 Continue\r\n\r\n": io.ErrUnexpectedEOF,
	} {
		c := newCanned([]byte(answer))
		_, _, err := post(t.Context(), newTransport(t, over(c)), "http://a/", nil)
		require.ErrorIs(t, err, want, "%q", answer)
		require.True(t, c.isClosed())
	}
}

// The limit is of all that comes before the body, informational answers included, and to the byte.
func TestHeaderLimit(t *testing.T) {
	const start, end = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", "\r\n"
	for name, answer := range map[string]string{
		"short":         start + end,
		"one header":    start + "X-A: " + strings.Repeat("x", 9999) + "\r\n" + end,
		"many headers":  start + strings.Repeat("A:\r\n", 9999) + end,
		"the reason":    "HTTP/1.1 200 OK" + strings.Repeat("x", 9999) + "\r\nContent-Length: 0\r\n" + end,
		"informational": strings.Repeat("HTTP/1.1 100\r\n\r\n", 999) + start + end,
		"buffer full":   start + "X-A: " + strings.Repeat("x", readerBytes-len(start)-7) + "\r\n" + end,
	} {
		t.Run(name, func(t *testing.T) {
			limited := func(limit int) *Transport {
				return newTransport(t, func(tr *Transport) {
					over(newCanned([]byte(answer)))(tr)
					tr.HeaderMaxBytes = limit
				})
			}
			code, _ := requirePost(t, limited(len(answer)), "http://a/", nil)
			require.Equal(t, 200, code)
			for _, less := range []int{1, 2, 3, 100} {
				_, _, err := post(t.Context(), limited(max(1, len(answer)-less)), "http://a/", nil)
				require.EqualError(t, err, "the answer's headers are too large")
			}
		})
	}
}

func TestKeptHeaders(t *testing.T) {
	c := newCanned([]byte("HTTP/1.1 503 Slow\r\nretry-AFTER: 1 \r\nLocation: /\r\nRetry-After:\t2\r\nContent-Length: 0\r\n\r\n"))
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://a/", nil)
	resp, err := newTransport(t, over(c)).RoundTrip(req)
	require.NoError(t, err)
	require.Equal(t, http.Header{"Retry-After": {"1", "2"}}, resp.Header)
	require.Same(t, req, resp.Request)
}

// Whatever comes, net/http would take it for the same, or worse: what is an answer here is the same answer there, unless its
// headers leave in doubt where it ends; then no body is read. What is left for the next request is nothing.
func FuzzAnswer(f *testing.F) {
	for _, tt := range answers {
		f.Add([]byte(tt.answer))
	}
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-A: b\r\n c\r\n\r\n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		c := newCanned(answer)
		tr := newTransport(t, over(c))
		code, body, err := post(t.Context(), tr, "http://a/", nil)
		kept := len(tr.pool.idle) > 0
		require.Equal(t, kept, !c.isClosed())
		if code == 0 {
			require.Error(t, err)
			require.False(t, kept)
			return
		}

		theirs, rest, theirErr := readWithNetHTTP(answer)
		if odd(answer) {
			require.NoError(t, err)
			require.Empty(t, body)
			require.False(t, kept)
			return
		}
		require.NotNil(t, theirs, "net/http takes it for no answer: %v", theirErr)
		require.Equal(t, theirs.StatusCode, code)
		if code == http.StatusSwitchingProtocols {
			return
		}
		read, bodyErr := io.ReadAll(theirs.Body)
		if err == nil {
			require.NoError(t, bodyErr)
			require.Equal(t, string(read), body)
		}
		if kept {
			require.NoError(t, err)
			require.False(t, theirs.Close)
			require.Zero(t, rest.Buffered()+c.answer.Len(), "left over")
		}
	})
}

// odd says whether the headers leave in doubt where the answer ends.
func odd(answer []byte) bool {
	r := newLineReader()
	r.reset(bytes.NewReader(answer))
	var h head
	return readHead(&h, &r, len(answer), nil) == nil && h.odd
}

// readWithNetHTTP reads the first answer that is not informational.
func readWithNetHTTP(answer []byte) (*http.Response, *bufio.Reader, error) {
	r := bufio.NewReader(bytes.NewReader(answer))
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodPost})
		switch {
		case err != nil:
			return nil, r, errors.Join(err)
		case resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols:
			return resp, r, nil
		}
	}
}

func TestBodyAfterItsEnd(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	open := func() (io.ReadCloser, *canned) {
		c := newCanned([]byte(answer))
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://a/", nil)
		resp, err := newTransport(t, over(c)).RoundTrip(req)
		require.NoError(t, err)
		return resp.Body, c
	}
	var two [2]byte
	body, c := open()
	n, err := body.Read(nil)
	require.NoError(t, err)
	require.Zero(t, n)
	_, _ = io.ReadFull(body, two[:])
	for range 2 {
		_, err = body.Read(two[:])
		require.Equal(t, io.EOF, err)
		require.NoError(t, body.Close())
	}
	require.False(t, c.isClosed())

	body, c = open()
	_, _ = body.Read(two[:1])
	require.NoError(t, body.Close())
	_, err = body.Read(two[:])
	require.Equal(t, errClosed, err)
	require.True(t, c.isClosed(), "half of it was left")
}
