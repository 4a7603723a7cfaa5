package relay

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/postgres"
)

func TestParseSetting(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "1min": time.Minute, "60s": time.Minute, "1500ms": 1500 * time.Millisecond, "250": 250 * time.Millisecond,
		"2h": 2 * time.Hour, "24d": 24 * 24 * time.Hour, "2147483647ms": 2147483647 * time.Millisecond,
	} {
		got, err := parseSetting(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "s", "-1", "1.5s", "1 min", "1m", "off", "1min0", "99999999999s"} {
		_, err := parseSetting(text)
		require.ErrorContains(t, err, "is no time", "%q", text)
	}
}

func TestDeadAfter(t *testing.T) {
	for sender, want := range map[time.Duration]time.Duration{
		0:                15 * time.Minute, // Off.
		time.Millisecond: 30 * time.Second,
		10 * time.Second: 30 * time.Second,
		40 * time.Second: 30 * time.Second,
		time.Minute:      40 * time.Second, // The server's default.
		5 * time.Minute:  160 * time.Second,
		time.Hour:        30*time.Minute + 10*time.Second,
	} {
		require.Equal(t, want, deadAfter(sender), sender.String())
	}
	// The request that a look just misses is read by the next.
	require.Less(t, time.Minute/2+askAfter+2*statusEvery+readFor, deadAfter(time.Minute))
}

// The setting counts that holds for the connection itself: a role or a database may have one of its own.
func TestAskSenderTimeout(t *testing.T) {
	cluster := pgtest.Private(t, postgres.Options{FsyncOff: true})
	for setting, want := range map[string]time.Duration{
		"": time.Minute, "0": 0, "90s": 90 * time.Second, "300000": 5 * time.Minute, "1500ms": 1500 * time.Millisecond, "1d": 24 * time.Hour,
	} {
		config, err := pgconn.ParseConfig(cluster.URL("postgres"))
		require.NoError(t, err)
		config.RuntimeParams["replication"] = "database"
		if setting != "" {
			config.RuntimeParams["wal_sender_timeout"] = setting
		}
		conn, err := pgconn.ConnectConfig(t.Context(), config)
		require.NoError(t, err)
		got, err := askSenderTimeout(t.Context(), conn)
		require.NoError(t, err)
		require.Equal(t, want, got, "%q", setting)
		require.NoError(t, conn.Close(context.Background()))
	}
}
