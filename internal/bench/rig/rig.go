// Package rig is what every measurement stands on: a private Postgres, the relay's program and those of its peers, and a
// receiver, each a process of its own.
package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/outboxrelay/relay/internal/bench/receiver"
	"github.com/outboxrelay/relay/internal/postgres"
)

// shipped is what PostgreSQL comes with, but for wal_level: a private cluster is smaller otherwise.
var shipped = map[string]string{
	"shared_buffers":        "128MB",
	"max_connections":       "100",
	"max_wal_senders":       "10",
	"max_replication_slots": "20",
}

// Rig is what all measurements share. Its methods are for one goroutine.
type Rig struct {
	Cluster  *postgres.Cluster
	Receiver *receiver.Process
	Machine  []string // What is measured on, in words.

	dir       string // Of the binaries and their logs; removed at the end.
	relay     string // The binary.
	peers     string // The peers' binary, once one was needed.
	authority string // A file with the certificate that the receiver shows.
	logs      int    // How many programs were started: each has a log.
}

// Start builds the relay and starts Postgres and the receiver. What it started it ends if it fails.
func Start(ctx context.Context) (r *Rig, err error) {
	r = &Rig{}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if r.dir, err = os.MkdirTemp("", "relay-bench-"); err != nil {
		return r, fmt.Errorf("make a folder: %w", err)
	}
	Say("building relay")
	r.relay = filepath.Join(r.dir, "relay")
	if err := build(ctx, ".", r.relay, "github.com/outboxrelay/relay/cmd/relay"); err != nil {
		return r, err
	}
	Say("starting Postgres")
	if r.Cluster, err = postgres.Start(ctx, postgres.Options{Settings: shipped}); err != nil {
		return r, err
	}
	if r.Receiver, err = receiver.Start(ctx); err != nil {
		return r, err
	}
	r.authority = filepath.Join(r.dir, "authority.pem")
	if err := os.WriteFile(r.authority, r.Receiver.Authority, 0o600); err != nil {
		return r, fmt.Errorf("write the receiver's certificate: %w", err)
	}
	r.Machine, err = r.describe(ctx)
	return r, err
}

// Close ends and removes all that Start made.
func (r *Rig) Close() error {
	var errs []error
	if r.Receiver != nil {
		r.Receiver.Close()
	}
	if r.Cluster != nil {
		errs = append(errs, r.Cluster.Close())
	}
	if r.dir != "" {
		errs = append(errs, os.RemoveAll(r.dir))
	}
	return errors.Join(errs...)
}

// describe says on what is measured, and with which settings.
func (r *Rig) describe(ctx context.Context) ([]string, error) {
	conn, err := pgx.Connect(ctx, r.Cluster.URL("postgres"))
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	settings := []string{"server_version", "fsync", "synchronous_commit", "wal_level", "shared_buffers", "max_wal_size"}
	rows, err := conn.Query(ctx, `
		SELECT w.name || ' ' || current_setting(w.name) FROM unnest($1::text[]) WITH ORDINALITY AS w(name, n) ORDER BY w.n`, settings)
	if err != nil {
		return nil, fmt.Errorf("read the settings of Postgres: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the settings of Postgres: %w", err)
	}
	return []string{
		fmt.Sprintf("Machine   %d CPUs%s for Postgres, relay, receiver and this program together; %s/%s, %s",
			runtime.NumCPU(), processor(), runtime.GOOS, runtime.GOARCH, runtime.Version()),
		"Postgres  " + strings.Join(all, ", "),
		fmt.Sprintf("relay     `relay run` with its defaults; events of %d bytes of payload, one subscription, over loopback, unless said otherwise",
			len(Payload)),
	}, nil
}

// processor is the CPU's name, where the system tells it.
func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return " (" + strings.TrimSpace(value) + ")"
		}
	}
	return ""
}

// Load is how busy the machine was in the minute before: figures from a busy one mean little. "" where it isn't told.
func Load() string {
	load, _ := os.ReadFile("/proc/loadavg")
	lastMinute, _, _ := strings.Cut(string(load), " ")
	return lastMinute
}

// Say tells whoever waits what is under way.
func Say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

// Set changes settings of Postgres that need no restart.
func (r *Rig) Set(ctx context.Context, settings map[string]string) error {
	if err := r.Cluster.Set(ctx, settings); err != nil {
		return err
	}
	return r.Cluster.Reload(ctx)
}
