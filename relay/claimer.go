package relay

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/outboxrelay/relay/internal/failpoint"
	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
)

const (
	// claimEvery is how often the database is asked for due deliveries when nothing else wakes the claimer: a replay, or
	// what another relay left behind, is taken up within it.
	claimEvery = 500 * time.Millisecond

	// claimPause keeps claims apart while lanes are hungry.
	claimPause = 2 * time.Millisecond

	// claimMost is how many deliveries one claim takes.
	claimMost = 512

	// claimLittle is the same where as much is held already as hanging URLs may hold.
	claimLittle = 4

	// fetchBytes bounds the payloads fetched at once; a single one may be larger.
	fetchBytes = 1 << 20

	// leaseSlack is what a lease lasts beyond delivery.timeout: time to fetch and to wait for a place before, and to
	// record after. What a killed relay had in hand is taken up within the timeout, this, and claimEvery.
	leaseSlack = 6 * time.Second

	// unseenPatience is how long an event that is not there counts as one that cannot be seen yet, where commits wait for a
	// standby: the stream brings what has not come back from it. Elsewhere it is for a moment, less than a lease. Its
	// created_at tells little: that is the host app's.
	unseenPatience = 10 * time.Minute

	// unseenMost is how many such events are remembered; of more, the old ones count as removed.
	unseenMost = 100_000

	// recordSlack is the part of leaseSlack that is kept for recording: no request begins with less.
	recordSlack = 2 * time.Second
)

// claimer takes up what the database owns and is due: retries, spilled deliveries, replays, and what a killed relay left.
// Any relay may do so, leading or not; leases keep them apart.
type claimer struct {
	db       store.DB
	log      *slog.Logger
	dispatch *dispatcher
	record   *recorder
	metrics  *metrics
	timeout  time.Duration // delivery.timeout
	leading  func() bool
	envelope func(eventRow) []byte

	wake   chan struct{}
	watch  recorderWatch
	unseen map[uuid.UUID]time.Time // Deliveries whose event is not there, and since when.
	last   uuid.UUID               // The subscription at which the last claim was full: the next one begins behind it.

	mu       sync.Mutex
	returned []*delivery // To be given back.
}

// wakeUp has the claimer look now.
func (c *claimer) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run claims until ctx ends. What was claimed and not sent then is given back by release.
func (c *claimer) run(ctx context.Context) {
	failing := false
	for ctx.Err() == nil {
		wait, err := c.cycle(ctx)
		if err != nil && ctx.Err() == nil {
			if !failing {
				c.log.Warn("cannot take up due deliveries; trying again", "error", explain(err))
			}
			wait = time.Second
		}
		failing = err != nil
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-c.wake:
			sleep(ctx, claimPause)
		}
		timer.Stop()
	}
}

// cycle claims once for every subscription with due deliveries and says when to look again.
func (c *claimer) cycle(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout) // On a connection that hangs it would claim no more.
	defer cancel()
	if err := c.release(ctx); err != nil {
		return 0, err
	}
	if c.record.burdened() || c.watch.behind(c.record, time.Now()) {
		return 50 * time.Millisecond, nil
	}
	c.dispatch.forgetBacklogs()
	all, err := store.DueSubscriptions(ctx, c.db)
	if err != nil {
		return 0, err
	}
	wait := claimEvery
	var due []store.Due
	var ids []uuid.UUID
	for _, d := range all {
		switch {
		case (d.Rate > 0 || d.Concurrency > 0) && !c.leading():
			// Limits of its own hold for all relays together, so it is the leader's alone.
		case d.In <= 0:
			due = append(due, d)
			ids = append(ids, d.SubscriptionID)
		default:
			wait = min(wait, d.In)
		}
	}
	if len(due) == 0 {
		return max(wait, claimPause), nil
	}
	if err := store.CancelDue(ctx, c.db, ids); err != nil {
		return 0, err
	}
	failpoint.Hit("claimer/after-cancel")
	more, err := c.claim(ctx, due)
	if more {
		wait = min(wait, claimPause)
	}
	return max(wait, claimPause), err
}

