package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

const (
	fetchedVersion  = embeddedpostgres.V17
	fetchRepository = "https://repo1.maven.org/maven2" // Where the builds of zonkyio/embedded-postgres-binaries are.
)

// FindOrFetch is Find; where nothing is found it fetches server binaries from the network, once, into the user's cache
// folder. That takes as long as a download of some 10 MB takes. The error says what to install where this fails too. A
// nil logger is silent.
func FindOrFetch(ctx context.Context, logger *slog.Logger) (string, error) {
	dir, err := Find(ctx)
	if !errors.Is(err, ErrNotFound) {
		return dir, err
	}
	cache, err := cacheFolder()
	if err != nil {
		return "", fmt.Errorf("%w, and there is no folder to fetch them into (%w): %s", ErrNotFound, err, installHint())
	}
	dir, err = fetch(ctx, fetchRepository, cache, logger)
	if err != nil {
		return "", fmt.Errorf("%w, and fetching them did not work (%w): %s", ErrNotFound, err, installHint())
	}
	return dir, nil
}

// cacheFolder is where fetched binaries are kept. The superuser's own cache is closed to the account that its servers
// run as, so theirs are in the system's.
func cacheFolder() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/outboxrelay", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "outboxrelay"), nil
}

// fetch returns the folder of the binaries in cache, having fetched them from a Maven repository if need be. It may be
// called by several processes at once.
func fetch(ctx context.Context, repository, cache string, logger *slog.Logger) (string, error) {
	home := filepath.Join(cache, "postgresql-"+string(fetchedVersion))
	binDir := filepath.Join(home, "bin")
	if _, err := serverVersion(ctx, binDir); err == nil {
		return binDir, nil
	}
	if logger != nil {
		logger.InfoContext(ctx, "fetching PostgreSQL", "version", string(fetchedVersion), "repository", repository)
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder: %w", err)
	}
	// Unpacked beside its place and moved there when whole, so that nobody takes a half for the whole.
	scratch, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return "", fmt.Errorf("make a folder to unpack in: %w", err)
	}
	unpacked := filepath.Join(scratch, "home")
	done := make(chan error, 1)
	go func() { // The library takes no context: when ours ends, its download is left to end by itself.
		defer os.RemoveAll(scratch)
		err := unpack(repository, scratch, unpacked)
		if _, verr := serverVersion(ctx, filepath.Join(unpacked, "bin")); verr != nil {
			done <- errors.Join(err, verr)
			return
		}
		done <- moveInto(ctx, unpacked, home)
	}()
	select {
	case err := <-done:
		return binDir, err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// unpack has the library fetch its archive and unpack it into home. The library can't stop there, and goes on to start a
// server; it is given a data folder with which no server starts. So an error says something only if home is incomplete.
func unpack(repository, scratch, home string) error {
	data := filepath.Join(scratch, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	// Taken by the library for a complete data folder, so that it runs no initdb.
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte(fetchedVersion), 0o600); err != nil {
		return fmt.Errorf("write PG_VERSION: %w", err)
	}
	output, err := os.Create(filepath.Join(scratch, "output"))
	if err != nil {
		return fmt.Errorf("make a file for its output: %w", err)
	}
	defer output.Close()
	return embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(fetchedVersion).
		BinaryRepositoryURL(repository).
		CachePath(scratch).
		RuntimePath(filepath.Join(scratch, "runtime")).
		BinariesPath(home).
		DataPath(data).
		Port(0).
		Logger(output)).Start()
}

func moveInto(ctx context.Context, unpacked, home string) error {
	if err := os.Chmod(unpacked, 0o755); err != nil { // For servers that run as another user.
		return fmt.Errorf("open the folder to all: %w", err)
	}
	err := os.Rename(unpacked, home)
	if err == nil {
		return nil
	}
	if _, verr := serverVersion(ctx, filepath.Join(home, "bin")); verr == nil {
		return nil // Another process was first.
	}
	// What is there is broken: make room and try once more.
	if err := os.RemoveAll(home); err != nil {
		return fmt.Errorf("remove unusable binaries: %w", err)
	}
	if err := os.Rename(unpacked, home); err != nil {
		return fmt.Errorf("keep the binaries: %w", err)
	}
	return nil
}
