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
		{"28P01", "password authentication failed", "check the user and password in database.url"},
		{"28000", "no pg_hba.conf entry", "check the user in database.url and the server's pg_hba.conf"},
		{"3D000", "no such database", "create the database, or name another in database.url"},
		{"42501", "permission denied", "`relay check` names each missing right"},
		{"53300", "exceeds max_wal_senders", "raise max_wal_senders or max_connections and restart the server"},
		{"53400", "all replication slots are in use", "raise max_replication_slots"},
		{"55000", "logical decoding requires wal_level >= logical", "run `ALTER SYSTEM SET wal_level = logical` and restart the server"},
		{"55P03", "canceling statement due to lock timeout", "wait until it has ended"},
		{"25006", "read-only transaction", "point database.url at the primary"},
		{"08P01", "unsupported startup parameter: replication", "set database.replication_url to the server itself"},
		{"08P01", "unsupported startup parameter: extra_float_digits", "set database.replication_url to the server itself"},
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
