package console_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/access"
	"github.com/outboxrelay/relay/internal/console"
	"github.com/outboxrelay/relay/internal/httpserver"
	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
	"github.com/outboxrelay/relay/relay"
)

// axe checks accessibility: axe-core, from npm, with its licence beside it.
//
//go:embed testdata/axe.min.js
var axe string

// patience is what a browser may take on a machine that is busy.
const patience = 60 * time.Second

// startBrowser starts Chromium, which ends with the test. A machine without it fails the test: nothing else looks at the
// pages as people do.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WSURLReadTimeout(patience))
	if path := os.Getenv("RELAY_TEST_BROWSER"); path == "none" {
		t.Skip("RELAY_TEST_BROWSER=none: the console is not looked at in a browser")
	} else if path != "" {
		options = append(options, chromedp.ExecPath(path))
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	browser, quit := chromedp.NewContext(allocator)
	t.Cleanup(quit)
	err := chromedp.Do(browser, chromedp.Navigate("about:blank"))
	require.NoError(t, err, "this test needs Chromium or Chrome: apt-get install chromium, or name one in RELAY_TEST_BROWSER; none does without")
	return browser
}

// tab is a page that a person looks at.
type tab struct {
	t   *testing.T
	ctx context.Context
	url string
}

func newTab(t *testing.T, browser context.Context, url string) *tab {
	t.Helper()
	ctx, done := chromedp.NewContext(browser)
	t.Cleanup(done)
	ctx, cancel := context.WithTimeout(ctx, 4*patience)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx)) // The tab lives as long as the context that it is made with.
	return &tab{t, ctx, url}
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	require.NoError(p.t, chromedp.Do(ctx, steps...))
}

func (p *tab) open(path string) {
	p.t.Helper()
	p.do(chromedp.Navigate(p.url+path), chromedp.WaitReady(chromedp.CSS("main")))
}

func (p *tab) click(selector chromedp.CSS) { p.t.Helper(); p.do(chromedp.Click(selector)) }

func (p *tab) write(selector chromedp.CSS, text string) {
	p.t.Helper()
	p.do(chromedp.SendKeys(selector, text))
}

func (p *tab) wait(selector chromedp.CSS) { p.t.Helper(); p.do(chromedp.WaitVisible(selector)) }

func evaluate[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	require.NoError(p.t, err, expression)
	return v
}

// until waits for an expression to be true.
func (p *tab) until(expression string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		defer cancel()
		is, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		return err == nil && is // An error comes where the page is just being replaced.
	}, patience, 50*time.Millisecond, expression)
}

// contains waits until the page says something.
func (p *tab) contains(text string) {
	p.t.Helper()
	quoted, err := json.Marshal(text)
	require.NoError(p.t, err)
	p.until("document.body.innerText.includes(" + string(quoted) + ")")
}

func (p *tab) emulate(theme string, width int64, scripts bool) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(width, 844), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
		})
		if err != nil {
			return err
		}
		_, err = chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !scripts})
		return err
	}))
}

// startRelay runs a relay with its console, until the test ends.
func startRelay(t *testing.T, change func(*config.Config)) *site {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	cfg := config.Default()
	cfg.Database.URL = pgtest.URL(t)
	cfg.Replication.Slot = pgtest.Slot(t)
	cfg.Network.Allow = []string{"127.0.0.0/8"}
	cfg.EventTypes = []config.EventType{{Type: "user.invited", Description: "A user was invited.", Sample: `{"email": "ada@example.com"}`}}
	change(cfg)
	engine, err := relay.New(cfg, relay.Options{Version: "1.2.3"})
	require.NoError(t, err)
	gate, err := access.New(cfg.HTTP)
	require.NoError(t, err)
	s := &site{t: t, db: pgtest.Pool(t, cfg.Database.URL), cfg: cfg, url: "http://" + listener.Addr().String()}
	pages, err := console.New(console.Options{Config: cfg, Gate: gate, DB: s.db, Engine: engine, Version: "1.2.3", Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- engine.Run(ctx) }()
	go func() {
		ended <- httpserver.New(httpserver.Options{Ready: engine.Ready, Root: pages}).Serve(ctx, listener)
	}()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
		require.NoError(t, <-ended)
	})
	require.Eventually(t, func() bool { ready, _ := engine.Ready(); return ready }, patience, 20*time.Millisecond)
	return s
}

