package console

import (
	"errors"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
)

const (
	// shownPayload is how much of a payload a page shows, in characters.
	shownPayload = 128 << 10
	// downloadedPayload is how much can be downloaded, in bytes: it is held in memory.
	downloadedPayload = 16 << 20
	// latestTries is how many attempts leave the payload in sight.
	latestTries = 5
)

// deliveryView is one delivery.
type deliveryView struct {
	*store.DeliveryDetail
	Title    string
	Pretty   template.HTML // The payload.
	Cut      bool          // Only the beginning of it is shown.
	CanSave  bool          // It is short enough to be downloaded.
	Body     string        // As it is sent.
	Headers  []headerLine
	Tries    []attemptView // The latest ones.
	Earlier  []attemptView // The others.
	Siblings []logRowView  // Other deliveries of the same event.
	Replays  []logRowView  // Those that replay this one.
	NoReplay string        // Why it can't be replayed.
	Error    string
	UserLink string
	Waiting  bool
}

// TriesMade is how many attempts there were; for templates.
func (v *deliveryView) TriesMade() int { return len(v.Tries) + len(v.Earlier) }

// headerLine is a header of the request. What is not shown has a reason.
type headerLine struct{ Name, Value, Hidden string }

type attemptView struct {
	store.AttemptRow
	Error  string
	Reason string // The status code's name.
	Next   string // How long after this the next one came.
	Last   bool   // There is none after it.
}

func (c *Console) deliveryPage(w http.ResponseWriter, r *request) error {
	id, err := r.pathID()
	if err != nil {
		return err
	}
	view, err := c.deliveryView(r, id)
	if err != nil {
		return err
	}
	c.render(w, r, http.StatusOK, "delivery", page{Title: view.EventType + " · " + string(view.Status), Tab: "log", Body: view})
	return nil
}

func (c *Console) deliveryView(r *request, id uuid.UUID) (*deliveryView, error) {
	d, err := store.FindDelivery(r.Context(), c.db, r.scope(), id, shownPayload)
	if err != nil {
		return nil, err
	}
	view := &deliveryView{
		DeliveryDetail: d, Title: d.EventType, Cut: d.PayloadLength > shownPayload, CanSave: d.PayloadLength <= downloadedPayload,
		NoReplay: noReplay(d), Error: tellError(r, d.ErrorClass, derefOr(d.Error, "")),
		Waiting: d.Status == outbox.StatusPending || d.Status == outbox.StatusRetrying,
	}
	if d.UserID != nil {
		view.UserLink = userLink(r, *d.UserID)
	}
	if d.HasEvent {
		view.Pretty = prettyJSON(d.Payload)
		view.Body = string(c.engine.Preview(d.EventID, d.EventType, d.EventCreatedAt, []byte(d.Payload)))
	}
	attempts, err := store.FindAttempts(r.Context(), c.db, r.scope(), id)
	if err != nil {
		return nil, err
	}
	view.Tries = attemptViews(r, attempts)
	if len(view.Tries) > latestTries+1 { // One alone is not worth hiding.
		view.Tries, view.Earlier = view.Tries[:latestTries], view.Tries[latestTries:]
	}
	view.Headers = c.requestHeaders(d, attempts)
	siblings, err := store.FindSiblings(r.Context(), c.db, r.scope(), d.EventID, d.EventCreatedAt)
	if err != nil {
		return nil, err
	}
	for _, other := range logRowViews(r, siblings) {
		switch {
		case other.ID == id:
		case other.ReplayOf != nil && *other.ReplayOf == id:
			view.Replays = append(view.Replays, other)
		default:
			view.Siblings = append(view.Siblings, other)
		}
	}
	return view, nil
}

// noReplay says why a replay is of no use.
func noReplay(d *store.DeliveryDetail) string {
	switch {
	case !d.HasEvent:
		return "The event was removed after the retention, so it can't be sent again."
	case !d.HasSubscription:
		return "Its webhook was removed, so a replay would be cancelled."
	case !d.Active:
		return "Its webhook is switched off, so a replay would be cancelled. Switch it on first."
	}
	return ""
}

// attemptViews are the attempts, the last one first.
func attemptViews(r *request, attempts []store.AttemptRow) []attemptView {
	all := make([]attemptView, len(attempts))
	for i, a := range attempts {
		all[i] = attemptView{AttemptRow: a, Error: tellError(r, a.ErrorClass, derefOr(a.Error, ""))}
		if a.ResponseCode != nil {
			all[i].Reason = http.StatusText(*a.ResponseCode)
		}
		all[i].Last = i+1 == len(attempts)
		if !all[i].Last {
			ended := a.StartedAt.Add(time.Duration(a.DurationMS) * time.Millisecond)
			all[i].Next = durationText(attempts[i+1].StartedAt.Sub(ended).Round(100 * time.Millisecond))
		}
	}
	slices.Reverse(all)
	return all
}

// requestHeaders are those of the last attempt, or of the one to come.
func (c *Console) requestHeaders(d *store.DeliveryDetail, attempts []store.AttemptRow) []headerLine {
	timestamp := headerLine{Name: "webhook-timestamp", Hidden: "the time of the attempt, in Unix seconds"}
	if n := len(attempts); n > 0 {
		timestamp = headerLine{Name: "webhook-timestamp", Value: strconv.FormatInt(attempts[n-1].StartedAt.Unix(), 10)}
	}
	all := []headerLine{
		{Name: "content-type", Value: "application/json"},
		{Name: "user-agent", Value: "relay/" + c.version},
		{Name: "webhook-id", Value: d.EventID.String()},
		timestamp,
		{Name: "webhook-signature", Hidden: "made anew for each attempt and kept nowhere: whoever has one could send this event as the relay does"},
	}
	if d.Traceparent != "" {
		all = append(all, headerLine{Name: "traceparent", Value: d.Traceparent})
	}
	for _, h := range headerFields(d.Headers) {
		all = append(all, headerLine{Name: strings.ToLower(h.Name), Hidden: "the webhook's own; not shown, since it may be a secret"})
	}
	return all
}

// replay makes a new delivery of the same event and leads to it.
func (c *Console) replay(w http.ResponseWriter, r *request) error {
	id, err := r.pathID()
	if err != nil {
		return err
	}
	d, err := store.FindDelivery(r.Context(), c.db, r.scope(), id, 0)
	if err != nil {
		return err
	}
	if why := noReplay(d); why != "" {
		return &pageError{status: http.StatusConflict, title: "This delivery can't be replayed", text: why,
			link: "/deliveries/" + id.String(), linkText: "Back to the delivery"}
	}
	made, err := store.Replay(r.Context(), c.db, []uuid.UUID{id})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "P0002" || err == nil && len(made) == 0 { // no_data_found
		return errNoDelivery
	}
	if err != nil {
		return err
	}
	c.log.Info("console: delivery replayed", "delivery_id", id, "by", r.viewer.String())
	http.Redirect(w, r.Request, "/deliveries/"+made[0].ID.String()+"?done=replayed", http.StatusSeeOther)
	return nil
}

// downloadPayload gives the payload as it was written, as a file: it is somebody else's, so no browser shows it as a page.
func (c *Console) downloadPayload(w http.ResponseWriter, r *request) error {
	id, err := r.pathID()
	if err != nil {
		return err
	}
	payload, err := store.FindPayload(r.Context(), c.db, r.scope(), id, downloadedPayload)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="payload-`+id.String()+`.json"`)
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	_, _ = w.Write([]byte(payload))
	return nil
}