// claim takes up what the lanes have room for. It says whether there is more that lanes have room for.
func (c *claimer) claim(ctx context.Context, due []store.Due) (more bool, err error) {
	var wanted []store.Wanted
	left := claimMost
	held := claim{token: uuid.New(), until: make(map[uuid.UUID]time.Time), heldMost: heldByAll}
	if c.dispatch.heavy() { // The rest would only be given back.
		left, held.heldMost = claimLittle, heldByAnswering
	}
	doubtful := c.dispatch.roomInDoubt()
	now := time.Now()
	for _, d := range c.inTurn(due) {
		if left == 0 {
			more = true
			break
		}
		n := min(c.dispatch.roomFor(d.SubscriptionID, limits{d.Rate, d.Concurrency, d.Timeout}), left)
		if n > 0 && c.dispatch.inDoubt(d.SubscriptionID) {
			if n = min(n, doubtful); n > 0 && n == doubtful {
				c.last = d.SubscriptionID
			}
			doubtful -= n
		}
		if n <= 0 {
			c.dispatch.setBacklog(d.SubscriptionID) // Its lane wakes us once it has room.
			continue
		}
		if left -= n; left == 0 {
			c.last = d.SubscriptionID
		}
		lasts := cmp.Or(d.Timeout, c.timeout) + leaseSlack
		wanted = append(wanted, store.Wanted{SubscriptionID: d.SubscriptionID, Most: n, Lease: lasts})
		held.until[d.SubscriptionID] = now.Add(lasts)
	}
	if len(wanted) == 0 {
		return false, nil
	}
	claimed, err := store.Claim(ctx, c.db, wanted, held.token)
	if err != nil {
		return false, err
	}
	failpoint.Hit("claimer/after-claim")
	taken := make(map[uuid.UUID]int, len(wanted))
	for _, cl := range claimed {
		taken[cl.SubscriptionID]++
	}
	for _, w := range wanted {
		if taken[w.SubscriptionID] == w.Most {
			c.dispatch.setBacklog(w.SubscriptionID)
			more = true
		}
	}
	return more, c.begin(ctx, claimed, held)
}

// inTurn returns the subscriptions in the order of their ids, from behind the one at which the last claim was full: else
// some would be served alone for as long as they have something due.
func (c *claimer) inTurn(due []store.Due) []store.Due {
	order := func(d store.Due, id uuid.UUID) int { return bytes.Compare(d.SubscriptionID[:], id[:]) }
	slices.SortFunc(due, func(a, b store.Due) int { return order(a, b.SubscriptionID) })
	behind, found := slices.BinarySearchFunc(due, c.last, order)
	if found {
		behind++
	}
	return slices.Concat(due[behind:], due[:behind])
}

// claim is what one claim took up: the token of all, and until when the deliveries of each subscription are ours.
type claim struct {
	token    uuid.UUID
	until    map[uuid.UUID]time.Time
	heldMost int64 // Once more than this is held by what was claimed, the rest is given back.
}

// begin fetches what was claimed, some at a time, and puts it on its way. Where that fails, or too much is held by now, the rest is
// given back, as is what no lane would have in flight at once.
func (c *claimer) begin(ctx context.Context, claimed []store.Claimed, held claim) error {
	known := make(map[string]*subscription) // By the row's text: many deliveries, few subscriptions.
	claimed, tooMuch := within(claimed, laneFlightBytes)
	c.giveUp(tooMuch, held)
	for len(claimed) > 0 {
		n, size := 0, 0
		for n < len(claimed) && (n == 0 || size+claimed[n].PayloadBytes <= fetchBytes) {
			size += claimed[n].PayloadBytes
			n++
		}
		if err := c.fetch(ctx, claimed[:n], held, known); err != nil {
			c.giveUp(claimed, held)
			return err
		}
		if claimed = claimed[n:]; c.dispatch.overladen(held.heldMost) {
			c.giveUp(claimed, held)
			return nil
		}
	}
	return nil
}

// within parts what was claimed by how much of each subscription has so many bytes together; the first of each is always in.
func within(claimed []store.Claimed, most int) (in, beyond []store.Claimed) {
	bytes := make(map[uuid.UUID]int)
	for _, cl := range claimed {
		if had, some := bytes[cl.SubscriptionID]; some && had+cl.PayloadBytes > most {
			beyond = append(beyond, cl)
			continue
		}
		bytes[cl.SubscriptionID] += cl.PayloadBytes
		in = append(in, cl)
	}
	return in, beyond
}

