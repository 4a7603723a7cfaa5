package console

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
	"github.com/outboxrelay/relay/relay"
)

// testView is what a test came to.
type testView struct {
	Type     string
	URL      string
	Accepted bool
	Code     int // 0: there was no answer.
	Reason   string
	Took     string
	Class    outbox.ErrorClass
	Error    string
	Meaning  string // What would become of a delivery.
	Answer   string
	Fault    string // Nothing was sent.
	At       time.Time
}

var errTooManyTests = &pageError{status: http.StatusTooManyRequests, title: "Too many tests at the same time", text: "Try again in a moment."}

// testWebhook sends a sample to the webhook's URL and shows what it answers. Nothing of it is recorded.
func (c *Console) testWebhook(w http.ResponseWriter, r *request) error {
	id, err := r.pathID()
	if err != nil {
		return err
	}
	target, err := store.FindWebhookTarget(r.Context(), c.db, r.scope(), id)
	if err != nil {
		return err
	}
	sample, err := c.sample(r.Context(), r.PostForm.Get("type"))
	if err != nil {
		return err
	}
	select {
	case c.tests <- struct{}{}:
		defer func() { <-c.tests }()
	default:
		return errTooManyTests
	}
	tested := c.test(r, target, sample)
	if r.isFragment() {
		c.renderFragment(w, http.StatusOK, "test_result", tested)
		return nil
	}
	view, err := c.webhookView(r, id)
	if err != nil {
		return err
	}
	view.Tested = tested
	return c.showWebhook(w, r, http.StatusOK, view)
}

// sample finds the event type that is to be sent.
func (c *Console) sample(ctx context.Context, eventType string) (store.CatalogueEntry, error) {
	all, err := c.catalogue(ctx)
	if err != nil {
		return store.CatalogueEntry{}, err
	}
	if len(all) == 0 {
		return ping, nil
	}
	at := slices.IndexFunc(all, func(e store.CatalogueEntry) bool { return e.Type == eventType })
	if at < 0 {
		return store.CatalogueEntry{}, errBadRequest
	}
	return all[at], nil
}

func (c *Console) test(r *request, s *store.WebhookTarget, sample store.CatalogueEntry) *testView {
	view := &testView{Type: sample.Type, URL: s.URL, At: time.Now()}
	target, err := relay.NewTarget(s.URL, s.Secret, s.PreviousSecret, s.Headers)
	if err != nil {
		view.Fault = err.Error() // It names the field and shows nothing of it.
		return view
	}
	o := c.engine.Test(r.Context(), target, sample.Type, []byte(sample.Sample))
	view.Accepted, view.Code, view.Reason = c.engine.Accepts(o), o.Code, http.StatusText(o.Code)
	view.Took, view.Class, view.Answer = durationText(o.Duration()), o.Class, o.ResponseBody
	view.Error, view.Meaning = tellError(r, &o.Class, o.Error), meaning(c.policy.Decide(o, 1))
	return view
}

// meaning says what becomes of a delivery whose first attempt comes to the same.
func meaning(d relay.Decision) string {
	switch {
	case d.Status == outbox.StatusAccepted && d.Disable:
		return "A delivery would be accepted, and the webhook switched off."
	case d.Status == outbox.StatusAccepted:
		return "A delivery would be accepted."
	case d.Disable:
		return "A delivery would be rejected, and the webhook switched off."
	case d.Status == outbox.StatusRejected:
		return "A delivery would be rejected, and not tried again."
	case d.Status == outbox.StatusRetrying:
		return "A delivery would be tried again after " + delayText(d.Delay) + "."
	}
	return "A delivery would fail, and not be tried again."
}

// tellError is an attempt's error as the viewer may know it: which private address a name leads to is not for tenants.
func tellError(r *request, class *outbox.ErrorClass, text string) string {
	if class != nil && *class == outbox.ClassBlocked && !r.viewer.Operator {
		return "the address is one that is not delivered to"
	}
	return text
}
