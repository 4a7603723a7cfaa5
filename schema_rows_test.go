package outboxrelay_test

import (
	"encoding/base64"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/relay"
)

func secretOf(bytes int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", bytes)))
}

// eitherWay tests with sessions in which a backslash in a string stands for itself, as is the default, and in which it does not.
func eitherWay(t *testing.T, test func(*testing.T, *pgx.Conn)) {
	t.Parallel()
	for _, setting := range []string{"on", "off"} {
		t.Run("standard_conforming_strings="+setting, func(t *testing.T) {
			t.Parallel()
			test(t, connect(t, pgtest.Migrated(t)+"&standard_conforming_strings="+setting))
		})
	}
}

// Each fault is refused by the constraint that names it.
func TestBadSubscriptions(t *testing.T) { eitherWay(t, badSubscriptions) }

func badSubscriptions(t *testing.T, conn *pgx.Conn) {
	for column, bad := range map[string][]any{
		"tenant": {strings.Repeat("a", 2001)},
		"name":   {""},
		"url": {
			"", "example.com", "ftp://example.com", "https://", "https:///hooks", "https:example.com", "//example.com",
			"https://ada:s3cret@example.com/hooks", "https://ada@example.com", "https://@example.com",
			`https://example.com\@evil.example`, "javascript:alert(1)", " https://example.com", "https://example.com ",
			"https://example.com/a b", "https://example.com/\n", "https://exa\tmple.com", "https://example.com/\x01",
			"https://::1/", "https://[::1", "https://[::1]evil.example", "https://[nonsense]/", "https://?", "https://#",
			"https://[]/", "https://[12]/", "https://[:]/", "https://[1::2::3]/", "https://[10.0.0.1]/", "https://example.com:x/", "https://example.com:0", "https://example.com:65536/",
			"https://example.com:99999", "https://:443/", "https://example.com:80:80", "https://example.com/%", "https://example.com/%4",
			"https://example.com/%zz", "https://exa%6dple.com", "https://{host}/", "https://example.com/#%",
		},
		"event_types": {
			[]string{}, []*string{nil}, []string{"user."}, []string{".user"}, []string{"user..invited"}, []string{"user invited"},
			[]string{"*.invited"}, []string{"user*"}, []string{"user.*.invited"}, []string{"**"}, []string{""}, []string{"a", ""},
			[]string{"a\n"}, []string{"é"}, [][]string{{"a", "b"}, {"c", "d"}}, [][]string{{"a"}},
		},
		"secret": {
			"", "whsec_", "secret", secretOf(23), secretOf(65), secretOf(32)[6:], secretOf(32) + "=", secretOf(32) + "\n",
			"WHSEC_" + secretOf(32)[6:], strings.TrimRight(secretOf(32), "="), "whsec_" + strings.Repeat("-", 32),
			"whsec_" + strings.Repeat("é", 32), "whsec_=" + secretOf(32)[6:], "whsec_" + strings.Repeat("k", 33),
		},
		"previous_secret": {"", secretOf(23)},
		"headers": {
			`[]`, `null`, `1`, `"x"`, `{"x-key": 1}`, `{"x-key": null}`, `{"x-key": {}}`, `{"x-key": ["a"]}`, `{"": "a"}`,
			`{"x key": "a"}`, `{"x-key:": "a"}`, `{"é": "a"}`, `{"x-key": "a\r\nx-evil: b"}`, `{"x-key": "\u0000"}`,
			`{"x-key": "\u001f"}`, `{"x-key": "\u007f"}`, `{"\u0000": "a"}`, `{"x-key": "\ud800"}`, `{"x-a": "a", "x-b": 1}`,
			`{"webhook-id": "a"}`, `{"Webhook-Id": "a"}`, `{"WEBHOOK-TIMESTAMP": "1"}`, `{"webhook-signature": "v1,"}`,
			`{"Host": "example.com"}`, `{"content-length": "0"}`, `{"Content-Type": "text/plain"}`, `{"Connection": "close"}`,
			`{"Transfer-Encoding": "chunked"}`, `{"user-agent": "a"}`, `{"Idempotency-Key": "a"}`, `{"Expect": "100-continue"}`,
		},
		"rate":                       {0.0, 0.0009, -1.0, 100001.0, math.NaN(), math.Inf(1)},
		"concurrency":                {0, -1, 10001},
		"timeout":                    {"0", "-1 s", "1 hour 1 us", "1 month"},
		"created_at":                 {"infinity", "-infinity", "0001-01-01 00:00:00+00 BC", "10000-01-01 00:00:00+00"},
		"updated_at":                 {"infinity", "-infinity"},
		"previous_secret_expires_at": {"infinity", "-infinity", "10000-01-01 00:00:00+00"},
		"disabled_at":                {"infinity", "-infinity"},
	} {
		constraint := "subscriptions_" + column + "_check"
		if strings.HasSuffix(column, "_at") {
			constraint = "subscriptions_times_check"
		}
		for _, value := range bad {
			_, err := insertSubscription(t, conn, column, value)
			requireRefused(t, err, "23514", constraint, "%s %q", column, value)
		}
	}

	pgtest.Execute(t, conn, `INSERT INTO outbox.subscriptions (name, url, event_types) VALUES ('crm', 'https://example.com', '{*}')`)
	_, err := insertSubscription(t, conn, "name", "crm")
	requireRefused(t, err, "23505", "subscriptions_name_key")
	_, err = conn.Exec(t.Context(), `
		INSERT INTO outbox.subscriptions (tenant, name, url, event_types) VALUES ('acme', 'crm', 'https://example.com', '{*}')`)
	require.NoError(t, err, "the name is free in another tenant")
}

