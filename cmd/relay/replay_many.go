package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
)

// handful is how many deliveries are replayed without a question.
const handful = 10

// replayFlags choose what is replayed where no delivery is named.
type replayFlags struct {
	subscription, tenant, since, until, eventType, user string
	statuses                                            []string
	dryRun, yes                                         bool
}

func (f *replayFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Var((*filled)(&f.subscription), "subscription", "replay deliveries to this `subscription`: name, id or URL")
	flags.Var((*filled)(&f.since), "since", "of events since this `time`: 2h or 3d (ago), a date, or RFC 3339")
	flags.Var((*filled)(&f.until), "until", "of events before this `time` (default: now)")
	flags.StringSliceVar(&f.statuses, "status", []string{"failed", "rejected", "cancelled"}, "that ended so: `statuses`, with commas between")
	flags.Var((*filled)(&f.eventType), "type", "only events of this `type`, such as user.invited")
	flags.Var((*filled)(&f.user), "user", "only events about this `user`")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only say how many there are")
	flags.BoolVar(&f.yes, "yes", false, fmt.Sprintf("do not ask, as is else done before more than %d", handful))
	tenantFlag(cmd, &f.tenant)
}

// given says whether any flag that chooses deliveries is given.
func (f *replayFlags) given(cmd *cobra.Command) bool {
	return slices.ContainsFunc(
		[]string{"subscription", "since", "until", "status", "type", "user", "dry-run", "yes", "tenant"}, cmd.Flags().Changed)
}

// which reads the flags; the subscription is still to be found.
func (f *replayFlags) which(now time.Time) (store.Replayable, error) {
	which := store.Replayable{Until: now, Type: f.eventType, UserID: f.user}
	if f.subscription == "" || f.since == "" {
		return which, usagef("give deliveries, or both --subscription and --since: whose deliveries, and since when?")
	}
	var err error
	if which.Since, err = parseMoment("--since", f.since, now); err != nil {
		return which, err
	}
	if f.until != "" {
		if which.Until, err = parseMoment("--until", f.until, now); err != nil {
			return which, err
		}
	}
	if !which.Since.Before(which.Until) {
		return which, usagef("--since %s: is not before --until %s", which.Since.Format(time.RFC3339), which.Until.Format(time.RFC3339))
	}
	which.Statuses, err = finalStatuses(f.statuses)
	return which, err
}

func finalStatuses(statuses []string) ([]string, error) {
	var out []string
	for _, s := range statuses {
		switch s = strings.TrimSpace(s); outbox.Status(s) {
		case outbox.StatusPending, outbox.StatusRetrying:
			return nil, usagef("--status %s: is still to be sent, and needs no replay", s)
		case outbox.StatusAccepted, outbox.StatusRejected, outbox.StatusFailed, outbox.StatusCancelled:
			out = append(out, s)
		default:
			return nil, usagef("--status %q: is none of accepted, rejected, failed, cancelled", s)
		}
	}
	if len(out) == 0 {
		return nil, usagef("--status: is empty: failed, rejected, cancelled or accepted")
	}
	return out, nil
}

func (p *program) replayMany(ctx context.Context, f *replayFlags) error {
	which, err := f.which(time.Now())
	if err != nil {
		return err
	}
	_, db, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	s, err := whichSubscription(ctx, db, f.subscription, f.tenant)
	if err != nil {
		return err
	}
	which.SubscriptionID = s.ID
	count, gone, err := store.CountReplayable(ctx, db, which)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s to %s, %s and not replayed since,\nof events from %s to %s.\n", counted(count, "delivery", "deliveries"),
		printable(s.String()), oneOf(which.Statuses), formatTime(shortTime, &which.Since), formatTime(shortTime, &which.Until))
	if err != nil {
		return err
	}
	if gone > 0 {
		_, _ = fmt.Fprintf(p.stdout, "%s cannot be replayed: the events were removed after the retention.\n", counted(gone, "more", "more"))
	}
	switch {
	case count == 0:
		return nil
	case !s.Active && f.dryRun:
		p.note("%s is switched off: what is replayed to it now would be cancelled", s)
		return nil
	case !s.Active:
		return fmt.Errorf("%s is switched off: what is replayed to it would be cancelled; `relay subscriptions enable %s` first", s, s)
	case f.dryRun:
		return nil
	}
	if count > handful {
		if err := p.confirm(ctx, f.yes, "Replay them?"); err != nil {
			return err
		}
	}
	return p.replayThem(ctx, db, which, count, f)
}

func (p *program) replayThem(ctx context.Context, db *pgxpool.Pool, which store.Replayable, count int64, f *replayFlags) error {
	progress, done := func(int64) {}, func() {}
	if p.terminal.interactive && count > handful {
		progress = func(made int64) { _, _ = fmt.Fprintf(p.stderr, "\r%s of %s", thousands(made), thousands(count)) }
		done = func() { _, _ = fmt.Fprint(p.stderr, "\r\x1b[K") }
	}
	made, err := store.ReplayAll(ctx, db, which, count, progress)
	done()
	if err == nil {
		_, err = fmt.Fprintf(p.stdout, "Made %s. The running relay sends them at once.\n", counted(made, "new delivery", "new deliveries"))
		return err
	}
	why := "interrupted"
	if ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		why = explain(err).Error()
	}
	return fmt.Errorf("%s: %s of %s were replayed, and stay so. The rest: %s", why, thousands(made), thousands(count), f.again(which))
}

// again is the command that goes on where this one ended. Its times are fixed: those ago would mean others later.
func (f *replayFlags) again(which store.Replayable) string {
	words := []string{"relay replay --subscription", which.SubscriptionID.String(),
		"--since", which.Since.UTC().Format(time.RFC3339Nano), "--until", which.Until.UTC().Format(time.RFC3339Nano),
		"--status", strings.Join(which.Statuses, ",")}
	if f.eventType != "" {
		words = append(words, "--type", shellWord(f.eventType))
	}
	if f.user != "" {
		words = append(words, "--user", shellWord(f.user))
	}
	return strings.Join(append(words, "--yes"), " ")
}

func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-@:/", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// oneOf is a list of words of which one holds: failed, rejected or cancelled.
func oneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// counted is a number with what it counts: 1 delivery, 2,000 deliveries.
func counted(n int64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + more
}

// thousands is a number with commas: 1,234,567.
func thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
