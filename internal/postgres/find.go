package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
)

// ErrNotFound says that this machine has no usable server binaries. Find returns it, wrapped.
var ErrNotFound = errors.New("no server binaries of PostgreSQL 14 or later found")

const (
	binDirVariable = "RELAY_POSTGRES_BIN"
	oldestMajor    = 14 // What schema.sql needs.
)

// programs are what a folder must hold to be of use.
var programs = []string{"postgres", "initdb", "pg_ctl"}

// usualFolders are where packages put server binaries that they keep off the PATH.
var usualFolders = []string{
	"/usr/lib/postgresql/*/bin", // Debian
	"/usr/pgsql-*/bin",          // RHEL
	"/opt/homebrew/opt/postgresql@*/bin",
	"/usr/local/opt/postgresql@*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

// Find returns the folder of the newest server binaries, of PostgreSQL 14 or later, on this machine. It looks in
// $RELAY_POSTGRES_BIN, on the PATH and where packages usually put them; the first of these that has any wins. A
// $RELAY_POSTGRES_BIN that is of no use is an error. Where there are none, the error is ErrNotFound.
func Find(ctx context.Context) (string, error) {
	if dir := os.Getenv(binDirVariable); dir != "" {
		if _, err := serverVersion(ctx, dir); err != nil {
			return "", fmt.Errorf("use %s=%s: %w", binDirVariable, dir, err)
		}
		return dir, nil
	}
	if dir := newest(ctx, pathFolders()); dir != "" {
		return dir, nil
	}
	var folders []string
	for _, pattern := range usualFolders {
		matches, _ := filepath.Glob(pattern) // Fails on a bad pattern alone.
		folders = append(folders, matches...)
	}
	if dir := newest(ctx, folders); dir != "" {
		return dir, nil
	}
	return "", ErrNotFound
}

// pathFolders returns the folders that hold what "postgres" on the PATH links to: the other programs stand beside it.
func pathFolders() []string {
	var folders []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		target, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
		if err == nil && filepath.IsAbs(target) {
			folders = append(folders, filepath.Dir(target))
		}
	}
	return folders
}

func newest(ctx context.Context, folders []string) string {
	var best string
	var bestVersion version
	for _, dir := range folders {
		v, err := serverVersion(ctx, dir)
		if err == nil && (best == "" || bestVersion.less(v)) {
			best, bestVersion = dir, v
		}
	}
	return best
}

type version struct{ major, minor int }

func (v version) less(w version) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

// serverVersion asks the server in dir for its version. It is an error if a program is missing or the server is too old.
func serverVersion(ctx context.Context, dir string) (version, error) {
	for _, name := range programs {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return version{}, fmt.Errorf("find %s: %w", name, err)
		}
	}
	output, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return version{}, fmt.Errorf("ask postgres for its version: %w", err)
	}
	v, err := parseVersion(string(output))
	if err != nil {
		return version{}, err
	}
	if v.major < oldestMajor {
		return version{}, fmt.Errorf("PostgreSQL %d is too old: %d or later is needed", v.major, oldestMajor)
	}
	return v, nil
}

// versionPattern matches "postgres (PostgreSQL) 15.4 (Debian …)" as well as 18beta1 and 19devel, which have no minor.
var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)(?:\.(\d+))?`)

func parseVersion(output string) (version, error) {
	match := versionPattern.FindStringSubmatch(output)
	if match == nil {
		return version{}, fmt.Errorf("no version of PostgreSQL in %q", output)
	}
	major, err := strconv.Atoi(match[1])
	if err != nil {
		return version{}, fmt.Errorf("read the version of PostgreSQL: %w", err)
	}
	minor, _ := strconv.Atoi(match[2]) // Empty in a pre-release: 0.
	return version{major, minor}, nil
}

// installHint says how to get server binaries on this platform.
func installHint() string {
	how := "install the PostgreSQL server with your package manager"
	switch runtime.GOOS {
	case "linux":
		how = "install it (apt install postgresql, dnf install postgresql-server, apk add postgresql)"
	case "darwin":
		how = "install it (brew install postgresql@17, or Postgres.app)"
	}
	return how + ", or set " + binDirVariable + " to the folder with postgres, initdb and pg_ctl"
}
