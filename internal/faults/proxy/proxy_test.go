package proxy

import (
	"bufio"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// echo is a server that sends back each line.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return listener.Addr().String()
}

// says sends a line and returns what comes back within a moment, or the error.
func says(t *testing.T, c net.Conn, line string) (string, error) {
	t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return "", err
	}
	return hears(t, c)
}

func hears(t *testing.T, c net.Conn) (string, error) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(300*time.Millisecond)))
	return bufio.NewReader(c).ReadString('\n')
}

func TestProxy(t *testing.T) {
	p, err := New(echo(t))
	require.NoError(t, err)
	dial := func() net.Conn {
		c, err := net.Dial("tcp", p.Address())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	hear := func(c net.Conn, line string) {
		t.Helper()
		got, err := says(t, c, line)
		require.NoError(t, err)
		require.Equal(t, line+"\n", got)
	}
	c := dial()
	hear(c, "a")

	p.Stall()
	_, err = says(t, c, "stalled")
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "nothing comes, and nothing ends")
	p.Heal()
	got, err := hears(t, c)
	require.NoError(t, err)
	require.Equal(t, "stalled\n", got, "and then it goes on")

	p.LoseAll()
	_, err = says(t, c, "lost")
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	fresh := dial()
	hear(fresh, "a new one works")
	p.Heal()
	_, err = says(t, c, "lost")
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "half open for ever")

	p.Cut()
	_, err = says(t, fresh, "cut")
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	if refused, err := net.Dial("tcp", p.Address()); err == nil { // It may have been reset already.
		_, err = says(t, refused, "refused")
		require.Error(t, err)
		_ = refused.Close()
	}
	p.Heal()
	hear(dial(), "healed")
	require.NoError(t, p.Close())
}
