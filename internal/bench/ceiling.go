package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// ceilingConcurrency is how many raw POSTs are in flight: the relay's default for one subscription.
const ceilingConcurrency = 64

// raw is what POSTs take that do nothing else.
type raw struct {
	rate float64 // A second.
	cpu  float64 // Seconds of the sender for each 1,000.
}

// ceiling is how many POSTs a second net/http alone can make to the receiver, from this process: the body and the headers
// that the relay sends, connections kept alive, nothing signed, read from a database or recorded.
func ceiling(ctx context.Context, r *receiverProcess, count int) (c raw, err error) {
	say("ceiling: %s raw POSTs", thousands(int64(count)))
	if err := r.reset(ctx, count); err != nil {
		return c, err
	}
	client := newClient()
	defer client.CloseIdleConnections()
	ids := make([]string, count)
	for i := range ids {
		ids[i] = uuid.NewString()
	}
	body := envelope(ids[0])
	cpuBefore, err := ownCPUTime()
	if err != nil {
		return c, err
	}

	group, sending := errgroup.WithContext(ctx)
	for worker := range ceilingConcurrency {
		group.Go(func() error {
			for i := worker; i < count; i += ceilingConcurrency {
				if err := post(sending, client, r.url("/ok"), ids[i], body); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return c, fmt.Errorf("post raw requests: %w", err)
	}
	cpuAfter, err := ownCPUTime()
	if err != nil {
		return c, err
	}
	got, err := r.wait(ctx, count)
	return raw{rate: got.rate(), cpu: perThousand(cpuAfter-cpuBefore, count)}, err
}

// newClient returns a client that keeps as many connections as are used at once.
func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.DisableCompression = true
	transport.MaxIdleConnsPerHost = ceilingConcurrency
	return &http.Client{Transport: transport}
}

// envelope is the body of a delivery.
func envelope(id string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"type":%q,"timestamp":%q,"data":%s}`,
		id, eventType, time.Now().UTC().Format(time.RFC3339Nano), payload)
}

// post sends body with the headers of a delivery, among them a signature that is as long as a real one.
func post(ctx context.Context, client *http.Client, url, id string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("content-type", "application/json")
	req.Header.Set("user-agent", "relay/bench")
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(time.Now().Unix(), 10))
	req.Header.Set("webhook-signature", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", req.URL.Path, resp.Status)
	}
	return nil
}
