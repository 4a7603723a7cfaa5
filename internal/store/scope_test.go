package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

// Each statement of the console keeps to the tenant by itself, whatever the page that runs it has looked up before.
func TestStatementsOfTheConsoleKeepToTheirTenant(t *testing.T) {
	t.Parallel()

	db := database(t)
	subscribe(t, db, 1, true) // Of the tenant default.
	put(t, db, given{id: 10, event: 10, subscription: 1, due: -time.Hour})
	pgtest.Execute(t, db, `INSERT INTO outbox.events (id, type, payload) VALUES ($1, 'a', '{"of": "default"}') ON CONFLICT DO NOTHING`, number(10))
	pgtest.Execute(t, db, `INSERT INTO outbox.attempts (delivery_id, started_at, attempt, duration_ms) VALUES ($1, now(), 1, 5)`, number(10))
	ctx, created := t.Context(), pgtest.Value[time.Time](t, db, `SELECT event_created_at FROM outbox.deliveries`)
	seen := pgtest.Value[time.Time](t, db, `SELECT updated_at FROM outbox.subscriptions`)
	before := pgtest.Value[string](t, db, `SELECT row_to_json(s)::text FROM outbox.subscriptions AS s`)

	for name, scope := range map[string]store.Scope{"another tenant": store.OneTenant("other"), "nobody": {}} {
		t.Run(name, func(t *testing.T) {
			attempts, err := store.FindAttempts(ctx, db, scope, number(10))
			require.NoError(t, err)
			require.Empty(t, attempts)
			siblings, err := store.FindSiblings(ctx, db, scope, number(10), created)
			require.NoError(t, err)
			require.Empty(t, siblings)
			_, err = store.FindWebhookTarget(ctx, db, scope, number(1))
			require.ErrorIs(t, err, store.ErrNoSubscription)
			require.Error(t, store.SaveWebhook(ctx, db, scope, number(1), seen, store.WebhookFields{URL: "https://evil.example/", EventTypes: []string{"*"}}))
			require.Error(t, store.SwitchWebhook(ctx, db, scope, number(1), false))
			_, err = store.RotateWebhook(ctx, db, scope, number(1), seen, 0)
			require.Error(t, err)
			require.Error(t, store.RemoveWebhook(ctx, db, scope, number(1)))
			require.Equal(t, before, pgtest.Value[string](t, db, `SELECT row_to_json(s)::text FROM outbox.subscriptions AS s`))
		})
	}

	own := store.OneTenant("default") // The same calls do something where they may.
	attempts, err := store.FindAttempts(ctx, db, own, number(10))
	require.NoError(t, err)
	require.Len(t, attempts, 1)
	siblings, err := store.FindSiblings(ctx, db, own, number(10), created)
	require.NoError(t, err)
	require.Len(t, siblings, 1)
	_, err = store.FindWebhookTarget(ctx, db, own, number(1))
	require.NoError(t, err)
	require.NoError(t, store.SwitchWebhook(ctx, db, own, number(1), false))
	require.NoError(t, store.RemoveWebhook(ctx, db, own, number(1)))
}
