package check_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/check"
	"github.com/outboxrelay/relay/internal/pgtest"
)

// A database of encoding SQL_ASCII takes any bytes as text. It works, and there is a better one.
func TestEncoding(t *testing.T) {
	t.Parallel()
	name, superuser := pgtest.Slot(t), pgtest.Cluster(t).URL("postgres")
	t.Cleanup(func() {
		execute(t, superuser, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '"+name+"'",
			"DROP DATABASE IF EXISTS "+name+" WITH (FORCE)", "DROP DATABASE IF EXISTS "+name+"_utf8 WITH (FORCE)")
	})
	execute(t, superuser, "CREATE DATABASE "+name+" ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	cfg := settings(t, pgtest.Cluster(t).URL(name))
	i := requireItem(t, look(t, cfg), check.Warning, "encoding", "is SQL_ASCII")
	setUp(t, cfg)
	requireRuns(t, cfg)

	run(t, cfg, superuser, i.Mend.String())
	cfg.Database.URL = pgtest.Cluster(t).URL(name + "_utf8")
	requireMended(t, cfg, "encoding", fresh...)
}

// Values go into statements in one way whatever a backslash means by default there.
func TestBackslashesThatEscape(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"cache_describe", "simple_protocol"} {
		address := pgtest.URL(t)
		execute(t, address, "ALTER DATABASE "+database(t, address)+" SET standard_conforming_strings = off")
		cfg := settings(t, address+"&default_query_exec_mode="+mode)
		setUp(t, cfg)
		execute(t, address, `INSERT INTO outbox.subscriptions (name, url, event_types) VALUES ('crm', 'https://192.0.3.1/hook', '{user.*}')`)
		require.Empty(t, ill(look(t, cfg)))
		requireRuns(t, cfg)
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	superuser := pgtest.URL(t)
	db := database(t, superuser)
	role := pgtest.Role(t, superuser, "ALTER ROLE %s SUPERUSER")
	address, err := url.Parse(role)
	require.NoError(t, err)
	user := address.User.Username()
	for _, c := range []struct{ name, sql string }{
		{"of the database", "ALTER DATABASE " + db + " SET default_transaction_read_only = on"},
		{"of the role", "ALTER ROLE " + user + " SET default_transaction_read_only = on"},
		{"of the role in the database", "ALTER ROLE " + user + " IN DATABASE " + db + " SET default_transaction_read_only = on"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := settings(t, role)
			execute(t, superuser, c.sql)
			i := requireItem(t, look(t, cfg), check.Fault, "writable", "transactions are read-only by default")
			_, err := newRelay(t, cfg).Setup(t.Context())
			requireSays(t, "init", err, []string{"in a read-only transaction", "point database.url at the primary, or `ALTER DATABASE … SET default_transaction_read_only = off`"})
			requireWaits(t, cfg, "in a read-only transaction", "point database.url at the primary, or")
			run(t, cfg, superuser, i.Mend.String())
			requireMended(t, cfg, "writable", fresh...)
		})
	}
	t.Run("of the connection", func(t *testing.T) {
		cfg := settings(t, superuser+"&default_transaction_read_only=on")
		i := requireItem(t, look(t, cfg), check.Fault, "writable", "transactions are read-only by default")
		require.Equal(t, "take default_transaction_read_only out of the options in database.url", i.Mend.String())
		cfg.Database.URL = strings.TrimSuffix(cfg.Database.URL, "&default_transaction_read_only=on")
		requireMended(t, cfg, "writable", fresh...)
	})
}
