package receiver_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/bench/receiver"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == receiver.Command {
		if err := receiver.Serve(); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func start(t *testing.T) *receiver.Process {
	p, err := receiver.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

func post(ctx context.Context, client *http.Client, url string, id uuid.UUID) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("webhook-id", id.String())
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func TestHangsUntilReleased(t *testing.T) {
	p := start(t)
	answered := make(chan error, 1)
	go func() { answered <- post(t.Context(), http.DefaultClient, p.URL("/hang"), uuid.New()) }()
	select {
	case err := <-answered:
		t.Fatalf("answered before it was released: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	for { // the request may still be on its way when the receiver is told
		require.NoError(t, p.Release(t.Context()))
		select {
		case err := <-answered:
			require.NoError(t, err)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestAnswersAfterAWhile(t *testing.T) {
	p := start(t)
	begun := time.Now()
	require.NoError(t, post(t.Context(), http.DefaultClient, p.URL("/after/30"), uuid.New()))
	require.GreaterOrEqual(t, time.Since(begun), 30*time.Millisecond)
	got, err := p.Arrived(t.Context())
	require.NoError(t, err)
	require.Len(t, got, 1)
}

func TestWaitEndsWithContext(t *testing.T) {
	p := start(t)
	reason := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	_, err := p.Wait(ctx, 1)
	require.ErrorIs(t, err, reason)
}

func TestRecordsOverTLS(t *testing.T) {
	p := start(t)
	trusted := x509.NewCertPool()
	require.True(t, trusted.AppendCertsFromPEM(p.Authority))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}}
	defer client.CloseIdleConnections()
	id := uuid.New()
	require.NoError(t, post(t.Context(), client, p.SecureURL("/ok"), id))

	got, err := p.Wait(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, id, got[0].ID)
	require.NoError(t, p.Reset(t.Context(), 0))
	got, err = p.Arrived(t.Context())
	require.NoError(t, err)
	require.Empty(t, got)
}
