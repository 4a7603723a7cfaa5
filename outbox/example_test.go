package outbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/outboxrelay/relay/outbox"
)

func ExampleInsert() {
	invite := func(ctx context.Context, pool *pgxpool.Pool, userID, email string) error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO invitations (user_id, email) VALUES ($1, $2)`, userID, email)
			if err != nil {
				return err
			}
			_, err = outbox.Insert(ctx, tx, outbox.Event{
				Type:    "user.invited",
				UserID:  userID,
				Payload: map[string]string{"email": email},
			})
			return err
		})
	}
	_ = invite
}

func ExampleInsertSQL() {
	invite := func(ctx context.Context, db *sql.DB, userID, email string) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // does nothing after the commit

		_, err = tx.ExecContext(ctx, `INSERT INTO invitations (user_id, email) VALUES ($1, $2)`, userID, email)
		if err != nil {
			return err
		}
		_, err = outbox.InsertSQL(ctx, tx, outbox.Event{
			Type:    "user.invited",
			UserID:  userID,
			Payload: map[string]string{"email": email},
		})
		if err != nil {
			return err
		}
		return tx.Commit()
	}
	_ = invite
}

func ExampleLog() {
	printLog := func(ctx context.Context, pool *pgxpool.Pool, userID string) error {
		filter := outbox.Filter{UserID: userID, Limit: 100}
		for {
			page, err := outbox.Log(ctx, pool, filter)
			if err != nil || len(page) == 0 {
				return err
			}
			for _, d := range page {
				fmt.Println(d.CreatedAt, d.EventType, d.URL, d.Status, d.Attempts)
			}
			filter.Before = page[len(page)-1].Cursor()
		}
	}
	_ = printLog
}

func ExampleEventError() {
	var tx pgx.Tx // faults are found before it is used

	_, err := outbox.Insert(context.Background(), tx,
		outbox.Event{Type: "user.invited", Payload: map[string]string{"email": "ada@example.com"}},
		outbox.Event{Type: "user invited", Payload: `{"email":`},
	)
	fmt.Println(err)

	var fault *outbox.EventError
	if errors.As(err, &fault) {
		fmt.Println("the first is in", fault.Field)
	}
	// Output:
	// insert events: event 1: type "user invited" is not a dotted name: use letters, digits, _ and -, with dots between, such as user.invited
	// event 1: payload is not valid JSON at byte 9: give JSON text, or a value for json.Marshal
	// the first is in type
}
