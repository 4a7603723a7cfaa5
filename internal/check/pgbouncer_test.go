//go:build pgbouncer

package check_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/check"
	"github.com/outboxrelay/relay/internal/pgtest"
)

// The same as with the stand-in, with the real thing, which shares connections between transactions: go test -tags
// pgbouncer. It needs pgbouncer (Debian: apt-get install pgbouncer; Homebrew: brew install pgbouncer).
func TestPgBouncerInTheWay(t *testing.T) {
	direct := pgtest.URL(t)
	for _, ignored := range []string{"", "replication, extra_float_digits"} {
		t.Run("ignore_startup_parameters="+ignored, func(t *testing.T) {
			cfg := settings(t, pgtest.PgBouncer(t, direct, "ignore_startup_parameters = "+ignored))
			cfg.Network.Allow = []string{"127.0.0.0/8"}
			i := requireItem(t, look(t, cfg), check.Fault, "replication connection", "a connection pooler is in the way")
			require.Equal(t, "set database.replication_url to the server itself", i.Mend.String())
			requireRefused(t, cfg, "a connection pooler is in the way: set database.replication_url to the server itself")
			cfg.Database.ReplicationURL = direct
			requireMended(t, cfg, "replication connection", append(fresh, "slot", "schema")...)
			setUp(t, cfg)
			requireMended(t, cfg, "replication connection", "subscriptions")

			// And events go out with all queries sent through it.
			arrived := make(chan struct{}, 1)
			receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived <- struct{}{} }))
			defer receiver.Close()
			execute(t, direct, `INSERT INTO outbox.subscriptions (url, event_types) VALUES ('`+receiver.URL+`', '{*}')`)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r, ended := newRelay(t, cfg), make(chan error, 1)
			go func() { ended <- r.Run(ctx) }()
			require.Eventually(t, func() bool { ready, _ := r.Ready(); return ready }, patience, poll)
			execute(t, direct, "SELECT outbox.emit('user.invited', '{}')")
			<-arrived
			cancel()
			require.NoError(t, <-ended)
			db := pgtest.Pool(t, direct)
			var status string
			require.NoError(t, db.QueryRow(t.Context(), "SELECT status FROM outbox.deliveries ORDER BY event_created_at DESC LIMIT 1").Scan(&status))
			require.Equal(t, "accepted", status)
			execute(t, direct, "DELETE FROM outbox.subscriptions")
		})
	}
}
