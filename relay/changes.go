package relay

import (
	"context"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/outboxrelay/relay/internal/failpoint"
	"github.com/outboxrelay/relay/internal/store"
)

// change applies a change of a subscription: events after it in the stream see it.
func (r *router) change(ctx context.Context, tx *transaction, row changeRow) error {
	if err := r.lookUp(ctx); err != nil { // What came before belongs to the subscriptions before.
		return err
	}
	if row.subscription == nil {
		r.subscriptions.remove(row.subscriptionID)
	} else {
		r.subscriptions.set(row.subscription)
		if row.subscription.fault != nil {
			r.log.Warn("a subscription cannot be used; its deliveries will fail", "subscription_id", row.subscriptionID,
				"error", row.subscription.fault)
		}
	}
	if row.subscription == nil || !row.subscription.active {
		r.arrived(row)
		r.cancelHeld(row.subscriptionID)
		r.cancelQueued(row.subscriptionID)
		tx.add(1) // A crash before its end brings the change again.
		r.record.put(entry{kind: entrySweep, tx: tx, id: row.subscriptionID, at: tx.committedAt})
	}
	failpoint.Hit("router/after-change")
	tx.add(1)
	r.record.put(entry{kind: entryChange, tx: tx, change: row.id})
	return nil
}

// cancelHeld records what is held for a subscription as cancelled.
func (r *router) cancelHeld(id uuid.UUID) {
	r.held = slices.DeleteFunc(r.held, func(d *delivery) bool {
		if d.sub.id != id {
			return false
		}
		r.writeDown(d, entryCancel)
		return true
	})
}

// cancelQueued records as cancelled what the stream brought to a lane and waits there. What was claimed is given back: the
// change may be of long ago, read a second time, and the claimer goes by how the subscription is now.
func (r *router) cancelQueued(id uuid.UUID) {
	for _, d := range r.dispatch.clear(id) {
		if d.claimed {
			r.giveBack(d)
			r.dispatch.release(d)
			continue
		}
		r.writeDown(d, entryCancel)
	}
}

// askJournal asks the journal for changes ahead that switch subscriptions off, so that what has not been sent to them is not sent any
// more even while the stream lags. Safe for several goroutines, as is ahead.
func (r *router) askJournal(ctx context.Context) error {
	r.asks.Lock()
	defer r.asks.Unlock()
	r.asking()
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	changes, err := store.ChangesUnread(ctx, r.db)
	if err != nil {
		return err
	}
	r.ahead(changes)
	return nil
}

// asking notes that the journal is about to be asked for changes ahead.
func (r *router) asking() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.read {
		r.read[id] = true
	}
}

// ahead notes changes still to come that switch subscriptions off: what has not been sent is not sent any more. An answer
// may name changes that were read since it was asked for, or that are not marked yet; those that were read before and are
// not named are marked, and no later answer names them.
func (r *router) ahead(changes []store.Change) {
	r.mu.Lock()
	var gone []uuid.UUID
	for _, c := range changes {
		if _, ok := r.read[c.ID]; ok {
			r.read[c.ID] = false
			continue
		}
		if r.off[c.SubscriptionID] == nil {
			r.off[c.SubscriptionID] = make(map[int64]struct{})
			gone = append(gone, c.SubscriptionID)
		}
		r.off[c.SubscriptionID][c.ID] = struct{}{}
	}
	maps.DeleteFunc(r.read, func(_ int64, unnamed bool) bool { return unnamed })
	r.mu.Unlock()
	for _, id := range gone {
		r.cancelQueued(id)
	}
}

// goingAway says whether the stream still holds a change that switches the subscription off.
func (r *router) goingAway(id uuid.UUID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.off) > 0 && len(r.off[id]) > 0
}

// arrived notes that a change that switches a subscription off was read from the stream.
func (r *router) arrived(row changeRow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read[row.id] = false
	if ahead := r.off[row.subscriptionID]; ahead != nil {
		delete(ahead, row.id)
		if len(ahead) == 0 {
			delete(r.off, row.subscriptionID)
		}
	}
}
