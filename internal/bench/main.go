// Command bench measures relay on this machine, with the real program on a private Postgres, and prints one table.
//
//	go run ./internal/bench                     # everything, a few minutes
//	go run ./internal/bench -quick              # smaller counts, about a minute
//	go run ./internal/bench -only drain,memory
//	go run ./internal/bench -json
//
// Relay and receiver are processes of their own, so that CPU time and memory can be told apart. Each figure stands
// beside its target; nothing is asserted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// maxRun bounds the whole run: a measurement that hangs must not hold up whoever waits for the table.
const maxRun = 5 * time.Minute

func main() {
	if len(os.Args) == 2 && os.Args[1] == receiverCommand {
		exit(serveReceiver())
	}

	quick := flag.Bool("quick", false, "smaller counts")
	only := flag.String("only", "", "run only these, separated by commas: "+strings.Join(names(), ", "))
	asJSON := flag.Bool("json", false, "print JSON instead of a table")
	flag.Parse()

	chosen, err := choose(*only)
	if err != nil || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, errors.Join(err, unexpected(flag.Args())))
		os.Exit(2)
	}
	size := full
	if *quick {
		size = small
	}
	exit(run(chosen, size, *asJSON))
}

func run(chosen []measurement, size sizes, asJSON bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, maxRun)
	defer cancel()

	b, err := start(ctx, size)
	if err != nil {
		return err
	}
	report := b.measure(ctx, chosen)
	if err := b.close(); err != nil {
		return err
	}
	if asJSON {
		return report.writeJSON(os.Stdout)
	}
	return report.writeTable(os.Stdout)
}

func unexpected(args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("unexpected argument %q", args[0])
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