func TestInABrowser(t *testing.T) {
	browser := startBrowser(t)
	got := receiver.New(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("thanks <script>window.pwned=1</script>"))
	}))
	s := startRelay(t, func(*config.Config) {})
	t.Run("from the first URL to a replay", func(t *testing.T) { journey(t, browser, s, got) })
	t.Run("without JavaScript", func(t *testing.T) { withoutScripts(t, browser, s, got) })
	t.Run("hostile data runs nowhere", func(t *testing.T) { hostileData(t, browser, s) })
	t.Run("accessible, and fits a phone", func(t *testing.T) { accessible(t, browser, s) })
}

func journey(t *testing.T, browser context.Context, s *site, got *receiver.Receiver) {
	p := newTab(t, browser, s.url)
	p.open("/")
	p.contains("No URL is subscribed yet")
	p.click("a.primary")
	p.wait("#f-url")
	p.write("#f-url", "example.com/x")
	p.click("[data-which-some]")
	p.write("#f-name", "crm")
	p.click(".form .primary")
	p.contains("must begin with http:// or https://")
	require.Equal(t, "example.com/x", evaluate[string](p, `document.querySelector("#f-url").value`))
	p.do(chromedp.SetValue(chromedp.CSS("#f-url"), got.URL()))
	p.click(`[value="user.*"]`)
	require.True(t, evaluate[bool](p, `document.querySelector('[value="user.invited"]').disabled`), "user.* covers it")
	p.click(".form .primary")
	p.contains("it is not shown again")
	shown := evaluate[string](p, `document.querySelector(".secret code").innerText`)
	require.Equal(t, value[string](s, `SELECT secret FROM outbox.subscriptions`), shown)
	p.until(`location.pathname.startsWith("/webhooks/0")`)
	p.emulate("light", 375, true)
	p.until(`document.documentElement.scrollWidth <= 375`)
	p.emulate("light", 1280, true)

	p.click("#test button")
	p.wait("#test-result .tested.good")
	p.contains("200 OK")
	require.NoError(t, got.WaitFor(1)[0].Verify(shown))

	p.do(chromedp.Reload(), chromedp.WaitReady(chromedp.CSS("main")))
	require.False(t, evaluate[bool](p, `document.body.innerText.includes("whsec_")`), "the secret is gone after a reload")
	require.Equal(t, 1, value[int](s, `SELECT count(*) FROM outbox.subscriptions`))

	p.open("/log")
	p.contains("Nothing was sent yet")
	evaluate[bool](p, `(window.fetch = ((real) => () => { window.fetch = real; return Promise.reject(); })(window.fetch), true)`)
	s.exec(`SELECT outbox.emit('user.invited', '{"email": "ada@example.com"}', 'user-42')`)
	p.contains("Not up to date") // Once: the next time it is answered.
	p.wait("tr[data-row]")       // By itself: the log is live.
	p.contains("user-42")
	p.until(`document.querySelector("tr[data-row] .badge").innerText === "accepted"`)
	p.click("[data-live-switch]")
	s.exec(`SELECT outbox.emit('user.invited', '{}', 'user-43')`)
	got.WaitFor(3)
	require.Never(t, func() bool { return evaluate[int](p, `document.querySelectorAll("tr[data-row]").length`) > 1 }, 2100*time.Millisecond, 300*time.Millisecond,
		"paused")
	p.click("[data-live-switch]")
	p.until(`document.querySelectorAll("tr[data-row]").length === 2`)

	p.click(`a[href="/users/user-42"]`)
	p.contains("WHERE user_id = 'user-42'")
	p.click("a.row")
	p.contains("1 attempt")
	require.False(t, evaluate[bool](p, `!!window.pwned`))
	p.click(`form[action$="/replay"] button`)
	p.contains("this is the new delivery of the same event")
	p.contains("A replay of an earlier delivery")
	got.WaitFor(4)

	p.do(chromedp.KeyEvent("g"), chromedp.KeyEvent("w"))
	p.until(`location.pathname === "/" && document.querySelector("[data-keys-open]:not([hidden])")`) // The script has run.
	p.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("\r"))
	p.until(`location.pathname.startsWith("/webhooks/")`)
	p.click(`form[action$="/switch"] button`)
	p.contains("Switched off")
	require.False(t, value[bool](s, `SELECT active FROM outbox.subscriptions`))

	p.click("[data-theme-switch]")
	chosen := evaluate[string](p, `document.documentElement.dataset.theme`)
	p.open("/docs")
	require.Equal(t, chosen, evaluate[string](p, `document.documentElement.dataset.theme`), "it is kept")
}

