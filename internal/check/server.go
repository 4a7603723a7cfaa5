package check

import (
	"context"
	"strconv"
	"time"
)

// oldestVersion is the oldest server_version_num that schema.sql runs on.
const oldestVersion = 140000

// server looks at version, role in a cluster, and whether writes are taken.
func (c *checker) server(ctx context.Context) {
	var number, version, readOnly string
	var standby bool
	err := c.db.QueryRow(ctx, `SELECT current_setting('server_version_num'), current_setting('server_version'),
		pg_is_in_recovery(), current_setting('default_transaction_read_only'), current_database(),
		(SELECT system_identifier::text FROM pg_control_system())`).
		Scan(&number, &version, &standby, &readOnly, &c.database, &c.system)
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
	switch {
	case standby:
		c.fault("writable", "point database.url at the primary, or add target_session_attrs=read-write and all hosts to it",
			"the server is a standby: it takes no writes")
	case readOnly == "on":
		c.fault("writable", "ALTER DATABASE "+quote(c.database)+" SET default_transaction_read_only = off; (or the same of the role)",
			"transactions are read-only by default")
	default:
		c.ok("writable", "the server takes writes")
	}
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
		c.fault("wal_level", "ALTER SYSTEM SET wal_level = logical; and restart the server (Amazon RDS: rds.logical_replication = 1; "+
			"Cloud SQL: cloudsql.logical_decoding = on)", "is %s: events cannot be read from it", level)
		return
	}
	c.ok("wal_level", "logical")
}

// slots looks whether there is room for one more slot and walsender.
func (c *checker) slots(ctx context.Context) {
	var slots, usedSlots, senders, usedSenders int
	var ours bool
	err := c.db.QueryRow(ctx, `SELECT current_setting('max_replication_slots')::int, (SELECT count(*) FROM pg_replication_slots),
		current_setting('max_wal_senders')::int, (SELECT count(*) FROM pg_stat_replication),
		EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)`, c.cfg.Replication.Slot).
		Scan(&slots, &usedSlots, &senders, &usedSenders, &ours)
	if err != nil {
		c.broken("free slots", err)
		return
	}
	if usedSlots >= slots && !ours {
		c.fault("free slots", "ALTER SYSTEM SET max_replication_slots = "+strconv.Itoa(slots+10)+"; and restart the server, or drop a slot nobody uses",
			"all %d replication slots are in use", slots)
	} else {
		c.ok("free slots", "%d of %d replication slots in use", usedSlots, slots)
	}
	if usedSenders >= senders {
		c.fault("free walsenders", "ALTER SYSTEM SET max_wal_senders = "+strconv.Itoa(senders+10)+"; and restart the server",
			"all %d walsenders are in use", senders)
	} else {
		c.ok("free walsenders", "%d of %d walsenders in use", usedSenders, senders)
	}
}
