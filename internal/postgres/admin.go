//go:build unix

package postgres

import (
	"context"
	"fmt"
	"maps"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// CreateDatabase makes an empty database.
func (c *Cluster) CreateDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, c.URL(database))
	if err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

// Set changes settings of postgresql.conf, whether the server runs or not. They take effect at the next Resume or, those
// that can, Reload. ALTER SYSTEM wins over them.
func (c *Cluster) Set(_ context.Context, settings map[string]string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.settings
	c.settings = maps.Clone(before)
	maps.Copy(c.settings, settings)
	if err := c.writeSettings(); err != nil {
		c.settings = before
		return fmt.Errorf("change settings of Postgres: %w", err)
	}
	return nil
}

// Reload has the running server read its settings again, and returns when new sessions have them; those that are open
// follow when they are next idle. It is an error if the server rejects a setting. One that needs a new start is left for it.
func (c *Cluster) Reload(ctx context.Context) error {
	before, _, err := c.loaded(ctx)
	if err != nil {
		return fmt.Errorf("reload Postgres: %w", err)
	}
	if err := c.process().cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return fmt.Errorf("reload Postgres: %w", err)
	}
	for {
		at, fault, err := c.loaded(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("reload Postgres: %w", err)
		case at.After(before) && fault != "":
			return fmt.Errorf("reload Postgres: %s", fault)
		case at.After(before):
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("reload Postgres: %w", ctx.Err())
		}
	}
}

// loaded returns when the postmaster last read its settings, as a new session inherits it, and the first fault in them.
func (c *Cluster) loaded(ctx context.Context) (at time.Time, fault string, err error) {
	conn, err := pgx.Connect(ctx, c.URL(database))
	if err != nil {
		return time.Time{}, "", err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, `
		SELECT pg_conf_load_time(), coalesce((
		         SELECT format('%s, line %s: %s: %s', sourcefile, sourceline, name, error)
		           FROM pg_file_settings
		          WHERE error IS NOT NULL AND error <> 'setting could not be applied'
		          LIMIT 1), '')`).Scan(&at, &fault)
	return at, fault, err
}
