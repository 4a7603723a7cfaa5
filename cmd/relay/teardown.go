package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/store"
)

// teardownFlags say how much is removed.
type teardownFlags struct{ schema, dryRun, yes bool }

func newTeardownCommand(p *program) *cobra.Command {
	var f teardownFlags
	cmd := &cobra.Command{
		Use:   "teardown",
		Short: "Remove slot, publication and, with --schema, all data",
		Long: "The counterpart of `relay init`. A replication slot that nobody reads keeps\n" +
			"WAL for ever and fills the server's disk: remove it when relays will not run\n" +
			"here any more. Stop them first; while one runs, nothing is removed.\n\n" +
			"Without --schema, events, subscriptions and the log stay, and what host apps\n" +
			"insert meanwhile is delivered once `relay run` sets everything up again. With\n" +
			"--schema, all of it is dropped, and what depends on it; the database's name\n" +
			"must be typed, or --yes given. Host apps that still insert events will fail\n" +
			"then.",
		Example: "  relay teardown --dry-run\n  relay teardown\n  relay teardown --schema",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, db, err := p.open(cmd.Context())
			if err != nil {
				return err
			}
			defer db.Close()
			return p.teardown(cmd.Context(), cfg, db, f)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.schema, "schema", false, "drop schema outbox as well: events, subscriptions and the log")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only say what would be done")
	flags.BoolVar(&f.yes, "yes", false, "do not ask")
	return cmd
}

// plan is what a teardown would do.
type plan struct {
	database string
	removal  store.Removal
	lines    []string // The same in words.
	kept     []string // What stays although it was meant, and why.
}

func (p *program) teardown(ctx context.Context, cfg *config.Config, db *pgxpool.Pool, f teardownFlags) error {
	plan, err := planTeardown(ctx, cfg, db, f)
	if err != nil {
		return err
	}
	for _, line := range plan.kept {
		p.note("%s", line)
	}
	if len(plan.lines) == 0 {
		_, err := fmt.Fprintln(p.stdout, "Nothing of the relay is here: nothing to remove.")
		return err
	}
	verb := "This removes"
	if f.dryRun {
		verb = "This would remove"
	}
	_, err = fmt.Fprintf(p.stdout, "%s, in database %s:\n\n  %s\n", verb, printable(plan.database), printable(plan.lines[0]))
	for _, line := range plan.lines[1:] {
		_, _ = fmt.Fprintf(p.stdout, "  %s\n", printable(line))
	}
	if err != nil || f.dryRun {
		return err
	}
	_, _ = fmt.Fprintln(p.stdout)
	if plan.removal.Schema {
		err = p.confirmByTyping(ctx, f.yes, "All data of the outbox is lost. Type the database's name to go on: ", plan.database)
	} else {
		err = p.confirm(ctx, f.yes, "Go on?")
	}
	if err != nil {
		return err
	}
	return p.carryOut(ctx, db, plan)
}

// planTeardown looks at what is there. It is an error where something is in use or not the relay's.
func planTeardown(ctx context.Context, cfg *config.Config, db *pgxpool.Pool, f teardownFlags) (*plan, error) {
	contents, err := store.FindContents(ctx, db)
	if err != nil {
		return nil, err
	}
	out := &plan{removal: store.Removal{Slot: cfg.Replication.Slot}}
	if err := db.QueryRow(ctx, "SELECT current_database()").Scan(&out.database); err != nil {
		return nil, fmt.Errorf("look at the database: %w", err)
	}
	if err := out.planSlot(ctx, cfg, db); err != nil {
		return nil, err
	}
	if contents.Ours {
		if err := refuseWhileRunning(ctx, db, cfg.Replication.Slot); err != nil {
			return nil, err
		}
	}
	if err := out.planPublication(ctx, cfg, db); err != nil {
		return nil, err
	}
	if f.schema {
		out.planSchema(contents)
	}
	return out, nil
}

func (out *plan) planSchema(c store.Contents) {
	if !c.Ours {
		if c.Exists {
			out.kept = append(out.kept, "schema outbox has none of the relay's tables: it stays")
		}
		return
	}
	out.removal.Schema = true
	out.lines = append(out.lines, fmt.Sprintf("schema outbox: %s, %s and %s", bytesOf(c.Bytes),
		upTo(c.Events, "event", "events"), upTo(c.Deliveries, "delivery", "deliveries")))
	for _, other := range c.Dependents {
		out.lines = append(out.lines, "  and, outside of it: "+other)
	}
}

// upTo is a number that was counted up to a limit.
func upTo(n int64, one, more string) string {
	said := counted(n, one, more)
	if n >= store.MostContents {
		said += " or more"
	}
	return said
}

func (out *plan) planSlot(ctx context.Context, cfg *config.Config, db *pgxpool.Pool) error {
	name := cfg.Replication.Slot
	slot, err := store.FindSlot(ctx, db, name)
	switch {
	case err != nil:
		return err
	case slot == nil:
	case slot.Plugin == "":
		out.kept = append(out.kept, fmt.Sprintf("replication slot %s is not the relay's (it is a physical slot): it stays", name))
	case slot.Plugin != "pgoutput" || slot.Database != out.database:
		out.kept = append(out.kept, fmt.Sprintf("replication slot %s is not the relay's here (plugin %q, database %q): it stays", name, slot.Plugin, slot.Database))
	case slot.Active:
		return fmt.Errorf("a relay reads replication slot %s (process %d of the server): stop it first; nothing was removed", name, slot.ActivePID)
	default:
		out.removal.DropSlot = true
		out.lines = append(out.lines, fmt.Sprintf("replication slot %s, %s behind", name, bytesOf(slot.LagBytes)))
	}
	return nil
}

func (out *plan) planPublication(ctx context.Context, cfg *config.Config, db *pgxpool.Pool) error {
	name := cfg.Replication.Publication
	publication, err := store.FindPublication(ctx, db, name)
	if err != nil || publication == nil {
		return err
	}
	others, err := store.PublishedElsewhere(ctx, db, name)
	if err != nil {
		return err
	}
	if len(others) > 0 {
		out.kept = append(out.kept, fmt.Sprintf("publication %s publishes other tables too (%s): it stays", name, strings.Join(others, ", ")))
		return nil
	}
	out.removal.Publication = name
	out.lines = append(out.lines, "publication "+name)
	return nil
}

// seenLately is how long after its last heartbeat a relay counts as running.
const seenLately = 30 * time.Second

// refuseWhileRunning is an error while a relay stands by: it would make again what is removed.
func refuseWhileRunning(ctx context.Context, db *pgxpool.Pool, slot string) error {
	relays, err := store.ListRelays(ctx, db)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42P01" { // undefined_table: an older schema, without heartbeats
		return nil
	}
	if err != nil {
		return err
	}
	for _, r := range relays {
		if r.Slot == slot && r.SeenAgo < seenLately {
			return fmt.Errorf("a relay runs on %s (process %d, seen %s ago): stop it first, or wait half a minute where it was killed; "+
				"nothing was removed", r.Host, r.PID, roughly(r.SeenAgo))
		}
	}
	return nil
}

// carryOut removes all of it or nothing.
func (p *program) carryOut(ctx context.Context, db *pgxpool.Pool, plan *plan) error {
	err := store.Remove(ctx, db, plan.removal)
	if errors.Is(err, store.ErrLed) {
		return fmt.Errorf("a relay is at work with replication slot %s: stop it first; nothing was removed", plan.removal.Slot)
	}
	if err != nil {
		return fmt.Errorf("%w; nothing was removed", explain(err))
	}
	_, err = fmt.Fprintln(p.stdout, "Removed.")
	return err
}
