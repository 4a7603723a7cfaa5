package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/internal/store"
)

func newReplayCommand(p *program) *cobra.Command {
	var many replayFlags
	cmd := &cobra.Command{
		Use:   "replay DELIVERY… | --subscription S --since T",
		Short: "Deliver the same events again",
		Long: "Make new deliveries of the same events to the same subscriptions. The old ones\n" +
			"stay as they are. The running relay sends them at once.\n\n" +
			"Deliveries that are named are made all, or none where one cannot be, and their\n" +
			"ids are printed. With --subscription and --since, those of a time that failed,\n" +
			"were rejected or cancelled are replayed, in batches: their number is printed,\n" +
			"and before more than ten it asks. One that was replayed already is left out,\n" +
			"so the same command after an interruption goes on with the rest.",
		Example: "  relay replay 01976f3e-8a5b-8c1d-9e2f-3a4b5c6d7e8f\n" +
			"  relay replay --subscription crm --since 2h --dry-run\n" +
			"  relay replay --subscription crm --since 2026-01-31 --until 2026-02-02 --yes",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !many.given(cmd) {
				return fmt.Errorf("%s: %s", nameOf(cmd), whichDelivery)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return p.replayMany(cmd.Context(), &many)
			}
			if many.given(cmd) {
				return usagef("give either deliveries, or --subscription and --since")
			}
			ids, err := deliveryIDs(args)
			if err != nil {
				return err
			}
			return p.replay(cmd.Context(), ids)
		},
		DisableFlagsInUseLine: true,
	}
	many.register(cmd)
	return cmd
}

// deliveryIDs reads ids, each once: a delivery that is named twice is replayed once.
func deliveryIDs(args []string) ([]uuid.UUID, error) {
	var ids []uuid.UUID
	for _, arg := range args {
		id, err := deliveryID(arg)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
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
