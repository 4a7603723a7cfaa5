package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/store"
)

// connectTimeout is how long a command waits for the database: long enough for a slow network, short enough for a person.
const connectTimeout = 10 * time.Second

// settings reads relay.yaml and the environment.
func (p *program) settings() (*config.Config, error) {
	cfg, err := config.Load(p.configPath)
	if err != nil {
		return nil, usageError{err}
	}
	return cfg, nil
}

// warnOfSettings logs what in the settings is no fault, and hardly meant.
func warnOfSettings(cfg *config.Config, log *slog.Logger) {
	for _, warning := range cfg.Warnings() {
		log.Warn("a variable sets nothing", "reason", warning)
	}
}

// databaseSettings are settings that must name a database.
func (p *program) databaseSettings() (*config.Config, error) {
	cfg, err := p.settings()
	if err != nil {
		return nil, err
	}
	if err := cfg.RequireDatabase(); err != nil {
		return nil, usageError{err}
	}
	return cfg, nil
}

// open reads the settings and connects to the database. The caller closes the pool.
func (p *program) open(ctx context.Context) (*config.Config, *pgxpool.Pool, error) {
	cfg, err := p.databaseSettings()
	if err != nil {
		return nil, nil, err
	}
	db, err := store.Open(ctx, cfg.Database.URL)
	if err != nil {
		return nil, nil, usagef("database.url: %w", err)
	}
	ping, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := db.Ping(ping); err != nil {
		db.Close()
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		what, mend := store.ExplainConnect(err, "database.url")
		return nil, nil, fmt.Errorf("cannot connect to the database: %s; %s", what, mend)
	}
	return cfg, db, nil
}
