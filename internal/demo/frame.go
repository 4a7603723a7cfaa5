//go:build unix

package demo

import (
	"fmt"
	"time"

	"github.com/outboxrelay/relay/outbox"
)

// shown are the columns of the table of subscribers; pending passes too soon to be seen.
var shown = []outbox.Status{outbox.StatusAccepted, outbox.StatusRejected, outbox.StatusRetrying}

const (
	statusWidth  = 10 // accepted, and some room.
	outcomeWidth = 15 // accepted 200, and some room.
)

// frame is what the terminal shows: some 28 lines, none longer than 80 characters.
func (s *stage) frame(note string) []line {
	committed, rolledBack := s.ledger.counts()
	lines := []line{
		nil,
		{text("  "), bold("relay demo"), faint("   a host app, a Postgres, relay and three subscribers, all in here")},
		nil,
		{text("  running      "), text(s.clock()), faint("   " + or(note, "Ctrl-C ends it"))},
		{text("  console      "), text(s.console()), faint("   and /metrics, /readyz")},
		{text("  database     "), text("psql " + s.url)},
		nil,
		{text("  committed    "), bold(left(text(thousands(committed)), 9).text), faint("a user and the event, in one transaction")},
		{text("  rolled back  "), bold(left(text(thousands(rolledBack)), 9).text), faint("both, on purpose: nobody may ever see them")},
		{text("  to arrival   "), text(s.delays())},
		nil,
	}
	lines = append(lines, s.subscriberTable()...)
	lines = append(lines, nil)
	lines = append(lines, s.latestTable()...)
	return append(lines, nil,
		line{faint("  Retries are shortened, so that you see them: 1 s + N × 0.5 s after attempt N.")},
		line{faint("  As shipped it is 5 s + N⁴ s, 16 attempts in all, over about two days.")})
}

// console is where the relay's console is served.
func (s *stage) console() string { return "http://" + s.relay.HTTP.Listen }

func (s *stage) delays() string {
	p50, p99, ok := s.ledger.percentiles()
	if !ok {
		return "…"
	}
	return fmt.Sprintf("p50 %s, p99 %s, from COMMIT to crm", milliseconds(p50), milliseconds(p99))
}

func (s *stage) subscriberTable() []line {
	head := line{text("  "), left(faint("subscriber"), 12), left(faint("wants"), 17), left(faint("now"), 18)}
	for _, status := range shown {
		head = append(head, right(faint(string(status)), statusWidth))
	}
	lines := []line{head}
	for _, sub := range s.subscribers() {
		state := text(sub.state())
		if sub.isDown() {
			state.shade = yellowShade
		}
		l := line{text("  "), left(text(sub.name), 12), left(text(sub.types), 17), left(state, 18)}
		for _, status := range shown {
			l = append(l, right(count(status, s.seen.counts[sub.name][status]), statusWidth))
		}
		lines = append(lines, l)
	}
	return lines
}

func count(status outbox.Status, n int) span {
	if n == 0 {
		return faint("0")
	}
	return span{thousands(n), shades[status]}
}

var shades = map[outbox.Status]shade{
	outbox.StatusAccepted: greenShade,
	outbox.StatusRejected: redShade,
	outbox.StatusRetrying: yellowShade,
	outbox.StatusFailed:   redShade,
}

func (s *stage) latestTable() []line {
	head := line{text("  "), left(faint("latest"), 10), left(faint("event"), 16), left(faint("user"), 7)}
	for _, sub := range s.subscribers() {
		head = append(head, left(faint(sub.name), outcomeWidth))
	}
	lines := []line{head}
	for _, h := range s.seen.latest {
		l := line{
			text("  "), left(faint(h.at.Local().Format("15:04:05")), 10), left(text(h.eventType), 16), left(text(h.user), 7),
		}
		for _, sub := range s.subscribers() {
			l = append(l, left(h.outcomes[sub.name].span(), outcomeWidth))
		}
		lines = append(lines, l)
	}
	for len(lines) <= latestEvents { // so that nothing moves once they are there
		lines = append(lines, nil)
	}
	return lines
}

func (o outcome) span() span {
	s := span{string(o.status), shades[o.status]}
	switch {
	case o.status == "":
		return faint("·")
	case o.code > 0:
		s.text += fmt.Sprintf(" %d", o.code)
	case o.status == outbox.StatusRetrying:
		s.text += fmt.Sprintf(", %d×", o.attempts)
	}
	return s
}

// summary is the same in one line, for a pipe.
func (s *stage) summary() line {
	committed, rolledBack := s.ledger.counts()
	out := fmt.Sprintf("%s  committed %d, rolled back %d", s.clock(), committed, rolledBack)
	for _, sub := range s.subscribers() {
		out += fmt.Sprintf("; %s (%s)", sub.name, sub.state())
		for _, status := range shown {
			if n := s.seen.counts[sub.name][status]; n > 0 {
				out += fmt.Sprintf(" %d %s", n, status)
			}
		}
	}
	return line{text(out)}
}

// clock is how long the host app has worked, and is to work.
func (s *stage) clock() string {
	worked := time.Since(s.begun)
	if s.lasting == 0 {
		return minutes(worked)
	}
	return minutes(min(worked, s.lasting)) + " of " + minutes(s.lasting)
}

func minutes(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return thousands(n/1000) + fmt.Sprintf(",%03d", n%1000)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
