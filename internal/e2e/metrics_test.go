package e2e

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
)

var (
	metricName = regexp.MustCompile(`\b(?:relay|process|go)_[a-z_]+\b`)
	selector   = regexp.MustCompile(`\b(\w+)\{([^}]*)\}`)
	labelName  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
	suffix     = regexp.MustCompile(`_(?:bucket|sum|count)$`)
)

// families reads an exposition: the labels of each metric's series.
func families(text string) map[string]map[string]bool {
	found := make(map[string]map[string]bool)
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			found[strings.Fields(name)[0]] = map[string]bool{}
			continue
		}
		if m := selector.FindStringSubmatch(line); m != nil {
			name := m[1]
			if found[name] == nil {
				name = suffix.ReplaceAllString(name, "")
			}
			for _, label := range labelName.FindAllStringSubmatch(m[2], -1) {
				found[name][label[1]] = true
			}
		}
	}
	return found
}

// The metrics of a running relay, the documentation, the alert rules and the dashboard name the same.
func TestMetricsAreWhatIsDocumented(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	relay := start(t, url, slot)
	emit(t, db, "a")
	await(t, "a delivery", func() bool { return r.Len() == 1 })
	var exposed map[string]map[string]bool
	await(t, "it is counted", func() bool {
		response, err := http.Get("http://" + relay.listen + "/metrics")
		require.NoError(t, err)
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		exposed = families(string(text))
		return strings.Contains(string(text), `relay_deliveries_total{status="accepted"} 1`)
	})

	page, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	documented := make(map[string]map[string]bool)
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); strings.HasPrefix(line, "| `") {
			labels := make(map[string]bool)
			for label := range strings.SplitSeq(strings.NewReplacer("`", "", " ", "").Replace(cells[3]), ",") {
				if label != "" {
					labels[label] = true
				}
			}
			documented[strings.Trim(strings.TrimSpace(cells[1]), "`")] = labels
		}
	}
	ours := maps.Clone(exposed)
	maps.DeleteFunc(ours, func(name string, labels map[string]bool) bool {
		delete(labels, "le")
		return !strings.HasPrefix(name, "relay_")
	})
	require.Equal(t, ours, documented, "docs/metrics.md")

	for path, expressions := range map[string][]string{
		"relay.rules.yml": ruleExpressions(t), "relay.json": dashboardExpressions(t),
	} {
		used := make(map[string]bool)
		for _, expr := range expressions {
			for _, name := range metricName.FindAllString(expr, -1) {
				if exposed[name] == nil {
					name = suffix.ReplaceAllString(name, "")
				}
				require.Contains(t, exposed, name, "%s: %s", path, expr)
				used[name] = true
			}
			for _, m := range selector.FindAllStringSubmatch(expr, -1) {
				for _, label := range labelName.FindAllStringSubmatch(m[2], -1) {
					if !slices.Contains([]string{"job", "instance"}, label[1]) {
						require.Contains(t, exposed[m[1]], label[1], "%s: %s", path, expr)
					}
				}
			}
		}
		if path == "relay.json" {
			for name := range ours {
				require.Contains(t, used, name, "the dashboard shows every metric")
			}
		}
	}
}

func ruleExpressions(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/prometheus/relay.rules.yml")
	require.NoError(t, err)
	return []string{string(text)}
}

func dashboardExpressions(t *testing.T) (all []string) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/grafana/relay.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all = append(all, target.Expr)
		}
	}
	return all
}

// Every alert leads to a section of the runbook.
func TestAlertsLeadToTheRunbook(t *testing.T) {
	text, err := os.ReadFile("../../docs/runbook.md")
	require.NoError(t, err)
	anchors := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			anchors[strings.ReplaceAll(strings.ToLower(strings.TrimSpace(title)), " ", "-")] = true
		}
	}
	links := regexp.MustCompile(`docs/runbook\.md#(\S+)`).FindAllStringSubmatch(ruleExpressions(t)[0], -1)
	require.NotEmpty(t, links)
	for _, link := range links {
		require.Contains(t, anchors, link[1])
	}
}
