package check

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/outboxrelay/relay/internal/store"
)

// connectTimeout is how long a connection may take to open.
const connectTimeout = 10 * time.Second

func (c *checker) connect(ctx context.Context) bool {
	const name = "connection"
	if c.cfg.Database.URL == "" {
		c.fault(name, "set database.url in relay.yaml, or RELAY_DATABASE_URL", "no database is configured")
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	db, err := store.Connect(ctx, c.cfg.Database.URL)
	if err != nil {
		what, mend := store.ExplainConnect(err, "database.url")
		c.fault(name, mend, "%s", what)
		return false
	}
	c.db, c.user = db, db.Config().User
	c.ok(name, "connected to %s as %s", db.PgConn().Conn().RemoteAddr(), c.user)
	return true
}

// replication opens a replication connection: what decides is whether the server grants one, not what a catalogue says.
func (c *checker) replication(ctx context.Context) {
	const name = "replication connection"
	key, url := "database.replication_url", c.cfg.Database.ReplicationURL
	if url == "" {
		key, url = "database.url", c.cfg.Database.URL
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	config, err := store.ReplicationConfig(url)
	if err != nil {
		c.fault(name, "correct "+key, "its URL cannot be read")
		return
	}
	if c.noSender {
		return // Said already.
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		c.replicationRefused(err, key, config.User)
		return
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	system, err := pglogrepl.IdentifySystem(ctx, conn)
	if err != nil {
		c.replicationRefused(err, key, config.User)
		return
	}
	if system.SystemID != c.system || system.DBName != c.database {
		c.fault(name, "point both at the same database",
			"database.replication_url leads to another database than database.url (%s)", system.DBName)
		return
	}
	results, err := conn.Exec(ctx, "SELECT pg_is_in_recovery()").ReadAll()
	switch {
	case err != nil:
		c.broken(name, err)
	case string(results[0].Rows[0][0]) != "t":
		c.ok(name, "the server grants it")
	case !c.standby || key != "database.url": // Else said already.
		c.fault(name, "point "+key+" at the primary, or add target_session_attrs=read-write and all hosts to it",
			"it leads to a standby: a slot made there is of no use")
	}
}

func (c *checker) replicationRefused(err error, key, user string) {
	const name = "replication connection"
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		what, mend := store.ExplainConnect(err, key)
		c.fault(name, mend, "%s", what)
		return
	}
	switch {
	case pg.Code == "42501" || strings.Contains(pg.Message, "replication role"):
		c.fault(name, "ALTER ROLE "+quote(user)+" REPLICATION; -- Amazon RDS: GRANT rds_replication TO "+quote(user), "role %s may not replicate", user)
	case pg.Code == "08P01", pg.Code == "42601": // It does not know the parameter, or takes the command for SQL.
		c.fault(name, "set database.replication_url to the server itself", "a connection pooler is in the way (%s)", pg.Message)
	case pg.Code == "53300" && c.relaying:
		c.ok(name, "not tried: all are in use, one by a relay")
	default:
		what, mend := store.ExplainConnect(err, key)
		c.fault(name, mend, "%s", what)
	}
}
