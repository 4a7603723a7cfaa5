package outbox_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/outbox"
)

func TestSubscription(t *testing.T) {
	t.Parallel()

	pool := pgtest.Pool(t, pgtest.Migrated(t))
	_, err := pool.Exec(t.Context(), `
		INSERT INTO outbox.subscriptions (name, url, event_types, headers, previous_secret, rate, concurrency, timeout)
		VALUES ('crm', 'https://crm.example.com/hooks?token=t0ken', '{user.*,order.paid}', '{"x-key": "1"}', outbox.new_secret(),
		        2.5, 4, '1m30.5s'),
		       (NULL, 'https://example.com', '{*}', '{}', NULL, NULL, NULL, NULL)`)
	require.NoError(t, err)

	rows, err := pool.Query(t.Context(), `SELECT * FROM outbox.subscriptions ORDER BY name`)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[outbox.Subscription])
	require.NoError(t, err, "the fields are the table's columns")
	require.Len(t, all, 2)
	crm, nameless := all[0], all[1]
	require.Equal(t, []string{"user.*", "order.paid"}, crm.EventTypes)
	require.Equal(t, map[string]string{"x-key": "1"}, crm.Headers)
	require.NotEmpty(t, crm.Secret)
	require.True(t, crm.Active)
	require.Equal(t, "crm", crm.String())
	require.InDelta(t, 2.5, *crm.Rate, 0)
	require.Equal(t, 4, *crm.Concurrency)
	require.Equal(t, 90500*time.Millisecond, *crm.Timeout)
	require.Nil(t, nameless.Rate)
	require.Nil(t, nameless.Concurrency)
	require.Nil(t, nameless.Timeout)
	require.Nil(t, nameless.Name)
	require.Equal(t, nameless.ID.String(), nameless.String())

	// The journal's rows are the same as JSON.
	var text []byte
	require.NoError(t, pool.QueryRow(t.Context(),
		`SELECT subscription FROM outbox.subscription_changes WHERE subscription_id = $1`, crm.ID).Scan(&text))
	var fromJSON outbox.Subscription
	require.NoError(t, json.Unmarshal(text, &fromJSON))
	require.True(t, crm.CreatedAt.Equal(fromJSON.CreatedAt))
	require.True(t, crm.UpdatedAt.Equal(fromJSON.UpdatedAt))
	fromJSON.CreatedAt, fromJSON.UpdatedAt = crm.CreatedAt, crm.UpdatedAt
	require.Equal(t, crm, fromJSON)

	// So is a row that Postgres makes JSON of as it stands, and what the type itself writes, the secrets apart.
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT row_to_json(s) FROM outbox.subscriptions AS s WHERE id = $1`, crm.ID).Scan(&text))
	fromJSON = outbox.Subscription{}
	require.NoError(t, json.Unmarshal(text, &fromJSON))
	require.Equal(t, crm.Timeout, fromJSON.Timeout)
	text, err = json.Marshal(crm)
	require.NoError(t, err)
	require.Contains(t, string(text), `"timeout":"1m30.5s"`)
	fromJSON = outbox.Subscription{Secret: crm.Secret, PreviousSecret: crm.PreviousSecret}
	require.NoError(t, json.Unmarshal(text, &fromJSON))
	fromJSON.CreatedAt, fromJSON.UpdatedAt = crm.CreatedAt, crm.UpdatedAt
	require.Equal(t, crm, fromJSON)
	require.ErrorContains(t, json.Unmarshal([]byte(`{"timeout": "soon"}`), &fromJSON), "timeout")
}

func TestSubscriptionShowsNoSecrets(t *testing.T) {
	t.Parallel()

	name, old := "crm", "whsec_b2xkIHNlY3JldA=="
	s := outbox.Subscription{Name: &name, URL: "https://crm.example.com/hooks?token=t0ken", Secret: "whsec_c2VjcmV0",
		PreviousSecret: &old, Headers: map[string]string{"authorization": "Bearer b34rer"}}

	var logged bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
		slog.New(handler).InfoContext(t.Context(), "sent", "subscription", s)
	}
	marshalled, err := json.Marshal([]outbox.Subscription{s})
	require.NoError(t, err)
	require.NotContains(t, string(marshalled), "whsec_")

	for _, text := range []string{
		logged.String(), fmt.Sprint(s), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), fmt.Sprintf("%+v", &s),
		fmt.Sprintf("%v", []outbox.Subscription{s}),
	} {
		require.Contains(t, text, "crm")
		require.NotContains(t, text, "whsec_")
		require.NotContains(t, text, "t0ken")
		require.NotContains(t, text, "b34rer")
	}
	require.Equal(t, "whsec_c2VjcmV0", s.Secret, "the value itself keeps them")
	require.Equal(t, &old, s.PreviousSecret)
}
