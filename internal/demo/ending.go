//go:build unix

package demo

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/outboxrelay/relay/outbox"
)

// claim is one part of the proof.
type claim struct {
	what  string
	holds bool
	how   string
}

// proof compares what the host app knows with what the subscribers received, event by event.
func (s *stage) proof() []claim {
	committed, rolledBack := s.ledger.counts()
	received, _ := s.crm.journal()
	missing := s.ledger.missing(received)
	var phantoms, forged, twice int
	for _, n := range received {
		twice += n - 1
	}
	for _, sub := range s.subscribers() {
		got, bad := sub.journal()
		phantoms += s.ledger.phantoms(got)
		forged += bad
	}
	return []claim{
		{"committed = received", missing == 0 && committed > 0,
			fmt.Sprintf("%s of %s events came to crm, by id; %s twice",
				thousands(committed-missing), thousands(committed), thousands(twice))},
		{"rolled back = never seen", phantoms == 0,
			fmt.Sprintf("of %s events, %s came to any subscriber", thousands(rolledBack), thousands(phantoms))},
		{"every request signed", forged == 0, fmt.Sprintf("%s signatures were not valid", thousands(forged))},
	}
}

// conclude prints the totals, the proof and the log of one user.
func (d *Demo) conclude(ctx context.Context, s *stage) error {
	held := true
	d.page.print(nil, s.totals(), nil)
	for _, c := range s.proof() {
		mark := green("✓ ")
		if !c.holds {
			held, mark = false, red("✗ ")
		}
		d.page.print(line{text("  "), mark, left(bold(c.what), 26), text(c.how)})
	}
	if err := d.printUserLog(ctx, s); err != nil {
		return err
	}
	if !held {
		return ErrNotProven
	}
	return nil
}

// totals are those of the log.
func (s *stage) totals() line {
	total := make(map[outbox.Status]int)
	for _, counts := range s.seen.counts {
		for status, n := range counts {
			total[status] += n
		}
	}
	var parts []string
	for _, status := range append(shown, outbox.StatusPending, outbox.StatusFailed, outbox.StatusCancelled) {
		if n := total[status]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", thousands(n), status))
		}
	}
	committed, rolledBack := s.ledger.counts()
	return line{text(fmt.Sprintf("  %s events committed, %s rolled back; %s.",
		thousands(committed), thousands(rolledBack), strings.Join(parts, ", ")))}
}

// userLog is what anybody can ask about a user.
const userLog = `SELECT event_type, url, status, attempts, response_code AS code
  FROM outbox.delivery_log
 WHERE user_id = '%s'
 ORDER BY created_at DESC LIMIT 50;`

// printUserLog prints the log of one user, with the statement that gave it.
func (d *Demo) printUserLog(ctx context.Context, s *stage) error {
	u := s.host.exampleUser()
	if u == nil {
		return nil // nothing was committed
	}
	statement := fmt.Sprintf(userLog, u.key())
	log, err := queryLog(ctx, s.db, statement)
	if err != nil {
		return err
	}
	d.page.print(nil, line{bold(fmt.Sprintf("  All that was sent about user %s, %s:", u.key(), u.Name))}, nil)
	for statementLine := range strings.Lines(statement) {
		d.page.print(line{text("    " + strings.TrimRight(statementLine, "\n"))})
	}
	d.page.print(nil)
	d.page.print(logTable(log)...)
	d.page.print(nil)
	return nil
}

// queryLog runs the statement that is shown.
func queryLog(ctx context.Context, db *pgxpool.Pool, statement string) ([]logRow, error) {
	rows, err := db.Query(ctx, statement)
	if err != nil {
		return nil, fmt.Errorf("read the log of a user: %w", err)
	}
	log, err := pgx.CollectRows(rows, pgx.RowToStructByPos[logRow])
	if err != nil {
		return nil, fmt.Errorf("read the log of a user: %w", err)
	}
	return log, nil
}

// logRow is a row of what userLog gives.
type logRow struct {
	EventType, URL string
	Status         outbox.Status
	Attempts       int
	Code           *int
}

func logTable(log []logRow) []line {
	rows := [][]span{{faint("event_type"), faint("url"), faint("status"), faint("attempts"), faint("code")}}
	for _, e := range log {
		row := []span{text(e.EventType), text(e.URL), {string(e.Status), shades[e.Status]}, text(fmt.Sprint(e.Attempts)), text("")}
		if e.Code != nil {
			row[4].text = fmt.Sprint(*e.Code)
		}
		rows = append(rows, row)
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], cell.width())
		}
	}
	lines := make([]line, len(rows))
	for i, row := range rows {
		lines[i] = line{text("    ")}
		for j, cell := range row {
			lines[i] = append(lines[i], left(cell, widths[j]+2))
		}
	}
	return lines
}
