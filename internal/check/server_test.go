package check_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/check"
	"github.com/outboxrelay/relay/internal/pgtest"
)

// A database of encoding SQL_ASCII takes any bytes as text, and gives them out unconverted.
func TestEncoding(t *testing.T) {
	t.Parallel()
	name, superuser := pgtest.Slot(t), pgtest.Cluster(t).URL("postgres")
	t.Cleanup(func() {
		execute(t, superuser, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)", "DROP DATABASE IF EXISTS "+name+"_utf8 WITH (FORCE)")
	})
	execute(t, superuser, "CREATE DATABASE "+name+" ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	cfg := settings(t, pgtest.Cluster(t).URL(name))
	i := requireItem(t, look(t, cfg), check.Fault, "encoding", "is SQL_ASCII")
	requireRefused(t, cfg, `"`+name+`" has the encoding SQL_ASCII`, "create a database with ENCODING 'UTF8'")
	requireItem(t, look(t, cfg), check.Warning, "schema", "is not there yet")

	run(t, cfg, superuser, i.Mend.String())
	cfg.Database.URL = pgtest.Cluster(t).URL(name + "_utf8")
	requireMended(t, cfg, "encoding", fresh...)
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
