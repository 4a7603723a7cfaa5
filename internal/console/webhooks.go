package console

import (
	"html/template"
	"net/http"
	"net/url"

	"github.com/google/uuid"

	"github.com/outboxrelay/relay/internal/store"
)

const (
	// webhooksOnPage is what a person reads without losing the thread.
	webhooksOnPage = 50
	// searchFrom is how many webhooks need a search.
	searchFrom = 8
)

// webhooksView is the list of subscribed URLs.
type webhooksView struct {
	Webhooks     []webhookRow
	Text, Tenant string // What is looked for.
	More         string // The next page's address.
	First        bool   // This is the first page.
	Filtered     bool
	ShowTenant   bool
	AskTenant    bool // There may be tenants to choose from.
	AskText      bool // There are more than a glance takes in.
}

type webhookRow struct {
	*store.Webhook
	Title string // The name, or the URL.
	Spark template.HTML
	Total store.Outcomes
}

func (c *Console) webhooksPage(w http.ResponseWriter, r *request) error {
	filter := store.WebhookFilter{Text: r.Form.Get("q"), Limit: webhooksOnPage + 1}
	if r.viewer.Operator {
		filter.Tenant = r.Form.Get("tenant")
	}
	if after := r.Form.Get("after"); after != "" {
		id, err := parseID(after)
		if err != nil {
			return errBadRequest
		}
		filter.After = id
	}
	found, err := store.Webhooks(r.Context(), c.db, r.scope(), filter)
	if err != nil {
		return err
	}
	view := webhooksView{
		Text: filter.Text, Tenant: filter.Tenant, First: filter.After == uuid.Nil, Filtered: filter.Text != "" || filter.Tenant != "",
		ShowTenant: r.viewer.Operator && severalTenants(found),
	}
	if len(found) > webhooksOnPage {
		found = found[:webhooksOnPage]
		next := url.Values{"after": {found[webhooksOnPage-1].ID.String()}}
		setWhere(next, "q", filter.Text)
		setWhere(next, "tenant", filter.Tenant)
		view.More = "/?" + next.Encode()
	}
	view.AskText = view.Filtered || !view.First || len(found) >= searchFrom
	view.AskTenant = r.viewer.Operator && (view.ShowTenant || view.Tenant != "" || view.More != "" || !view.First)
	if view.Webhooks, err = c.withDays(r, found); err != nil {
		return err
	}
	c.render(w, r, http.StatusOK, "webhooks", page{Title: "Webhooks", Tab: "webhooks", Body: view})
	return nil
}

// withDays adds the last 24 hours to webhooks.
func (c *Console) withDays(r *request, found []store.Webhook) ([]webhookRow, error) {
	ids := make([]uuid.UUID, len(found))
	for i := range found {
		ids[i] = found[i].ID
	}
	days, err := store.Days(r.Context(), c.db, ids)
	if err != nil {
		return nil, err
	}
	rows := make([]webhookRow, len(found))
	for i := range found {
		day := days[found[i].ID]
		rows[i] = webhookRow{Webhook: &found[i], Title: webhookTitle(&found[i]), Spark: spark(day)}
		if day != nil {
			rows[i].Total = day.Total()
		}
	}
	return rows, nil
}

func webhookTitle(w *store.Webhook) string {
	host, rest := splitURL(w.URL)
	return derefOr(w.Name, host+rest)
}

func severalTenants(all []store.Webhook) bool {
	for i := range all {
		if all[i].Tenant != "default" {
			return true
		}
	}
	return false
}

func setWhere(values url.Values, name, value string) {
	if value != "" {
		values.Set(name, value)
	}
}
