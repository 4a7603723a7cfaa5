package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/internal/store"
)

func newDocsCommand(p *program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "docs",
		Short: "Show the event types with their sample payloads",
		Long: "Show the catalogue: each event type with its description, a sample payload\n" +
			"and, where it has one, the JSON Schema of its payloads. It is in the table\n" +
			"outbox.event_types, which each start brings up to date with relay.yaml and\n" +
			"which may be written by SQL too; what the file says counts here before that.\n" +
			"--json is for programs: type, description, sample and schema.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			types, err := p.openCatalogue(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return p.docsJSON(types)
			}
			return p.docs(types)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) docsJSON(types []store.EventType) error {
	out := newEncoder(p.stdout)
	for _, t := range types {
		entry := struct {
			Type        string          `json:"type"`
			Description string          `json:"description"`
			Sample      json.RawMessage `json:"sample"`
			Schema      json.RawMessage `json:"schema"`
		}{t.Type, t.Description, json.RawMessage(t.Sample), json.RawMessage("null")}
		if t.Schema != "" {
			entry.Schema = json.RawMessage(t.Schema)
		}
		if err := out.Encode(entry); err != nil {
			return fmt.Errorf("event type %s: %w", t.Type, err)
		}
	}
	return nil
}

func (p *program) docs(types []store.EventType) error {
	if len(types) == 0 {
		_, err := fmt.Fprint(p.stdout, "No event type is documented yet. List them in relay.yaml:\n\n"+
			"event_types:\n"+
			"  - type: user.invited\n"+
			"    description: A user was invited.\n"+
			"    sample: '{\"email\": \"ada@example.com\"}'\n")
		return err
	}
	for i, t := range types {
		if i > 0 {
			_, _ = fmt.Fprintln(p.stdout)
		}
		if _, err := fmt.Fprintln(p.stdout, printable(t.Type)); err != nil {
			return err
		}
		block(p.stdout, "  ", t.Description)
		_, _ = fmt.Fprintln(p.stdout)
		block(p.stdout, "    ", t.Sample)
		if t.Schema != "" {
			_, _ = fmt.Fprintln(p.stdout, "\n  schema")
			block(p.stdout, "    ", laidOut(t.Schema))
		}
	}
	return nil
}

// laidOut is JSON for people. The sample is shown as it is, since it is sent so; of a schema only the meaning counts.
func laidOut(text string) string {
	var out bytes.Buffer
	if json.Indent(&out, []byte(text), "", "  ") != nil {
		return text
	}
	return out.String()
}
