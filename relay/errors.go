package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/outboxrelay/relay/internal/store"
)

// ConfigError is a fault of configuration or of the database's set-up that waiting does not mend.
type ConfigError struct {
	Fault string // What is wrong.
	Mend  string // What to do about it: a statement or a setting.
	cause error
}

// Error returns fault and mend in one line.
func (e *ConfigError) Error() string { return e.Fault + "; " + e.Mend }

// Unwrap returns what the database said, if it was asked.
func (e *ConfigError) Unwrap() error { return e.cause }

// standbyError says that the replication connection leads to a server in recovery. It may be promoted.
type standbyError struct {
	key string // The setting that leads there.
}

func (e *standbyError) Error() string {
	return e.key + " leads the replication connection to a standby: a slot made there is of no use, and keeps its WAL"
}

func (e *standbyError) mend() string {
	return "point " + e.key + " at the primary, or add target_session_attrs=read-write and all hosts to it"
}

// mends says what to do about errors of the database that only a person can mend, by SQLSTATE.
var mends = map[string]string{
	"42703": "add it as schema.sql has it: `relay check` prints the statement",
	"55P03": "another session holds a lock on a table of schema outbox, as pg_dump does: wait until it has ended, or end it, and try again",
	"53300": "raise max_wal_senders or max_connections and restart the server, or end what nobody uses",
	"53400": "raise max_replication_slots in postgresql.conf and restart the server, or drop a slot that nobody uses",
	"0A000": "see what the server said",
}

// mendDenied says who may grant what was denied: what the message names tells whose it is.
func mendDenied(message string) string {
	const named = "; `relay check` names each missing right"
	switch {
	case strings.Contains(message, "replication"):
		return "`ALTER ROLE … REPLICATION`" + named
	case strings.Contains(message, "for database"):
		return "run `relay init` once as the database's owner" + named
	case strings.Contains(message, "must be owner"):
		return "run `relay init` once as the owner of schema outbox" + named
	}
	return "`relay check` names each missing right, with the statement that grants it"
}

// replicationError is of a connection that database.replication_url leads to.
type replicationError struct{ error }

func (e replicationError) Unwrap() error { return e.error }

// throughPooler says that a replication connection ended at a connection pooler: it refuses what it does not know at the
// start, or passes it over and then takes a replication command for SQL.
func throughPooler(pg *pgconn.PgError) bool {
	return pg.Code == "08P01" && strings.Contains(pg.Message, "startup parameter")
}

const poolerMend = "a connection pooler is in the way: set database.replication_url to the server itself"

// mend turns an error that only a person can mend into a *ConfigError; others are returned as they are.
func mend(err error) error {
	var known *ConfigError
	var pg *pgconn.PgError
	var standby *standbyError
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.As(err, &standby):
		return &ConfigError{Fault: oneLine(err), Mend: standby.mend(), cause: err}
	}
	var connect *pgconn.ConnectError
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &connect):
		return mendConnect(err, connect)
	case !errors.As(err, &pg):
		return err
	}
	what := mends[pg.Code]
	switch {
	case pg.Code == "42501":
		what = mendDenied(pg.Message)
	case pg.Code == "55000" && strings.Contains(pg.Message, "wal_level"):
		what = "run `ALTER SYSTEM SET wal_level = logical` and restart the server"
	case pg.Code == "25006":
		what = "point database.url at the primary, or `ALTER DATABASE … SET default_transaction_read_only = off`"
	}
	if what == "" {
		return err
	}
	return &ConfigError{Fault: oneLine(err), Mend: what, cause: err}
}

// mendConnect says in plain words why a connection could not be opened; of the driver's it keeps nothing.
func mendConnect(err error, connect *pgconn.ConnectError) error {
	key := "database.url"
	if errors.As(err, new(replicationError)) {
		key = "database.replication_url"
	}
	what, do := store.ExplainConnect(connect, key)
	var pg *pgconn.PgError
	pooled := errors.As(err, &pg) && throughPooler(pg)
	if pooled {
		do = poolerMend
	}
	told := &ConfigError{Fault: strings.Replace(oneLine(err), oneLine(connect), what, 1), Mend: do, cause: err}
	if pg == nil || !pooled && !slices.Contains(refusals, pg.Code) {
		return unreachable{told}
	}
	return told
}

// refusals are what a server says to a connection that it will never take, by SQLSTATE: of user, password, database and rights.
// What else servers and those in between say may pass.
var refusals = []string{"28P01", "28000", "3D000", "42501", "0A000", "53400"}

// unreachable is a ConfigError that may not be one: the server can't be reached, or says something that may pass.
type unreachable struct{ *ConfigError }

// passing says whether an error may mend itself: the server is not there yet, is starting, full, or a standby for now.
func passing(err error) bool {
	var known *ConfigError
	var pg *pgconn.PgError
	var standby *standbyError
	switch {
	case errors.As(err, &known):
		return false
	case errors.As(err, &standby):
		return true
	case errors.As(err, &pg):
		switch {
		case throughPooler(pg):
			return false
		case pg.Code == "25006", pg.Code == "55P03", strings.HasPrefix(pg.Code, "08"), strings.HasPrefix(pg.Code, "57P"),
			strings.HasPrefix(pg.Code, "40"), strings.HasPrefix(pg.Code, "53") && pg.Code != "53400":
			return true
		}
		return false
	}
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) ||
		pgconn.SafeToRetry(err)
}

// fatal says whether a stream's end is one that only a person can mend, at the start: later on everything is survived.
func (r *Relay) fatal(err error) bool {
	if err == nil || r.everLed {
		return false
	}
	var config *ConfigError
	return errors.As(mend(err), &config) && !passing(err)
}

// refusedReplication names the role that may not replicate.
func refusedReplication(err error, user string) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "42501" {
		return err
	}
	return &ConfigError{
		Fault: fmt.Sprintf("role %s may not replicate: %s", user, pg.Message),
		Mend:  "`ALTER ROLE " + pgx.Identifier{user}.Sanitize() + " REPLICATION` (Amazon RDS: `GRANT rds_replication TO …`)",
		cause: err,
	}
}

// explain returns an error's text in one line, with what mends it where that is known.
func explain(err error) string { return oneLine(mend(err)) }

// takesNoWrites says whether the server is a standby, or takes no writes for now.
func takesNoWrites(err error) bool {
	var standby *standbyError
	return hasCode(err, "25006") || errors.As(err, &standby)
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
