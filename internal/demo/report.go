package demo

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/jackc/pgx/v5/pgxpool"
)

const userLog = `SELECT event_type, url, status, attempts, response_code, last_attempt_at
  FROM outbox.delivery_log WHERE user_id = '%s' ORDER BY created_at DESC LIMIT 50;`

// report prints the totals, the proof and one user's log. It returns ErrProof where the proof fails.
func report(ctx context.Context, out io.Writer, db *pgxpool.Pool, app *hostApp, subs *subscribers) error {
	committed, rolledBack := app.counts()
	missing, phantom := 0, 0
	user := int64(0)
	for id, u := range app.committed {
		if subs.crm.count(id) == 0 || subs.flaky.count(id) == 0 {
			missing++
		}
		user = max(user, u)
	}
	for _, s := range subs.all() {
		for id := range app.rolledBack {
			phantom += s.count(id)
		}
	}
	crm, twice := subs.crm.received()
	flaky, _ := subs.flaky.received()
	_, _ = fmt.Fprintf(out, `
Proof
  committed      %6d   received by crm %d, by flaky %d; missing %d, twice at crm %d
  rolled back    %6d   received by anyone %d
`, committed, crm, flaky, missing, twice, rolledBack, phantom)

	if err := printUserLog(ctx, out, db, fmt.Sprint(user)); err != nil {
		return err
	}
	if missing > 0 || phantom > 0 || committed == 0 {
		return ErrProof
	}
	return nil
}

func printUserLog(ctx context.Context, out io.Writer, db *pgxpool.Pool, user string) error {
	query := fmt.Sprintf(userLog, user) // A number of our own.
	_, _ = fmt.Fprintf(out, "\nWhat was sent about user %s:\n\n  %s\n\n", user, query)
	rows, err := db.Query(ctx, fmt.Sprintf(`SELECT event_type, url, status, attempts::text, coalesce(response_code::text, ''),
		coalesce(to_char(last_attempt_at, 'HH24:MI:SS.MS'), '') FROM outbox.delivery_log WHERE user_id = '%s' ORDER BY created_at DESC`, user))
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	defer rows.Close()
	table := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "  event_type\turl\tstatus\tattempts\tresponse_code\tlast_attempt_at")
	for rows.Next() {
		var c [6]string
		if err := rows.Scan(&c[0], &c[1], &c[2], &c[3], &c[4], &c[5]); err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		_, _ = fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\t%s\n", c[0], c[1], c[2], c[3], c[4], c[5])
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	return table.Flush()
}