func TestGoodSubscriptions(t *testing.T) { eitherWay(t, goodSubscriptions) }

func goodSubscriptions(t *testing.T, conn *pgx.Conn) {
	for column, good := range map[string][]any{
		"name": {nil, "crm", "C.R.M. é 1"},
		"url": {
			"http://example.com", "https://example.com/", "HTTPS://EXAMPLE.COM/Hooks", "https://example.com:8443/hooks?a=b@c#d",
			"https://example.com?token=a:b@c", "https://user.example.com/@ada", "http://10.0.0.1:80", "http://[::1]:8080/a",
			"http://[2001:DB8::1]", "https://bücher.example/ä", "http://localhost", "http://a_b.internal",
			"https://example.com:/", "https://example.com:65535", "https://example.com:00080", "https://example.com/%41%e4?%&100%#%41",
			"https://example.com#", "https://example.com?", "https://example.com//a\\b{}|^`<>\"", "http://[::ffff:10.0.0.1]/",
		},
		"event_types": {
			[]string{"*"}, []string{"user.*"}, []string{"user.invited", "order.*", "a"}, []string{"a-b_C.0.*"}, []string{"a", "a"},
		},
		"secret":          {secretOf(24), secretOf(25), secretOf(26), secretOf(64)},
		"previous_secret": {nil, secretOf(24)},
		"headers": {
			`{}`, `{"Authorization": "Bearer a b"}`, `{"x-key": ""}`, `{"x-key": "a\tb"}`, `{"x-key": "é"}`,
			"{\n \"!#$%&'*+.^_`|~-9aZ\" : \"\\\"\\u00e9\" }", `{"webhook-idx": "a", "x-host": "b"}`,
		},
		"rate":                       {nil, 0.001, 0.5, 100000.0},
		"concurrency":                {nil, 1, 10000},
		"timeout":                    {nil, "1 us", "5s", "1 hour"},
		"created_at":                 {"0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00"},
		"previous_secret_expires_at": {nil, "9999-12-31 23:59:59.999999+00"},
	} {
		for _, value := range good {
			id, err := insertSubscription(t, conn, column, value)
			require.NoError(t, err, "%s %q", column, value)
			pgtest.Execute(t, conn, `DELETE FROM outbox.subscriptions WHERE id = $1`, id)
		}
	}
}

