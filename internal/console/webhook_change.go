package console

import (
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/outboxrelay/relay/internal/store"
)

// editable finds the webhook in the path, which relay.yaml must not keep.
func (c *Console) editable(r *request) (*store.Webhook, error) {
	id, err := r.pathID()
	if err != nil {
		return nil, err
	}
	webhook, err := store.FindWebhook(r.Context(), c.db, r.scope(), id)
	if err != nil {
		return nil, err
	}
	if webhook.Declared {
		return nil, errDeclared
	}
	return webhook, nil
}

func (c *Console) changed(r *request, id uuid.UUID, what string) {
	c.log.Info("console: webhook "+what, "subscription_id", id, "by", r.viewer.String())
}

func (c *Console) editWebhookPage(w http.ResponseWriter, r *request) error {
	webhook, err := c.editable(r)
	if err != nil {
		return err
	}
	return c.showForm(w, r, http.StatusOK, c.formOf(webhook))
}

func (c *Console) saveWebhook(w http.ResponseWriter, r *request) error {
	webhook, err := c.editable(r)
	if err != nil {
		return err
	}
	seen, err := parseSeen(r.PostForm.Get("seen"))
	if err != nil {
		return err
	}
	f := c.formOf(webhook)
	f.read(r)
	fields := f.check(c, r, webhook.Headers)
	if len(f.Faults) > 0 {
		f.Seen = seenText(seen)
		return c.showForm(w, r, http.StatusUnprocessableEntity, f)
	}
	err = store.SaveWebhook(r.Context(), c.db, r.scope(), webhook.ID, seen, fields)
	switch {
	case errors.Is(err, store.ErrChanged):
		f.Conflict = true // With the version of now: sent again, the form wins.
		return c.showForm(w, r, http.StatusConflict, f)
	case f.refused(err):
		return c.showForm(w, r, http.StatusUnprocessableEntity, f)
	case err != nil:
		return err
	}
	c.changed(r, webhook.ID, "changed")
	return seeWebhook(w, r, webhook.ID, "saved")
}

func seeWebhook(w http.ResponseWriter, r *request, id uuid.UUID, done string) error {
	http.Redirect(w, r.Request, "/webhooks/"+id.String()+"?done="+done, http.StatusSeeOther)
	return nil
}

func (c *Console) switchWebhook(w http.ResponseWriter, r *request) error {
	webhook, err := c.editable(r)
	if err != nil {
		return err
	}
	to := r.PostForm.Get("to")
	if to != "on" && to != "off" {
		return errBadRequest
	}
	err = store.SwitchWebhook(r.Context(), c.db, r.scope(), webhook.ID, to == "on")
	if err != nil && !errors.Is(err, store.ErrChanged) { // It is so already.
		return err
	}
	c.changed(r, webhook.ID, "switched "+to)
	return seeWebhook(w, r, webhook.ID, to)
}

// confirmView asks before something is done that can't be undone.
type confirmView struct {
	*store.Webhook
	Title    string
	Seen     string
	Overlaps []overlap
}

type overlap struct {
	Value, Text string
	Chosen      bool
}

var overlaps = []overlap{
	{"24h", "for another day", true}, {"1h", "for another hour", false}, {"168h", "for another week", false},
	{"0s", "no longer: the secret was exposed", false},
}

func (c *Console) confirm(w http.ResponseWriter, r *request, name, title string) error {
	webhook, err := c.editable(r)
	if err != nil {
		return err
	}
	c.render(w, r, http.StatusOK, name, page{Title: title + " " + webhookTitle(webhook), Tab: "webhooks", Body: confirmView{
		Webhook: webhook, Title: webhookTitle(webhook), Seen: seenText(webhook.UpdatedAt), Overlaps: overlaps,
	}})
	return nil
}

func (c *Console) rotatePage(w http.ResponseWriter, r *request) error {
	return c.confirm(w, r, "rotate", "New secret for")
}

func (c *Console) removePage(w http.ResponseWriter, r *request) error {
	return c.confirm(w, r, "remove", "Remove")
}

// rotateSecret makes a new secret and answers with the webhook's page and the secret, which is shown in no other answer.
func (c *Console) rotateSecret(w http.ResponseWriter, r *request) error {
	webhook, err := c.editable(r)
	if err != nil {
		return err
	}
	seen, err := parseSeen(r.PostForm.Get("seen"))
	if err != nil {
		return err
	}
	lasting, err := time.ParseDuration(r.PostForm.Get("overlap"))
	if err != nil || lasting < 0 || lasting > 30*24*time.Hour {
		return errBadRequest
	}
	secret, err := store.RotateWebhook(r.Context(), c.db, r.scope(), webhook.ID, seen, lasting)
	if errors.Is(err, store.ErrChanged) {
		return &pageError{status: http.StatusConflict, title: "The webhook was changed meanwhile",
			text: "This form was sent before, or somebody else made a change. No new secret was made now.",
			link: "/webhooks/" + webhook.ID.String(), linkText: "Look at the webhook"}
	}
	if err != nil {
		return err
	}
	c.changed(r, webhook.ID, "given a new secret")
	view, err := c.webhookView(r, webhook.ID)
	if err != nil {
		return err
	}
	view.Secret, view.SecretOf = secret, "rotated"
	if view.PreviousSecretExpiresAt != nil {
		view.Until = *view.PreviousSecretExpiresAt
	}
	return c.showWebhook(w, r, http.StatusOK, view)
}

func (c *Console) removeWebhook(w http.ResponseWriter, r *request) error {
	webhook, err := c.editable(r)
	if err != nil {
		return err
	}
	err = store.RemoveWebhook(r.Context(), c.db, r.scope(), webhook.ID)
	if errors.Is(err, store.ErrChanged) {
		return errNoWebhook
	}
	if err != nil {
		return err
	}
	c.changed(r, webhook.ID, "removed")
	http.Redirect(w, r.Request, "/?done=removed", http.StatusSeeOther)
	return nil
}
