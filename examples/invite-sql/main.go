// Invite-sql is examples/invite with database/sql.
//
//	DATABASE_URL=postgres://… go run ./examples/invite-sql 42 ada@example.com
package main

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"

	_ "github.com/jackc/pgx/v5/stdlib" // or any other driver for Postgres

	"github.com/outboxrelay/relay/outbox"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: invite-sql USER EMAIL")
	}
	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	if err := invite(context.Background(), db, os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
	fmt.Println("invited", os.Args[2])
}

// invited is what subscribers of user.invited receive as data.
type invited struct {
	Email string `json:"email"`
}

// invite either keeps the invitation and its event or, on any error, neither.
func invite(ctx context.Context, db *sql.DB, userID, email string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("invite: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit

	_, err = tx.ExecContext(ctx, `INSERT INTO invitations (user_id, email) VALUES ($1, $2)`, userID, email)
	if err != nil {
		return fmt.Errorf("invite: %w", err)
	}
	_, err = outbox.InsertSQL(ctx, tx, outbox.Event{
		Type:    "user.invited",
		UserID:  userID,
		Payload: invited{Email: email},
	})
	if err != nil {
		return err
	}
	return tx.Commit()
}
