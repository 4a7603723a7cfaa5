package wire

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/receiver"
)

// joined gathers what is written, so that several TLS records leave in one segment.
type joined struct {
	net.Conn
	gathers bool
	bytes.Buffer
}

func (j *joined) Read(p []byte) (int, error) { return j.Conn.Read(p) }

func (j *joined) Write(p []byte) (int, error) {
	if j.gathers {
		return j.Buffer.Write(p)
	}
	return j.Conn.Write(p)
}

// TLS reads all that has come, and what it keeps to itself can't be seen on the socket: it is no answer to the next request either, and
// a session that the server has ended takes no request.
func TestWhatTLSHasInHand(t *testing.T) {
	const end = ""
	for name, more := range map[string]string{
		"an answer that nobody asked for": "HTTP/1.1 500 Stale\r\nContent-Length: 0\r\n\r\n",
		"the end of the session":          end,
	} {
		for version, what := range map[uint16]string{tls.VersionTLS12: "1.2", tls.VersionTLS13: "1.3"} {
			t.Run(name+" in TLS "+what, func(t *testing.T) {
				config := receiver.NewAuthority(t).SelfSigned("127.0.0.1")
				config.MaxVersion = version
				s := receiver.Play(t, func(c net.Conn) {
					raw := &joined{Conn: c}
					over := tls.Server(raw, config)
					in := newReader(over)
					for {
						req, err := http.ReadRequest(in)
						if err != nil {
							return
						}
						_, _ = io.Copy(io.Discard, req.Body)
						raw.gathers = true
						_, _ = io.WriteString(over, numbered(1))
						if more == end {
							_ = over.CloseWrite()
							_ = c.SetWriteDeadline(time.Time{}) // It has set one.
						} else {
							_, _ = io.WriteString(over, more)
						}
						raw.gathers = false
						_, _ = raw.WriteTo(c)
					}
				})
				tr := withTLS(t, nil)
				for range 5 {
					code, text := requirePost(t, tr, "https://"+s.Address(), []byte("x"))
					require.Equal(t, 200, code)
					require.Equal(t, "1", text)
				}
				require.Equal(t, 5, s.Accepted(), "none was used again")
			})
		}
	}
}
