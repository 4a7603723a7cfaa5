package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/outboxrelay/relay/internal/status"
)

// printStatus prints how things stand for people, for a terminal of that width; 0: none, so nothing is shortened.
func printStatus(w io.Writer, s *status.Status, width int, colored bool) error {
	_, _ = fmt.Fprintf(w, "database %s, %s\n", printable(s.Database), s.Time.Local().Format(longTime))
	printWarnings(w, s.Warnings, width, colored)
	if len(s.Relays) > 0 {
		_, _ = fmt.Fprintln(w)
		if err := relayTable(s).write(w, width, colored); err != nil {
			return err
		}
	}
	_, _ = fmt.Fprintln(w)
	printFields(w, []field{
		{"slot", describeSlot(s.Slot)},
		{"waiting", describeWaiting(s.Waiting)},
		{"due for", dueFor(s.Waiting)},
		{"subscriptions", fmt.Sprintf("%s on, %s off", thousands(s.Subscriptions.Active), thousands(s.Subscriptions.Disabled))},
	})
	_, _ = fmt.Fprintln(w)
	if err := windowTable(s.Windows).write(w, width, colored); err != nil {
		return err
	}
	if latencies := latencyTable(s.Windows); latencies != nil {
		_, _ = fmt.Fprintln(w)
		if err := latencies.write(w, width, colored); err != nil {
			return err
		}
	}
	if len(s.Worst) == 0 {
		return nil
	}
	_, _ = fmt.Fprintln(w)
	return worstTable(s.Worst).write(w, width, colored)
}

func printWarnings(w io.Writer, warnings []string, width int, colored bool) {
	if len(warnings) == 0 {
		return
	}
	const word = "warning"
	_, _ = fmt.Fprintln(w)
	for _, warning := range warnings {
		shown := word
		if colored {
			shown = yellow.paint(word)
		}
		_, _ = fmt.Fprintf(w, "%s  %s\n", shown, wrap(printable(warning), width, strings.Repeat(" ", len(word)+2)))
	}
}

func relayTable(s *status.Status) *table {
	t := &table{columns: []column{
		{title: "RELAY ON", min: 10},
		{title: "PROCESS", right: true},
		{title: "VERSION", min: 7, leaving: 2},
		{title: "SLOT", min: 6, leaving: 3},
		{title: "STATE", min: 10},
		{title: "IN FLIGHT", right: true},
		{title: "UP", leaving: 1, right: true},
		{title: "SEEN", right: true},
	}}
	for _, r := range s.Relays {
		slot := ""
		if r.Slot != s.Slot.Name {
			slot = r.Slot
		}
		t.add(cell{text: r.Host}, cell{text: strconv.Itoa(r.PID)}, cell{text: r.Version}, cell{text: slot}, relayState(s, r),
			cell{text: strconv.Itoa(r.InFlight)}, cell{text: roughly(s.Time.Sub(r.StartedAt))},
			cell{text: roughly(time.Duration(r.SeenSecondsAgo*float64(time.Second))) + " ago"})
	}
	return t
}

func relayState(s *status.Status, r status.Relay) cell {
	switch {
	case s.Away:
		return cell{text: "paused", color: yellow}
	case !r.Ready:
		return cell{text: "not ready", color: red}
	case r.Leads:
		return cell{text: "leads", color: green}
	}
	return cell{text: "stands by", color: green}
}

func describeSlot(s status.Slot) string {
	if !s.Exists {
		return s.Name + ": missing"
	}
	said := "no relay reads it"
	if s.Active {
		said = "read by a relay"
	}
	return fmt.Sprintf("%s: %s, %s behind, WAL %s", s.Name, said, bytesOf(s.LagBytes), orNone(s.WALStatus))
}

func describeWaiting(w status.Waiting) string {
	said := fmt.Sprintf("%s pending, %s retrying", thousands(w.Pending), thousands(w.Retrying))
	if w.AtLeast {
		said += ", or more"
	}
	return said
}

// dueFor is how long what waits has been due already; empty: not for a second.
func dueFor(w status.Waiting) string {
	due := time.Duration(w.OldestDueSeconds * float64(time.Second))
	if due < time.Second {
		return ""
	}
	return roughly(due)
}

