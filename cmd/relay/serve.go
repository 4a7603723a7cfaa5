package main

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/access"
	"github.com/outboxrelay/relay/internal/console"
	"github.com/outboxrelay/relay/internal/httpserver"
	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/relay"
)

// newServer makes the relay's own HTTP server: health, metrics and, unless it is switched off, the console, which has
// connections to the database of its own, made when they are needed.
func newServer(ctx context.Context, cfg *config.Config, engine *relay.Relay, registry prometheus.Gatherer, log *slog.Logger,
) (server *httpserver.Server, closeServer func(), err error) {
	gate, err := access.New(cfg.HTTP)
	if err != nil {
		return nil, nil, usageError{err}
	}
	options := httpserver.Options{Ready: engine.Ready, Metrics: registry, Protect: gate.Metrics, Logger: log}
	if !cfg.HTTP.Console {
		if !gate.Required() {
			options.Protect = nil // As without a console: what there is to protect is behind a login or nowhere.
		}
		return httpserver.New(options), func() {}, nil
	}
	if !cfg.HTTP.Loopback() && !gate.Required() {
		return nil, nil, usagef("http.auth is empty, and http.listen can be reached from elsewhere")
	}
	db, err := store.Open(ctx, cfg.Database.URL)
	if err != nil {
		return nil, nil, usagef("database.url: %w", err)
	}
	options.Root, err = console.New(console.Options{
		Config: cfg, Gate: gate, DB: db, Engine: engine, Version: thisBuild().Version, Logger: log,
	})
	if err != nil {
		db.Close()
		return nil, nil, usageError{err}
	}
	return httpserver.New(options), db.Close, nil
}
