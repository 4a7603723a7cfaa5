package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrSimpleProtocol is returned on connecting to a database of encoding SQL_ASCII with default_query_exec_mode=simple_protocol:
// pgx writes values into statements, and does so only where text is UTF-8.
var ErrSimpleProtocol = errors.New("the database's encoding is SQL_ASCII, with which default_query_exec_mode=simple_protocol does not work")

// SimpleProtocolMend says what to do about ErrSimpleProtocol, with the setting that the URL comes from before it.
const SimpleProtocolMend = "take default_query_exec_mode out of %s, or set it to exec: both work through a transaction pooler"

// settleWithin bounds what is done on a new connection before it is used.
const settleWithin = 10 * time.Second

// Session is what must be known of a new connection.
type Session struct {
	Database string
	Pooled   bool // A pooler stands between us and the server: it gives out process ids of its own.
	ASCII    bool // The database's encoding is SQL_ASCII: its text may be in any.

	isolation string // Of transactions that name none.
}

// LookAtSession looks at a connection, a replication connection as well: over the simple protocol, which those have alone.
func LookAtSession(ctx context.Context, conn *pgconn.PgConn) (Session, error) {
	results, err := conn.Exec(ctx, `SELECT current_database(), pg_backend_pid(), current_setting('server_encoding'),
		current_setting('default_transaction_isolation')`).ReadAll()
	if err != nil {
		return Session{}, fmt.Errorf("look at the connection: %w", err)
	}
	row := results[0].Rows[0]
	return Session{
		Database: string(row[0]), Pooled: string(row[1]) != strconv.FormatUint(uint64(conn.PID()), 10),
		ASCII: string(row[2]) == "SQL_ASCII", isolation: string(row[3]),
	}, nil
}

// Settle has each connection made with these settings begin as the relay's statements need it, whatever database or role
// set for everybody. Nothing is set but what differs.
//
// Text comes and goes in UTF-8. With a database of encoding SQL_ASCII it comes and goes as it is: the server would refuse to give
// out what is not UTF-8, and one such row would stop the stream for good.
//
// application_name and client_encoding are set at the start, since every driver sets them and every pooler knows them.
// client_encoding and standard_conforming_strings, which PgBouncer keeps for each client, may be set later.
// default_transaction_isolation it does not keep, so that others would find it changed.
func Settle(cfg *pgconn.Config) { settle(cfg, false) }

// SettleConn is Settle for connections of pgx.
func SettleConn(cfg *pgx.ConnConfig) {
	settle(&cfg.Config, cfg.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol)
}

func settle(cfg *pgconn.Config, simple bool) {
	cfg.RuntimeParams["client_encoding"] = "UTF8"
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "relay"
	}
	cfg.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		ctx, cancel := context.WithTimeout(ctx, settleWithin)
		defer cancel()
		session, err := LookAtSession(ctx, conn)
		if err != nil {
			return err
		}
		if session.ASCII && simple {
			return ErrSimpleProtocol
		}
		return session.settle(ctx, conn)
	}
}

// settle sets what differs, if anything does.
func (s Session) settle(ctx context.Context, conn *pgconn.PgConn) error {
	var differs []string
	if s.ASCII {
		differs = append(differs, "SET client_encoding = 'SQL_ASCII'")
	}
	if conn.ParameterStatus("standard_conforming_strings") != "on" {
		differs = append(differs, "SET standard_conforming_strings = on")
	}
	if !s.Pooled && s.isolation != "read committed" {
		differs = append(differs, "SET default_transaction_isolation = 'read committed'")
	}
	if differs == nil {
		return nil
	}
	if _, err := conn.Exec(ctx, strings.Join(differs, "; ")).ReadAll(); err != nil {
		return fmt.Errorf("set up the connection: %w", err)
	}
	return nil
}
