package console

import (
	"embed"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/store"
)

// snippets are the code of docs/receiving.md, where it is tried.
//
//go:embed snippets
var snippetFiles embed.FS

type snippet struct{ Name, Install, Code string }

var snippets = readSnippets()

func readSnippets() []snippet {
	all := []snippet{
		{"JavaScript", "npm install standardwebhooks", "verify.js"},
		{"Python", "pip install standardwebhooks", "verify.py"},
		{"Go", "go get github.com/standard-webhooks/standard-webhooks/libraries", "verify.go.txt"},
		{"Ruby", "gem install standardwebhooks", "verify.rb"},
		{"Shell", "", "verify.sh"},
	}
	for i := range all {
		text, err := snippetFiles.ReadFile("snippets/" + all[i].Code)
		if err != nil {
			panic(err) // It is part of the program.
		}
		all[i].Code = string(text)
	}
	return all
}

// docsView is what subscribers have to know.
type docsView struct {
	Groups   []typeGroup
	Types    []docsType
	Envelope bool
	Example  template.HTML // A body.
	Snippets []snippet
	Accept   []string
	RetryOn  []string
	Retries  bool // Somebody who can't be reached is tried again.
	Disable  []string
	Timeout  string
	AtOnce   int
	Attempts int
	Delays   []string
	Lasting  string
	Operator bool
}

type docsType struct {
	store.CatalogueEntry
	Pretty, Body, SchemaHTML template.HTML
}

// docsID is an event's id in examples.
var docsID = uuid.MustParse("0199c82c-c07b-7d52-9a53-0f7a2d1c8e44")

func (c *Console) docsPage(w http.ResponseWriter, r *request) error {
	all, err := c.catalogue(r.Context())
	if err != nil {
		return err
	}
	d := c.cfg.Delivery
	view := docsView{
		Groups: groupTypes(all), Envelope: d.Body == config.BodyEnvelope, Snippets: snippets, Accept: d.Accept, Disable: d.DisableOn,
		Timeout: durationText(d.Timeout), AtOnce: d.ConcurrencyPerSubscription, Operator: r.viewer.Operator,
		Retries: c.policy.RetryUnreachable, Attempts: d.Retry.Max + 1,
	}
	view.RetryOn = slices.DeleteFunc(slices.Clone(d.RetryOn), func(code string) bool { return code == "unreachable" })
	var sum time.Duration
	for n := 1; n <= d.Retry.Max; n++ {
		delay := c.policy.Schedule.Delay(n)
		if sum += delay; n <= 3 {
			view.Delays = append(view.Delays, delayText(delay))
		}
	}
	view.Lasting = durationText(sum)
	example := ping
	if len(all) > 0 {
		example = all[0]
	}
	view.Example = c.exampleBody(example)
	for _, t := range all {
		doc := docsType{CatalogueEntry: t, Pretty: prettyJSON(t.Sample), Body: c.exampleBody(t)}
		if t.Schema != "" {
			doc.SchemaHTML = prettyJSON(t.Schema)
		}
		view.Types = append(view.Types, doc)
	}
	c.render(w, r, http.StatusOK, "docs", page{Title: "Docs", Tab: "docs", Body: view})
	return nil
}

func (c *Console) exampleBody(t store.CatalogueEntry) template.HTML {
	at := time.Date(2025, 10, 9, 8, 53, 20, 123_000_000, time.UTC)
	return prettyJSON(string(c.engine.Preview(docsID, t.Type, at, []byte(t.Sample))))
}

// delayText says a delay in whole seconds while those are few.
func delayText(d time.Duration) string {
	if d < 100*time.Second && d%time.Second == 0 {
		return strconv.Itoa(int(d.Seconds())) + "\u00a0s"
	}
	return durationText(d)
}
