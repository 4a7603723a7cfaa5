package store_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

const (
	secretA = "whsec_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
	secretB = "whsec_YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI="
)

func crm() store.Declared {
	return store.Declared{Name: "crm", URL: "https://crm.example.com", EventTypes: []string{"user.*"}, Headers: map[string]string{"x-b": "2", "x-a": "1"}}
}

func erp() store.Declared {
	return store.Declared{Tenant: "acme", Name: "erp", URL: "https://erp.example.com", EventTypes: []string{"*"}, Secret: secretA}
}

func TestDeclare(t *testing.T) {
	t.Parallel()

	db := database(t)
	declare := func(changed int64, all ...store.Declared) {
		t.Helper()
		n, err := store.Declare(t.Context(), db, all)
		require.NoError(t, err)
		require.Equal(t, changed, n)
	}
	rows := func() []string {
		return pgtest.Values[string](t, db, `
			SELECT concat_ws(' ', tenant, name, url, event_types, headers, CASE WHEN active THEN 'on' ELSE 'off' END,
			                 CASE WHEN declared THEN 'declared' END, disabled_reason) FROM outbox.subscriptions ORDER BY tenant, name`)
	}
	const (
		erpOn = `acme erp https://erp.example.com {*} {} on declared`
		crmOn = `default crm https://crm.example.com {user.*} {"x-a":"1","x-b":"2"} on declared`
		mine  = `default mine https://mine.example.com {*} {} on`
		off   = ` off no longer declared in relay.yaml`
	)
	declare(0)
	pgtest.Execute(t, db, `INSERT INTO outbox.subscriptions (name, url, event_types) VALUES ('mine', 'https://mine.example.com', '{*}')`)

	declare(2, crm(), erp())
	require.Equal(t, []string{erpOn, crmOn, mine}, rows())
	secret := pgtest.Value[string](t, db, `SELECT secret FROM outbox.subscriptions WHERE name = 'crm'`)
	require.Equal(t, secretA, pgtest.Value[string](t, db, `SELECT secret FROM outbox.subscriptions WHERE name = 'erp'`))

	// The same again writes nothing, so nothing comes down the stream.
	changes := pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.subscription_changes`)
	declare(0, erp(), crm())
	require.Equal(t, changes, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.subscription_changes`))

	// The file wins over edits.
	for _, edit := range []string{
		`url = 'https://evil.example'`, `event_types = '{*}'`, `headers = '{"x-a": "3"}'`, `active = false`, `declared = false`,
		`rate = 1`, `concurrency = 1`, `timeout = '1 s'`,
	} {
		pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET `+edit+` WHERE name = 'crm'`)
		declare(1, crm(), erp())
		require.Equal(t, []string{erpOn, crmOn, mine}, rows(), edit)
	}
	require.Equal(t, secret, pgtest.Value[string](t, db, `SELECT secret FROM outbox.subscriptions WHERE name = 'crm'`), "kept where none is declared")
	changed := erp()
	changed.Secret = secretB
	declare(1, crm(), changed)
	require.Equal(t, secretB, pgtest.Value[string](t, db, `SELECT secret FROM outbox.subscriptions WHERE name = 'erp'`))

	// Limits are declared as the rest is.
	changed.Limits = store.Limits{Rate: ptr(0.5), Concurrency: ptr(7), Timeout: ptr(1500 * time.Millisecond)}
	declare(1, crm(), changed)
	declare(0, crm(), changed)
	require.Equal(t, "0.5 7 00:00:01.5", pgtest.Value[string](t, db, `
		SELECT concat_ws(' ', rate, concurrency, timeout) FROM outbox.subscriptions WHERE name = 'erp'`))
	changed.Limits = store.Limits{}
	declare(1, crm(), changed)

	// Not declared any more, it is switched off and from then on left alone.
	declare(1, changed)
	require.Equal(t, []string{erpOn, crmOn[:len(crmOn)-len(" on declared")] + off, mine}, rows())
	declare(0, changed)
	pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET active = true WHERE name = 'crm'`)
	declare(0, changed)
	require.Equal(t, []string{erpOn, crmOn[:len(crmOn)-len(" declared")], mine}, rows())

	// In another tenant it is another one. One that stands under the name already is taken over.
	moved := changed
	moved.Tenant = "default"
	declare(3, moved, store.Declared{Name: "mine", URL: "https://mine.example.com", EventTypes: []string{"*"}})
	require.Equal(t, []string{
		erpOn[:len(erpOn)-len(" on declared")] + off, crmOn[:len(crmOn)-len(" declared")],
		"default erp https://erp.example.com {*} {} on declared", mine + " declared",
	}, rows())
	declare(2)
	require.Equal(t, 3, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.subscriptions WHERE NOT active`))
}

// One that the table refuses keeps all from being declared; the error names it, and shows nothing of it.
func TestDeclareBadly(t *testing.T) {
	t.Parallel()

	db := database(t)
	bad := erp()
	bad.Secret = "whsec_s3cret"
	_, err := store.Declare(t.Context(), db, []store.Declared{crm(), bad})
	require.ErrorContains(t, err, "declare subscriptions: subscription erp: ")
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "subscriptions_secret_check", refused.ConstraintName)
	require.NotContains(t, err.Error(), "s3cret")
	require.Zero(t, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.subscriptions`))
}