func windowTable(windows []status.Window) *table {
	t := &table{columns: []column{
		{title: "IN THE LAST"},
		{title: "EVENTS/S", right: true},
		{title: "ATTEMPTS/S", right: true},
		{title: "ACCEPTED", right: true},
		{title: "REJECTED", right: true},
		{title: "UNREACHABLE", right: true},
		{title: "FAILED", right: true},
	}}
	for _, w := range windows {
		attempts := w.Accepted + w.Rejected + w.Unreachable
		t.add(cell{text: minutesOf(w.Minutes)},
			cell{text: rate(w.Events, w.Seconds)}, cell{text: rate(attempts, w.Seconds)},
			cell{text: thousands(w.Accepted)}, wrong(w.Rejected), wrong(w.Unreachable), wrong(w.Failed))
	}
	return t
}

// latencyTable is of the last minutes; nil: nothing was sent in the last hour.
func latencyTable(windows []status.Window) *table {
	t := &table{columns: []column{
		{title: "LATENCY, AT MOST"}, {title: "IN THE LAST"}, {title: "P50", right: true}, {title: "P95", right: true}, {title: "P99", right: true},
	}}
	for _, w := range windows {
		if w.Minutes == 1 {
			continue
		}
		for _, l := range []struct {
			name  string
			steps status.Steps
		}{{"from commit to first answer", w.Delays}, {"from request to answer", w.Answers}} {
			if l.steps.P50 != nil {
				t.add(cell{text: l.name}, cell{text: minutesOf(w.Minutes)},
					cell{text: step(l.steps.P50)}, cell{text: step(l.steps.P95)}, cell{text: step(l.steps.P99)})
			}
		}
	}
	if len(t.rows) == 0 {
		return nil
	}
	return t
}

func worstTable(worst []status.Worst) *table {
	t := &table{columns: []column{
		{title: "WORST, 2 HOURS", min: 14},
		{title: "TENANT", min: 6, leaving: 1},
		{title: "STATE", leaving: 2},
		{title: "ACCEPTED", right: true},
		{title: "REJECTED", right: true},
		{title: "UNREACHABLE", right: true},
		{title: "FAILED", right: true, leaving: 3},
		{title: "MEAN", right: true},
	}}
	for _, w := range worst {
		name, tenant, state := "", "", cell{text: "removed", color: faint}
		switch {
		case w.Name != nil:
			name = *w.Name
		case w.URL != nil:
			_, name, _ = strings.Cut(*w.URL, "://") // There is little room.
		default:
			name = w.ID.String()
		}
		if w.Tenant != nil && *w.Tenant != "default" {
			tenant = *w.Tenant
		}
		if w.Active != nil {
			state = cell{text: "off", color: yellow}
			if *w.Active {
				state = cell{text: "active", color: green}
			}
		}
		t.add(cell{text: name}, cell{text: tenant}, state, cell{text: thousands(w.Accepted)}, wrong(w.Rejected),
			wrong(w.Unreachable), wrong(w.Failed), cell{text: formatDuration(time.Duration(w.MeanMS * float64(time.Millisecond)))})
	}
	return t
}

func minutesOf(n int) string {
	if n == 60 {
		return "hour"
	}
	if n == 1 {
		return "minute"
	}
	return strconv.Itoa(n) + " minutes"
}

// wrong is a number that should be 0.
func wrong(n int64) cell {
	c := cell{text: thousands(n)}
	if n > 0 {
		c.color = red
	}
	return c
}

func rate(n int64, seconds float64) string {
	if n == 0 || seconds <= 0 {
		return "0"
	}
	perSecond := float64(n) / seconds
	if perSecond >= 100 {
		return thousands(int64(perSecond + 0.5))
	}
	return strconv.FormatFloat(perSecond, 'f', 2, 64)
}

// step is the upper bound that a percentile falls under.
func step(ms *int64) string {
	switch {
	case ms == nil:
		return ""
	case *ms < 0:
		return "over 20 s"
	case *ms < 1000:
		return strconv.FormatInt(*ms, 10) + " ms"
	}
	return strconv.FormatInt(*ms/1000, 10) + " s"
}

// roughly is a duration in its two largest units: 3d 4h, 5m 12s, 8s.
func roughly(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return fmt.Sprintf("%dd %dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm %ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

func bytesOf(n int64) string {
	switch {
	case n >= 10<<30:
		return strconv.FormatInt(n>>30, 10) + " GiB"
	case n >= 10<<20:
		return strconv.FormatInt(n>>20, 10) + " MiB"
	case n >= 10<<10:
		return strconv.FormatInt(n>>10, 10) + " KiB"
	}
	return strconv.FormatInt(n, 10) + " bytes"
}
