//go:build unix

package wire

import (
	"bytes"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/receiver"
)

// A turn on a connection that takes nothing at the moment goes on once it does.
func TestTurnOnFullConnection(t *testing.T) {
	drain := make(chan int)
	received := make(chan []byte, 1)
	s := receiver.Play(t, func(c net.Conn) {
		all := make([]byte, <-drain)
		_, _ = io.ReadFull(c, all)
		received <- all
		_, _ = io.WriteString(c, "answer")
	})
	nc, err := net.Dial("tcp", s.Address())
	require.NoError(t, err)
	defer nc.Close()
	filled, piece := 0, make([]byte, 64<<10)
	for err == nil {
		require.NoError(t, nc.SetWriteDeadline(time.Now().Add(50*time.Millisecond)))
		var n int
		n, err = nc.Write(piece)
		filled += n
	}
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, nc.SetDeadline(time.Now().Add(20*time.Second)))

	c := newConn(nc, origin{}, nil)
	c.kept = true
	request := []byte(strings.Repeat("request ", 1000))
	require.NoError(t, c.send(request, true))
	time.AfterFunc(20*time.Millisecond, func() { drain <- filled + len(request) })
	var answer [10]byte
	n, err := c.Read(answer[:])
	require.NoError(t, err)
	require.Equal(t, "answer", string(answer[:n]))
	require.True(t, bytes.HasSuffix(<-received, request))
	_, err = c.Read(answer[:])
	require.ErrorIs(t, err, io.EOF)
}

// A kept connection that takes no more, though nothing shows it before, is given up for another.
func TestTurnThatCannotWrite(t *testing.T) {
	s := receiver.Play(t, func(c net.Conn) {
		if receiver.ReadRequest(c) == nil {
			_, _ = io.WriteString(c, numbered(1))
			waitClosed(c)
		}
	})
	tr := newTransport(t, nil)
	for _, size := range []int{1, 1, 1 << 20} { // in one turn, and with a rest
		requirePost(t, tr, s.URL(), make([]byte, size))
		closeWrite(tr.pool.idle[origin{address: s.Address()}][0].raw)
	}
	require.Equal(t, 3, s.Accepted())
}

func TestResetUnderTheRequest(t *testing.T) {
	s := receiver.Play(t, func(c net.Conn) {
		if receiver.ReadRequest(c) == nil {
			_, _ = io.WriteString(c, numbered(1))
			receiver.Reset("")(c)
		}
	})
	tr := newTransport(t, nil)
	requirePost(t, tr, s.URL(), []byte("x"))
	_, _, err := post(t.Context(), tr, s.URL(), []byte("x"))
	require.ErrorIs(t, err, ErrKeptClosed)
	require.Equal(t, 1, s.Accepted())
}

func TestPoolClosesWhatIsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = time.Minute
		a, b := origin{address: "a:80"}, origin{address: "b:80"}
		var p pool
		var all []*canned
		add := func(to origin) {
			all = append(all, newCanned(nil))
			p.put(newConn(all[len(all)-1], to, nil), time.Now(), timeout, 8)
		}
		closed := func() (is []bool) {
			for _, c := range all {
				is = append(is, c.isClosed())
			}
			return is
		}
		add(a)
		time.Sleep(timeout / 3)
		add(a)
		add(b)
		time.Sleep(timeout / 3)
		add(b)
		time.Sleep(timeout/3 - 1)
		require.Equal(t, []bool{false, false, false, false}, closed())
		time.Sleep(2 * time.Nanosecond)
		require.Equal(t, []bool{true, false, false, false}, closed())
		time.Sleep(timeout / 3)
		require.Equal(t, []bool{true, true, true, false}, closed())
		require.NotNil(t, p.get(b))
		require.Nil(t, p.get(b))
		require.Nil(t, p.get(a))
		time.Sleep(timeout)
		require.Equal(t, []bool{true, true, true, false}, closed(), "what is in use is left alone")
		p.mu.Lock()
		require.Nil(t, p.sweep)
		p.mu.Unlock()

		add(a)
		p.closeAll()
		require.Equal(t, []bool{true, true, true, false, true}, closed())
		add(a)
		time.Sleep(timeout + 1)
		require.True(t, all[len(all)-1].isClosed())
	})
}
