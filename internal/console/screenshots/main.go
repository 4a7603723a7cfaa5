//go:build unix

// Screenshots draws every page of the console, in light and dark, at the width of a desktop and of a phone, from demo data
// on a private Postgres, into the folder named on its command line. It needs Chromium or Chrome.
package main

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
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

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: screenshots FOLDER [PAGE | PAGE-light-phone …]")
		os.Exit(2)
	}
	err := run(ctx, os.Args[1], os.Args[2:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, folder string, only []string) (err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	cluster, err := postgres.Start(ctx, postgres.Options{FsyncOff: true})
	if err != nil {
		return fmt.Errorf("start a private Postgres: %w", err)
	}
	defer func() {
		if cerr := cluster.Close(); err == nil {
			err = cerr
		}
	}()
	full, err := newStage(ctx, cluster, "full", seed)
	if err != nil {
		return err
	}
	defer full.close()
	empty, err := newStage(ctx, cluster, "empty", "")
	if err != nil {
		return err
	}
	defer empty.close()
	shots, err := allShots(ctx, full, empty)
	if err != nil {
		return err
	}
	return draw(ctx, full.db, shots, only, func(name string, png []byte) error {
		return os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644)
	})
}

// stage is a console with a database of its own. The relay itself does not run: the data stays as it was made.
type stage struct {
	db       *pgxpool.Pool
	server   *httptest.Server
	receiver *httptest.Server
}

func newStage(ctx context.Context, cluster *postgres.Cluster, name, data string) (s *stage, err error) {
	s = &stage{receiver: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"received": true}`))
	}))}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := cluster.CreateDatabase(ctx, name); err != nil {
		return nil, err
	}
	if s.db, err = pgxpool.New(ctx, cluster.URL(name)); err != nil {
		return nil, err
	}
	data = strings.ReplaceAll(data, "%RECEIVER%", s.receiver.Listener.Addr().String())
	for _, script := range []string{outboxrelay.Schema, data} {
		if _, err := s.db.Exec(ctx, script, pgx.QueryExecModeSimpleProtocol); err != nil {
			return nil, fmt.Errorf("seed: %w", err)
		}
	}
	cfg := config.Default()
	cfg.Database.URL = cluster.URL(name)
	cfg.Network.Allow = []string{"127.0.0.0/8"} // where the receiver is
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
	s.receiver.Close()
	if s.server != nil {
		s.server.Close()
	}
	if s.db != nil {
		s.db.Close()
	}
}
