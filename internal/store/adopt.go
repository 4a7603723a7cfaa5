package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ToBeSent is what a relay that begins here would send to one active subscription.
type ToBeSent struct {
	URL        string
	Deliveries int64
}

var (
	waitingBySubscriptionSQL = query("waiting_by_subscription")
	cancelAllSQL             = query("cancel_all")
	disableAllSQL            = query("disable_all")
)

// ListToBeSent returns the active subscriptions with what waits for each, the most first. It looks through the whole
// outbox, as the scan after a slot was made does.
func ListToBeSent(ctx context.Context, db *pgxpool.Pool) (all []ToBeSent, err error) {
	err = inUnhurried(ctx, db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, waitingBySubscriptionSQL)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[ToBeSent])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for what waits: %w", err)
	}
	return all, nil
}

// AdoptOptions say what is done before a copy is adopted.
type AdoptOptions struct {
	CancelWaiting        bool   // Nothing that waits is sent; events that no relay has seen yet count as waiting.
	DisableSubscriptions string // Why; empty: they stay on.
}

// Adopted says what was done.
type Adopted struct{ Cancelled, Disabled int64 }

// AdoptWith makes this database the relay's home, in one transaction with what the options ask for.
func AdoptWith(ctx context.Context, db *pgxpool.Pool, o AdoptOptions) (Adopted, error) {
	var done Adopted
	err := inUnhurried(ctx, db, func(tx pgx.Tx) error {
		if o.CancelWaiting {
			// A slot made here scans the outbox: what it would find is made and cancelled now.
			if _, err := tx.Exec(ctx, scanSQL); err != nil {
				return err
			}
			tag, err := tx.Exec(ctx, cancelAllSQL)
			if err != nil {
				return err
			}
			done.Cancelled = tag.RowsAffected()
		}
		if o.DisableSubscriptions != "" {
			tag, err := tx.Exec(ctx, disableAllSQL, o.DisableSubscriptions)
			if err != nil {
				return err
			}
			done.Disabled = tag.RowsAffected()
		}
		_, err := tx.Exec(ctx, adoptSQL)
		return err
	})
	if err != nil {
		return Adopted{}, fmt.Errorf("adopt this database: %w", err)
	}
	return done, nil
}
