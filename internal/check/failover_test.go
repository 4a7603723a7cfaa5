package check_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/check"
	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/postgres"
)

// What the check says of a primary with a standby, on PostgreSQL 17 and later; before, it says nothing.
func TestFailover(t *testing.T) {
	primary := pgtest.Private(t, postgres.Options{FsyncOff: true})
	cfg := config.Default()
	cfg.Database.URL = primary.URL("postgres")
	says := func(status check.Status, texts ...string) func() bool {
		return func() bool {
			items := failoverItems(t, cfg)
			if len(items) != 1 || items[0].Status != status {
				return false
			}
			for _, text := range texts {
				if !strings.Contains(items[0].What, text) {
					return false
				}
			}
			return true
		}
	}
	require.Empty(t, failoverItems(t, cfg), "no slot yet")
	setUp(t, cfg)
	if serverVersion(t) < 170000 {
		require.Empty(t, failoverItems(t, cfg), "the server knows no failover slots")
		return
	}
	require.Condition(t, says(check.OK, "relay is a failover slot; no standby is seen"))

	alter(t, cfg.Database.URL, "false")
	require.Condition(t, says(check.Warning, "relay is no failover slot"))
	alter(t, cfg.Database.URL, "true")

	standby, err := primary.Standby(t.Context(), postgres.Options{Settings: map[string]string{
		"hot_standby_feedback": "off", "wal_receiver_status_interval": "100ms",
	}})
	require.NoError(t, err)
	defer func() { require.NoError(t, standby.Close()) }()
	require.Eventually(t, says(check.Warning, "standby standby gives no feedback"), patience, poll)
	require.NoError(t, standby.Set(t.Context(), map[string]string{"hot_standby_feedback": "on"}))
	require.NoError(t, standby.Reload(t.Context()))
	require.Eventually(t, says(check.OK, "sync_replication_slots = on", "Recommended here: synchronized_standby_slots = 'standby'"), patience, poll)
	require.NoError(t, primary.Set(t.Context(), map[string]string{"synchronized_standby_slots": "standby"}))
	require.NoError(t, primary.Reload(t.Context()))
	require.Eventually(t, says(check.OK, "is on standby already (synchronized_standby_slots)"), patience, poll)

	require.NoError(t, standby.Set(t.Context(), map[string]string{"primary_slot_name": ""}))
	require.NoError(t, standby.Reload(t.Context()))
	require.Eventually(t, says(check.Warning, "standby number 1 uses no slot"), patience, poll)
}

func failoverItems(t *testing.T, cfg *config.Config) (found []check.Item) {
	t.Helper()
	for _, i := range look(t, cfg) {
		if i.Name == "failover" {
			found = append(found, i)
		}
	}
	return found
}

// alter switches whether the relay's slot is a failover slot.
func alter(t *testing.T, address, failover string) {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), address+"&replication=database")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `ALTER_REPLICATION_SLOT "relay" (FAILOVER `+failover+`)`).ReadAll()
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}
