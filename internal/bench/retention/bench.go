package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/outboxrelay/relay/internal/postgres"
)

// shipped is what PostgreSQL comes with, but for wal_level: a private cluster is smaller otherwise.
var shipped = map[string]string{
	"shared_buffers":        "128MB",
	"max_connections":       "100",
	"max_wal_senders":       "10",
	"max_replication_slots": "10",
}

// careless is for loading alone; careful is the same as it comes.
var (
	careless = map[string]string{"fsync": "off", "max_wal_size": "16GB", "maintenance_work_mem": "512MB", "autovacuum": "off"}
	careful  = map[string]string{"fsync": "on", "max_wal_size": "1GB", "maintenance_work_mem": "64MB", "autovacuum": "on"}
)

// bench is what both ways share.
type bench struct {
	options
	history history
	dir     string // Of the cluster.
	cluster *postgres.Cluster
	admin   *pgxpool.Pool
	machine []string
}

func start(ctx context.Context, o options) (b *bench, err error) {
	today := time.Now().UTC().Truncate(24 * time.Hour)
	b = &bench{options: o, history: history{count: o.events, begin: today.AddDate(0, 0, -days)}}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.dir, err = os.MkdirTemp("", "relay-retention-"); err != nil {
		return b, fmt.Errorf("make a folder: %w", err)
	}
	if err := os.Chmod(b.dir, 0o755); err != nil { // the server runs as another user where this program is root
		return b, fmt.Errorf("make a folder: %w", err)
	}
	settings := maps.Clone(shipped)
	maps.Copy(settings, o.set)
	if b.cluster, err = postgres.Start(ctx, postgres.Options{Settings: settings, Dir: b.dir}); err != nil {
		return b, err
	}
	if b.admin, err = pgxpool.New(ctx, b.cluster.URL("postgres")); err != nil {
		return b, fmt.Errorf("connect to Postgres: %w", err)
	}
	b.machine, err = b.describe(ctx)
	return b, err
}

func (b *bench) close() error {
	var errs []error
	if b.admin != nil {
		b.admin.Close()
	}
	if b.cluster != nil {
		errs = append(errs, b.cluster.Close())
	}
	if b.dir != "" {
		errs = append(errs, os.RemoveAll(b.dir))
	}
	return errors.Join(errs...)
}

func (b *bench) describe(ctx context.Context) ([]string, error) {
	var settings string
	err := b.admin.QueryRow(ctx, `
		SELECT string_agg(w.name || ' ' || current_setting(w.name), ', ' ORDER BY w.n)
		  FROM unnest('{server_version,fsync,synchronous_commit,wal_level,shared_buffers,max_wal_size,wal_compression}'::text[])
		       WITH ORDINALITY AS w(name, n)`).Scan(&settings)
	if err != nil {
		return nil, fmt.Errorf("read the settings of Postgres: %w", err)
	}
	return []string{
		fmt.Sprintf("Machine   %d CPUs for Postgres and this program; %s/%s%s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, loadBefore()),
		"Postgres  " + settings,
		fmt.Sprintf("Events    %s over %d days, %d bytes of payload, a delivery and an attempt each", thousands(int64(b.events)), days, len(payload)),
	}, nil
}

// loadBefore tells how busy the machine was with other things.
func loadBefore() string {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	lastMinute, _, _ := strings.Cut(string(load), " ")
	return "; load average " + lastMinute + " in the minute before"
}

// part runs one part of the measurement, alone on the machine as far as others use the same lock.
func (b *bench) part(ctx context.Context, name string, run func(context.Context) error) (err error) {
	if b.lock != "" {
		say("%s: waiting for %s", name, b.lock)
		file, err := lock(ctx, b.lock)
		if err != nil {
			return err
		}
		defer file.Close() // which unlocks it
	}
	say("%s%s", name, loadBefore())
	begun := time.Now()
	limited, cancel := context.WithTimeoutCause(ctx, maxPart, fmt.Errorf("not done within %s", maxPart))
	defer cancel()
	if err := run(limited); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	say("%s: %.0f s", name, time.Since(begun).Seconds())
	return nil
}

// lock waits for an exclusive lock on a file and returns it.
func lock(ctx context.Context, path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	locked := make(chan error, 1)
	go func() { locked <- syscall.Flock(int(file.Fd()), syscall.LOCK_EX) }()
	select {
	case err = <-locked:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}
	return file, nil
}

// carelessly runs load with settings that only loading may have.
func (b *bench) carelessly(ctx context.Context, load func() error) error {
	if err := b.set(ctx, careless); err != nil {
		return err
	}
	if err := load(); err != nil {
		return err
	}
	if err := b.set(ctx, careful); err != nil {
		return err
	}
	_, err := b.admin.Exec(ctx, "CHECKPOINT")
	return err
}

func (b *bench) set(ctx context.Context, settings map[string]string) error {
	if err := b.cluster.Set(ctx, settings); err != nil {
		return err
	}
	return b.cluster.Reload(ctx)
}

// cool restarts Postgres and makes the system forget what it has read of its files.
func (b *bench) cool(ctx context.Context) error {
	if err := b.cluster.Stop(ctx, postgres.Fast); err != nil {
		return err
	}
	err := filepath.WalkDir(b.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		return forget(path)
	})
	return errors.Join(err, b.cluster.Resume(ctx))
}
