package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/outbox"
)

func logOf(t *testing.T, width int, deliveries ...outbox.Delivery) string {
	t.Helper()
	list := newLogTable(outbox.Filter{})
	for i := range deliveries {
		require.NoError(t, list.add(&deliveries[i]))
	}
	var out bytes.Buffer
	require.NoError(t, list.write(&out, width, false))
	return out.String()
}

func TestLogFitsTheTerminal(t *testing.T) {
	user, code := "a-user-with-a-long-name@example.com", 200
	long := outbox.Delivery{
		DeliveryID: uuid.MustParse("01a21224-4fe6-8aed-b930-3ef934984903"), EventType: "an.event.type.with.a.very.long.name.indeed", Tenant: "acme-corporation",
		UserID: &user, URL: "https://hooks.example.com/a/long/path/to/somewhere", Status: outbox.StatusAccepted, Attempts: 1, ResponseCode: &code,
	}
	short := outbox.Delivery{DeliveryID: long.DeliveryID, EventType: "é", Tenant: "default", URL: "http://x", Status: outbox.StatusPending}
	for width := 50; width <= 260; width++ {
		out := logOf(t, width, long, short)
		for line := range strings.Lines(out) {
			require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), width, "width %d:\n%s", width, out)
		}
		require.Equal(t, 2, strings.Count(out, long.DeliveryID.String()), "the id is always whole:\n%s", out)
		require.Contains(t, out, "accepted")
	}
	require.Contains(t, logOf(t, 80, long), "\n  01a21224-4fe6-8aed-b930-3ef934984903\n", "at 80 columns the id stands below its row")
	require.Contains(t, logOf(t, 80, long), "https://hooks", "so that there is room for the URL")
	require.Equal(t, 2, strings.Count(logOf(t, 160, long), "\n"))
	require.Contains(t, logOf(t, 0, long), long.EventType, "nothing is shortened where there is no terminal")
}

func TestEmptyColumnsAreLeftOut(t *testing.T) {
	out := logOf(t, 0, outbox.Delivery{EventType: "a", Tenant: "default", URL: "http://x", Status: outbox.StatusPending})
	require.NotContains(t, out, "TENANT")
	require.NotContains(t, out, "USER")
	require.NotContains(t, out, "RESULT")
}

func TestALongCellMovesItsOwnRowAlone(t *testing.T) {
	list := &table{columns: []column{{title: "A"}, {title: "B"}}}
	long := strings.Repeat("x", 2000)
	list.add(cell{text: long}, cell{text: "y"})
	list.add(cell{text: "short"}, cell{text: "y"})
	var out bytes.Buffer
	require.NoError(t, list.write(&out, 0, false))
	require.Equal(t, "A"+strings.Repeat(" ", mostPadded-1)+"  B\n"+long+"  y\nshort"+strings.Repeat(" ", mostPadded-5)+"  y\n", out.String())
}

func TestColorsAreOutsideTheWidths(t *testing.T) {
	list := &table{columns: []column{{title: "A"}, {title: "B"}}}
	list.add(cell{text: "x", color: red}, cell{text: "y"})
	var out bytes.Buffer
	require.NoError(t, list.write(&out, 0, true))
	require.Equal(t, "\x1b[2mA\x1b[0m  \x1b[2mB\x1b[0m\n\x1b[31mx\x1b[0m  y\n", out.String())
}

func TestWrap(t *testing.T) {
	require.Equal(t, "one two", wrap("one two", 0, "  "), "no terminal")
	require.Equal(t, "one two three four\n    five six seven", wrap("one two three four five six seven", 24, "    "))
	require.Equal(t, "a-word-that-is-longer-than-the-line\n    short", wrap("a-word-that-is-longer-than-the-line short", 24, "    "))
}

func TestPrintable(t *testing.T) {
	require.Equal(t, `a\x1b[31m\x00\u200eb…é`, printable("a\x1b[31m\x00\u200eb…é"))
	require.Equal(t, "x�y", printable("x\xffy"))
}
