package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// screen shows what goes on: a table drawn in place on a terminal, a line every two seconds elsewhere.
type screen struct {
	out      io.Writer
	terminal bool
	app      *hostApp
	subs     *subscribers
	db       *pgxpool.Pool
	began    time.Time
	drawn    int // Lines of the table on the screen.
}

func newScreen(o Options, app *hostApp, subs *subscribers, db *pgxpool.Pool) *screen {
	return &screen{out: o.Out, terminal: o.Terminal, app: app, subs: subs, db: db, began: time.Now()}
}

// run shows the figures until ctx ends.
func (s *screen) run(ctx context.Context) {
	every := 2 * time.Second
	if s.terminal {
		every = 250 * time.Millisecond
	}
	for {
		pause(ctx, every)
		if ctx.Err() != nil {
			return
		}
		s.show(ctx)
	}
}

// settle shows the figures until nothing is on its way any more, or ctx ends.
func (s *screen) settle(ctx context.Context) {
	for ctx.Err() == nil {
		committed, _ := s.app.counts()
		rows, err := s.figures(ctx)
		done := err == nil
		for _, r := range rows {
			done = done && r.accepted+r.rejected+r.failed == committed
		}
		if done {
			s.show(ctx)
			return
		}
		pause(ctx, 200*time.Millisecond)
	}
}

// figures are the log's counts of one subscriber.
type figures struct {
	name                                 string
	accepted, rejected, retrying, failed int
}

func (s *screen) figures(ctx context.Context) ([]figures, error) {
	rows, err := s.db.Query(ctx, `SELECT s.name, count(*) FILTER (WHERE d.status = 'accepted'), count(*) FILTER (WHERE d.status = 'rejected'),
		count(*) FILTER (WHERE d.status IN ('pending', 'retrying')), count(*) FILTER (WHERE d.status IN ('failed', 'cancelled'))
		FROM outbox.subscriptions AS s LEFT JOIN outbox.deliveries AS d ON d.subscription_id = s.id GROUP BY s.name, s.id ORDER BY s.id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []figures
	for rows.Next() {
		var f figures
		if err := rows.Scan(&f.name, &f.accepted, &f.rejected, &f.retrying, &f.failed); err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, rows.Err()
}

func (s *screen) show(ctx context.Context) {
	rows, err := s.figures(ctx)
	if err != nil {
		return // The next time.
	}
	committed, rolledBack := s.app.counts()
	seconds := time.Since(s.began).Seconds()
	if !s.terminal {
		var b strings.Builder
		fmt.Fprintf(&b, "%5.1fs  committed %d, rolled back %d", seconds, committed, rolledBack)
		for _, r := range rows {
			fmt.Fprintf(&b, " | %s: %d accepted, %d rejected, %d retrying", r.name, r.accepted, r.rejected, r.retrying)
		}
		_, _ = fmt.Fprintln(s.out, b.String())
		return
	}
	var b strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.drawn)
	}
	line := func(format string, args ...any) { fmt.Fprintf(&b, "\x1b[2K"+format+"\n", args...) }
	line("  %5.1f s    committed %d    rolled back %d", seconds, committed, rolledBack)
	line("")
	line("  %-10s %-6s %10s %10s %10s", "subscriber", "", "accepted", "rejected", "retrying")
	for i, r := range rows {
		state := "up"
		if !s.subs.all()[i].isUp() {
			state = "down"
		}
		line("  %-10s %-6s %10d %10d %10d", r.name, state, r.accepted, r.rejected, r.retrying)
	}
	s.drawn = 3 + len(rows)
	_, _ = io.WriteString(s.out, b.String())
}
