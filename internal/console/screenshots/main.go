//go:build unix

// Screenshots draws every page of the console, in light and dark, at the width of a desktop and of a phone, from demo data
// on a private Postgres, into the folder named on its command line. It needs Chromium or Chrome.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/outboxrelay/relay/internal/postgres"
)

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
	all, err := newStages(ctx, cluster)
	defer all.close()
	if err != nil {
		return err
	}
	shots, err := allShots(ctx, all)
	if err != nil {
		return err
	}
	return draw(ctx, all.full.db, shots, only, func(name string, png []byte) error {
		return os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644)
	})
}
