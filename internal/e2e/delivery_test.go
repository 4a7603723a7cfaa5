package e2e

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
	"github.com/outboxrelay/relay/outbox"
)

func TestAnEventArrivesSignedAndIsLogged(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	id := subscribe(t, db, r, "user.*")
	start(t, url, slot)

	payload := "{\"b\": 1,  \"a\":\"\\u0000\", \"b\": 2}\n"
	var event string
	var created time.Time
	require.NoError(t, db.QueryRow(context.Background(), `INSERT INTO outbox.events (type, user_id, payload)
		VALUES ('user.invited', '42', $1::text::json) RETURNING id::text, created_at`, payload).Scan(&event, &created))
	emit(t, db, "order.paid") // Nobody wants it.
	await(t, "accepted", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.delivery_log WHERE status = 'accepted'`) == 1
	})

	require.Equal(t, 1, r.Len())
	request := r.Requests()[0]
	require.Equal(t, event, request.ID)
	envelope := fmt.Appendf(nil, `{"id":"%s","type":"user.invited","timestamp":"%s","data":%s}`,
		event, created.UTC().Format("2006-01-02T15:04:05.000000Z"), payload)
	require.True(t, bytes.Equal(envelope, request.Body), "byte for byte: %s", request.Body)
	require.Equal(t, "application/json", request.Header.Get("content-type"))
	require.Contains(t, request.Header.Get("user-agent"), "relay/")
	secret := pgtest.Value[string](t, db, `SELECT secret FROM outbox.subscriptions WHERE id = $1::uuid`, id)
	require.NoError(t, request.Verify(secret))

	require.Equal(t, 1, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.delivery_log AS l JOIN outbox.attempts AS a USING (delivery_id)
		WHERE user_id = '42' AND l.event_id = $1::uuid AND subscription_id = $2::uuid AND url = $3 AND attempts = 1
		  AND l.response_code = 200 AND a.attempt = 1 AND a.response_code = 200 AND finished_at IS NOT NULL
		  AND delivery_id = outbox.delivery_id(event_id, subscription_id)`, event, id, r.URL()))
}

func TestATraceTravelsOn(t *testing.T) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	start(t, url, slot)
	_, err := outbox.Insert(context.Background(), db, outbox.Event{Type: "a", Payload: 1, Traceparent: trace})
	require.NoError(t, err)
	r.WaitFor(1)
	await(t, "accepted", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'accepted'`) == 1
	})
	pgtest.Execute(t, db, `SELECT outbox.replay(delivery_id) FROM outbox.delivery_log`) // Claimed, not streamed.
	for _, request := range r.WaitFor(2) {
		require.Equal(t, trace, request.Header.Get("traceparent"))
	}
}

func TestRolledBackIsNeverSeen(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	start(t, url, slot)
	pgtest.Execute(t, db, `DO $$ BEGIN
		PERFORM outbox.emit('kept', '1');
		BEGIN PERFORM outbox.emit('undone', '1'); RAISE EXCEPTION 'undo'; EXCEPTION WHEN raise_exception THEN NULL; END;
		PERFORM outbox.emit('kept', '1');
	END $$`)
	tx, err := db.Begin(context.Background())
	require.NoError(t, err)
	_, err = tx.Exec(context.Background(), `SELECT outbox.emit('undone', '1')`)
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(context.Background()))
	last := emit(t, db, "last")
	await(t, "the last event", func() bool { return r.Count(last) == 1 })
	require.Len(t, r.WaitFor(3), 3, "in no order")
	require.Zero(t, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE event_type = 'undone'`))
}

func TestSubscriptionsTakeEffectInCommitOrder(t *testing.T) {
	for _, mode := range []string{"running", "stopped", "killed"} {
		t.Run(mode, func(t *testing.T) {
			url, slot := pgtest.Migrated(t), pgtest.Slot(t)
			db, r, other := pgtest.Pool(t, url), receiver.New(t, nil), receiver.New(t, nil)
			relay := start(t, url, slot)
			switch mode {
			case "stopped":
				relay.stop()
			case "killed":
				relay.kill()
			}
			emit(t, db, "before")
			pgtest.Execute(t, db, fmt.Sprintf(`DO $$ BEGIN
				PERFORM outbox.emit('same.before', '1');
				INSERT INTO outbox.subscriptions (name, url, event_types) VALUES ('s', '%s', '{*}');
				PERFORM outbox.emit('same.after', '1');
			END $$`, r.URL()))
			emit(t, db, "after")
			if mode == "running" {
				await(t, "the first URL", func() bool { return r.Len() == 2 })
			}
			pgtest.Execute(t, db, `INSERT INTO outbox.subscriptions (name, url, event_types) VALUES ('o', $1, '{last}')`, other.URL())
			last := emit(t, db, "last")
			if mode != "running" {
				start(t, url, slot)
			}
			await(t, "the last event", func() bool { return r.Count(last) == 1 && other.Count(last) == 1 })
			require.Len(t, r.WaitFor(3), 3, "in no order")
			require.Equal(t, 1, other.Len())
			require.Zero(t, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE event_type IN ('before', 'same.before')`))
		})
	}
}

func TestSwitchingOffCancelsWhatIsUnsent(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	id := subscribe(t, db, r, "*")
	start(t, url, slot).stop()
	unsent := emit(t, db, "unsent")
	pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET active = false WHERE id = $1::uuid`, id)
	emit(t, db, "while.off")
	pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET active = true WHERE id = $1::uuid`, id)
	wanted := emit(t, db, "wanted")
	start(t, url, slot)
	await(t, "the event after", func() bool { return r.Count(wanted) == 1 })
	await(t, "cancelled", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.delivery_log WHERE event_id = $1::uuid AND status = 'cancelled' AND url = $2`,
			unsent, r.URL()) == 1
	})
	require.Equal(t, 1, r.Len())
	require.Zero(t, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE event_type = 'while.off'`))
}

func TestDeletingCancelsRetries(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	r.Down()
	id := subscribe(t, db, r, "*")
	start(t, url, slot)
	event := emit(t, db, "a")
	status := func(want string) func() bool {
		return func() bool {
			return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.delivery_log WHERE event_id = $1::uuid AND status = $2`, event, want) == 1
		}
	}
	await(t, "retrying", status("retrying"))
	require.Equal(t, "00:00:06", pgtest.Value[string](t, db, `SELECT (next_attempt_at - last_attempt_at)::text FROM outbox.delivery_log`))
	require.Equal(t, "connect", pgtest.Value[string](t, db, `SELECT error_class FROM outbox.attempts`))
	pgtest.Execute(t, db, `DELETE FROM outbox.subscriptions WHERE id = $1::uuid`, id)
	await(t, "cancelled", status("cancelled"))
}

