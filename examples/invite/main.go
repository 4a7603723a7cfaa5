// Invite is a host app in one file: it writes down an invitation and tells the subscribers, in one transaction.
//
//	DATABASE_URL=postgres://… go run ./examples/invite 42 ada@example.com
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/outboxrelay/relay/outbox"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: invite USER EMAIL")
	}
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	if err := invite(ctx, pool, os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
	fmt.Println("invited", os.Args[2])
}

// invited is what subscribers of user.invited receive as data.
type invited struct {
	Email string `json:"email"`
}

// invite either keeps the invitation and its event or, on any error, neither.
func invite(ctx context.Context, pool *pgxpool.Pool, userID, email string) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO invitations (user_id, email) VALUES ($1, $2)`, userID, email)
		if err != nil {
			return fmt.Errorf("invite: %w", err)
		}
		_, err = outbox.Insert(ctx, tx, outbox.Event{
			Type:    "user.invited",
			UserID:  userID,
			Payload: invited{Email: email},
		})
		return err
	})
}
