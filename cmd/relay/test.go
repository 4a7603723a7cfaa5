package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
	"github.com/outboxrelay/relay/relay"
)

// ping is what a test sends where the catalogue has nothing that fits.
var ping = store.EventType{Type: "ping", Sample: `{"message": "This is a test event from relay."}`}

func newTestCommand(p *program) *cobra.Command {
	var eventType, tenant string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "test NAME|ID|URL",
		Short: "Send a sample event to one URL and say what it answers",
		Long: "Send the sample payload of an event type to one subscription or URL, once, and\n" +
			"print the response code and the time taken. Nothing is logged, and no relay\n" +
			"needs to run. The exit code is 0 only where it was accepted. A URL that is\n" +
			"subscribed is sent that subscription's signature and headers; any other, a\n" +
			"signature with a random secret.",
		Example: "  relay test crm\n  relay test https://crm.example.com/hooks --type user.invited",
		Args:    oneArg("which subscription or URL? `relay subscriptions list` shows names and ids"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.test(cmd.Context(), args[0], tenant, eventType, asJSON)
		},
	}
	cmd.Flags().Var((*filled)(&eventType), "type", "the event `type` whose sample is sent (default: the first of the catalogue that fits)")
	tenantFlag(cmd, &tenant)
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) test(ctx context.Context, which, tenant, eventType string, asJSON bool) error {
	if eventType != "" && !eventTypeForm.MatchString(eventType) {
		return usagef("--type %q: is no event type, such as user.invited", eventType)
	}
	cfg, db, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	s, err := testReceiver(ctx, db, which, tenant)
	if err != nil {
		return err
	}
	types, err := p.catalogue(ctx, cfg, db)
	if err != nil {
		return err
	}
	sample, note, err := chooseSample(types, eventType, s)
	if err != nil {
		return err
	}
	if note != "" {
		p.note("%s", note)
	}
	engine, err := relay.New(cfg, relay.Options{Version: thisBuild().Version})
	if err != nil {
		return usageError{err}
	}
	target, err := newTarget(s)
	if err != nil {
		return usagef("cannot be sent to: %w", err)
	}
	o := engine.Test(ctx, target, sample.Type, []byte(sample.Sample))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	t := newTested(s, sample.Type, o, engine.Accepts(o))
	if asJSON {
		err = newEncoder(p.stdout).Encode(t)
	} else {
		p.printTested(s, t)
	}
	if err == nil && !t.Accepted {
		err = errSaid
	}
	return err
}

// testReceiver finds the subscription that is meant. A URL that nobody has subscribed is one for this once.
func testReceiver(ctx context.Context, db *pgxpool.Pool, which, tenant string) (*outbox.Subscription, error) {
	if strings.Contains(which, "://") {
		found, err := store.FindSubscriptions(ctx, db, which, tenant)
		if err != nil {
			return nil, err
		}
		if only := onlyActive(found); only != nil {
			return only, nil
		}
		if len(found) == 0 {
			if err := config.CheckURL(which); err != nil {
				return nil, usagef("cannot be sent to: url: %w", err) // Without the URL: it may hold a password.
			}
			return &outbox.Subscription{URL: which, EventTypes: []string{"*"}, Secret: randomSecret(), Active: true, Name: &which}, nil
		}
	}
	return whichSubscription(ctx, db, which, tenant)
}

// onlyActive returns the one that is on, where the others are not: what a URL had before it was renamed or moved.
func onlyActive(found []outbox.Subscription) *outbox.Subscription {
	var only *outbox.Subscription
	for i := range found {
		if found[i].Active && only != nil {
			return nil
		}
		if found[i].Active {
			only = &found[i]
		}
	}
	return only
}

// randomSecret makes one of 32 bytes, as the database does.
func randomSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // Never fails.
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}

func newTarget(s *outbox.Subscription) (*relay.Target, error) {
	previous := deref(s.PreviousSecret)
	if s.PreviousSecretExpiresAt != nil && time.Now().After(*s.PreviousSecretExpiresAt) {
		previous = ""
	}
	return relay.NewTarget(s.URL, s.Secret, previous, s.Headers)
}

