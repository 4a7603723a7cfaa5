package store_test

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/outboxrelay/relay/config"
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
	declare := func(changed int64, all ...store.Declared) []store.Switched {
		t.Helper()
		made, err := store.Declare(t.Context(), db, all)
		require.NoError(t, err)
		require.Equal(t, changed, made.Changed)
		return made.Off
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
	require.Equal(t, []store.Switched{{Tenant: "default", Name: "crm"}}, declare(1, changed))
	require.Equal(t, []string{erpOn, crmOn[:len(crmOn)-len(" on declared")] + off, mine}, rows())
	require.Empty(t, declare(0, changed))
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
	pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET active = false WHERE name = 'mine'`)
	require.Equal(t, []store.Switched{{Tenant: "default", Name: "erp"}}, declare(2), "mine was off already")
	require.Equal(t, 3, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.subscriptions WHERE NOT active`))
}

// A secret that the file replaces signs as well for a day, as one that is rotated by hand.
func TestADeclaredSecretIsReplacedWithOverlap(t *testing.T) {
	t.Parallel()

	db := database(t)
	declare := func(secret string) {
		t.Helper()
		d := erp()
		d.Secret = secret
		_, err := store.Declare(t.Context(), db, []store.Declared{d})
		require.NoError(t, err)
	}
	secrets := func() string {
		return pgtest.Value[string](t, db, `
			SELECT concat_ws(' ', secret, previous_secret, previous_secret_expires_at - updated_at) FROM outbox.subscriptions`)
	}
	declare(secretA)
	require.Equal(t, secretA, secrets())
	declare(secretB)
	require.Equal(t, secretB+" "+secretA+" 1 day", secrets())
	pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET url = 'https://evil.example', previous_secret_expires_at = now() + '5 hours'`)
	declare(secretB)
	require.Equal(t, secretB+" "+secretA+" 05:00:00", regexp.MustCompile(`04:59:59[.0-9]*`).ReplaceAllString(secrets(), "05:00:00"),
		"the overlap does not begin anew")
	declare("")
	require.Contains(t, secrets(), secretB+" "+secretA, "a secret that is declared no longer is kept")
}

// Whatever a configuration may hold the tables take, and what they refuse it refuses.
func TestTheTablesAgreeWithTheConfiguration(t *testing.T) {
	t.Parallel()

	db := database(t)
	for url, good := range map[string]bool{
		"http://a": true, "HTTPS://A.example/": true, "https://é.example/é?é#é": true, "https://a_b:00443": true, "https://a:/x": true,
		"https://a?x y": false, "https://a?x%zz": true, "https://[::1]:9/": true, "https://[::ffff:1.2.3.4]": true, "https://-/": true,
		"https://a*b,c;d\"<>'/": true, "http://a#b#c": true, "https://a/%41/é": true, "https://a?#": true, "https://a/b@c:d|e": true,
		"http://a:0": false, "http://a:65536": false, "http://127.0.0.1:99999/": false, "http://a:+1": false, "http://a:b": false,
		"https://a/b c": false, "https://a/\t": false, "https://a b/": false, " https://a": false,
		"https://[fe80::1%25eth0]/": false, "https://[1.2.3.4]": false, "https://[v1.x]": false, "https://[::1": false, "https://a]": false,
		"https://a/%zz": false, "https://a#%zz": false, "https://%41/": false, "https://%C3%A9/": false, "https://u@a": false,
		"https://@a": false, "https://a\\b": false, "https:///a": false, "https:a": false, "ftp://a": false, "https://:80": false, "": false,
	} {
		require.Equal(t, good, pgtest.Value[bool](t, db, `SELECT outbox.valid_url($1)`, url), "%q", url)
		require.Equal(t, good, config.CheckURL(url) == nil, "%q", url)
	}
	rapid.Check(t, func(r *rapid.T) {
		url := rapid.OneOf(
			rapid.StringMatching(`(HTTP|https?|ftp)://([a-z]{1,3}|\[[0-9a-f]?:[0-9a-f:.]{1,5}\]|[ -~é]{1,3})(:\d{0,6})?([/?#][ -~é]{0,3}){0,3}`),
			rapid.StringMatching(`https?:/{0,3}[a@:/?#%4\\\[\]. \n]{0,8}`),
		).Draw(r, "url")
		require.Equal(r, pgtest.Value[bool](t, db, `SELECT outbox.valid_url($1)`, url), config.CheckURL(url) == nil, "%q", url)
	})
	for _, space := range []string{"\u0085", "\u00a0", "\u2028", "\u3000"} { // To some collations.
		require.Error(t, config.CheckURL("https://a/"+space))
	}

	for what, change := range map[string]func(*config.Subscription, *config.EventType){
		"NUL in a name":    func(s *config.Subscription, _ *config.EventType) { s.Name = "a\x00b" },
		"NUL in a tenant":  func(s *config.Subscription, _ *config.EventType) { s.Tenant = "a\x00b" },
		"a long tenant":    func(s *config.Subscription, _ *config.EventType) { s.Tenant = noise(2001) },
		"a long name":      func(s *config.Subscription, _ *config.EventType) { s.Name = noise(3000) },
		"a broken secret":  func(s *config.Subscription, _ *config.EventType) { s.Secret = secretA[:20] + "\n" + secretA[20:] },
		"a NUL that hides": func(_ *config.Subscription, e *config.EventType) { e.Description = "a\x00b" },
		"a NUL in a value": func(s *config.Subscription, _ *config.EventType) { s.Headers = map[string]string{"x-a": "\x00"} },
		"no JSON":          func(_ *config.Subscription, e *config.EventType) { e.Sample = "NaN" },
		"the longest":      func(s *config.Subscription, _ *config.EventType) { s.Tenant, s.Name = noise(2000), noise(600) },
		"a large number":   func(_ *config.Subscription, e *config.EventType) { e.Sample = `{"n": 1e400}` },
		"deep JSON": func(_ *config.Subscription, e *config.EventType) {
			e.Sample = strings.Repeat("[", 9999) + strings.Repeat("]", 9999)
		},
		"a NUL in JSON": func(_ *config.Subscription, e *config.EventType) { e.Sample = `"\u0000\ud800"` },
	} {
		cfg := config.Default()
		cfg.Subscriptions = []config.Subscription{{Name: "a", URL: "https://a", EventTypes: []string{"*"}}}
		cfg.EventTypes = []config.EventType{{Type: "a", Sample: "{}"}}
		s, e := &cfg.Subscriptions[0], &cfg.EventTypes[0]
		change(s, e)
		_, err := store.Declare(t.Context(), db, []store.Declared{{
			Tenant: s.Tenant, Name: s.Name, URL: s.URL, EventTypes: s.EventTypes, Secret: s.Secret, Headers: s.Headers,
		}})
		_, typesErr := store.DeclareEventTypes(t.Context(), db, []store.EventType{{Type: e.Type, Description: e.Description, Sample: e.Sample}})
		require.Equal(t, errors.Join(err, typesErr) == nil, len(cfg.Validate()) == 0, "%s: %v %v", what, err, typesErr)
	}
}

// noise is text that does not compress.
func noise(bytes int) string {
	text := make([]byte, bytes/2)
	_, _ = rand.Read(text)
	return hex.EncodeToString(text) + strings.Repeat("x", bytes%2)
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
