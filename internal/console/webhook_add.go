package console

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/outboxrelay/relay/internal/check"
	"github.com/outboxrelay/relay/internal/store"
)

// mostOfTenant is how many webhooks a tenant's own people may make. Operators may make more.
const mostOfTenant = 100

func (c *Console) newWebhookPage(w http.ResponseWriter, r *request) error {
	return c.showForm(w, r, http.StatusOK, c.emptyForm(r))
}

// addWebhook makes a webhook and answers with its page and its secret, which is shown in no other answer. Sent again, the
// same form makes no other webhook.
func (c *Console) addWebhook(w http.ResponseWriter, r *request) error {
	f := c.emptyForm(r)
	id := uuid.Must(uuid.NewV7())
	if text, ok := c.gate.Unseal("new webhook", r.PostForm.Get("id")); ok {
		f.ID = r.PostForm.Get("id")
		id = uuid.MustParse(text)
	}
	f.read(r)
	fields := f.check(c, r, nil)
	if len(f.Faults) > 0 {
		return c.showForm(w, r, http.StatusUnprocessableEntity, f)
	}
	tenant, most := f.Tenant, 0
	if !r.viewer.Operator {
		tenant, most = r.viewer.Tenant, mostOfTenant
	}
	secret, err := store.AddWebhook(r.Context(), c.db, r.scope(), id, tenant, fields, most)
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.ConstraintName == "subscriptions_pkey":
		http.Redirect(w, r.Request, "/webhooks/"+id.String()+"?done=added", http.StatusSeeOther)
		return nil
	case errors.Is(err, store.ErrTooMany):
		f.fault("url", "can't be added: there are %d webhooks already, as many as there may be", mostOfTenant)
		return c.showForm(w, r, http.StatusUnprocessableEntity, f)
	case f.refused(err):
		return c.showForm(w, r, http.StatusUnprocessableEntity, f)
	case err != nil:
		return err
	}
	c.log.Info("console: webhook added", "subscription_id", id, "tenant", tenant, "by", r.viewer.String())
	view, err := c.webhookView(r, id)
	if err != nil {
		return err
	}
	view.Secret, view.SecretOf = secret, "added"
	if r.viewer.Operator {
		view.Warning = c.warnOfURL(r.Context(), fields.URL)
	}
	w.Header().Set("Location", "/webhooks/"+id.String())
	return c.showWebhook(w, r, http.StatusCreated, view)
}

// warnOfURL says at once what would else show only when deliveries fail. It is not for tenants: it tells of the network.
func (c *Console) warnOfURL(ctx context.Context, url string) string {
	const patience = 2 * time.Second // A name that takes longer shows in the test.
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	item := check.URL(ctx, c.cfg.Network, url)
	if item.Status == check.OK {
		return ""
	}
	return item.What + "; " + item.Mend.String()
}
