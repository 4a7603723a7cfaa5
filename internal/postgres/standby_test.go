//go:build unix

package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/postgres"
)

func TestStandbyFollowsAndTakesOver(t *testing.T) {
	primary, err := postgres.Start(t.Context(), postgres.Options{FsyncOff: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, primary.Close()) }()
	require.NoError(t, primary.CreateDatabase(t.Context(), "before"))
	standby, err := primary.Standby(t.Context(), postgres.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, standby.Close()) }()
	require.NotEqual(t, primary.Port(), standby.Port())
	require.ErrorContains(t, standby.CreateDatabase(t.Context(), "not_here"), "read-only")

	require.NoError(t, primary.CreateDatabase(t.Context(), "after"))
	require.Eventually(t, func() bool {
		conn, err := pgx.Connect(t.Context(), standby.URL("after"))
		return err == nil && conn.Close(t.Context()) == nil
	}, time.Minute, 20*time.Millisecond, "what is made on the primary is on the standby")

	require.NoError(t, primary.Kill())
	require.NoError(t, standby.Promote(t.Context()))
	require.NoError(t, standby.CreateDatabase(t.Context(), "here"))
}
