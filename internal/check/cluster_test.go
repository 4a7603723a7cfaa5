package check_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/check"
	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/postgres"
	"github.com/outboxrelay/relay/relay"
)

// What is wrong with a whole server, one after the other on a single cluster that begins as a server does that nobody has
// set up for replication; each is mended by what the check says.
func TestServer(t *testing.T) {
	t.Parallel()
	cluster := pgtest.Private(t, postgres.Options{FsyncOff: true, Settings: map[string]string{
		"wal_level": "replica", "max_replication_slots": "1", "max_wal_senders": "1", "wal_init_zero": "off",
	}})
	s := &server{cluster: cluster, cfg: config.Default(), pool: pgtest.Pool(t, cluster.URL("postgres"))}
	s.cfg.Database.URL = cluster.URL("postgres")

	t.Run("wal_level", s.walLevel)
	t.Run("password", s.password)
	t.Run("slots", s.slots)
	t.Run("walsenders", s.walSenders)
	t.Run("transactions under way", s.underWay)
	t.Run("lag", s.lag)
	t.Run("slot lost", s.slotLost)
	t.Run("standby", s.standby)
}

type server struct {
	cluster *postgres.Cluster
	cfg     *config.Config
	pool    *pgxpool.Pool
}

func (s *server) restart(t *testing.T) {
	t.Helper()
	require.NoError(t, s.cluster.Stop(t.Context(), postgres.Fast))
	require.NoError(t, s.cluster.Resume(t.Context()))
	s.pool.Reset()
}

// mendByRestart does what a mend says: statement and restart.
func (s *server) mendByRestart(t *testing.T, i check.Item) {
	t.Helper()
	require.Contains(t, i.Mend, "restart the server")
	run(t, s.cfg, s.cfg.Database.URL, i.Mend.String())
	s.restart(t)
}

func (s *server) walLevel(t *testing.T) {
	i := requireItem(t, look(t, s.cfg), check.Fault, "wal_level", "is replica: events cannot be read from it")
	requireRefused(t, s.cfg, "wal_level", "run `ALTER SYSTEM SET wal_level = logical` and restart the server")
	s.mendByRestart(t, i)
	requireMended(t, s.cfg, "wal_level", "slot", "subscriptions") // The refused set-ups have made what they could.
}

func (s *server) password(t *testing.T) {
	execute(t, s.cfg.Database.URL, "CREATE ROLE app SUPERUSER LOGIN PASSWORD 'right'")
	path := filepath.Join(s.cluster.DataDir(), "pg_hba.conf")
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append([]byte("host all app 127.0.0.1/32 scram-sha-256\n"), before...), 0o600))
	require.NoError(t, s.cluster.Reload(t.Context()))

	cfg := *s.cfg
	as := func(password string) string {
		return at(t, s.cfg.Database.URL, func(u *url.URL) { u.User = url.UserPassword("app", password) })
	}
	cfg.Database.URL = as("wr0ng")
	i := requireItem(t, look(t, &cfg), check.Fault, "connection", "the server refuses the password")
	require.Equal(t, "correct user and password in database.url", i.Mend.String())
	requireRefused(t, &cfg, "the server refuses the password; correct user and password in database.url")

	cfg.Database.URL, cfg.Database.ReplicationURL = as("right"), as("wr0ng")
	i = requireItem(t, look(t, &cfg), check.Fault, "replication connection", "the server refuses the password")
	require.Equal(t, "correct user and password in database.replication_url", i.Mend.String())
	requireRefused(t, &cfg, "the server refuses the password; correct user and password in database.replication_url")

	cfg.Database.ReplicationURL = ""
	requireMended(t, &cfg, "connection", "slot", "subscriptions")
}

func (s *server) slots(t *testing.T) {
	const theirs = "SELECT pg_create_physical_replication_slot('theirs')"
	execute(t, s.cfg.Database.URL, theirs)
	i := requireItem(t, look(t, s.cfg), check.Fault, "free slots", "all 1 replication slots are in use")
	requireRefused(t, s.cfg, "all replication slots are in use", "raise max_replication_slots")
	s.mendByRestart(t, i)
	requireMended(t, s.cfg, "free slots", "slot", "subscriptions")
	setUp(t, s.cfg)
	requireMended(t, s.cfg, "slot", "subscriptions")
	execute(t, s.cfg.Database.URL, "SELECT pg_drop_replication_slot('theirs')")
}

func (s *server) walSenders(t *testing.T) {
	conn, err := pgconn.Connect(t.Context(), s.cfg.Database.URL+"&replication=database")
	require.NoError(t, err)
	defer conn.Close(context.Background())
	items := look(t, s.cfg)
	i := requireItem(t, items, check.Fault, "free walsenders", "all 1 walsenders are in use")
	require.Len(t, ill(items), 2, "said once: %+v", ill(items))
	requireWaits(t, s.cfg, "max_wal_senders", "raise max_wal_senders and restart the server")
	s.mendByRestart(t, i)
	requireMended(t, s.cfg, "free walsenders", "subscriptions")

	// A relay that has the last one is no fault.
	execute(t, s.cfg.Database.URL, "ALTER SYSTEM SET max_wal_senders = 1")
	s.restart(t)
	requireRuns(t, s.cfg, func() bool { return len(ill(look(t, s.cfg))) == 1 }) // Nobody is subscribed.
	execute(t, s.cfg.Database.URL, "ALTER SYSTEM SET max_wal_senders = 10")
	s.restart(t)
}

