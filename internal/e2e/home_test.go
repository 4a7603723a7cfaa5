package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
)

// A copy is another database of the cluster here, or, by what is remembered, one of another cluster.
func TestACopySendsNothingUntilAdopted(t *testing.T) {
	for name, move := range map[string]string{
		"another database": `UPDATE outbox.relay_home SET database_oid = 1`,
		"another cluster":  `UPDATE outbox.relay_home SET system_identifier = '7000000000000000000'`,
	} {
		t.Run(name, func(t *testing.T) {
			url, slot := pgtest.Migrated(t), pgtest.Slot(t)
			db, r := pgtest.Pool(t, url), receiver.New(t, nil)
			subscribe(t, db, r, "*")
			start(t, url, slot).stop()
			pgtest.Execute(t, db, move)
			event := emit(t, db, "a")
			pgtest.Execute(t, db, `SELECT outbox.emit('b', '1'), outbox.emit('c', '1')`)

			relay := launch(t, url, slot)
			state := func() (int, string) {
				response, err := http.Get("http://" + relay.listen + "/readyz")
				if err != nil {
					return 0, ""
				}
				defer response.Body.Close()
				text, err := io.ReadAll(response.Body)
				require.NoError(t, err)
				return response.StatusCode, string(text)
			}
			await(t, "paused", func() bool { _, text := state(); return strings.Contains(text, "relay adopt") })
			code, _ := state()
			require.Equal(t, http.StatusServiceUnavailable, code)
			await(t, "says so", func() bool {
				return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.relays WHERE NOT ready AND state LIKE '%relay adopt%'`) == 1
			})
			require.Contains(t, relay.log.String(), "level=WARN msg=\"paused: this looks like a copy")
			require.Never(t, func() bool { return r.Len() > 0 }, 2*time.Second, 100*time.Millisecond, "sent from a copy")
			require.Zero(t, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries`))

			pgtest.Execute(t, db, `UPDATE outbox.relay_home SET (system_identifier, database_oid) = (
				SELECT system_identifier::text, (SELECT oid FROM pg_database WHERE datname = current_database()) FROM pg_control_system())`)
			await(t, "delivered once adopted", func() bool { return r.Len() == 3 })
			require.Equal(t, 1, r.Count(event))
		})
	}
}
