package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/config"
)

func newDocsCommand(p *program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "docs",
		Short: "Show the event types with their sample payloads",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := p.settings()
			if err != nil {
				return err
			}
			if asJSON {
				return p.docsJSON(cfg.EventTypes)
			}
			return p.docs(cfg)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) docsJSON(types []config.EventType) error {
	out := newEncoder(p.stdout)
	for _, t := range types {
		err := out.Encode(struct {
			Type        string          `json:"type"`
			Description string          `json:"description"`
			Sample      json.RawMessage `json:"sample"`
		}{t.Type, t.Description, json.RawMessage(t.Sample)})
		if err != nil {
			return fmt.Errorf("event type %s: %w", t.Type, err)
		}
	}
	return nil
}

func (p *program) docs(cfg *config.Config) error {
	if len(cfg.EventTypes) == 0 {
		_, err := fmt.Fprint(p.stdout, "No event type is documented yet. List them in relay.yaml:\n\n"+
			"event_types:\n"+
			"  - type: user.invited\n"+
			"    description: A user was invited.\n"+
			"    sample: '{\"email\": \"ada@example.com\"}'\n")
		return err
	}
	for i, t := range cfg.EventTypes {
		if i > 0 {
			_, _ = fmt.Fprintln(p.stdout)
		}
		if _, err := fmt.Fprintln(p.stdout, t.Type); err != nil {
			return err
		}
		block(p.stdout, "  ", t.Description)
		_, _ = fmt.Fprintln(p.stdout)
		block(p.stdout, "    ", t.Sample)
	}
	return nil
}
