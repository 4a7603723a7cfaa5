//go:build unix

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// Standby makes a standby of the running cluster and starts it: a physical copy, on a port of its own, that follows the
// cluster's WAL. It reads through physical slot "standby", which the cluster is given where it has none. Settings are the
// cluster's with o.Settings over them. Close it like any other.
func (c *Cluster) Standby(ctx context.Context, o Options) (*Cluster, error) {
	s := &Cluster{binDir: c.binDir, logger: c.logger, settings: maps.Clone(c.settings)}
	if o.Logger != nil {
		s.logger = o.Logger
	}
	maps.Copy(s.settings, map[string]string{
		"primary_conninfo":     fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=%s", c.port, superuser, database),
		"primary_slot_name":    "standby",
		"hot_standby_feedback": "on",
	})
	maps.Copy(s.settings, o.Settings)
	if err := s.prepare(ctx, o.Dir); err != nil {
		return nil, err
	}
	if err := s.follow(ctx, c); err != nil {
		return nil, errors.Join(fmt.Errorf("make a standby: %w", err), s.Close())
	}
	return s, nil
}

// follow fills the data folder with a copy of the primary's and starts the server on it.
func (c *Cluster) follow(ctx context.Context, primary *Cluster) error {
	if err := c.backUp(ctx, primary); err != nil {
		return err
	}
	if err := c.put("standby.signal", nil); err != nil {
		return err
	}
	if err := c.writeSettings(); err != nil {
		return err
	}
	return c.startOnFreePort(ctx)
}

// backUp copies the files of a running server between the start and the end of a backup. Not every folder of binaries
// has pg_basebackup.
func (c *Cluster) backUp(ctx context.Context, primary *Cluster) error {
	conn, err := pgx.Connect(ctx, primary.URL(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var version int
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `SELECT pg_create_physical_replication_slot('standby', true)
		WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'standby')`)
	if err != nil {
		return err
	}
	start, stop := "SELECT pg_backup_start('standby', true)", "SELECT labelfile FROM pg_backup_stop(false)"
	if version < 150000 {
		start, stop = "SELECT pg_start_backup('standby', true, false)", "SELECT labelfile FROM pg_stop_backup(false, false)"
	}
	if _, err := conn.Exec(ctx, start); err != nil {
		return err
	}
	if err := c.copyFrom(primary.folder.data()); err != nil {
		return err
	}
	var label string
	if err := conn.QueryRow(ctx, stop).Scan(&label); err != nil {
		return err
	}
	return c.put("backup_label", []byte(label))
}

// emptied are folders of whose content a copy has no use, or that would mislead it.
var emptied = map[string]bool{
	"pg_wal": true, "pg_replslot": true, "pg_dynshmem": true, "pg_notify": true, "pg_serial": true, "pg_snapshots": true,
	"pg_stat_tmp": true, "pg_subtrans": true,
}

// copyFrom copies a data folder that is in use: files may go meanwhile.
func (c *Cluster) copyFrom(data string) error {
	return filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(data, path)
		if err != nil || name == "." {
			return err
		}
		if emptied[filepath.Dir(name)] {
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		switch {
		case entry.IsDir():
			return c.makeFolder(name)
		case name == "postmaster.pid", name == "postmaster.opts":
			return nil
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return c.put(name, content)
	})
}

func (c *Cluster) makeFolder(name string) error {
	path := filepath.Join(c.folder.data(), name)
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	return c.account.own(path)
}

// put writes a file of the data folder.
func (c *Cluster) put(name string, content []byte) error {
	path := filepath.Join(c.folder.data(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	return c.account.own(path)
}

// Promote makes a primary of a standby and returns once it takes writes.
func (c *Cluster) Promote(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, c.URL(database))
	if err != nil {
		return fmt.Errorf("promote Postgres: %w", err)
	}
	defer conn.Close(ctx)
	var promoted bool
	seconds := strconv.Itoa(int(startTimeout.Seconds()))
	if err := conn.QueryRow(ctx, "SELECT pg_promote(true, "+seconds+")").Scan(&promoted); err != nil {
		return fmt.Errorf("promote Postgres: %w", err)
	}
	if !promoted {
		return fmt.Errorf("promote Postgres: not done within %s", startTimeout)
	}
	return nil
}
