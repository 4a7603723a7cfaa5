package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The settings of whoever runs the tests are not the tests'.
func TestMain(m *testing.M) {
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, environmentPrefix) {
			_ = os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "relay.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestTheShippedFileIsTheDefault(t *testing.T) {
	loaded, err := Load("../relay.yaml")
	require.NoError(t, err)
	want := Default()
	want.Delivery.DisableOn, want.Network.Allow = []string{}, []string{}
	want.EventTypes, want.Subscriptions = []EventType{}, []Subscription{}
	want.HTTP.Hosts, want.HTTP.FrameAncestors = []string{}, []string{}
	want.HTTP.Auth = Auth{Users: []User{}, Tokens: []string{}}
	want.file = true
	require.Equal(t, want, loaded)

	text, err := os.ReadFile("../relay.yaml")
	require.NoError(t, err)
	for _, path := range Keys() {
		name := path[strings.LastIndex(path, ".")+1:]
		require.Contains(t, string(text), name+":", "relay.yaml should show %s", path)
	}
}

func TestEveryKeyIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	require.NoError(t, err)
	for _, path := range Keys() {
		require.Contains(t, string(text), "`"+path+"`")
		require.Contains(t, string(text), "`"+Variable(path)+"`")
	}
}

func TestLoadWithoutAFile(t *testing.T) {
	t.Chdir(t.TempDir())
	loaded, err := Load("")
	require.NoError(t, err)
	require.Equal(t, Default(), loaded)
}

// What was declared before is to go where a file or a variable says what there is, and is none of the business of a relay that
// was started in another folder.
func TestWhatDeclares(t *testing.T) {
	load := func(t *testing.T, path string) (subscriptions, types bool) {
		loaded, err := Load(path)
		require.NoError(t, err)
		return loaded.DeclaresSubscriptions(), loaded.DeclaresEventTypes()
	}
	both := func(t *testing.T, want bool, path string) {
		subscriptions, types := load(t, path)
		require.Equal(t, []bool{want, want}, []bool{subscriptions, types})
	}
	t.Chdir(t.TempDir())
	both(t, false, "")
	both(t, true, write(t, "retention: 1h"))
	both(t, true, write(t, ""))
	for _, text := range []string{"", "[]"} {
		t.Run("variables="+text, func(t *testing.T) {
			t.Setenv("RELAY_SUBSCRIPTIONS", text)
			subscriptions, types := load(t, "")
			require.True(t, subscriptions)
			require.False(t, types)
			t.Setenv("RELAY_EVENT_TYPES", text)
			both(t, true, "")
		})
	}
}

