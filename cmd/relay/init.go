package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/relay"
)

func newInitCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Set up schema, publication and replication slot, and stop",
		Long: "Set up what is missing: schema outbox, the publication, the replication slot,\n" +
			"and the subscriptions of relay.yaml. It may be run again at any time, beside\n" +
			"running relays too. `relay run` does the same at its start.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.init(cmd.Context()) },
	}
}

func (p *program) init(ctx context.Context) error {
	cfg, err := p.databaseSettings()
	if err != nil {
		return err
	}
	log, err := logFlags{format: "text", level: "warn"}.logger(p.stderr)
	if err != nil {
		return err
	}
	warnOfSettings(cfg, log)
	engine, err := relay.New(cfg, relay.Options{Logger: log, Version: thisBuild().Version})
	if err != nil {
		return usageError{err}
	}
	report, err := engine.Setup(ctx)
	for _, line := range report.Lines {
		_, _ = fmt.Fprintln(p.stdout, line)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, "\nReady: `relay run` delivers what is inserted into outbox.events.")
	return err
}
