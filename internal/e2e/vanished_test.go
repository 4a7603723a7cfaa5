package e2e

import (
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/faults/proxy"
	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
)

// Postgres keeps the slot for a minute for a reader that it does not hear (wal_sender_timeout). These don't wait for that.
const noticedWithin = 15 * time.Second

// A leader whose machine has gone, which nobody tells Postgres, is replaced in seconds.
func TestAVanishedLeaderIsReplaced(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	leader := start(t, url, slot)
	await(t, "a leader", leader.leads)
	standby := start(t, url, slot)
	before := emit(t, db, "a")
	await(t, "delivered", func() bool { return r.Count(before) == 1 })

	require.NoError(t, leader.cmd.Process.Signal(syscall.SIGSTOP))
	began := time.Now()
	after := emit(t, db, "a")
	await(t, "delivered by the other", func() bool { return r.Count(after) == 1 })
	require.Less(t, time.Since(began), noticedWithin)
	require.True(t, standby.leads())
	t.Logf("taken over %v after the leader was last heard of", time.Since(began).Round(10*time.Millisecond))
	require.NoError(t, leader.cmd.Process.Signal(syscall.SIGCONT))
	await(t, "it stands by", func() bool { return !leader.leads() })
	require.Equal(t, 1, r.Count(before))
}

// A leader whose connections are dead without a word makes new ones, frees its slot and loses and repeats nothing.
func TestHalfOpenConnectionsAreNoticed(t *testing.T) {
	direct, slot := pgtest.Migrated(t), pgtest.Slot(t)
	u, err := url.Parse(direct)
	require.NoError(t, err)
	network, err := proxy.New(u.Host)
	require.NoError(t, err)
	t.Cleanup(func() { _ = network.Close() })
	u.Host = network.Address()
	db, r := pgtest.Pool(t, direct), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	relay := start(t, u.String(), slot)
	for _, perSecond := range []int{200, 1} {
		w := write(direct, perSecond)
		if perSecond > 1 {
			before := r.Len()
			await(t, "load", func() bool { return r.Len() > before+100 })
		}
		network.LoseAll()
		began := time.Now()
		fresh := emit(t, db, "a")
		await(t, "delivered over new connections", func() bool { return r.Count(fresh) == 1 })
		require.Less(t, time.Since(began), noticedWithin)
		t.Logf("at %d events/s: delivering again after %v", perSecond, time.Since(began).Round(10*time.Millisecond))
		w.end(t, db)
		if perSecond > 1 {
			require.Zero(t, w.account(t, db, r), "sent twice")
		}
	}
	relay.stop()
}
