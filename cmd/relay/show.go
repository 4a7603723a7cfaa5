package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
)

// whichDelivery is said where an id is missing.
const whichDelivery = "which delivery? `relay log` shows their ids"

func newShowCommand(p *program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show DELIVERY",
		Short: "Show one delivery with all its attempts",
		Args:  oneArg(whichDelivery),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := deliveryID(args[0])
			if err != nil {
				return err
			}
			return p.show(cmd.Context(), id, asJSON)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func deliveryID(arg string) (uuid.UUID, error) {
	id, err := uuid.Parse(arg)
	if err != nil {
		return id, usagef("%q is not the id of a delivery; `relay log` shows them", arg)
	}
	return id, nil
}

// shown is a delivery with its attempts, as JSON.
type shown struct {
	outbox.Delivery
	AttemptLog []outbox.Attempt `json:"attempt_log"`
}

func (p *program) show(ctx context.Context, id uuid.UUID, asJSON bool) error {
	_, db, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	found, err := outbox.Log(ctx, db, outbox.Filter{DeliveryID: id, Limit: 1})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("no delivery %s; `relay log` shows those there are", id)
	}
	attempts, err := outbox.Attempts(ctx, db, id)
	if err != nil {
		return err
	}
	if asJSON {
		if attempts == nil {
			attempts = []outbox.Attempt{}
		}
		return newEncoder(p.stdout).Encode(shown{found[0], attempts})
	}
	subscription := found[0].SubscriptionID.String()
	name, err := store.SubscriptionName(ctx, db, found[0].SubscriptionID)
	switch {
	case errors.Is(err, store.ErrNoSubscription):
		subscription += " (removed since)"
	case err != nil:
		return err
	case name != nil:
		subscription += " (" + *name + ")"
	}
	p.printDelivery(&found[0], subscription)
	p.printAttempts(attempts)
	return nil
}

func (p *program) printDelivery(d *outbox.Delivery, subscription string) {
	var replayOf string
	if d.ReplayOf != nil {
		replayOf = d.ReplayOf.String()
	}
	printFields(p.stdout, []field{
		{"delivery", d.DeliveryID.String()},
		{"replay of", replayOf},
		{"event", d.EventID.String()},
		{"event type", d.EventType},
		{"tenant", d.Tenant},
		{"user", deref(d.UserID)},
		{"created", formatTime(longTime, &d.CreatedAt)},
		{"subscription", subscription},
		{"url", d.URL},
		{"status", string(d.Status)},
		{"response code", deliveryCode(d)},
		{"error", deref(d.Error)},
		{"last attempt", formatTime(longTime, d.LastAttemptAt)},
		{"next attempt", formatTime(longTime, d.NextAttemptAt)},
		{"finished", formatTime(longTime, d.FinishedAt)},
	})
	_, _ = fmt.Fprintln(p.stdout, "\npayload")
	if d.Payload == nil {
		_, _ = fmt.Fprintln(p.stdout, "  none: the event was removed after its retention")
		return
	}
	block(p.stdout, "  ", string(d.Payload))
}

func deliveryCode(d *outbox.Delivery) string {
	if d.ResponseCode == nil {
		return ""
	}
	return formatCode(*d.ResponseCode)
}

func (p *program) printAttempts(attempts []outbox.Attempt) {
	if len(attempts) == 0 {
		_, _ = fmt.Fprintln(p.stdout, "\nno attempts yet")
		return
	}
	_, _ = fmt.Fprintln(p.stdout, "\nattempts")
	for _, a := range attempts {
		number := strconv.Itoa(a.Number)
		took := formatDuration(time.Duration(a.DurationMS) * time.Millisecond)
		_, _ = fmt.Fprintf(p.stdout, "  %2s  %s  %8s  %s\n",
			number, formatTime(longTime, &a.StartedAt), took, printable(attemptResult(&a)))
		if a.ResponseBody != nil {
			block(p.stdout, "      ", *a.ResponseBody)
		}
	}
}

func attemptResult(a *outbox.Attempt) string {
	if a.ResponseCode != nil {
		return formatCode(*a.ResponseCode)
	}
	said := string(deref(a.ErrorClass))
	if a.Error != nil {
		said += ": " + *a.Error
	}
	return said
}
