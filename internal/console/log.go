package console

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/outboxrelay/relay/internal/store"
)

// logOnPage is some screens of deliveries.
const logOnPage = 50

// logView is the event log.
type logView struct {
	Filter     *logFilter
	Chips      []chip
	Statuses   any
	Periods    any
	Types      []store.CatalogueEntry
	Webhooks   []webhookChoice
	OtherHook  bool // The webhook asked for is none of those in the list.
	ShowTenant bool

	logRowsView
	First bool   // This is the newest page.
	Live  string // Where a script asks for the newest page; empty: it does not.
}

// logRowsView is the part of the log that is updated.
type logRowsView struct {
	Rows     []logRowView
	Next     string // The address of what follows; empty: nothing does.
	Full     bool
	Back     time.Time // Where the walk ended, if it had gone on for long enough.
	Empty    bool      // There is nothing at all.
	Filtered bool
	ByUser   bool // On the page of a user, where the user need not be said.
}

type webhookChoice struct{ ID, Text string }

// logRowView is one delivery in a list.
type logRowView struct {
	store.LogRow
	Error      string
	ShowTenant bool
	UserLink   string
	Replay     bool
	ByUser     bool // In a list of one user's, where the user need not be said.
}

func logRowViews(r *request, rows []store.LogRow) []logRowView {
	all := make([]logRowView, len(rows))
	for i, row := range rows {
		all[i] = logRowView{
			LogRow: row, Error: tellError(r, row.ErrorClass, derefOr(row.Error, "")), Replay: row.ReplayOf != nil,
			ShowTenant: r.viewer.Operator && row.Tenant != "default",
		}
		if row.UserID != nil {
			all[i].UserLink = userLink(r, *row.UserID)
		}
	}
	return all
}

// userLink is where all about a user is: a page for operators, the log for others.
func userLink(r *request, id string) string {
	if r.viewer.Operator {
		return userPath(id)
	}
	f := logFilter{User: id}
	return logAddress(f.query())
}

func (c *Console) logPage(w http.ResponseWriter, r *request) error {
	f := readFilter(r)
	view := &logView{
		Filter: &f, Chips: f.chips(), Statuses: statuses, Periods: periods, ShowTenant: r.viewer.Operator, First: r.Form.Get("from_place") == "",
	}
	if err := c.readLog(r, &f, &view.logRowsView); err != nil {
		return err
	}
	var err error
	if view.Types, err = c.catalogue(r.Context()); err != nil {
		return err
	}
	if view.Webhooks, err = c.webhookChoices(r); err != nil {
		return err
	}
	view.OtherHook = f.Webhook != "" && !isAmong(view.Webhooks, f.Webhook)
	if view.First && len(f.Faults) == 0 {
		view.Live = "/log/rows?" + f.query().Encode()
	}
	status := http.StatusOK
	if len(f.Faults) > 0 {
		status = http.StatusUnprocessableEntity
	}
	c.render(w, r, status, "log", page{Title: "Event log", Tab: "log", Body: view})
	return nil
}

// logRows is the newest page of the log alone, for a script.
func (c *Console) logRows(w http.ResponseWriter, r *request) error {
	f := readFilter(r)
	var view logRowsView
	if err := c.readLog(r, &f, &view); err != nil {
		return err
	}
	if len(f.Faults) > 0 {
		return errBadRequest
	}
	c.renderLive(w, r, "log", view)
	return nil
}

// readLog reads a page of the log, unless the filter can't be read.
func (c *Console) readLog(r *request, f *logFilter, view *logRowsView) error {
	filter := f.read(time.Now())
	place, err := parsePlace(r.Form.Get("from_place"))
	if err != nil || len(f.Faults) > 0 {
		return err
	}
	walk, err := c.browse(r, filter, place)
	if err != nil {
		return err
	}
	view.fill(r, walk)
	view.Filtered = !f.Empty()
	view.Empty = len(view.Rows) == 0 && !view.Filtered && place == store.LogPlace{}
	if walk.More {
		next := f.query()
		next.Set("from_place", placeText(walk.Next))
		view.Next = "/log?" + next.Encode()
	}
	return nil
}

func (v *logRowsView) fill(r *request, walk *store.Walk) {
	v.Rows, v.Full = logRowViews(r, walk.Rows), walk.Full
	if walk.More {
		v.Back = walk.Next.At
	}
}

// browse reads the log. The deliveries of one event have its time, so that no others need be walked.
func (c *Console) browse(r *request, filter store.LogFilter, place store.LogPlace) (*store.Walk, error) {
	if filter.EventID != uuid.Nil {
		found, err := store.FindID(r.Context(), c.db, r.scope(), filter.EventID)
		if err != nil {
			return nil, err
		}
		if found.Kind == "event" {
			filter.From, filter.To = found.At, found.At.Add(time.Microsecond)
		}
	}
	return store.Browse(r.Context(), c.db, r.scope(), filter, place, logOnPage)
}

// webhookChoices are the webhooks to filter by: no more than a list can hold; the address takes any.
func (c *Console) webhookChoices(r *request) ([]webhookChoice, error) {
	const most = 100
	found, err := store.Webhooks(r.Context(), c.db, r.scope(), store.WebhookFilter{Limit: most})
	if err != nil {
		return nil, err
	}
	choices := make([]webhookChoice, len(found))
	for i := range found {
		text := webhookTitle(&found[i])
		if found[i].Name == nil {
			text = found[i].URL
		}
		if r.viewer.Operator && found[i].Tenant != "default" {
			text += " (" + found[i].Tenant + ")"
		}
		choices[i] = webhookChoice{found[i].ID.String(), text}
	}
	return choices, nil
}

// find leads to what an id, a URL, an event type or a user's id belongs to.
func (c *Console) find(w http.ResponseWriter, r *request) error {
	text := r.Form.Get("q")
	to, err := c.whereIs(r, text)
	if err != nil {
		return err
	}
	http.Redirect(w, r.Request, to, http.StatusSeeOther)
	return nil
}