func TestOutcomes(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db := pgtest.Pool(t, url)
	start(t, url, slot, "RELAY_DELIVERY_RETRY_ON=unreachable,503", "RELAY_DELIVERY_DISABLE_ON=410",
		"RELAY_DELIVERY_RETRY_MAX=2", "RELAY_DELIVERY_RETRY_BASE=0", "RELAY_DELIVERY_RETRY_UNIT=100ms", "RELAY_DELIVERY_RETRY_EXPONENT=1")
	for _, tt := range []struct {
		code     int
		status   string
		attempts int
	}{{200, "accepted", 1}, {201, "rejected", 1}, {204, "rejected", 1}, {302, "rejected", 1}, {404, "rejected", 1},
		{410, "rejected", 1}, {500, "rejected", 1}, {503, "failed", 3}} {
		r := receiver.New(t, nil)
		r.SetStatus(tt.code)
		eventType := "code." + strconv.Itoa(tt.code)
		id := subscribe(t, db, r, eventType)
		emit(t, db, eventType)
		await(t, eventType, func() bool {
			return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.delivery_log WHERE event_type = $1 AND status = $2 AND attempts = $3
				AND response_code = $4`, eventType, tt.status, tt.attempts, tt.code) == 1
		})
		require.Equal(t, tt.attempts, r.Len())
		if tt.code == 410 {
			await(t, "switched off", func() bool {
				return !pgtest.Value[bool](t, db, `SELECT active FROM outbox.subscriptions WHERE id = $1::uuid`, id)
			})
			require.Equal(t, "answered 410 Gone", pgtest.Value[string](t, db, `SELECT disabled_reason FROM outbox.subscriptions WHERE id = $1::uuid`, id))
		}
	}
}

func TestARetryThatSucceedsAndAReplay(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	r.Down()
	subscribe(t, db, r, "*")
	start(t, url, slot, "RELAY_DELIVERY_RETRY_BASE=1s", "RELAY_DELIVERY_RETRY_UNIT=0s")
	event := emit(t, db, "a")
	await(t, "retrying", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'retrying'`) == 1
	})
	r.Up()
	accepted := func(n int) func() bool {
		return func() bool {
			return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'accepted'`) == n
		}
	}
	await(t, "accepted", accepted(1))
	require.GreaterOrEqual(t, pgtest.Value[int](t, db, `SELECT attempts FROM outbox.deliveries`), 2)
	pgtest.Execute(t, db, `SELECT outbox.replay(delivery_id) FROM outbox.delivery_log`)
	await(t, "replayed", accepted(2))
	require.Equal(t, 2, r.Count(event), "the same webhook-id")
}

// Nothing is sent to a subscription once its removal has been committed, nor kept to be tried again.
func TestARemovedSubscriptionGetsNoMore(t *testing.T) {
	for name, remove := range map[string]string{
		"removed": `DELETE FROM outbox.subscriptions WHERE id = $1`, "switched off": `UPDATE outbox.subscriptions SET active = false WHERE id = $1`,
	} {
		t.Run(name, func(t *testing.T) {
			url, slot := pgtest.Migrated(t), pgtest.Slot(t)
			db, r := pgtest.Pool(t, url), receiver.New(t, nil)
			id := subscribe(t, db, r, "*")
			start(t, url, slot, "RELAY_DELIVERY_RETRY_BASE=1h")
			statuses := func() []string {
				return pgtest.Values[string](t, db, `SELECT status || ' ' || count(*) FROM outbox.deliveries GROUP BY status ORDER BY 1`)
			}

			r.Hang()
			emit(t, db, "in.flight")
			await(t, "in flight", func() bool { return r.Len() == 1 })
			pgtest.Execute(t, db, remove, id)
			r.Down()
			await(t, "cancelled", func() bool { return slices.Equal(statuses(), []string{"cancelled 1"}) })
			require.Equal(t, 1, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.attempts`), "the attempt is in the log")

			other := receiver.New(t, nil)
			id = subscribe(t, db, other, "*")
			tx, err := db.Begin(t.Context())
			require.NoError(t, err)
			const events = 3000
			pgtest.Execute(t, tx, `SELECT outbox.emit('same.transaction', '1') FROM generate_series(1, $1)`, events)
			pgtest.Execute(t, tx, remove, id)
			require.NoError(t, tx.Commit(t.Context()))
			await(t, "all are cancelled", func() bool { return slices.Equal(statuses(), []string{fmt.Sprint("cancelled ", events+1)}) })
			require.Zero(t, other.Len())
		})
	}
}
