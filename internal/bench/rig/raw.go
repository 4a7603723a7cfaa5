package rig

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/outboxrelay/relay/internal/bench/rounds"
)

// rawConcurrency is how many raw POSTs are in flight unless said otherwise: the relay's default for one subscription.
const rawConcurrency = 64

// heapGrowth is GOGC of all who send, in percent: what `relay run` sets.
const heapGrowth = 400

// Raw is POSTs that do nothing else: the ceiling of whoever delivers by net/http.
type Raw struct {
	URL      string
	Count    int
	InFlight int    // 0: 64.
	Payload  string // "": Payload.
}

// Ceiling is how many POSTs a second net/http alone can make to the receiver, from this process: the body and the headers
// that the relay sends, connections kept alive, nothing signed, read from a database or recorded.
func (r *Rig) Ceiling(ctx context.Context, raw Raw) (s rounds.Sample, err error) {
	if raw.InFlight == 0 {
		raw.InFlight = rawConcurrency
	}
	if raw.Payload == "" {
		raw.Payload = Payload
	}
	if err := r.Receiver.Reset(ctx, raw.Count); err != nil {
		return s, err
	}
	defer debug.SetGCPercent(debug.SetGCPercent(heapGrowth))
	client, err := r.newClient(raw.InFlight)
	if err != nil {
		return s, err
	}
	defer client.CloseIdleConnections()
	receiverBefore, err := cpuTime(r.Receiver.PID())
	if err != nil {
		return s, err
	}
	ownBefore, err := ownCPUTime()
	if err != nil {
		return s, err
	}
	if err := raw.send(ctx, client); err != nil {
		return s, fmt.Errorf("post raw requests: %w", err)
	}
	own, err := ownCPUTime()
	if err != nil {
		return s, err
	}
	receiver, err := cpuTime(r.Receiver.PID())
	if err != nil {
		return s, err
	}
	got, err := r.Receiver.Wait(ctx, raw.Count)
	return rounds.Sample{Rate: got.Rate(), Count: raw.Count, Sender: own - ownBefore, Receiver: receiver - receiverBefore}, err
}

func (raw *Raw) send(ctx context.Context, client *http.Client) error {
	ids := make([]string, raw.Count)
	for i := range ids {
		ids[i] = uuid.NewString()
	}
	body := envelope(ids[0], raw.Payload)
	group, ctx := errgroup.WithContext(ctx)
	for worker := range raw.InFlight {
		group.Go(func() error {
			for i := worker; i < raw.Count; i += raw.InFlight {
				if err := post(ctx, client, raw.URL, ids[i], body); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// newClient returns a client that keeps as many connections as are used at once, and trusts the receiver.
func (r *Rig) newClient(connections int) (*http.Client, error) {
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(r.Receiver.Authority) {
		return nil, errors.New("trust the receiver: no certificate")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.DisableCompression = true
	transport.MaxIdleConns = connections
	transport.MaxIdleConnsPerHost = connections
	transport.ForceAttemptHTTP2 = false
	transport.TLSClientConfig = &tls.Config{RootCAs: trusted}
	return &http.Client{Transport: transport}, nil
}

// envelope is the body of a delivery.
func envelope(id, payload string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"type":%q,"timestamp":%q,"data":%s}`,
		id, EventType, time.Now().UTC().Format(time.RFC3339Nano), payload)
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
