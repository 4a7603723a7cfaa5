package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/status"
)

// busy is a state in which there is something of everything.
func busy() *status.Status {
	ms := func(n int64) *int64 { return &n }
	text := func(s string) *string { return &s }
	yes, no := true, false
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	return &status.Status{
		Database: "app", Time: now,
		Warnings: []string{"replication slot relay is about to be invalidated: it is further behind than max_slot_wal_keep_size allows"},
		Relays: []status.Relay{
			{Host: "web-1.internal.example.com", PID: 1234567, Version: "1.10.3", Slot: "relay", Leads: true, Ready: true, InFlight: 512,
				StartedAt: now.Add(-76 * time.Hour), SeenSecondsAgo: 2.4},
			{Host: "web-2.internal.example.com", PID: 7, Version: "1.10.3", Slot: "relay", Ready: true, StartedAt: now.Add(-90 * time.Second)},
			{Host: "web-3.internal.example.com", PID: 8, Version: "1.10.3", Slot: "other", StartedAt: now.Add(-2 * time.Hour)},
		},
		Slot:          status.Slot{Name: "relay", Exists: true, Active: true, WALStatus: "unreserved", LagBytes: 3 << 30},
		Waiting:       status.Waiting{Pending: 1_234_567, Retrying: 12_345, AtLeast: true, OldestDueSeconds: 4000},
		Subscriptions: status.Subscriptions{Active: 1200, Disabled: 3},
		Windows: []status.Window{
			{Minutes: 1, Seconds: 90, Events: 90_000, Accepted: 180_000, Rejected: 12},
			{Minutes: 5, Seconds: 330, Events: 33, Accepted: 33, Answers: status.Steps{P50: ms(2), P95: ms(20), P99: ms(2000)}, Delays: status.Steps{P50: ms(5), P95: ms(10), P99: ms(-1)}},
			{Minutes: 60, Seconds: 3630},
		},
		Worst: []status.Worst{
			{Name: text("a-subscription-with-a-rather-long-name"), URL: text("https://x.example"), Tenant: text("default"), Active: &yes, Accepted: 1, Rejected: 12_345, MeanMS: 1234},
			{URL: text("https://crm.example.com/hooks/of/a/long/path?with=query"), Tenant: text("acme"), Active: &no, Unreachable: 99, Failed: 3, MeanMS: 15000},
			{Unreachable: 1},
		},
	}
}

func TestStatusFitsTheTerminal(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, printStatus(&out, busy(), 80, false))
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	require.LessOrEqual(t, len(lines), 30)
	for _, line := range lines {
		require.LessOrEqual(t, len([]rune(line)), 80, line)
	}
	for _, want := range []string{
		"database app, 2026-01-02 03:04:05",
		"\nwarning  replication slot relay is about to be invalidated: it is further behind\n         than max_slot_wal_keep_size allows\n",
		"\nRELAY ON           PROCESS  VERSION  SLOT   STATE      IN FLIGHT      UP    SEEN\n" +
			"web-1.internal.e…  1234567  1.10.3          leads            512   3d 4h  2s ago\n",
		"web-3.internal.e…        8  1.10.3   other  not ready          0   2h 0m  0s ago\n",
		"\nslot           relay: read by a relay, 3072 MiB behind, WAL unreserved\n" +
			"waiting        1,234,567 pending, 12,345 retrying, or more\ndue for        1h 6m\nsubscriptions  1,200 on, 3 off\n",
		"\nminute          1,000       2,000   180,000        12            0       0\n",
		"\nfrom commit to first answer  5 minutes    5 ms  10 ms  over 20 s\n",
		"\na-subscriptio…          active          1    12,345            0       0   1.2 s\n",
		"\ncrm.example.c…  acme    off             0         0           99       3  15.0 s\n",
	} {
		require.Contains(t, out.String(), want)
	}
	out.Reset()
	require.NoError(t, printStatus(&out, busy(), 0, false))
	require.Contains(t, out.String(), "web-1.internal.example.com", "nothing is shortened on a pipe")
}

func TestStatusOfADatabase(t *testing.T) {
	db := on(t, pgtest.URL(t))
	require.Contains(t, refused(t, exitFailed, "status"), "run `relay init`")
	did(t, "init")
	said := did(t, "status")
	require.Contains(t, said, "warning  no relay runs for slot ")
	require.Contains(t, said, "no relay reads it")
	shown := jsonLines[status.Status](t, did(t, "status", "--json"))
	require.Len(t, shown, 1)
	require.Len(t, shown[0].Warnings, 2, "no relay, and no subscription")
	require.True(t, shown[0].Slot.Exists)

	pgtest.Execute(t, db, `INSERT INTO outbox.relays (id, host, pid, version, slot, started_at, seen_at, leads, ready, state, in_flight)
		VALUES (gen_random_uuid(), E'web\x1b[31m', 42, '1.0', current_setting('application_name'), now(), now(), true, true, 'relaying', 0)`)
	require.NotContains(t, did(t, "status"), "\x1b", "what others wrote is made safe for a terminal")
}

// script is a page that gathers what it is told to, in turn, and then ends the watch.
func script(out *bytes.Buffer, size func() (int, int), cancel context.CancelFunc, turns ...error) *statusPage {
	page := &statusPage{out: out, size: size, every: time.Millisecond}
	page.gather = func(context.Context) (*status.Status, error) {
		if len(turns) == 0 {
			cancel()
			return nil, context.Canceled
		}
		err := turns[0]
		turns = turns[1:]
		if err != nil {
			return nil, err
		}
		return &status.Status{Database: "app", Slot: status.Slot{Name: "relay"}}, nil
	}
	return page
}

func TestWatchOnAPipe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	require.NoError(t, script(&out, nil, cancel, nil, errors.New("the server is shutting down"), nil).watch(ctx))
	require.Equal(t, 2, strings.Count(out.String(), "database app"), "one below the other")
	require.Contains(t, out.String(), "\n\nThe database cannot be asked; trying again: the server is shutting down\n\ndatabase app")
	require.NotContains(t, out.String(), "\x1b")
}

func TestWatchInPlace(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	page := script(&out, func() (int, int) { return 80, 6 }, cancel, nil, nil)
	require.NoError(t, page.watch(ctx))
	require.Equal(t, 1, strings.Count(out.String(), "\x1b[5A"), "the second is drawn over the five lines that fit")
	require.Equal(t, 10, strings.Count(out.String(), "\x1b[K\n"))
}

func TestWatchAsJSON(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	page := script(&out, nil, cancel, nil, nil)
	page.asJSON = true
	require.NoError(t, page.watch(ctx))
	require.Len(t, jsonLines[status.Status](t, out.String()), 2)
}

func TestWatchEndsWhereTheFirstLookFails(t *testing.T) {
	failed := errors.New("no")
	require.ErrorIs(t, script(new(bytes.Buffer), nil, func() {}, failed).watch(t.Context()), failed)
}
