//go:build unix

package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/postgres"
)

const databaseName = "demo"

// stage is all that acts in the demo.
type stage struct {
	db     *pgxpool.Pool
	url    string // Of the database.
	ledger *ledger
	host   *host
	relay  *config.Config

	crm    *subscriber // Healthy.
	audit  *subscriber // Answers 500.
	mailer *subscriber // Down at first.
	outage outage

	log       *lastLines
	stopRelay func() error // Ends the relay and waits for it; nil if it was not started.

	begun   time.Time
	lasting time.Duration // How long the host app is to work; 0: until it is told to stop.
	seen    sight
}

// set prepares everything but the relay.
func (d *Demo) set(ctx context.Context, cluster *postgres.Cluster) (s *stage, err error) {
	s = &stage{
		ledger: newLedger(), url: cluster.URL(databaseName), log: &lastLines{},
		lasting: d.o.Lasting, outage: planOutage(d.o.Lasting),
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.db, err = connect(ctx, cluster); err != nil {
		return nil, err
	}
	s.host = &host{db: s.db, ledger: s.ledger}
	if err := s.host.createTables(ctx); err != nil {
		return nil, err
	}
	for _, who := range []struct {
		s       **subscriber
		name    string
		types   string
		answers int
	}{
		{&s.crm, "crm", "user.*", http.StatusOK},
		{&s.audit, "audit", "*", http.StatusInternalServerError},
		{&s.mailer, "mailer", signedUp, http.StatusOK},
	} {
		if *who.s, err = startSubscriber(ctx, who.name, who.types, who.answers); err != nil {
			return nil, err
		}
	}
	s.crm.arrived = s.ledger.arrive
	s.relay, err = s.settings()
	return s, err
}

// planOutage has the mailer down long enough to be seen, and back early enough to be seen again.
func planOutage(lasting time.Duration) outage {
	const length, every = 8 * time.Second, time.Minute
	if lasting == 0 {
		return outage{length: length, every: every}
	}
	return outage{length: min(length, lasting*2/5)}
}

func (s *stage) subscribers() []*subscriber { return []*subscriber{s.crm, s.audit, s.mailer} }

// retry is the demo's schedule: as shipped, the first retry alone comes after six seconds, and the last after two days.
var retry = config.Retry{Max: 15, Base: time.Second, Unit: 500 * time.Millisecond, Exponent: 1}

// settings are what a relay.yaml for this would say.
func (s *stage) settings() (*config.Config, error) {
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	cfg := config.Default()
	cfg.Database.URL = s.url
	cfg.Network.Allow = []string{"127.0.0.0/8"} // where the subscribers are
	cfg.HTTP.Listen = listen
	cfg.Delivery.Retry = retry
	cfg.EventTypes = []config.EventType{
		{Type: signedUp, Description: "A user signed up.",
			Sample: `{"id": 42, "name": "Ada Lovelace", "email": "ada@example.com"}`},
		{Type: confirmed, Description: "A user confirmed the e-mail address.",
			Sample: `{"id": 42, "name": "Ada Lovelace", "email": "ada@example.com"}`},
	}
	for _, sub := range s.subscribers() {
		cfg.Subscriptions = append(cfg.Subscriptions, config.Subscription{
			Name: sub.name, URL: sub.url(), EventTypes: []string{sub.types}, Secret: sub.secret,
		})
	}
	return cfg, nil
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// startRelay starts the relay and waits until it relays. When it ends by itself later, it ends ctx by failed.
func (s *stage) startRelay(ctx context.Context, failed context.CancelCauseFunc,
	run func(context.Context, *config.Config, *slog.Logger) error,
) error {
	relaying, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		err := run(relaying, s.relay, slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelWarn})))
		if relaying.Err() == nil {
			failed(errors.Join(errors.New("the relay ended"), err))
		}
		ended <- err
	}()
	s.stopRelay = func() error {
		stop()
		return <-ended
	}
	return s.awaitReady(ctx)
}

func (s *stage) awaitReady(ctx context.Context) error {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the relay was not ready within %s", patience))
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.relay.HTTP.Listen+"/readyz", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		if sleep(ctx, 20*time.Millisecond); ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// close ends all that acts, in any state of preparation.
func (s *stage) close() {
	if s.stopRelay != nil {
		_ = s.stopRelay()
		s.stopRelay = nil
	}
	for _, sub := range s.subscribers() {
		if sub != nil {
			sub.close()
		}
	}
	if s.db != nil {
		s.db.Close()
	}
}

// logged adds what the relay last warned of to an error.
func (s *stage) logged(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || s.log.String() == "" {
		return err
	}
	said := []error{err}
	for warning := range strings.Lines(s.log.String()) {
		said = append(said, fmt.Errorf("the relay warned: %s", strings.TrimSpace(warning)))
	}
	return errors.Join(said...)
}
