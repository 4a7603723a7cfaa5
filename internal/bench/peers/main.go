// Command peers delivers the events of a table in other ways than relay does, so that they can be measured beside it: by
// polling, as people write it; by polling, as well as we know how; and by jobs of riverqueue/river.
//
//	peers setup  -kind K -database URL -events N -payload JSON
//	peers run    -kind K -database URL -to URL [settings]
//	peers commit -kind K -database URL -events N -payload JSON -rate R
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

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
)

// settings are those of all peers; each uses its own.
type settings struct {
	workers  int
	batch    int
	inFlight int
	cooldown time.Duration
	pause    time.Duration
	log      bool
}

// work is what there is to do.
type work struct {
	database, to, payload string
	events, rate          int
}

// peer is one way to deliver.
type peer struct {
	setUp func(ctx context.Context, db *pgxpool.Pool, events int, payload string) error
	run   func(ctx context.Context, db *pgxpool.Pool, s settings, post *poster) error // until ctx ends

	// inserter returns what inserts one event in a transaction of its own.
	inserter func(db *pgxpool.Pool, s settings, payload string) (func(ctx context.Context, id uuid.UUID) error, error)
}

var kinds = map[string]peer{
	"naive": {setUpPolled, runNaive, polledInserter},
	"tuned": {setUpPolled, runTuned, polledInserter},
	"river": {setUpRiver, runRiver, riverInserter},
}

func main() {
	if len(os.Args) < 2 {
		usage()
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	kind := flags.String("kind", "", "naive, tuned or river")
	var work work
	flags.StringVar(&work.database, "database", "", "URL of the database")
	flags.IntVar(&work.events, "events", 0, "how many events to insert")
	flags.StringVar(&work.payload, "payload", "{}", "their payload")
	flags.IntVar(&work.rate, "rate", 100, "events to commit a second")
	flags.StringVar(&work.to, "to", "", "URL to deliver to")
	var s settings
	flags.IntVar(&s.workers, "workers", 1, "workers: goroutines of a poller, MaxWorkers of river")
	flags.IntVar(&s.batch, "batch", 100, "rows that a poller takes at once")
	flags.IntVar(&s.inFlight, "in-flight", 1, "requests that each worker of the tuned poller has in flight")
	flags.DurationVar(&s.pause, "pause", 100*time.Millisecond, "how long a worker of a poller waits when there was nothing to do")
	flags.BoolVar(&s.log, "log", false, "a poller keeps a log of its attempts")
	flags.DurationVar(&s.cooldown, "cooldown", 100*time.Millisecond, "river's FetchCooldown")
	_ = flags.Parse(os.Args[2:])
	chosen, ok := kinds[*kind]
	if !ok || flags.NArg() > 0 || !slices.Contains([]string{"setup", "run", "commit"}, os.Args[1]) {
		usage()
	}

	if err := do(os.Args[1], chosen, s, work); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// do runs a command until it is done, or the program is told to end.
func do(command string, chosen peer, s settings, w work) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	db, err := open(ctx, w.database, s)
	if err != nil {
		return err
	}
	switch command {
	case "setup":
		return chosen.setUp(ctx, db, w.events, w.payload)
	case "commit":
		insert, err := chosen.inserter(db, s, w.payload)
		if err != nil {
			return err
		}
		return commitSteadily(ctx, db, w.events, w.rate, insert)
	}
	err = chosen.run(ctx, db, s, newPoster(w.to, s.workers*s.inFlight))
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: peers setup|run|commit -kind naive|tuned|river -database URL …")
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
