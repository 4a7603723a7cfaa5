// Receiver takes webhooks as they should be taken: it checks the signature, keeps each event once, and answers at once.
// The work that an event asks for is left to whoever reads the table.
//
//	DATABASE_URL=postgres://… WEBHOOK_SECRET=whsec_… go run ./examples/receiver
package main

import (
	"cmp"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const createTable = `
CREATE TABLE IF NOT EXISTS received_events (
  id          text        PRIMARY KEY, -- webhook-id
  body        json        NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  done_at     timestamptz
)`

func main() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := pool.Exec(ctx, createTable); err != nil {
		log.Fatal(err)
	}
	webhook, err := standardwebhooks.NewWebhook(os.Getenv("WEBHOOK_SECRET"))
	if err != nil {
		log.Fatal(err)
	}

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cmp.Or(os.Getenv("LISTEN"), "127.0.0.1:9000"))
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on %s", listener.Addr())
	server := http.Server{Handler: receive(webhook, pool), ReadTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}

// maxBodyBytes is more than any event of ours has; nobody should be able to fill the memory.
const maxBodyBytes = 1 << 20

func receive(webhook *standardwebhooks.Webhook, pool *pgxpool.Pool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The signature is over these very bytes: check it before anything is parsed.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
		if err != nil {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		}
		if err := webhook.Verify(body, r.Header); err != nil {
			http.Error(w, "bad signature", http.StatusUnauthorized)
			return
		}

		// The same event may come twice, after a crash or as a replay. Keeping it is all that has to be done by now.
		_, err = pool.Exec(r.Context(),
			`INSERT INTO received_events (id, body) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`,
			r.Header.Get("webhook-id"), body)
		if err != nil {
			// Final by default. Where the relay has retry_on: [unreachable, 5xx], it comes again.
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
	})
}
