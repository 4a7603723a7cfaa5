package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// poster POSTs events with net/http as relay's headers have it, signature included.
type poster struct {
	url    string
	key    []byte
	client *http.Client
}

// newPoster returns a poster that keeps so many connections alive.
func newPoster(url string, connections int) *poster {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.DisableCompression = true
	transport.MaxIdleConns = connections
	transport.MaxIdleConnsPerHost = connections
	return &poster{url: url, key: []byte("0123456789abcdef0123456789abcdef"), client: &http.Client{Transport: transport}}
}

// send POSTs one event, and returns an error unless it was answered with 200.
func (p *poster) send(ctx context.Context, id, kind string, at time.Time, payload []byte) error {
	body := fmt.Appendf(nil, `{"id":%q,"type":%q,"timestamp":%q,"data":%s}`, id, kind, at.UTC().Format(time.RFC3339Nano), payload)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("post: %w", err)
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, p.key)
	fmt.Fprintf(mac, "%s.%s.", id, stamp)
	mac.Write(body)
	req.Header.Set("content-type", "application/json")
	req.Header.Set("user-agent", "peers/bench")
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", stamp)
	req.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	resp, err := p.client.Do(req)
	if err != nil {
		return fmt.Errorf("post: %w", err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("post: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("post: answered %s", resp.Status)
	}
	return nil
}