func withoutScripts(t *testing.T, browser context.Context, s *site, got *receiver.Receiver) {
	p := newTab(t, browser, s.url)
	p.emulate("light", 1280, false)
	p.open("/webhooks/new")
	p.write("#f-url", got.URL())
	p.write("#f-name", "plain")
	p.click(".form .primary")
	p.wait(".secret")
	p.click("#test button")
	p.wait(".tested.good")
	p.open("/log?user=user-42")
	text, err := chromedp.Run(p.ctx, chromedp.Text(chromedp.CSS("main")))
	require.NoError(t, err)
	require.Contains(t, text, "UTC")
	p.click("a.row")
	p.wait(".attempts")
	p.open("/")
	p.click(`a[href^="/webhooks/0"]`)
	p.wait("#test")
	p.click(`a[href$="/remove"]`)
	p.wait(".danger.solid")
	p.click(".danger.solid")
	p.wait(".notice.good")
}

func hostileData(t *testing.T, browser context.Context, s *site) {
	webhook, delivery := infest(s)
	p := newTab(t, browser, s.url)
	for _, path := range []string{"/", webhook, webhook + "/edit", webhook + "/remove", "/docs", "/log", "/log?user=%22%3E%3Cimg+src=x+onerror=pwned()%3E",
		delivery, "/users?id=%22%3E%3Cscript%3Epwned()%3C%2Fscript%3E", "/overview"} {
		p.open(path)
		require.False(t, evaluate[bool](p, `!!document.querySelector("img, iframe, object, [onerror], main script")`), path)
		require.Equal(t, 2, evaluate[int](p, `document.scripts.length`), path)
	}
	s.exec(`DELETE FROM outbox.deliveries WHERE event_type = 'evil.type'`) // They would be tried.
	s.exec(`DELETE FROM outbox.subscriptions WHERE url LIKE '%pwned%'`)
}

// accessible looks at every page with axe in light and dark, and at the width of a phone for what does not fit.
func accessible(t *testing.T, browser context.Context, s *site) {
	id := s.subscribe("default", "a11y", "https://a11y.example.com/a/rather/long/path/that/goes/on?and=on&for=ever")
	s.exec(`UPDATE outbox.subscriptions SET headers = '{"X-A": "b"}' WHERE id = $1`, id)
	s.exec(`INSERT INTO outbox.subscription_stats VALUES ($1, date_trunc('hour', now()), gen_random_uuid(), 10, 5, 5, 1, 1)`, id)
	s.exec(`INSERT INTO outbox.relay_stats VALUES (date_trunc('minute', now()), gen_random_uuid(), 60, 600, 60, 60, 0,
	  '{0,0,0,100,0,0,0,0,0,0,0,0,0,0,0}', '{0,0,9,0,0,0,0,0,0,0,0,0,0,0,0}', 12, 34, 5, 2048)`)
	retrying := s.deliver(id, "user.invited", "a-user-with-a-long-identifier-as-some-have@example.com", `{"a": [1, "b", null, true]}`, "retrying")
	for _, status := range []string{"accepted", "rejected", "pending", "failed", "cancelled"} {
		s.deliver(id, "user.invited", "u", `{}`, status)
	}
	hook := "/webhooks/" + id.String()
	p := newTab(t, browser, s.url)
	for _, path := range []string{"/", "/webhooks/new", hook, hook + "/edit", hook + "/rotate", hook + "/remove", "/docs", "/log", "/log?status=unhappy&url=a11y",
		"/log?status=x", "/deliveries/" + retrying.String(), "/users/u", "/users", "/overview", "/nowhere"} {
		for _, theme := range []string{"light", "dark"} {
			p.emulate(theme, 1280, true)
			p.open(path)
			require.Empty(t, p.violations(theme), "%s in %s", path, theme)
		}
		p.emulate("light", 375, true)
		p.until(`innerWidth === 375`)
		require.LessOrEqual(t, evaluate[int](p, `document.documentElement.scrollWidth`), 375, "%s fits a phone", path)
	}
}

// violations are what axe finds that matters, a line each. The colours are all that the dark theme can change.
func (p *tab) violations(theme string) []string {
	p.t.Helper()
	only := ""
	if theme == "dark" {
		only = `runOnly: ["color-contrast"], `
	}
	evaluate[bool](p, axe+"\n;true")
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`axe.run({`+only+`resultTypes: ["violations"]}).then(r => r.violations
		.filter(v => v.impact === "serious" || v.impact === "critical" || v.impact === "moderate")
		.flatMap(v => v.nodes.map(n => v.id + ": " + n.target.join(" ") + " " + (n.any[0]?.message ?? ""))))`, chromedp.EvalAwaitPromise))
	require.NoError(p.t, err)
	for i := range found {
		found[i] = strings.TrimSpace(fmt.Sprintf("%.200s", found[i]))
	}
	return found
}
