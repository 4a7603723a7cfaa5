//go:build unix

package demo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/outboxrelay/relay/outbox"
)

const (
	signedUp  = "user.signed_up"
	confirmed = "user.confirmed"

	// hostWorkers is how many transactions the host app has under way at once: a few, as a real one.
	hostWorkers = 4
	// Of so many transactions, one confirms a user who signed up earlier, and another is rolled back.
	confirmEvery, rollBackEvery = 5, 10
)

// host is the app whose events are delivered: it signs users up. All it knows of relay is the outbox.
type host struct {
	db     *pgxpool.Pool
	ledger *ledger

	mu          sync.Mutex
	unconfirmed []*user // The first to sign up first.
	example     *user   // The first to be confirmed: whose log is shown at the end.
}

type user struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
}

func (u *user) key() string { return strconv.FormatInt(u.ID, 10) }

// errDeclined rolls a transaction back: the event is in the outbox by then.
var errDeclined = errors.New("the card was declined")

func (h *host) createTables(ctx context.Context) error {
	_, err := h.db.Exec(ctx, `
		CREATE TABLE users (
		  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		  name         text NOT NULL,
		  email        text NOT NULL,
		  confirmed_at timestamptz
		)`)
	if err != nil {
		return fmt.Errorf("create the host app's table: %w", err)
	}
	return nil
}

// run makes rate transactions a second until stop is closed, and lets those under way end.
func (h *host) run(ctx context.Context, stop <-chan struct{}, rate int) error {
	turns := make(chan int)
	group, ctx := errgroup.WithContext(ctx)
	for range hostWorkers {
		group.Go(func() error {
			for n := range turns {
				if err := h.work(ctx, n); err != nil {
					return fmt.Errorf("host app: %w", err)
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(turns)
		begun := time.Now()
		for n := 1; ; n++ {
			beat := time.NewTimer(time.Until(begun.Add(time.Duration(n) * time.Second / time.Duration(rate))))
			select {
			case <-beat.C:
			case <-stop:
				beat.Stop()
				return nil
			case <-ctx.Done():
				beat.Stop()
				return nil
			}
			select {
			case turns <- n:
			case <-ctx.Done():
				return nil
			}
		}
	})
	return group.Wait()
}

// work is the n-th transaction.
func (h *host) work(ctx context.Context, n int) error {
	if n%rollBackEvery == 0 {
		return h.signUp(ctx, n, errDeclined)
	}
	if n%confirmEvery == 0 {
		if u := h.nextUnconfirmed(); u != nil {
			return h.confirm(ctx, u)
		}
	}
	return h.signUp(ctx, n, nil)
}

// signUp adds a user and the event that says so, in one transaction; it is rolled back if then is an error.
func (h *host) signUp(ctx context.Context, n int, then error) error {
	name, email := person(n)
	u := &user{Name: name, Email: email}
	var ids []uuid.UUID
	err := pgx.BeginFunc(ctx, h.db, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `INSERT INTO users (name, email) VALUES ($1, $2) RETURNING id`, name, email).Scan(&u.ID)
		if err != nil {
			return err
		}
		ids, err = outbox.Insert(ctx, tx, outbox.Event{Type: signedUp, UserID: u.key(), Payload: u})
		return errors.Join(err, then)
	})
	switch {
	case err == nil:
		h.ledger.commit(ids...)
		h.remember(u)
	case then != nil && len(ids) > 0 && errors.Is(err, then):
		h.ledger.rollBack(ids...)
		err = nil
	}
	return err
}

func (h *host) confirm(ctx context.Context, u *user) error {
	var ids []uuid.UUID
	err := pgx.BeginFunc(ctx, h.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE users SET confirmed_at = now() WHERE id = $1`, u.ID); err != nil {
			return err
		}
		var err error
		ids, err = outbox.Insert(ctx, tx, outbox.Event{Type: confirmed, UserID: u.key(), Payload: u})
		return err
	})
	if err != nil {
		return err
	}
	h.ledger.commit(ids...)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.example == nil {
		h.example = u
	}
	return nil
}

// remember keeps u for a confirmation to come; most users never confirm, so not all are kept.
func (h *host) remember(u *user) {
	const enough = 10
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.unconfirmed) < enough {
		h.unconfirmed = append(h.unconfirmed, u)
	}
}

// nextUnconfirmed takes a user who signed up; nil if there is none.
func (h *host) nextUnconfirmed() *user {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.unconfirmed) == 0 {
		return nil
	}
	u := h.unconfirmed[0]
	h.unconfirmed = h.unconfirmed[1:]
	return u
}

// exampleUser returns a user with as much of a log as there is; nil if nobody signed up.
func (h *host) exampleUser() *user {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.example == nil && len(h.unconfirmed) > 0 {
		return h.unconfirmed[0]
	}
	return h.example
}

var (
	givenNames  = strings.Fields("Ada Grace Edsger Barbara Donald Radia Tony Frances Ken Margaret Niklaus Katherine Alan")
	familyNames = strings.Fields("Lovelace Hopper Dijkstra Liskov Knuth Perlman Hoare Allen Thompson Hamilton Wirth")
)

// person makes up the n-th person: 143 names, and an address for each n.
func person(n int) (name, email string) {
	given, family := givenNames[n%len(givenNames)], familyNames[n%len(familyNames)]
	return given + " " + family, fmt.Sprintf("%s.%s.%d@example.com", strings.ToLower(given), strings.ToLower(family), n)
}
