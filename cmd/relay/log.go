package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
)

// logPage is how many deliveries are read at a time: enough to be quick, few enough for large payloads.
const logPage = 200

var statuses = []outbox.Status{
	outbox.StatusPending, outbox.StatusRetrying, outbox.StatusAccepted,
	outbox.StatusRejected, outbox.StatusFailed, outbox.StatusCancelled,
}

func newLogCommand(p *program) *cobra.Command {
	var filter outbox.Filter
	var status string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Show what was sent, newest events first",
		Long: "Show what was sent, or is to be sent, newest events first: one entry for each\n" +
			"event and subscription. The same is in the view outbox.delivery_log, whose\n" +
			"columns --json has. `relay replay --subscription` sends again what a receiver\n" +
			"did not take.",
		Example: "  relay log --user 42\n" +
			"  relay log --status failed --limit 1000 --json | jq -r .url | sort | uniq -c",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter.Status = outbox.Status(status)
			if status != "" && !slices.Contains(statuses, filter.Status) {
				return usagef("--status %q: is none of %s", status, joinStatuses())
			}
			if filter.Limit < 1 {
				return usagef("--limit %d: must be 1 or more", filter.Limit)
			}
			return p.log(cmd.Context(), filter, asJSON)
		},
	}
	flags := cmd.Flags()
	flags.Var((*filled)(&filter.UserID), "user", "only events about this `user`")
	flags.Var((*filled)(&status), "status", "only deliveries with this `status`: "+joinStatuses())
	flags.Var((*filled)(&filter.Type), "type", "only events of this `type`, such as user.invited")
	flags.Var((*filled)(&filter.Tenant), "tenant", "only events of this `tenant`")
	flags.IntVar(&filter.Limit, "limit", outbox.DefaultLimit, "show at most `n` deliveries")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func joinStatuses() string {
	var words []string
	for _, s := range statuses {
		words = append(words, string(s))
	}
	return strings.Join(words, ", ")
}

func (p *program) log(ctx context.Context, filter outbox.Filter, asJSON bool) error {
	cfg, db, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()

	list, out := newLogTable(filter), newEncoder(p.stdout)
	show := list.add
	if asJSON {
		show = func(d *outbox.Delivery) error { return out.Encode(d) }
	}
	more, err := eachDelivery(ctx, db, filter, show)
	switch {
	case err != nil:
		return err
	case asJSON:
	case len(list.rows) == 0:
		return p.sayLogEmpty(ctx, cfg, db, filter)
	default:
		err = list.write(p.stdout, terminalWidth(p.stdout), inColor(p.stdout))
	}
	if more && err == nil {
		p.note("%d shown, there are more: --limit N", filter.Limit)
	}
	return err
}

// eachDelivery reads the log page by page, so that memory holds no more than one page of payloads. It returns whether
// there are more than the filter's limit.
func eachDelivery(ctx context.Context, db *pgxpool.Pool, filter outbox.Filter, do func(*outbox.Delivery) error) (more bool, err error) {
	for left := filter.Limit; ; left -= logPage {
		filter.Limit = min(left, logPage-1) + 1 // One more than is left tells whether there are more.
		page, err := outbox.Log(ctx, db, filter)
		if err != nil {
			return false, err
		}
		for i := range page {
			if i == left {
				return true, nil
			}
			if err := do(&page[i]); err != nil {
				return false, err
			}
		}
		if len(page) < filter.Limit {
			return false, nil
		}
		filter.Before = page[len(page)-1].Cursor()
	}
}

// logTable is the log as a table.
type logTable struct {
	table
	oneTenant bool // Asked for: then there is no need to repeat it.
}

func newLogTable(filter outbox.Filter) *logTable {
	return &logTable{oneTenant: filter.Tenant != "", table: table{lastBelow: 3, columns: []column{
		{title: "CREATED", leaving: 3},
		{title: "EVENT TYPE", min: 12},
		{title: "TENANT", min: 8, leaving: 4},
		{title: "USER", min: 8, leaving: 2},
		{title: "URL", min: 18, leaving: 5},
		{title: "STATUS"},
		{title: "TRIES", leaving: 1, right: true},
		{title: "RESULT"},
		{title: "DELIVERY"},
	}}}
}

func (t *logTable) add(d *outbox.Delivery) error {
	tenant := d.Tenant
	if t.oneTenant || tenant == "default" {
		tenant = ""
	}
	t.table.add(
		cell{text: formatTime(shortTime, &d.CreatedAt)},
		cell{text: d.EventType},
		cell{text: tenant},
		cell{text: deref(d.UserID)},
		cell{text: d.URL},
		cell{text: string(d.Status), color: statusColor(d.Status)},
		cell{text: strconv.Itoa(d.Attempts)},
		cell{text: result(d)},
		cell{text: d.DeliveryID.String()},
	)
	return nil
}

// result is what the last attempt came to, in a word.
func result(d *outbox.Delivery) string {
	switch {
	case d.ResponseCode != nil:
		return strconv.Itoa(*d.ResponseCode)
	case d.ErrorClass != nil:
		return string(*d.ErrorClass)
	}
	return ""
}

func statusColor(s outbox.Status) color {
	switch s {
	case outbox.StatusAccepted:
		return green
	case outbox.StatusRejected, outbox.StatusFailed:
		return red
	case outbox.StatusRetrying:
		return yellow
	}
	return faint
}

// sayLogEmpty says why there may be nothing, and what to do next.
func (p *program) sayLogEmpty(ctx context.Context, cfg *config.Config, db *pgxpool.Pool, filter outbox.Filter) error {
	if filter.UserID+filter.Type+filter.Tenant+string(filter.Status) != "" {
		_, err := fmt.Fprintln(p.stdout, "No delivery fits. `relay log` without flags shows the newest of all.")
		return err
	}
	there, err := store.LookForBeginnings(ctx, db)
	if err != nil {
		return err
	}
	slot, err := store.FindSlot(ctx, db, cfg.Replication.Slot)
	if err != nil {
		return err
	}
	next := "No subscription took the events there are:\n  relay subscriptions list\n"
	switch {
	case !there.Subscriptions:
		next = "Nobody is subscribed:\n" + howToSubscribe
	case slot == nil || !slot.Active:
		next = "No relay is at work:\n  relay run\n"
	case !there.Events:
		next = "No event is there either. In SQL:\n  SELECT outbox.emit('user.invited', '{\"email\": \"ada@example.com\"}');\n"
	}
	_, err = fmt.Fprintf(p.stdout, "Nothing has been sent yet. %s", next)
	return err
}
