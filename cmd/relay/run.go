package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/httpserver"
	"github.com/outboxrelay/relay/relay"
)

// logFlags say how the log is written.
type logFlags struct{ format, level string }

func newRunCommand(p *program) *cobra.Command {
	var logs logFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Relay events until SIGTERM or SIGINT",
		Long: "Set up what is missing (schema, publication, replication slot), then relay until\n" +
			"SIGTERM or SIGINT (Ctrl-C). The first signal lets what is in flight end and be\n" +
			"recorded; what takes longer than delivery.timeout and 5 s is broken off, to be\n" +
			"made again. A second signal ends the program at once.\n\n" +
			"While it runs, the console is at http.listen (http://127.0.0.1:8080), with\n" +
			"/healthz, /readyz and /metrics. Several may run on one database: one relays, the\n" +
			"others stand by and take over when it ends.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := logs.logger(p.stderr)
			if err != nil {
				return err
			}
			if logs.format == "json" {
				p.records.Store(log)
			}
			cfg, err := p.databaseSettings()
			if err != nil {
				return err
			}
			warnOfSettings(cfg, log)
			return runRelay(cmd.Context(), cfg, log)
		},
	}
	cmd.Flags().StringVar(&logs.format, "log-format", "text", "how the log on stderr is written: `text|json`")
	cmd.Flags().StringVar(&logs.level, "log-level", "info", "the least that is logged: `debug|info|warn|error`")
	return cmd
}

func (f logFlags) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	switch strings.ToLower(f.level) {
	case "debug", "info", "warn", "error":
		_ = level.UnmarshalText([]byte(f.level)) // One of its own words.
	default:
		return nil, usagef("--log-level %q: is none of debug, info, warn, error", f.level)
	}
	options := &slog.HandlerOptions{Level: level}
	switch f.format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, usagef("--log-format %q: is neither text nor json", f.format)
}

// tuneMemory collects garbage less often than Go does for a small heap, which gave about a tenth more throughput, and
// often enough to stay within what the relay promises. GOGC and GOMEMLIMIT win.
func tuneMemory() {
	const (
		heapGrowthPercent = 400
		softLimitBytes    = 96 << 20 // Of the 128 MB promised; the rest is for what Go does not count.
	)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowthPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softLimitBytes)
	}
}

// runRelay relays until ctx ends. The HTTP server is there before the database is, and until all is recorded.
func runRelay(ctx context.Context, cfg *config.Config, log *slog.Logger) error {
	tuneMemory()
	this := thisBuild()
	registry := newRegistry(this)
	engine, err := relay.New(cfg, relay.Options{Logger: log, Version: this.Version, Registry: registry})
	if err != nil {
		return usageError{err}
	}
	var listener net.Listener
	if cfg.HTTP.Listen != "" {
		if listener, err = httpserver.Listen(ctx, cfg.HTTP.Listen); err != nil {
			return fmt.Errorf("http.listen: %w", err)
		}
	}
	log.Info("starting", this.logged()...)

	both, fail := errgroup.WithContext(ctx)
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	if listener != nil {
		log.Info("listening", "address", listener.Addr().String())
		server, closeServer, err := newServer(ctx, cfg, engine, registry, log)
		if err != nil {
			return err
		}
		defer closeServer()
		both.Go(func() error { return server.Serve(serving, listener) })
	}
	both.Go(func() error {
		defer stopServing()
		return engine.Run(fail)
	})
	context.AfterFunc(ctx, func() { log.Info("stopping: what is in flight ends and is recorded; a second signal ends it at once") })
	if err := both.Wait(); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

func newRegistry(this build) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "relay_build_info", Help: "Always 1; the labels say what this program was made from.",
		ConstLabels: prometheus.Labels{"version": this.Version, "commit": this.Commit, "go": this.Go},
	})
	info.Set(1)
	registry.MustRegister(info, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}