func TestLoadReadsEverything(t *testing.T) {
	loaded, err := Load("testdata/full.yaml")
	require.NoError(t, err)
	require.Equal(t, &Config{
		file:        true,
		Database:    Database{URL: "postgres://relay:pw@db:5432/app", ReplicationURL: "postgres://relay:pw@primary/app"},
		Replication: Replication{Slot: "hooks", Publication: "Hooks"},
		Delivery: Delivery{
			Timeout: 5 * time.Second, Body: BodyPayload, Accept: []string{"200", "2xx"},
			RetryOn: []string{"unreachable", "429", "5xx"}, DisableOn: []string{"410"},
			Retry:       Retry{Max: 3, Base: 0, Unit: 100 * time.Millisecond, Exponent: 1.5},
			Concurrency: 10, ConcurrencyPerSubscription: 2,
		},
		Network: Network{Allow: []string{"10.0.0.0/8", "::1/128"}, RequireHTTPS: true},
		HTTP: HTTP{
			Listen: "", Console: false, Hosts: []string{"relay.example.com"},
			Auth: Auth{
				Users:  []User{{"Ada", "$2a$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"}},
				Tokens: []string{"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
			},
			OpenMetrics: true, LinkKey: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
			FrameAncestors: []string{"https://app.example.com"},
		},
		Retention: 0,
		EventTypes: []EventType{{
			Type: "User.Invited", Description: "A user was invited.", Sample: `{"Email":  "ada@example.com"}`,
			Schema: `{"type": "object", "required": ["Email"]}`,
		}},
		Subscriptions: []Subscription{{
			Name: "CRM", Tenant: "acme", URL: "https://crm.example.com/hooks?k=v", EventTypes: []string{"User.*", "*"},
			Secret: "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", Headers: map[string]string{"x-key.a": "Value"},
			Rate: 2.5, Concurrency: 3, Timeout: 4 * time.Second,
		}},
	}, loaded)
}

func TestBadFiles(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown key", "delivery: {timeot: 1s}", "delivery.timeot: unknown key; known here: timeout, body, accept, retry_on, disable_on, retry, concurrency, concurrency_per_subscription"},
		{"unknown top key", "deliveries: 1", "deliveries: unknown key; known here: database, replication, delivery, network, http, retention, event_types, subscriptions"},
		{"duration without unit", "delivery: {timeout: 15}", "delivery.timeout: 15 has no unit: write 15s, or with ms, m or h"},
		{"negative without unit", "retention: -5", `retention: "-5" is not a duration: write 15s, 1m30s or 720h`},
		{"no duration", "retention: a month", `retention: "a month" is not a duration: write 15s, 1m30s or 720h`},
		{"text for a list", "delivery: {accept: 200}", "delivery.accept: must be a list, such as [a, b], not 200"},
		{"list for text", "database: {url: [a]}", "database.url: must be text, not a list"},
		{"text for a number", "delivery: {concurrency: many}", "delivery.concurrency: must be a whole number, not text"},
		{"text for a mapping", "delivery: 5", "delivery: must hold keys and values, not 5"},
		{"not a bool", "network: {require_https: 'yes'}", "network.require_https: must be true or false, not text"},
		{"bad code", "delivery: {accept: [200, 2x]}", `delivery.accept[1]: "2x" is neither a status code (200) nor a class (2xx)`},
		{"unreachable accepted", "delivery: {accept: [unreachable]}", `delivery.accept[0]: "unreachable" is neither a status code (200) nor a class (2xx)`},
		{"nothing accepted", "delivery: {accept: []}", "delivery.accept: is empty, so nothing could ever be accepted: write [200]"},
		{"both", "delivery: {accept: [2xx], retry_on: [unreachable, 202]}", "delivery.retry_on[1]: 202 is accepted already, by delivery.accept[0] (2xx)"},
		{"retry without pause", "delivery: {retry: {base: 0, unit: 0s}}", "delivery.retry: base and unit are both 0: retries would follow each other without a pause"},
		{"retry for ever", "delivery: {retry: {exponent: 9}}", "delivery.retry: the delay before the last retry would be over ten years: lower max, unit or exponent"},
		{"concurrency", "delivery: {concurrency: 0}", "delivery.concurrency: 0 is out of range: 1 to 100000"},
		{"an address", "network: {allow: [10.1.2.3]}", `network.allow[0]: "10.1.2.3" is an address: write the network 10.1.2.3/32`},
		{"no network", "network: {allow: [home]}", `network.allow[0]: "home" is not a network: write 10.0.0.0/8 or fd00::/8`},
		{"a network with a zone", "network: {allow: ['fe80::1%eth0/64']}", `network.allow[0]: "fe80::1%eth0/64" names an interface: write the network without it, such as fe80::/64`},
		{"slot", "replication: {slot: My-Slot}", `replication.slot: "My-Slot" is not a slot name: 1 to 63 lower-case letters, digits and _`},
		{"listen", "http: {listen: '8080'}", `http.listen: "8080" is not host:port: write 127.0.0.1:8080, or "" to switch it off`},
		{"open to all", "http: {listen: '0.0.0.0:80'}", "http.auth: is empty, and http.listen (0.0.0.0:80) can be reached from elsewhere: add a user (`relay hash-password` makes the hash) or a token, or set http.console: false"},
		{"open to all by name", "http: {listen: ':80'}", "http.auth: is empty, and http.listen (:80) can be reached from elsewhere: add a user (`relay hash-password` makes the hash) or a token, or set http.console: false"},
		{"no hash", "http: {auth: {users: [{name: ada, password_hash: hunter2}]}}", "http.auth.users[0].password_hash: is not a bcrypt hash, $2a$…: `relay hash-password` makes one"},
		{"no name", "http: {auth: {users: [{password_hash: $2a$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234}]}}", "http.auth.users[0].name: is missing"},
		{"no token hash", "http: {auth: {tokens: [hunter2]}}", "http.auth.tokens[0]: is not a SHA-256 in hex: `relay hash-password --token` makes token and hash"},
		{"host", "http: {hosts: ['https://x']}", `http.hosts[0]: "https://x" is not a host name: write relay.example.com, without scheme and port`},
		{"origin", "http: {frame_ancestors: ['https://x/']}", `http.frame_ancestors[0]: "https://x/" is not an origin: write https://app.example.com`},
		{"link key", "http: {link_key: hunter2}", "http.link_key: must be the base64 of 32 bytes or more: `openssl rand -base64 32` makes one"},
		{"event type", "event_types: [{type: 'a..b', sample: '{}'}]", `event_types[0].type: "a..b" is not an event type: letters, digits, _ and -, with dots between, such as user.invited`},
		{"too long", "retention: 99999999h", "retention: 99999999h is too long: there is room for 292 years"},
		{"a list for a duration", "retention: [1h]", "retention: must be a duration, such as 15s, not a list"},
		{"nothing in a list", "delivery: {accept: [200, ~]}", "delivery.accept[1]: must be text, not nothing"},
		{"too large", "delivery: {concurrency: 9223372036854775808}", "delivery.concurrency: must be a whole number, not 9223372036854775808"},
		{"no sample", "event_types: [{type: a}]", "event_types[0].sample: is missing: write JSON text, such as '{}'"},
		{"sample", "event_types: [{type: a, sample: '{'}]", "event_types[0].sample: is not JSON: unexpected end of JSON input, at byte 1"},
		{"twice", "event_types: [{type: a, sample: '1'}, {type: a, sample: '1'}]", "event_types[1].type: a stands at event_types[0] already"},
		{"url", "subscriptions: [{name: a, url: 'ftp://x', event_types: [a]}]", "subscriptions[0].url: must begin with http:// or https://"},
		{"userinfo", "subscriptions: [{name: a, url: 'https://u:hunter2@x/?t=hunter2', event_types: [a]}]", "subscriptions[0].url: must have no user or password: put credentials into headers"},
		{"space in a url", "subscriptions: [{name: a, url: 'https://x/a b', event_types: [a]}]", "subscriptions[0].url: must have no spaces or invisible characters: write %20 for a space"},
		{"port", "subscriptions: [{name: a, url: 'http://127.0.0.1:99999/hunter2', event_types: ['*']}]", "subscriptions[0].url: has a port that is not between 1 and 65535"},
		{"zone", "subscriptions: [{name: a, url: 'http://[fe80::1%25eth0]/', event_types: [a]}]", "subscriptions[0].url: has no IPv6 address in the brackets, or one with a zone (%), which has a meaning on one machine alone"},
		{"NUL in a name", `subscriptions: [{name: "a\0b", url: 'https://x', event_types: [a]}]`, "subscriptions[0].name: holds a NUL character, which Postgres can't keep"},
		{"long name", "subscriptions: [{name: " + strings.Repeat("x", 601) + ", url: 'https://x', event_types: [a]}]", "subscriptions[0].name: is too long: 601 bytes, of at most 600"},
		{"NUL in a tenant", `subscriptions: [{name: a, tenant: "\0", url: 'https://x', event_types: [a]}]`, "subscriptions[0].tenant: holds a NUL character, which Postgres can't keep"},
		{"NUL in a description", `event_types: [{type: a, sample: '1', description: "\0"}]`, "event_types[0].description: holds a NUL character, which Postgres can't keep"},
		{"pattern", "subscriptions: [{name: a, url: 'https://x', event_types: ['*.a']}]", `subscriptions[0].event_types[0]: "*.a" is neither an event type (user.invited) nor user.* nor *`},
		{"secret", "subscriptions: [{name: a, url: 'https://x', event_types: [a], secret: hunter2}]", "subscriptions[0].secret: must be whsec_ and the base64 of 24 to 64 bytes; leave it out to have one made"},
		{"secret in two lines", `subscriptions: [{name: a, url: 'https://x', event_types: [a], secret: "whsec_AAAAAAAAAAAAAAAA\nAAAAAAAAAAAAAAAA"}]`, "subscriptions[0].secret: must be whsec_ and the base64 of 24 to 64 bytes; leave it out to have one made"},
		{"own header", "subscriptions: [{name: a, url: 'https://x', event_types: [a], headers: {Webhook-ID: x}}]", "subscriptions[0].headers.webhook-id: is the relay's own and cannot be replaced"},
		{"rate", "subscriptions: [{name: a, url: 'https://x', event_types: [a], rate: -1}]", "subscriptions[0].rate: -1 is out of range: 0.001 to 100000 requests a second, or 0 for no limit"},
		{"not a rate", "subscriptions: [{name: a, url: 'https://x', event_types: [a], rate: .nan}]", "subscriptions[0].rate: NaN is out of range: 0.001 to 100000 requests a second, or 0 for no limit"},
		{"own concurrency", "subscriptions: [{name: a, url: 'https://x', event_types: [a], concurrency: 10001}]", "subscriptions[0].concurrency: 10001 is out of range: 1 to 10000, or 0 for delivery.concurrency_per_subscription"},
		{"own timeout", "subscriptions: [{name: a, url: 'https://x', event_types: [a], timeout: 2h}]", "subscriptions[0].timeout: 2h0m0s is out of range: 1ms to 1h, or 0 for delivery.timeout"},
		{"https", "network: {require_https: true}\nsubscriptions: [{name: a, url: 'http://x', event_types: [a]}]", "subscriptions[0].url: is http (host x), and network.require_https is on"},
		{"database", "database: {url: 'postgres://u:hunter2@h:port/x'}", "database.url: is not a Postgres URL: write postgres://user:password@host:5432/database, with special characters of the password as %XX"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(write(t, tt.text))
			var faults *Error
			require.ErrorAs(t, err, &faults)
			require.Equal(t, tt.want, err.Error())
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

// A number that Go has no type for is JSON all the same.
func TestSamplesMayHoldAnyNumber(t *testing.T) {
	loaded, err := Load(write(t, `event_types: [{type: a, sample: '{"n": 1e400}', schema: '{"properties": {"n": {"maximum": 1e500}}}'}]`))
	require.NoError(t, err)
	require.Equal(t, `{"n": 1e400}`, loaded.EventTypes[0].Sample)
}

func TestLoopbackNeedsNoLogin(t *testing.T) {
	for _, text := range []string{
		"http: {listen: '127.0.0.1:80'}", "http: {listen: '127.8.9.1:80'}", "http: {listen: '[::1]:80'}", "http: {listen: 'localhost:80'}",
		"http: {listen: ':80', console: false}",
		"http: {listen: ':80', auth: {tokens: [e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855]}}",
	} {
		_, err := Load(write(t, text))
		require.NoError(t, err, text)
	}
}

func TestSyntaxErrorsNameTheLine(t *testing.T) {
	for _, text := range []string{"delivery:\n\ttimeout: 1s\n", "a: [1\n", "- 1\n"} {
		_, err := Load(write(t, text))
		require.Error(t, err)
		require.NotContains(t, err.Error(), "\n", "one line")
		require.Contains(t, err.Error(), "relay.yaml")
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	t.Setenv("RELAY_DELIVERY_FOO", "1")
	t.Setenv("RELAY_NETWORK_REQUIRE_HTTPS", "maybe")
	_, err := Load(write(t, "foo: 1\ndelivery: {timeout: soon, accept: [99], body: raw}\nnetwork: {allow: [x]}\nhttp: {listen: foo}\n"))
	require.EqualError(t, err, `RELAY_DELIVERY_FOO: no key has this name
delivery.timeout: "soon" is not a duration: write 15s, 1m30s or 720h
delivery.body: "raw" is not known: write envelope or payload
delivery.accept[0]: "99" is neither a status code (200) nor a class (2xx)
foo: unknown key; known here: database, replication, delivery, network, http, retention, event_types, subscriptions
http.listen: "foo" is not host:port: write 127.0.0.1:8080, or "" to switch it off
network.require_https (RELAY_NETWORK_REQUIRE_HTTPS): must be true or false, not "maybe"
network.allow[0]: "x" is not a network: write 10.0.0.0/8 or fd00::/8`)
}

// Of what could not be read nothing more is said.
func TestNoFaultFollowsFromAnother(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"an entry", "subscriptions: [5]", "subscriptions[0]: must hold keys and values, not 5"},
		{"a list", "delivery: {accept: [[200], 300, 99]}", `delivery.accept[0]: must be text, not a list
delivery.accept[2]: "99" is neither a status code (200) nor a class (2xx)`},
		{"part of a whole", "delivery: {retry: {exponent: 9, max: few}}", "delivery.retry.max: must be a whole number, not text"},
		{"a login", "http: {listen: ':80', auth: {user: []}}", "http.auth.user: unknown key; known here: users, tokens"},
		{"a sample", "event_types: [{type: a, sample: [], schema: {type: object}}]", "event_types[0].sample: must be text, not a list"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(write(t, tt.text))
			require.EqualError(t, err, tt.want)
		})
	}
}

func TestUnreadableFile(t *testing.T) {
	_, err := Load("no/such/relay.yaml")
	require.EqualError(t, err, "no/such/relay.yaml cannot be read: no such file or directory")

	t.Chdir(t.TempDir())
	require.NoError(t, os.Symlink("nowhere", DefaultFile))
	_, err = Load("")
	require.EqualError(t, err, "relay.yaml cannot be read: no such file or directory", "it is there, and leads nowhere")
}

func TestRequireDatabase(t *testing.T) {
	var faults *Error
	require.ErrorAs(t, Default().RequireDatabase(), &faults)
	require.ErrorContains(t, faults, "RELAY_DATABASE_URL")
	c := Default()
	c.Database.URL = "postgres://h/d"
	require.NoError(t, c.RequireDatabase())
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{"", "a: 1", "delivery: {accept: [200]}", "subscriptions: [{}]", "event_types: {a: b}", "\t", "&a [*a]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "relay.yaml")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		if _, err := Load(path); err != nil {
			var faults *Error
			require.ErrorAs(t, err, &faults)
			require.NotEmpty(t, faults.Faults)
		}
	})
}
