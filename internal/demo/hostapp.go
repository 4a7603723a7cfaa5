package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/outboxrelay/relay/outbox"
)

// rollBackEvery is how many sign-ups there are to each that is rolled back.
const rollBackEvery = 8

// hostApp signs users up, as any app with a database does.
type hostApp struct {
	db   *pgxpool.Pool
	rate int

	mu         sync.Mutex
	committed  map[string]int64 // User by event.
	rolledBack map[string]bool
}

// run signs users up until ctx ends.
func (a *hostApp) run(ctx context.Context) error {
	a.committed, a.rolledBack = make(map[string]int64), make(map[string]bool)
	tick := time.NewTicker(time.Second / time.Duration(a.rate))
	defer tick.Stop()
	for user := int64(1); ; user++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		// A sign-up that has begun ends.
		if err := a.signUp(context.WithoutCancel(ctx), user, user%rollBackEvery == 0); err != nil {
			return err
		}
	}
}

// signUp writes the user and the event in one transaction.
func (a *hostApp) signUp(ctx context.Context, user int64, changeOfMind bool) error {
	tx, err := a.db.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }() // Does nothing after a commit.
	email := fmt.Sprintf("user%d@example.com", user)
	if _, err := tx.Exec(ctx, "INSERT INTO users (id, email) VALUES ($1, $2)", user, email); err != nil {
		return err
	}
	payload, err := json.Marshal(map[string]any{"email": email})
	if err != nil {
		return err
	}
	ids, err := outbox.Insert(ctx, tx, outbox.Event{
		Type: "user.created", UserID: strconv.FormatInt(user, 10), Payload: json.RawMessage(payload),
	})
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if changeOfMind {
		a.rolledBack[ids[0].String()] = true
		return tx.Rollback(ctx)
	}
	a.committed[ids[0].String()] = user
	return tx.Commit(ctx)
}

func (a *hostApp) counts() (committed, rolledBack int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.committed), len(a.rolledBack)
}
