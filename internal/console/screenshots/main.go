//go:build unix

// Screenshots draws every page of the console, in light and dark, at the width of a desktop and of a phone, from demo data
// on a private Postgres, into the first folder named on its command line, and those that are shown in the README and the
// manual into the second as well. It needs Chromium or Chrome.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/outboxrelay/relay/internal/postgres"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: screenshots FOLDER PUBLISHED [PAGE | PAGE-light-phone …]")
		os.Exit(2)
	}
	err := run(ctx, os.Args[1], os.Args[2], os.Args[3:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, folder, published string, only []string) (err error) {
	for _, f := range []string{folder, published} {
		if err := os.MkdirAll(f, 0o755); err != nil {
			return err
		}
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
	return draw(ctx, all.full.db, shots, only, func(s shot, w size, name string, png []byte) error {
		if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644); err != nil || !s.published || w.mobile {
			return err
		}
		small, err := shrink(png)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(published, strings.TrimSuffix(name, "-"+w.name)+".png"), small, 0o644)
	})
}
