package main

import (
	"context"

	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rig"
)

// overTLS measures draining to a receiver over TLS, beside plain HTTP. Connections are kept alive by all.
func overTLS(ctx context.Context, r *rig.Rig, size sizes, s *report.Section) (err error) {
	p := &pairs{comparison: comparison{rig: r, section: s}}
	defer p.close(ctx, &err)
	for _, of := range []struct{ name, url string }{{"HTTP", r.Receiver.URL("/ok")}, {"HTTPS", r.Receiver.SecureURL("/ok")}} {
		if err := p.pair(ctx, of.name, of.url, rig.Backlog{Events: size.drain}); err != nil {
			return err
		}
	}
	got, err := p.run(ctx, size.rounds)
	if err != nil {
		return err
	}
	p.report(got)
	const plain, secure = 0, 2
	s.Figures = []report.Figure{report.Median("relay over HTTPS ÷ over HTTP", got.Ratio(secure, plain), "")}
	s.Charts = append(s.Charts, rateBars(got, "tls.svg", "Plain and over TLS: deliveries a second", "deliveries/s", isRelay))
	return nil
}
