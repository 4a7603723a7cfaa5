//go:build unix

package main

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	outboxrelay "github.com/outboxrelay/relay"
	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/access"
	"github.com/outboxrelay/relay/internal/console"
	"github.com/outboxrelay/relay/internal/postgres"
	"github.com/outboxrelay/relay/relay"
)

//go:embed seed.sql
var seed string

//go:embed crowd.sql
var crowd string

// stages are the consoles that are drawn, by what they have to show.
type stages struct {
	full   *stage // A day of a small company.
	empty  *stage // Just set up.
	crowd  *stage // Too much of everything, and hostile.
	locked *stage // With a login.
	away   *stage // Without its database.
}

func newStages(ctx context.Context, cluster *postgres.Cluster) (s stages, err error) {
	hash, err := access.HashPassword("not to be guessed")
	if err != nil {
		return s, err
	}
	for _, w := range []struct {
		to         **stage
		name, data string
		change     func(*config.Config)
	}{
		{&s.full, "full", seed, func(*config.Config) {}},
		{&s.empty, "empty", "", func(*config.Config) {}},
		{&s.crowd, "crowd", crowd, func(c *config.Config) { c.HTTP.LinkKey = linkKey }},
		{&s.locked, "locked", "", func(c *config.Config) {
			c.HTTP.Auth.Users = []config.User{{Name: "operator", PasswordHash: hash}}
		}},
		{&s.away, "away", "", func(*config.Config) {}},
	} {
		if *w.to, err = newStage(ctx, cluster, w.name, w.data, w.change); err != nil {
			return s, err
		}
	}
	_, err = s.away.db.Exec(ctx, "DROP SCHEMA outbox CASCADE")
	return s, err
}

func (s stages) close() {
	for _, one := range []*stage{s.full, s.empty, s.crowd, s.locked, s.away} {
		if one != nil {
			one.close()
		}
	}
}

// linkKey is http.link_key where there are tenants.
const linkKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// stage is a console with a database of its own. The relay itself does not run: the data stays as it was made.
type stage struct {
	db        *pgxpool.Pool
	server    *httptest.Server
	receivers []*httptest.Server
}

// answering starts a receiver and returns its address.
func (s *stage) answering(code int, body string) string {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}))
	s.receivers = append(s.receivers, receiver)
	return receiver.Listener.Addr().String()
}

func newStage(ctx context.Context, cluster *postgres.Cluster, name, data string, change func(*config.Config)) (s *stage, err error) {
	s = &stage{}
	defer func() {
		if err != nil {
			s.close()
			s = nil
		}
	}()
	if err := cluster.CreateDatabase(ctx, name); err != nil {
		return nil, err
	}
	if s.db, err = pgxpool.New(ctx, cluster.URL(name)); err != nil {
		return nil, err
	}
	data = strings.NewReplacer("%RECEIVER%", s.answering(http.StatusOK, `{"received": true}`),
		"%REFUSING%", s.answering(http.StatusInternalServerError, `{"error": "the queue is full"}`)).Replace(data)
	for _, script := range []string{outboxrelay.Schema, data} {
		if _, err := s.db.Exec(ctx, script, pgx.QueryExecModeSimpleProtocol); err != nil {
			return nil, fmt.Errorf("seed %s: %w", name, err)
		}
	}
	cfg := config.Default()
	cfg.Database.URL = cluster.URL(name)
	cfg.Network.Allow = []string{"127.0.0.0/8"} // where the receivers are
	change(cfg)
	engine, err := relay.New(cfg, relay.Options{Version: "1.0.0"})
	if err != nil {
		return nil, err
	}
	gate, err := access.New(cfg.HTTP)
	if err != nil {
		return nil, err
	}
	pages, err := console.New(console.Options{Config: cfg, Gate: gate, DB: s.db, Engine: engine, Version: "1.0.0"})
	if err != nil {
		return nil, err
	}
	s.server = httptest.NewServer(pages)
	return s, nil
}

func (s *stage) close() {
	for _, receiver := range s.receivers {
		receiver.Close()
	}
	if s.server != nil {
		s.server.Close()
	}
	if s.db != nil {
		s.db.Close()
	}
}
