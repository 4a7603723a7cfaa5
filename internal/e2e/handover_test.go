package e2e

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/postgres"
	"github.com/outboxrelay/relay/internal/receiver"
)

// A leader whose stream ends, but who lives, holds the lead until all that it sent is written down: the one that takes over sends
// none of it again.
func TestALeaderHandsOverWhatItHas(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db := pgtest.Pool(t, url)
	r := receiver.New(t, nil)
	r.SetDelay(400 * time.Millisecond) // So that much is in flight at any time.
	subscribe(t, db, r, "*")
	relays := []*instance{start(t, url, slot), start(t, url, slot), start(t, url, slot), start(t, url, slot)}
	leader := func() (of int) {
		await(t, "a leader", func() bool {
			of = slices.IndexFunc(relays, (*instance).leads)
			return of >= 0
		})
		return of
	}
	w := write(url, 80)
	handedOver := 0
	for last, began := leader(), time.Now(); handedOver < 2; {
		require.Less(t, time.Since(began), 2*patience, "handed over %d times", handedOver)
		before := r.Len()
		pgtest.Execute(t, db, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'relay' AND backend_type = 'client backend'`)
		await(t, "requests after that", func() bool { return r.Len() > before+40 })
		if now := leader(); now != last {
			last = now
			handedOver++
		}
	}
	w.end(t, db)
	require.Zero(t, w.account(t, db, r), "sent twice")
}

// leads reports whether the instance reads the stream.
func (i *instance) leads() bool {
	response, err := http.Get("http://" + i.listen + "/readyz")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode == http.StatusOK && strings.Contains(string(text), "relaying")
}

// Where Postgres goes away and comes back, all relays that stand by find the slot free before the one that led has its connection
// again. They leave it that one, which knows what it has in hand.
func TestPostgresComesBackToSeveralRelays(t *testing.T) {
	cluster := pgtest.Private(t, postgres.Options{})
	ctx := context.Background()
	require.NoError(t, cluster.CreateDatabase(ctx, "app"))
	url := cluster.URL("app")
	pgtest.Migrate(t, url)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	r.SetDelay(400 * time.Millisecond) // So that much is in flight at any time.
	subscribe(t, db, r, "*")
	relays := []*instance{start(t, url, "relay_back"), start(t, url, "relay_back"), start(t, url, "relay_back")}
	await(t, "a leader", func() bool { return slices.ContainsFunc(relays, (*instance).leads) })
	w := write(url, 80)
	stops := map[string]func() error{
		"fast":      func() error { return cluster.Stop(ctx, postgres.Fast) },
		"immediate": func() error { return cluster.Stop(ctx, postgres.Immediate) },
		"kill":      cluster.Kill,
	}
	for how, stop := range stops {
		before := r.Len()
		await(t, "deliveries before the stop", func() bool { return r.Len() > before+50 })
		require.NoError(t, stop())
		require.NoError(t, cluster.Resume(ctx))
		began := time.Now()
		before = r.Len()
		await(t, "deliveries after the stop", func() bool { return r.Len() > before+50 })
		t.Logf("%s stop: delivering again %v after the server was back", how, time.Since(began).Round(10*time.Millisecond))
	}
	w.end(t, db)
	require.Zero(t, w.account(t, db, r), "sent twice")
}