// eventTypeForm is what outbox.events takes for an event type.
var eventTypeForm = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// chooseSample returns the event type asked for; without one, the first that the subscription takes. Where the catalogue
// has neither, it is the plain sample, with a note that says so.
func chooseSample(catalogue []store.EventType, eventType string, s *outbox.Subscription) (sample store.EventType, note string, err error) {
	var types []string
	for _, t := range catalogue {
		if t.Type == eventType || eventType == "" && matches(s.EventTypes, t.Type) {
			return t, "", nil
		}
		types = append(types, t.Type)
	}
	sample = ping
	if eventType != "" {
		sample.Type = eventType
	}
	switch has := strings.Join(types, ", "); {
	case len(types) == 0:
		return sample, "", nil
	case eventType == "":
		note = fmt.Sprintf("%s takes none of the event types of the catalogue (%s): a plain sample is sent", s, has)
	case subscribed(s) && matches(s.EventTypes, eventType):
		note = fmt.Sprintf("the catalogue has no %s (it has %s): a plain sample is sent", eventType, has)
	default:
		return sample, "", usagef("--type %q: the catalogue has no such event type; it has %s", eventType, has)
	}
	return sample, note, nil
}

// subscribed tells a subscription from a URL that is tested without one.
func subscribed(s *outbox.Subscription) bool { return !s.CreatedAt.IsZero() }

// matches says whether one of the patterns takes an event type.
func matches(patterns []string, eventType string) bool {
	for _, p := range patterns {
		name, under := strings.CutSuffix(p, "*")
		if p == eventType || under && strings.HasPrefix(eventType, name) {
			return true
		}
	}
	return false
}

// tested is the outcome of a test, as JSON.
type tested struct {
	Subscription *string `json:"subscription_id"`
	URL          string  `json:"url"`
	EventType    string  `json:"event_type"`
	Accepted     bool    `json:"accepted"`
	ResponseCode *int    `json:"response_code"`
	DurationMS   int64   `json:"duration_ms"`
	ErrorClass   *string `json:"error_class"`
	Error        *string `json:"error"`
	ResponseBody string  `json:"response_body"`
}

func newTested(s *outbox.Subscription, eventType string, o relay.Outcome, accepted bool) tested {
	t := tested{
		URL: s.URL, EventType: eventType, Accepted: accepted,
		DurationMS: o.EndedAt.Sub(o.StartedAt).Milliseconds(), ResponseBody: o.ResponseBody,
	}
	if subscribed(s) {
		id := s.ID.String()
		t.Subscription = &id
	}
	if o.Answered() {
		t.ResponseCode = &o.Code
	} else {
		class := string(o.Class)
		t.ErrorClass, t.Error = &class, &o.Error
	}
	return t
}

func (p *program) printTested(s *outbox.Subscription, t tested) {
	_, _ = fmt.Fprintf(p.stdout, "POST %s (%s)\n", printable(t.URL), t.EventType)
	took := formatDuration(time.Duration(t.DurationMS) * time.Millisecond)
	switch {
	case t.ResponseCode == nil:
		_, _ = fmt.Fprintf(p.stdout, "not reached: %s: %s, after %s\n", *t.ErrorClass, printable(*t.Error), took)
	case t.Accepted:
		_, _ = fmt.Fprintf(p.stdout, "accepted: %s in %s\n", formatCode(*t.ResponseCode), took)
	default:
		_, _ = fmt.Fprintf(p.stdout, "not accepted: %s in %s\n", formatCode(*t.ResponseCode), took)
	}
	if t.ResponseBody != "" {
		_, _ = fmt.Fprintln(p.stdout)
		block(p.stdout, "  ", t.ResponseBody)
	}
	if !s.Active {
		_, _ = fmt.Fprintf(p.stderr, "relay: warning: %s is switched off: it receives no events\n", printable(s.String()))
	}
}
