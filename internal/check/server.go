package check

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// oldestVersion is the oldest server_version_num that schema.sql runs on.
const oldestVersion = 140000

// server looks at version, encoding, role in a cluster, and whether writes are taken.
func (c *checker) server(ctx context.Context) {
	var number, version, readOnly, source, encoding string
	err := c.db.QueryRow(ctx, `SELECT current_setting('server_version_num'), current_setting('server_version'),
		pg_is_in_recovery(), s.setting, s.source, current_database(), (SELECT system_identifier::text FROM pg_control_system()),
		current_setting('server_encoding')
		FROM pg_settings AS s WHERE s.name = 'default_transaction_read_only'`).
		Scan(&number, &version, &c.standby, &readOnly, &source, &c.database, &c.system, &encoding)
	if err != nil {
		c.broken("server", err)
		return
	}
	c.version, _ = strconv.Atoi(number)
	if c.version < oldestVersion {
		c.fault("version", "upgrade the server to PostgreSQL 14 or later", "PostgreSQL %s is too old", version)
	} else {
		c.ok("version", "PostgreSQL %s", version)
	}
	if encoding == "SQL_ASCII" {
		c.warn("encoding", "CREATE DATABASE "+quote(c.database+"_utf8")+" ENCODING 'UTF8' TEMPLATE template0; -- move the data there, and point database.url at it",
			"is SQL_ASCII: text in it may be in any encoding, and is sent and shown as it is")
	} else {
		c.ok("encoding", "%s", encoding)
	}
	switch {
	case c.standby:
		c.fault("writable", "point database.url at the primary, or add target_session_attrs=read-write and all hosts to it",
			"the server is a standby: it takes no writes")
	case readOnly == "on":
		c.fault("writable", c.mendReadOnly(source), "transactions are read-only by default (default_transaction_read_only)")
	default:
		c.ok("writable", "the server takes writes")
	}
}

// mendReadOnly undoes default_transaction_read_only where it was set. The session that does it must first have it off for
// itself.
func (c *checker) mendReadOnly(source string) string {
	const off = " SET default_transaction_read_only = off;"
	own := strings.TrimSpace(off) + " "
	switch source {
	case "database":
		return own + "ALTER DATABASE " + quote(c.database) + off
	case "user":
		return own + "ALTER ROLE " + quote(c.user) + off
	case "database user":
		return own + "ALTER ROLE " + quote(c.user) + " IN DATABASE " + quote(c.database) + off
	case "client":
		return "take default_transaction_read_only out of the options in database.url"
	}
	return "ALTER SYSTEM" + off + " SELECT pg_reload_conf();"
}

// mostSkew is how far the clocks may be apart: receivers check the signature's timestamp, commonly within five minutes.
const mostSkew = 5 * time.Second

func (c *checker) clock(ctx context.Context) {
	var there time.Time
	before := time.Now()
	if err := c.db.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&there); err != nil {
		c.broken("clock", err)
		return
	}
	skew := there.Sub(before.Add(time.Since(before) / 2)).Abs()
	if skew > mostSkew {
		c.warn("clock", "synchronise both clocks, with chrony for example", "this machine and the database are %s apart", skew.Round(time.Second))
		return
	}
	c.ok("clock", "agrees with the database's")
}

func (c *checker) walLevel(ctx context.Context) {
	var level string
	if err := c.db.QueryRow(ctx, "SELECT current_setting('wal_level')").Scan(&level); err != nil {
		c.broken("wal_level", err)
		return
	}
	if level != "logical" {
		c.fault("wal_level", "ALTER SYSTEM SET wal_level = logical; -- and restart the server (Amazon RDS: rds.logical_replication = 1; "+
			"Cloud SQL: cloudsql.logical_decoding = on)", "is %s: events cannot be read from it", level)
		return
	}
	c.ok("wal_level", "logical")
}