func (c *claimer) giveUp(claimed []store.Claimed, held claim) {
	for _, cl := range claimed {
		c.dispatch.setBacklog(cl.SubscriptionID)
		c.giveBack(&delivery{id: cl.ID, lease: lease{token: held.token}})
	}
}

func (c *claimer) fetch(ctx context.Context, group []store.Claimed, held claim, known map[string]*subscription) error {
	ids := make([]uuid.UUID, len(group))
	byID := make(map[uuid.UUID]*store.Claimed, len(group))
	for i := range group {
		ids[i] = group[i].ID
		byID[group[i].ID] = &group[i]
	}
	errands, err := store.FetchClaimed(ctx, c.db, ids, held.token)
	if err != nil {
		return err
	}
	for i := range errands {
		c.dispatchErrand(byID[errands[i].ID], &errands[i], held, known)
	}
	return nil
}

// dispatchErrand sends a claimed delivery on, or records why it can't be sent.
func (c *claimer) dispatchErrand(cl *store.Claimed, e *store.Errand, held claim, known map[string]*subscription) {
	d := &delivery{
		id: cl.ID, attempts: cl.Attempts, claimed: true, spilled: true,
		lease: lease{token: held.token, until: held.until[cl.SubscriptionID]},
		sub:   &subscription{id: cl.SubscriptionID, url: e.URL},
		event: &event{
			id: cl.EventID, webhookID: cl.EventID.String(), typ: e.EventType, tenant: e.Tenant, userID: e.UserID,
			createdAt: e.EventCreatedAt, trace: traceparent(e.Traceparent),
		},
	}
	if !e.HasSubscription {
		c.record.put(entry{kind: entryCancel, d: d})
		return
	}
	sub := known[*e.Subscription]
	if sub == nil {
		var err error
		if sub, err = parseSubscription([]byte(*e.Subscription)); err != nil {
			c.fail(d, err.Error())
			return
		}
		known[*e.Subscription] = sub
	}
	d.sub = sub
	switch {
	case sub.fault != nil:
		c.fail(d, sub.fault.Error())
		return
	case !e.HasEvent && c.mayBeUnseen(e):
		return // It is claimed again when the lease has run out.
	case !e.HasEvent || e.Payload == nil:
		c.fail(d, "its event was removed from outbox.events before it was delivered")
		return
	}
	delete(c.unseen, d.id)
	d.event.body = c.envelope(eventRow{
		id: cl.EventID, typ: e.EventType, payload: e.Payload, createdAt: e.EventCreatedAt,
	})
	d.event.size = int64(len(d.event.body)) + eventOverheadBytes
	failpoint.Hit("claimer/before-send")
	c.dispatch.hold(d.event, 1)
	c.dispatch.startClaimed(d)
}

// mayBeUnseen says whether a delivery's event, which is not there, may still come to be seen.
func (c *claimer) mayBeUnseen(e *store.Errand) bool {
	now := time.Now()
	switch since, ok := c.unseen[e.ID]; {
	case ok && e.Synchronous && now.Sub(since) < unseenPatience:
		return true
	case ok:
		delete(c.unseen, e.ID)
		return false
	case len(c.unseen) >= unseenMost:
		return now.Sub(e.EventCreatedAt) < unseenPatience
	case c.unseen == nil:
		c.unseen = make(map[uuid.UUID]time.Time)
	}
	c.unseen[e.ID] = now
	return true
}

// fail records that a delivery can't be sent, ever.
func (c *claimer) fail(d *delivery, why string) {
	now := time.Now()
	d.outcome = Outcome{StartedAt: now, EndedAt: now, Class: outbox.ClassOther, Error: why}
	d.decision = Decision{Status: outbox.StatusFailed}
	c.record.put(entry{kind: entryOutcome, d: d})
}

// giveBack has a claimed delivery released unsent.
func (c *claimer) giveBack(d *delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.returned = append(c.returned, d)
}

// release gives back what giveBack gathered.
func (c *claimer) release(ctx context.Context) error {
	c.mu.Lock()
	returned := c.returned
	c.returned = nil
	c.mu.Unlock()
	byToken := make(map[uuid.UUID][]uuid.UUID)
	for _, d := range returned {
		byToken[d.lease.token] = append(byToken[d.lease.token], d.id)
	}
	for token, ids := range byToken {
		if err := store.Release(ctx, c.db, ids, token); err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.returned = append(c.returned, returned...) // A second time does no harm.
			return err
		}
	}
	return nil
}
