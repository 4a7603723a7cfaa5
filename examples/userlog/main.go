// Userlog prints what was sent about a user, newest first: what a host app might show on its own pages.
//
//	DATABASE_URL=postgres://… go run ./examples/userlog 42
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/outboxrelay/relay/outbox"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: userlog USER")
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	if err := printLog(ctx, os.Stdout, conn, os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func printLog(ctx context.Context, w io.Writer, db outbox.DB, userID string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	filter := outbox.Filter{UserID: userID, Limit: 500}
	for {
		page, err := outbox.Log(ctx, db, filter)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return table.Flush()
		}
		for _, d := range page {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n",
				d.CreatedAt.UTC().Format(time.DateTime), d.EventType, d.URL, d.Status, answer(d))
		}
		filter.Before = page[len(page)-1].Cursor()
	}
}

// answer is the receiver's response code, or why there is none.
func answer(d outbox.Delivery) string {
	switch {
	case d.ResponseCode != nil:
		return fmt.Sprint(*d.ResponseCode)
	case d.ErrorClass != nil:
		return fmt.Sprintf("%s (%d attempts)", *d.ErrorClass, d.Attempts)
	default:
		return "-"
	}
}
