package console

import (
	"slices"
	"strings"

	"github.com/outboxrelay/relay/internal/store"
)

// whereIs is the page of what somebody looks for.
func (c *Console) whereIs(r *request, text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "/log", nil
	}
	if id, err := parseID(strings.ToLower(text)); err == nil {
		found, err := store.FindID(r.Context(), c.db, r.scope(), id)
		if err != nil {
			return "", err
		}
		switch found.Kind {
		case "delivery":
			return "/deliveries/" + id.String(), nil
		case "event":
			return "/log?event=" + id.String(), nil
		case "subscription":
			return "/webhooks/" + id.String(), nil
		}
	}
	f := logFilter{User: text}
	if strings.Contains(text, "://") || strings.Contains(text, "/") {
		f = logFilter{URL: text}
	}
	known, err := c.knowsType(r, text)
	if err != nil {
		return "", err
	}
	if known {
		f = logFilter{Type: text}
	}
	if f.User != "" {
		return userLink(r, text), nil
	}
	return logAddress(f.query()), nil
}

// knowsType says whether a text is an event type of the catalogue, or a pattern of several.
func (c *Console) knowsType(r *request, text string) (bool, error) {
	all, err := c.catalogue(r.Context())
	if err != nil {
		return false, err
	}
	return eventPattern.MatchString(text) && (strings.HasSuffix(text, ".*") ||
		slices.ContainsFunc(all, func(e store.CatalogueEntry) bool { return e.Type == text })), nil
}
