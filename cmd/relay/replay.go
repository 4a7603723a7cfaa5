package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/internal/store"
)

func newReplayCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "replay DELIVERY…",
		Short: "Deliver the same events again",
		Long: "Make new deliveries of the same events to the same subscriptions, and print\n" +
			"their ids. The old ones stay as they are. All of them are made, or none where\n" +
			"one cannot be. The running relay sends them at once.",
		Example: "  relay replay 01976f3e-8a5b-8c1d-9e2f-3a4b5c6d7e8f\n" +
			"  relay log --status failed --json | jq -r .delivery_id | xargs relay replay",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s: %s", nameOf(cmd), whichDelivery)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ids := make([]uuid.UUID, len(args))
			for i, arg := range args {
				var err error
				if ids[i], err = deliveryID(arg); err != nil {
					return err
				}
			}
			return p.replay(cmd.Context(), ids)
		},
	}
}

func (p *program) replay(ctx context.Context, ids []uuid.UUID) error {
	_, db, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	made, err := store.Replay(ctx, db, ids)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "P0002" { // no_data_found
		return fmt.Errorf("%s; nothing was replayed. %s", pg.Message, strings.TrimSuffix(pg.Hint, "."))
	}
	if err != nil {
		return err
	}
	for _, d := range made {
		if _, err := fmt.Fprintln(p.stdout, d.ID); err != nil {
			return err
		}
		if !d.Active {
			_, _ = fmt.Fprintf(p.stderr, "relay: %s will be cancelled: its subscription was removed or is switched off\n", d.ID)
		}
	}
	return nil
}
