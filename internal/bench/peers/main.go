// Command peers delivers the events of a table in other ways than relay does, so that they can be measured beside it: by
// polling, as people write it; by polling, as well as we know how; and by jobs of riverqueue/river.
//
//	peers setup -kind K -database URL -events N -payload JSON
//	peers run   -kind K -database URL -to URL [settings]
//
// It is a module of its own, so that nobody who uses relay has river among their dependencies.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// settings are those of all peers; each uses its own.
type settings struct {
	workers  int
	batch    int
	inFlight int
	cooldown time.Duration
}

// peer is one way to deliver.
type peer struct {
	setUp func(ctx context.Context, db *pgxpool.Pool, events int, payload string) error
	run   func(ctx context.Context, db *pgxpool.Pool, s settings, post *poster) error // until ctx ends
}

var kinds = map[string]peer{
	"naive": {setUpPolled, runNaive},
	"tuned": {setUpPolled, runTuned},
	"river": {setUpRiver, runRiver},
}

func main() {
	if len(os.Args) < 2 {
		usage()
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	kind := flags.String("kind", "", "naive, tuned or river")
	database := flags.String("database", "", "URL of the database")
	events := flags.Int("events", 0, "how many events to insert")
	payload := flags.String("payload", "{}", "their payload")
	to := flags.String("to", "", "URL to deliver to")
	var s settings
	flags.IntVar(&s.workers, "workers", 1, "workers: goroutines of a poller, MaxWorkers of river")
	flags.IntVar(&s.batch, "batch", 100, "rows that a poller takes at once")
	flags.IntVar(&s.inFlight, "in-flight", 1, "requests that each worker of the tuned poller has in flight")
	flags.DurationVar(&s.cooldown, "cooldown", 100*time.Millisecond, "river's FetchCooldown")
	_ = flags.Parse(os.Args[2:])
	chosen, ok := kinds[*kind]
	if !ok || flags.NArg() > 0 || !slices.Contains([]string{"setup", "run"}, os.Args[1]) {
		usage()
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	db, err := open(ctx, *database, s)
	if err == nil && os.Args[1] == "setup" {
		err = chosen.setUp(ctx, db, *events, *payload)
	} else if err == nil {
		err = chosen.run(ctx, db, s, newPoster(*to, s.workers*s.inFlight))
	}
	if err != nil && (ctx.Err() == nil || !errors.Is(err, context.Canceled)) {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: peers setup|run -kind naive|tuned|river -database URL [-events N -payload JSON | -to URL] …")
	os.Exit(2)
}

// open connects with as many connections as the workers of a poller hold, and enough for river, whose workers hold none.
func open(ctx context.Context, url string, s settings) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	cfg.MaxConns = int32(min(max(s.workers, 10), 20))
	db, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	return db, nil
}