// typeOf has the types of the columns that tests give as text.
var typeOf = map[string]string{
	"tenant": "text", "name": "text", "url": "text", "secret": "text", "previous_secret": "text", "headers": "json", "created_at": "timestamptz",
	"updated_at": "timestamptz", "disabled_at": "timestamptz", "previous_secret_expires_at": "timestamptz",
	"rate": "float", "concurrency": "int", "timeout": "interval",
}

// insertSubscription makes one that is good but for, perhaps, one column.
func insertSubscription(t testing.TB, conn *pgx.Conn, column string, value any) (id string, err error) {
	t.Helper()
	all := map[string]any{"url": "https://example.com", "event_types": []string{"*"}}
	all[column] = value
	var columns, places []string
	var args []any
	for name, value := range all {
		columns = append(columns, name)
		args = append(args, value)
		place := fmt.Sprintf("$%d", len(args))
		if _, isText := value.(string); isText || value == nil { // Else pgx would make something of it.
			place += "::text::" + typeOf[name]
		}
		places = append(places, place)
	}
	err = conn.QueryRow(t.Context(), fmt.Sprintf(`INSERT INTO outbox.subscriptions (%s) VALUES (%s) RETURNING id::text`,
		strings.Join(columns, ", "), strings.Join(places, ", ")), args...).Scan(&id)
	return id, err
}

// The table takes the secrets and headers that the relay can use, and no others; and no URL that it can't.
func TestTheTableAgreesWithTheRelay(t *testing.T) {
	t.Parallel()

	conn := connect(t, pgtest.Migrated(t))
	ctx := t.Context()
	agree := func(t *rapid.T, taken bool, err error) {
		require.Equal(t, taken, err == nil, "the table: %v, the relay: %v", taken, err)
	}
	rapid.Check(t, func(t *rapid.T) {
		var taken bool
		url := rapid.OneOf(
			rapid.StringMatching(`(HTTP|https?|ftp)://([a-z]{1,3}|\[[0-9a-f]?:[0-9a-f:.]{1,5}\]|[ -~é]{1,3})(:\d{0,6})?([/?#][ -~é]{0,3}){0,3}`),
			rapid.StringMatching(`https?:/{0,3}[a@:/?#%4\\\[\]. \n]{0,8}`),
		).Draw(t, "url")
		require.NoError(t, conn.QueryRow(ctx, `SELECT outbox.valid_url($1)`, url).Scan(&taken))
		if taken {
			_, err := relay.NewTarget(url, secretOf(24), "", nil)
			require.NoError(t, err)
		}

		secret := rapid.OneOf(
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 22, 67), func(b []byte) string {
				return "whsec_" + base64.StdEncoding.EncodeToString(b)
			}),
			rapid.StringMatching(`whsec_[A-Za-z0-9+/]{30,34}={0,3}`), rapid.StringMatching(`(whsec_)?[a-z+/=\n -]{0,40}`),
		).Draw(t, "secret")
		require.NoError(t, conn.QueryRow(ctx, `SELECT outbox.valid_secret($1)`, secret).Scan(&taken))
		_, err := relay.ParseSecret(secret)
		agree(t, taken, err)

		name := rapid.OneOf(
			rapid.StringMatching("[A-Za-z0-9!#$%&'*+.^_`|~-]{1,4}"), rapid.StringMatching(`[ -~é]{0,3}`),
			rapid.StringMatching(`(Webhook|X|Content)-(Id|Type|Signature|Length)s?`),
		).Draw(t, "name")
		content := rapid.OneOf(rapid.StringMatching(`[ -~]{0,5}`), rapid.StringMatching(`[\x01-\x7f]{0,3}é?`)).Draw(t, "value")
		require.NoError(t, conn.QueryRow(ctx, `SELECT outbox.valid_headers(json_build_object($1::text, $2::text))`, name, content).
			Scan(&taken))
		_, err = relay.NewTarget("https://example.com", secretOf(24), "", map[string]string{name: content})
		agree(t, taken, err)
	})
}

