package console

import (
	"context"
	"slices"
	"strings"

	"github.com/outboxrelay/relay/internal/store"
)

// catalogue returns the event types that are documented: those of the database, and those of relay.yaml that the relay
// has not written there yet.
func (c *Console) catalogue(ctx context.Context) ([]store.CatalogueEntry, error) {
	all, err := store.ListCatalogue(ctx, c.db)
	if err != nil {
		return nil, err
	}
	for _, t := range c.cfg.EventTypes {
		if !slices.ContainsFunc(all, func(e store.CatalogueEntry) bool { return e.Type == t.Type }) {
			all = append(all, store.CatalogueEntry{Type: t.Type, Description: t.Description, Sample: t.Sample})
		}
	}
	slices.SortFunc(all, func(a, b store.CatalogueEntry) int { return strings.Compare(a.Type, b.Type) })
	return all, nil
}

// ping is what a test sends where no event type is documented.
var ping = store.CatalogueEntry{Type: "ping", Description: "A test.", Sample: `{"message": "This is a test event from relay."}`}

// wants says whether one of a subscription's patterns takes an event type.
func wants(patterns []string, eventType string) bool {
	for _, p := range patterns {
		name, under := strings.CutSuffix(p, "*")
		if p == eventType || under && strings.HasPrefix(eventType, name) {
			return true
		}
	}
	return false
}

// typeGroup is the event types that share the name before the first dot.
type typeGroup struct {
	Name  string // Empty for those without a dot.
	Types []store.CatalogueEntry
}

func groupTypes(all []store.CatalogueEntry) []typeGroup {
	var groups []typeGroup
	for _, t := range all {
		name, _, under := strings.Cut(t.Type, ".")
		if !under {
			name = ""
		}
		at := slices.IndexFunc(groups, func(g typeGroup) bool { return g.Name == name })
		if at < 0 {
			groups, at = append(groups, typeGroup{Name: name}), len(groups)
		}
		groups[at].Types = append(groups[at].Types, t)
	}
	return groups
}
