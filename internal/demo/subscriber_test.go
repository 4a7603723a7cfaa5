//go:build unix

package demo

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSubscriberGoesDownAndComesBack(t *testing.T) {
	s, err := startSubscriber(t.Context(), "mailer", "*", http.StatusOK)
	require.NoError(t, err)
	t.Cleanup(s.close)
	address := s.address
	require.Equal(t, "answers 200", s.state())

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	over := make(chan struct{})
	go func() {
		defer close(over)
		s.breakDown(ctx, outage{length: time.Hour})
	}()
	require.Eventually(t, s.isDown, 10*time.Second, time.Millisecond)
	require.Contains(t, s.state(), "down, back in 3")
	_, err = net.Dial("tcp", address)
	require.Error(t, err)

	cancel() // it comes back all the same
	<-over
	require.Equal(t, address, s.address)
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}