func TestBadEvents(t *testing.T) { eitherWay(t, badEvents) }

func badEvents(t *testing.T, conn *pgx.Conn) {
	ctx := t.Context()
	for _, typ := range []string{"", " ", "a b", ".a", "a.", "a..b", "a.*", "*", "é", "a\n", "a/b", "."} {
		_, err := conn.Exec(ctx, `INSERT INTO outbox.events (type, payload) VALUES ($1, '{}')`, typ)
		requireRefused(t, err, "23514", "events_type_check", typ)
	}
	for _, user := range []string{strings.Repeat("a", 2001), strings.Repeat("é", 1001)} {
		_, err := conn.Exec(ctx, `INSERT INTO outbox.events (type, payload, user_id) VALUES ('a', '{}', $1)`, user)
		requireRefused(t, err, "23514", "events_user_id_check")
		_, err = conn.Exec(ctx, `INSERT INTO outbox.events (type, payload, tenant) VALUES ('a', '{}', $1)`, user)
		requireRefused(t, err, "23514", "events_tenant_check")
	}
	for _, created := range []string{"infinity", "-infinity", "0001-12-31 23:59:59.999999+00 BC", "10000-01-01 00:00:00+00"} {
		_, err := conn.Exec(ctx, `INSERT INTO outbox.events (type, payload, created_at) VALUES ('a', '{}', $1::text::timestamptz)`, created)
		requireRefused(t, err, "23514", "events_created_at_check", created)
	}
	for _, column := range []string{"id", "type", "tenant", "payload", "created_at"} {
		event := map[string]string{"id": "outbox.uuid7()", "type": "'a'", "tenant": "'b'", "payload": "'{}'", "created_at": "now()"}
		event[column] = "NULL"
		_, err := conn.Exec(ctx, fmt.Sprintf(`INSERT INTO outbox.events (id, type, tenant, payload, created_at)
			VALUES (%s, %s, %s, %s, %s)`, event["id"], event["type"], event["tenant"], event["payload"], event["created_at"]))
		requireRefused(t, err, "23502", "", column)
	}
	for _, payload := range []string{"", "{", "{'a': 1}", `{"a": 01}`, "NaN", `{"a": "` + "\n" + `"}`} {
		_, err := conn.Exec(ctx, `INSERT INTO outbox.events (type, payload) VALUES ('a', $1::text::json)`, payload)
		requireRefused(t, err, "22P02", "", payload)
	}
	_, err := conn.Exec(ctx, `INSERT INTO outbox.event_types (type, sample) VALUES ('a b', '{}')`)
	requireRefused(t, err, "23514", "event_types_type_check")
	const twice = `INSERT INTO outbox.events (id, type, payload) VALUES ('5f1c1f0e-3d8e-5a55-8a0c-5b1a4c0b7f11', 'a', '{}')`
	pgtest.Execute(t, conn, twice)
	_, err = conn.Exec(ctx, twice)
	requireRefused(t, err, "23505", "events_pkey")
}

// The payload comes out as the bytes that went in.
func TestPayloadByteForByte(t *testing.T) {
	t.Parallel()

	conn := connect(t, pgtest.Migrated(t))
	for _, payload := range []string{
		`{}`, `null`, ` "a" `, `{"b": 1,   "a" :2}`, `{"a": 1, "a": 2}`, "\t{\r\n}\n", `{"a":"\u0000"}`, `"\ud800"`, `"\u00e9é\/"`,
		`123456789012345678901234567890.123456789012345678901234567890e+400`, `[1.0, 1.00, -0, 1E5, 1e-400]`,
		`{"<script>": "&amp;"}`, `"` + strings.Repeat("😀", 300_000) + `"`,
	} {
		got := pgtest.Value[string](t, conn, `
			WITH e AS (INSERT INTO outbox.events (type, payload) VALUES ('a', $1::text::json) RETURNING payload)
			SELECT payload::text FROM e`, payload)
		if got != payload { // Some are too long to be shown whole.
			t.Errorf("%.100q came out as %.100q", payload, got)
		}
	}
}
