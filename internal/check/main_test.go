package check_test

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/check"
	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/relay"
)

func TestMain(m *testing.M) { pgtest.MainLeak(m) }

// How long a condition may take to come true on a busy machine, and how often it is looked at.
const (
	patience = 60 * time.Second
	poll     = 5 * time.Millisecond
)

// settings are those of a relay of the test's own on a database.
func settings(t *testing.T, address string) *config.Config {
	cfg := config.Default()
	cfg.Database.URL = address
	cfg.Replication.Slot = pgtest.Slot(t)
	cfg.Replication.Publication = cfg.Replication.Slot
	return cfg
}

// look runs the check.
func look(t *testing.T, cfg *config.Config) []check.Item {
	t.Helper()
	var items []check.Item
	check.Run(t.Context(), cfg, func(i check.Item) { items = append(items, i) })
	return items
}

// ill returns the items that are not well.
func ill(items []check.Item) (left []check.Item) {
	for _, i := range items {
		if i.Status != check.OK {
			left = append(left, i)
		}
	}
	return left
}

// requireItem finds the one item of that name and status, and returns it.
func requireItem(t *testing.T, items []check.Item, status check.Status, name, what string) check.Item {
	t.Helper()
	for _, i := range items {
		if i.Name == name && i.Status != check.OK {
			require.Equal(t, status, i.Status, "%+v", i)
			require.Contains(t, i.What, what)
			require.NotEmpty(t, i.Mend)
			return i
		}
	}
	require.Fail(t, "not found", "no %s named %q in %+v", status, name, items)
	return check.Item{}
}

// requireMended expects that an item is well, and that nothing else is ill but the others.
func requireMended(t *testing.T, cfg *config.Config, name string, others ...string) {
	t.Helper()
	for _, i := range ill(look(t, cfg)) {
		require.NotEqual(t, name, i.Name, "still there: %+v", i)
		require.Contains(t, others, i.Name, "%+v", i)
	}
}

// fresh are the items that are not well on a database that was never set up.
var fresh = []string{"schema", "publication", "slot", "subscriptions"}

// run does what a mend says, to the letter: SQL as a superuser types it, or relay init.
func run(t *testing.T, cfg *config.Config, superuser, mend string) {
	t.Helper()
	if strings.HasPrefix(mend, "relay init") {
		setUp(t, cfg)
		return
	}
	sql, _, _ := strings.Cut(mend, "-- ")
	require.Regexp(t, `^(ALTER|CREATE|DROP|GRANT|SELECT|SET) .*; *$`, sql)
	execute(t, superuser, strings.Split(strings.TrimSpace(sql), ";")...)
}

// execute runs statements one after the other in one session.
func execute(t *testing.T, address string, statements ...string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, address)
	require.NoError(t, err)
	defer conn.Close(ctx)
	for _, sql := range statements {
		if strings.TrimSpace(sql) == "" {
			continue
		}
		_, err := conn.Exec(ctx, sql)
		require.NoError(t, err, sql)
	}
}

func newRelay(t *testing.T, cfg *config.Config) *relay.Relay {
	t.Helper()
	r, err := relay.New(cfg, relay.Options{})
	require.NoError(t, err)
	return r
}

func setUp(t *testing.T, cfg *config.Config) {
	t.Helper()
	_, err := newRelay(t, cfg).Setup(t.Context())
	require.NoError(t, err)
}

// requireRefused expects that init and run end by themselves, with an error that says all of it.
func requireRefused(t *testing.T, cfg *config.Config, says ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := newRelay(t, cfg).Setup(ctx)
	requireSays(t, "init", err, says)
	requireSays(t, "run", newRelay(t, cfg).Run(ctx), says)
}

func requireSays(t *testing.T, who string, err error, says []string) {
	t.Helper()
	var known *relay.ConfigError
	require.ErrorAs(t, err, &known, who)
	for _, text := range says {
		require.Contains(t, err.Error(), text, who)
	}
}

// requireWaits expects that run goes on trying, with a reason for not being ready that says all of it.
func requireWaits(t *testing.T, cfg *config.Config, says ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := newRelay(t, cfg)
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	require.Eventually(t, func() bool {
		ready, reason := r.Ready()
		for _, text := range says {
			if ready || !strings.Contains(reason, text) {
				return false
			}
		}
		return true
	}, patience, poll, "a reason that says %q", says)
	cancel()
	require.NoError(t, <-ended)
}

// requireRuns expects that run gets ready, and stops cleanly once all of it is true.
func requireRuns(t *testing.T, cfg *config.Config, until ...func() bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := newRelay(t, cfg)
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	require.Eventually(t, func() bool { ready, _ := r.Ready(); return ready }, patience, poll)
	for _, condition := range until {
		require.Eventually(t, condition, patience, poll)
	}
	cancel()
	require.NoError(t, <-ended)
}

// at returns an address with another part.
func at(t *testing.T, address string, change func(*url.URL)) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	change(u)
	return u.String()
}

// database returns the name of the database that an address leads to.
func database(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	return strings.TrimPrefix(u.Path, "/")
}

func TestAllIsWell(t *testing.T) {
	cfg := settings(t, pgtest.URL(t))
	setUp(t, cfg)
	execute(t, cfg.Database.URL, `INSERT INTO outbox.subscriptions (name, url, event_types) VALUES ('crm', 'https://192.0.3.1/hook', '{*}')`)
	items := look(t, cfg)
	require.Empty(t, ill(items))
	var names []string
	for _, i := range items {
		require.Empty(t, i.Mend, "nothing to mend: %+v", i)
		names = append(names, i.Name)
	}
	wanted := []string{
		"connection", "version", "encoding", "writable", "clock", "wal_level", "free slots", "free walsenders", "replication connection",
		"schema", "home", "rights", "publication", "slot", "retained WAL", "subscription crm",
	}
	if serverVersion(t) >= 170000 {
		wanted = slices.Insert(wanted, slices.Index(wanted, "slot")+1, "failover")
	}
	require.Equal(t, wanted, names)
}

func TestNothingIsChanged(t *testing.T) {
	address := pgtest.URL(t)
	look(t, settings(t, address))
	db := pgtest.Pool(t, address)
	var made int
	require.NoError(t, db.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'outbox')
		+ (SELECT count(*) FROM pg_publication) + (SELECT count(*) FROM pg_replication_slots WHERE database = current_database())`).Scan(&made))
	require.Zero(t, made)
}

func TestNoPasswordIsShown(t *testing.T) {
	secret := regexp.MustCompile(`s3cr3t`)
	for _, address := range []string{
		"postgres://u:s3cr3t@127.0.0.1:1/app", "postgres://u:s3cr3t@no-such-host.invalid/app", "host=/nowhere user=u password=s3cr3t",
		at(t, pgtest.Cluster(t).URL("nope"), func(u *url.URL) { u.User = url.UserPassword("postgres", "s3cr3t") }),
	} {
		for _, i := range look(t, settings(t, address)) {
			require.NotRegexp(t, secret, i.What)
			require.NotRegexp(t, secret, i.Mend)
		}
	}
}
