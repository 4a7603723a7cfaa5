package console

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/access"
	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/relay"
)

// engine is what the console needs of a relay.
type engine interface {
	Test(ctx context.Context, target *relay.Target, eventType string, sample []byte) relay.Outcome
	Accepts(o relay.Outcome) bool
	Preview(id uuid.UUID, eventType string, createdAt time.Time, payload []byte) []byte
}

// Options are what a console is made of. All but the last are required.
type Options struct {
	Config  *config.Config
	Gate    *access.Gate
	DB      store.DB // A pool.
	Engine  engine
	Version string
	Logger  *slog.Logger // Default: discards.
}

const (
	// requestTimeout bounds what a page may take of the database; a test has delivery.timeout besides.
	requestTimeout = 10 * time.Second
	// maxFormBytes is many times what any form of ours sends.
	maxFormBytes = 256 << 10
	// testsAtOnce keeps tests from taking what deliveries need.
	testsAtOnce = 8
)

// Console serves the pages. It is an http.Handler.
type Console struct {
	cfg     *config.Config
	gate    *access.Gate
	db      store.DB
	engine  engine
	version string
	log     *slog.Logger
	policy  relay.Policy
	csp     string
	tests   chan struct{}
	handler http.Handler
}

// New makes a console. The error is that of settings that were not found valid.
func New(o Options) (*Console, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	policy, err := relay.NewPolicy(o.Config.Delivery)
	if err != nil {
		return nil, err
	}
	c := &Console{
		cfg: o.Config, gate: o.Gate, db: o.DB, engine: o.Engine, version: o.Version, log: o.Logger, policy: policy,
		csp: contentSecurityPolicy(o.Config.HTTP.FrameAncestors), tests: make(chan struct{}, testsAtOnce),
	}
	c.handler = c.guard(c.routes())
	return c, nil
}

// ServeHTTP answers a request.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

func (c *Console) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /static/{version}/{file}", serveStatic)
	mux.HandleFunc("GET /favicon.ico", serveIcon)

	anybody := func(pattern string, h handler) { mux.Handle(pattern, c.handle(h)) }
	anybody("GET /sign-in", c.signInPage)
	anybody("POST /sign-in", c.signIn)
	anybody("POST /sign-out", c.signOut)
	anybody("GET /enter", c.enterPage)
	anybody("POST /enter", c.enter)

	viewer := func(pattern string, h handler) { mux.Handle(pattern, c.handle(c.withViewer(h))) }
	viewer("GET /{$}", c.webhooksPage)
	viewer("GET /webhooks/new", c.newWebhookPage)
	viewer("POST /webhooks", c.addWebhook)
	viewer("GET /webhooks/{id}", c.webhookPage)
	viewer("GET /webhooks/{id}/edit", c.editWebhookPage)
	viewer("POST /webhooks/{id}/edit", c.saveWebhook)
	viewer("POST /webhooks/{id}/switch", c.switchWebhook)
	viewer("GET /webhooks/{id}/rotate", c.rotatePage)
	viewer("POST /webhooks/{id}/rotate", c.rotateSecret)
	viewer("GET /webhooks/{id}/remove", c.removePage)
	viewer("POST /webhooks/{id}/remove", c.removeWebhook)
	viewer("POST /webhooks/{id}/test", c.testWebhook)
	viewer("GET /docs", c.docsPage)
	viewer("GET /log", c.logPage)
	viewer("GET /log/rows", c.logRows)
	viewer("GET /deliveries/{id}", c.deliveryPage)
	viewer("GET /deliveries/{id}/payload", c.downloadPayload)
	viewer("POST /deliveries/{id}/replay", c.replay)
	viewer("GET /find", c.find)

	operator := func(pattern string, h handler) { mux.Handle(pattern, c.handle(c.withViewer(onlyOperators(h)))) }
	operator("GET /users", c.userPage)
	operator("GET /users/{user...}", c.userPage)
	operator("GET /overview", c.overviewPage)
	operator("GET /overview/live", c.overviewLive)

	viewer("/", func(http.ResponseWriter, *request) error { return errNoPage })
	return mux
}
