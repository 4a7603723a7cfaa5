package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
)

// A database that is not in UTF-8 is relayed as any other: receivers get UTF-8, and the log has what its encoding can express.
func TestADatabaseInLatin1(t *testing.T) {
	address, slot := pgtest.URL(t), pgtest.Slot(t)
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	name := path.Base(parsed.Path)
	admin := pgtest.Pool(t, pgtest.Cluster(t).URL("postgres"))
	pgtest.Execute(t, admin, "DROP DATABASE "+name)
	pgtest.Execute(t, admin, "CREATE DATABASE "+name+" ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	config, err := pgx.ParseConfig(address)
	require.NoError(t, err)
	config.RuntimeParams["client_encoding"] = "UTF8"

	r := receiver.New(t, nil)
	r.SetHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		fmt.Fprint(w, "merci, Zoë ✓")
	}))
	start(t, address, slot)
	db, err := pgx.ConnectConfig(context.Background(), config)
	require.NoError(t, err)
	defer db.Close(context.Background())
	query := func(dest any, sql string, args ...any) {
		t.Helper()
		require.NoError(t, db.QueryRow(context.Background(), sql, args...).Scan(dest))
	}
	var id string
	query(&id, `INSERT INTO outbox.subscriptions (name, url, event_types) VALUES ('café', $1, '{*}') RETURNING id::text`, r.URL())
	query(&id, `SELECT outbox.emit('user.invited', '{"name": "Zoë"}', 'zoë')::text`)
	var status, user, body string
	await(t, "accepted", func() bool {
		query(&status, `SELECT coalesce(max(status), '') FROM outbox.delivery_log WHERE user_id = 'zoë'`)
		return status == "accepted"
	})
	require.Equal(t, 1, r.Len())
	require.True(t, bytes.HasSuffix(r.Requests()[0].Body, []byte(`"data":{"name": "Zoë"}}`)), "%s", r.Requests()[0].Body)
	query(&user, `SELECT user_id FROM outbox.deliveries`)
	require.Equal(t, "zoë", user)
	query(&body, `SELECT coalesce(response_body, 'none') FROM outbox.attempts`)
	require.Equal(t, "none", body, "LATIN1 has no check mark")
}
