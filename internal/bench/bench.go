package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/outboxrelay/relay/internal/postgres"
)

// shipped is what PostgreSQL comes with, but for wal_level: a private cluster is smaller otherwise.
var shipped = map[string]string{
	"shared_buffers":        "128MB",
	"max_connections":       "100",
	"max_wal_senders":       "10",
	"max_replication_slots": "10",
}

// bench is what all measurements share.
type bench struct {
	size     sizes
	dir      string // Of the binary and the relays' logs; removed at the end.
	relay    string // The binary.
	cluster  *postgres.Cluster
	receiver *receiverProcess
	machine  []string // What was measured on, in words.
}

// start builds the relay and starts Postgres and the receiver. What it started it ends if it fails.
func start(ctx context.Context, size sizes) (b *bench, err error) {
	b = &bench{size: size}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.dir, err = os.MkdirTemp("", "relay-bench-"); err != nil {
		return b, fmt.Errorf("make a folder: %w", err)
	}
	say("building relay")
	if b.relay, err = buildRelay(ctx, b.dir); err != nil {
		return b, err
	}
	say("starting Postgres")
	if b.cluster, err = postgres.Start(ctx, postgres.Options{Settings: shipped}); err != nil {
		return b, err
	}
	if b.receiver, err = startReceiver(ctx); err != nil {
		return b, err
	}
	b.machine, err = b.describe(ctx)
	return b, err
}

// close ends and removes all that start made.
func (b *bench) close() error {
	var errs []error
	if b.receiver != nil {
		b.receiver.close()
	}
	if b.cluster != nil {
		errs = append(errs, b.cluster.Close())
	}
	if b.dir != "" {
		errs = append(errs, os.RemoveAll(b.dir))
	}
	return errors.Join(errs...)
}

// describe says on what was measured, and with which settings.
func (b *bench) describe(ctx context.Context) ([]string, error) {
	conn, err := pgx.Connect(ctx, b.cluster.URL("postgres"))
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
		fmt.Sprintf("Machine   %d CPUs for Postgres, relay, receiver and this program together; %s/%s, %s%s",
			runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), loadBefore()),
		"Postgres  " + strings.Join(all, ", "),
		fmt.Sprintf("relay     `relay run` with its defaults; events of %d bytes of payload, one subscription, over loopback", len(payload)),
	}, nil
}

// loadBefore tells how busy the machine was with other things: figures from a busy one mean little.
func loadBefore() string {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	lastMinute, _, _ := strings.Cut(string(load), " ")
	return "; load average " + lastMinute + " in the minute before"
}