// underWay keeps a new slot waiting: who sets up is told by whom, one after the other.
func (s *server) underWay(t *testing.T) {
	cfg, log := settings(t, s.cfg.Database.URL), &logBuffer{}
	open := make(map[string]*pgx.Conn) // By how the log names its process.
	for range 2 {
		conn, err := pgx.Connect(t.Context(), s.cfg.Database.URL)
		require.NoError(t, err)
		defer conn.Close(context.Background())
		_, err = conn.Exec(t.Context(), "BEGIN; CREATE TEMPORARY TABLE written ()")
		require.NoError(t, err)
		open[fmt.Sprintf("processes=[%d]", conn.PgConn().PID())] = conn
	}
	r, err := relay.New(cfg, relay.Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := r.Setup(context.Background())
		ended <- err
	}()
	const waiting = `level=WARN msg="waiting for transactions that are under way to end, so that the replication slot can be made" `
	for len(open) > 0 {
		var named string
		require.Eventually(t, func() bool {
			for process := range open {
				if strings.Contains(log.String(), waiting+process) {
					named = process
				}
			}
			return named != ""
		}, patience, poll, "one of %v is named", open)
		require.NoError(t, open[named].Close(t.Context()))
		delete(open, named)
	}
	require.NoError(t, <-ended)
	require.Equal(t, 2, strings.Count(log.String(), waiting), "each is said once")
	execute(t, s.cfg.Database.URL, named(cfg, "SELECT pg_drop_replication_slot('$slot')"))
}

// logBuffer takes what is logged while the test reads it.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// moveOn moves the WAL on by whole segments, which takes next to no time.
func (s *server) moveOn(t *testing.T, segments int) {
	t.Helper()
	_, err := s.pool.Exec(t.Context(), "SELECT pg_logical_emit_message(false, '', ''), pg_switch_wal() FROM generate_series(1, $1)", segments)
	require.NoError(t, err)
}

// lag lets the slot fall over a gibibyte behind.
func (s *server) lag(t *testing.T) {
	const segments = 1<<30/(16<<20) + 1
	s.moveOn(t, segments)
	i := requireItem(t, look(t, s.cfg), check.Warning, "slot", "and no relay reads it")
	require.Regexp(t, `relay is 10[0-9]{2} MiB behind`, i.What)
	require.Equal(t, "relay run", i.Mend.String())
	requireRuns(t, s.cfg, func() bool {
		var behind int64
		err := s.pool.QueryRow(context.Background(), `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint
			FROM pg_replication_slots WHERE slot_name = $1`, s.cfg.Replication.Slot).Scan(&behind)
		return err == nil && behind < 1<<20
	})
	requireMended(t, s.cfg, "slot", "subscriptions")
}

func (s *server) slotLost(t *testing.T) {
	execute(t, s.cfg.Database.URL, "ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'", "SELECT pg_reload_conf()")
	s.moveOn(t, 4)
	require.Eventually(t, func() bool {
		var status string
		_, err := s.pool.Exec(context.Background(), "CHECKPOINT")
		if err == nil {
			err = s.pool.QueryRow(context.Background(), "SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1",
				s.cfg.Replication.Slot).Scan(&status)
		}
		return err == nil && status == "lost"
	}, patience, poll)
	i := requireItem(t, look(t, s.cfg), check.Warning, "slot", "was invalidated by the server")
	run(t, s.cfg, s.cfg.Database.URL, i.Mend.String())
	requireMended(t, s.cfg, "slot", "subscriptions")

	execute(t, s.cfg.Database.URL, "SELECT pg_drop_replication_slot('relay')")
	requireRuns(t, s.cfg)
	requireMended(t, s.cfg, "slot", "subscriptions")
}

// standby turns the server into one that waits for a primary, and then gives the address of a primary as well.
func (s *server) standby(t *testing.T) {
	execute(t, s.cfg.Database.URL, "SELECT pg_drop_replication_slot('relay')") // From 16 on a standby would keep it.
	primary := pgtest.URL(t)                                                   // A database that both have.
	require.NoError(t, s.cluster.CreateDatabase(t.Context(), database(t, primary)))
	require.NoError(t, s.cluster.Stop(t.Context(), postgres.Fast))
	require.NoError(t, os.WriteFile(filepath.Join(s.cluster.DataDir(), "standby.signal"), nil, 0o644))
	require.NoError(t, s.cluster.Resume(t.Context()))

	i := requireItem(t, look(t, s.cfg), check.Fault, "writable", "the server is a standby: it takes no writes")
	require.Equal(t, "point database.url at the primary, or add target_session_attrs=read-write and all hosts to it", i.Mend.String())
	_, err := newRelay(t, s.cfg).Setup(t.Context())
	requireSays(t, "init", err, []string{"point database.url at the primary"})
	requireWaits(t, s.cfg, "read-only transaction", "point database.url at the primary")

	port := strconv.Itoa(s.cluster.Port())
	cfg := settings(t, strings.Replace(primary, "127.0.0.1:", "127.0.0.1:"+port+",127.0.0.1:", 1)+"&target_session_attrs=read-write")
	requireMended(t, cfg, "writable", fresh...)
	setUp(t, cfg)
	requireRuns(t, cfg)
}
