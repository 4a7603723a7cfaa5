package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

func TestMend(t *testing.T) {
	for _, c := range []struct{ code, message, says string }{
		{"42501", "permission denied for table events", "`relay check` names each missing right, with the statement that grants it"},
		{"42501", "permission denied to use replication slots", "`ALTER ROLE … REPLICATION`; `relay check` names each missing right"},
		{"42501", "permission denied for database app", "run `relay init` once as the database's owner; `relay check` names"},
		{"42501", "must be owner of table events", "run `relay init` once as the owner of schema outbox; `relay check` names"},
		{"42703", `column "response_body" of relation "attempts" does not exist`, "add it as schema.sql has it: `relay check` prints"},
		{"53300", "exceeds max_wal_senders", "raise max_wal_senders or max_connections and restart the server"},
		{"53400", "all replication slots are in use", "raise max_replication_slots"},
		{"55000", "logical decoding requires wal_level >= logical", "run `ALTER SYSTEM SET wal_level = logical` and restart the server"},
		{"55P03", "canceling statement due to lock timeout", "wait until it has ended"},
		{"25006", "read-only transaction", "point database.url at the primary"},
	} {
		cause := &pgconn.PgError{Severity: "ERROR", Code: c.code, Message: c.message}
		err := mend(fmt.Errorf("do\n it: %w", cause))
		var known *ConfigError
		require.ErrorAs(t, err, &known, c.code)
		require.ErrorIs(t, err, cause)
		require.Contains(t, known.Mend, c.says)
		require.Equal(t, "do it: ERROR: "+c.message+" (SQLSTATE "+c.code+"); "+known.Mend, err.Error(), "one line")
		require.Equal(t, err, mend(err), "once is enough")
	}
	err := mend(fmt.Errorf("do it: %w", &standbyError{key: "database.replication_url"}))
	require.ErrorAs(t, err, new(*ConfigError))
	require.ErrorContains(t, err, "to a standby")
	require.ErrorContains(t, err, "; point database.replication_url at the primary")
	for _, err := range []error{
		nil, errors.New("else"), &pgconn.PgError{Code: "57P01"}, &pgconn.PgError{Code: "55000", Message: "else"},
		&pgconn.PgError{Code: "08P01", Message: "protocol violation"},
	} {
		require.Equal(t, err, mend(err), "nobody knows what mends it")
	}
}

func TestPassing(t *testing.T) {
	for code, want := range map[string]bool{
		"25006": true, "08006": true, "57P01": true, "57P03": true, "40001": true, "53300": true, "53100": true,
		"53400": false, "42501": false, "28P01": false, "3D000": false, "42P01": false,
	} {
		require.Equal(t, want, passing(fmt.Errorf("do it: %w", &pgconn.PgError{Code: code})), code)
	}
	require.False(t, passing(&pgconn.PgError{Code: "08P01", Message: "unsupported startup parameter: replication"}), "a pooler stays")
	require.True(t, passing(fmt.Errorf("do it: %w", &standbyError{})), "it may be promoted")
	require.False(t, passing(&ConfigError{cause: &pgconn.PgError{Code: "25006"}}))
}

// What the driver says, with address, user and database, is said in no log and on no page.
func TestMendConnect(t *testing.T) {
	_, refused := pgconn.Connect(t.Context(), "postgres://ada:s3cr3t@127.0.0.1:1/app")
	const what, do = "nothing listens there: connection refused; ", "start the server, or correct host and port in database."
	for _, c := range []struct {
		err  error
		says string
	}{
		{fmt.Errorf("connect to the database: %w", refused), "connect to the database: " + what + do + "url"},
		{fmt.Errorf("claim: %w", fmt.Errorf("two\n lines: %w", refused)), "claim: two lines: " + what + do + "url"},
		{fmt.Errorf("open: %w", replicationError{refused}), "open: " + what + do + "replication_url"},
	} {
		err := mend(c.err)
		require.Equal(t, c.says, err.Error())
		require.ErrorIs(t, err, refused)
		require.True(t, passing(c.err), "the server may start yet")
	}
	called, cancel := context.WithCancel(t.Context())
	cancel()
	_, refused = pgconn.Connect(called, "postgres://127.0.0.1:1/app")
	require.Equal(t, refused, mend(refused), "nothing to mend")
}

// A start goes on trying for half a minute where the fault may pass, and not at all where it stays.
func TestRetryStart(t *testing.T) {
	for _, c := range []struct {
		name, code string
		lasts      bool
		after      time.Duration
	}{
		{"passes by", "57P03", false, 3 * time.Second},
		{"lasts", "53300", true, startPatience},
		{"cannot pass", "42501", true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &Relay{log: slog.New(slog.DiscardHandler)}
				begun, tries := time.Now(), 0
				err := r.retryStart(t.Context(), func(context.Context) error {
					if tries++; tries > 3 && !c.lasts {
						return nil
					}
					return &pgconn.PgError{Severity: "FATAL", Code: c.code, Message: "not now"}
				})
				require.InDelta(t, c.after, time.Since(begun), float64(time.Second)+1)
				if !c.lasts {
					require.NoError(t, err)
					require.Contains(t, r.reason, "cannot set up: FATAL: not now")
					return
				}
				var known *ConfigError
				require.ErrorAs(t, err, &known)
			})
		})
	}
}
