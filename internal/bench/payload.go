package main

import (
	"context"
	"encoding/base64"
	"math/rand/v2"

	"github.com/outboxrelay/relay/internal/bench/plot"
	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rig"
)

// payloads measures draining by size of the payload.
func payloads(ctx context.Context, r *rig.Rig, size sizes, s *report.Section) (err error) {
	p := &pairs{comparison: comparison{rig: r, section: s}}
	defer p.close(ctx, &err)
	for _, of := range []struct {
		name  string
		bytes int
		fewer int // Events, since they take longer.
	}{{"0.2 KB", 200, 1}, {"2 KB", 2_000, 1}, {"20 KB", 20_000, 4}, {"200 KB", 200_000, 30}} {
		work := rig.Backlog{Events: size.drain / of.fewer, Payload: payloadOf(of.bytes)}
		if err := p.pair(ctx, of.name, r.Receiver.URL("/ok"), work); err != nil {
			return err
		}
		p.sizes = append(p.sizes, of.bytes)
	}
	got, err := p.run(ctx, size.rounds)
	if err != nil {
		return err
	}
	p.report(got)
	s.Charts = append(s.Charts, plot.Chart{File: "payload.svg", Title: "Deliveries a second by size of the payload",
		Lines: p.lines(got, "payload")})
	return nil
}

// payloadOf is a JSON object of n bytes that doesn't compress, always the same.
func payloadOf(n int) string {
	const before, after = `{"data":"`, `"}`
	random := rand.NewChaCha8([32]byte{})
	raw := make([]byte, n)
	_, _ = random.Read(raw) // never fails
	return before + base64.StdEncoding.EncodeToString(raw)[:n-len(before)-len(after)] + after
}
