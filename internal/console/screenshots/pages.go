//go:build unix

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/outboxrelay/relay/internal/access"
)

const webhook = "/webhooks/0199c82c-0000-7000-8000-000000000" // And three figures.

func click(selector chromedp.CSS) step              { return chromedp.Click(selector) }
func write(selector chromedp.CSS, text string) step { return chromedp.SendKeys(selector, text) }

var (
	submit = chromedp.Steps(click(".form .primary"), chromedp.Sleep(700*time.Millisecond))
	tested = chromedp.Steps(click("#test button"), chromedp.WaitVisible(chromedp.CSS("#test-result .tested")))
)

func allShots(ctx context.Context, on stages) ([]shot, error) {
	usual, err := usualShots(ctx, on.full)
	if err != nil {
		return nil, err
	}
	hard, err := hardShots(ctx, on)
	return append(usual, hard...), err
}

// usualShots are what people see most.
func usualShots(ctx context.Context, on *stage) ([]shot, error) {
	var retrying, rejected, accepted, failed, user string
	err := on.db.QueryRow(ctx, `
		SELECT (SELECT id FROM outbox.deliveries WHERE status = 'retrying' AND attempts > 4 ORDER BY abs(attempts - 8), id LIMIT 1),
		       (SELECT id FROM outbox.deliveries WHERE response_code = 429 ORDER BY id DESC LIMIT 1),
		       (SELECT id FROM outbox.deliveries WHERE status = 'accepted' AND event_type = 'order.paid' ORDER BY id DESC LIMIT 1),
		       (SELECT id FROM outbox.deliveries WHERE status = 'failed' ORDER BY id DESC LIMIT 1),
		       (SELECT user_id FROM outbox.deliveries ORDER BY id DESC OFFSET 20 LIMIT 1)`).Scan(&retrying, &rejected, &accepted, &failed, &user)
	at := on.server.URL
	return []shot{
		{name: "webhooks", url: at + "/", published: true},
		{name: "webhook", url: at + webhook + "002"},
		{name: "webhook-declared", url: at + webhook + "001"},
		{name: "webhook-off", url: at + webhook + "006"},
		{name: "add", url: at + "/webhooks/new"},
		{name: "add-wrong", url: at + "/webhooks/new", then: []step{
			write("#f-url", "example.com/hooks"), click("[data-which-some]"), write("#f-others", "a..b"), click("details.more summary"),
			write("#f-rate", "fast"), submit,
		}},
		{name: "added", url: at + "/webhooks/new", then: []step{
			write("#f-url", "https://example.com/hooks/"+fmt.Sprint(time.Now().UnixNano())), submit,
		}},
		{name: "edit", url: at + webhook + "002/edit"},
		{name: "rotate", url: at + webhook + "002/rotate"},
		{name: "rotated", url: at + webhook + "004/rotate", then: []step{submit}},
		{name: "remove", url: at + webhook + "003/remove"},
		{name: "log", url: at + "/log"},
		{name: "log-top", url: at + "/log", top: true, published: true},
		{name: "log-filtered", url: at + "/log?status=unhappy&within=24h"},
		{name: "log-more", url: at + "/log?url=billing&from=2020-01-31+15:04", top: true},
		{name: "log-wrong", url: at + "/log?type=a..b&from=yesterday"},
		{name: "log-nothing", url: at + "/log?user=nobody"},
		{name: "delivery", url: at + "/deliveries/" + accepted},
		{name: "delivery-retrying", url: at + "/deliveries/" + retrying},
		{name: "delivery-top", url: at + "/deliveries/" + retrying, top: true, published: true},
		{name: "delivery-rejected", url: at + "/deliveries/" + rejected},
		{name: "delivery-failed", url: at + "/deliveries/" + failed},
		{name: "user", url: at + "/users/" + user},
		{name: "users", url: at + "/users"},
		{name: "overview", url: at + "/overview", sql: toNow},
		{name: "docs", url: at + "/docs"},
		{name: "keys", url: at + "/", then: []step{chromedp.KeyEvent("?")}, top: true},
		{name: "focus", url: at + "/", then: []step{chromedp.KeyEvent("j"), chromedp.KeyEvent("j")}, top: true},
		{name: "not-found", url: at + "/nowhere"},
	}, err
}

// hardShots are the first steps, and what is hard to show.
func hardShots(ctx context.Context, on stages) ([]shot, error) {
	var hostile string
	err := on.crowd.db.QueryRow(ctx, `SELECT id FROM outbox.deliveries WHERE url LIKE '%script%' AND user_id LIKE '%script%' ORDER BY id LIMIT 1`).Scan(&hostile)
	if err != nil {
		return nil, err
	}
	key, err := access.ParseLinkKey(linkKey)
	if err != nil {
		return nil, err
	}
	token, err := access.SignLink(key, "acme", time.Now().Add(time.Hour))
	nothing, many := on.empty.server.URL, on.crowd.server.URL
	enter := many + access.LinkPath + token // Which leads on to the webhooks.
	return []shot{
		{name: "start-webhooks", url: nothing + "/"},
		{name: "start-log", url: nothing + "/log"},
		{name: "start-docs", url: nothing + "/docs"},
		{name: "start-overview", url: nothing + "/overview"},
		{name: "start-add", url: nothing + "/webhooks/new", then: []step{click("[data-which-some]")}},
		{name: "crowd-webhooks", url: many + "/"},
		{name: "crowd-long", url: many + webhook + "201"},
		{name: "crowd-edit", url: many + webhook + "201/edit"},
		{name: "crowd-log", url: many + "/log"},
		{name: "hostile-delivery", url: many + "/deliveries/" + hostile},
		{name: "hostile-webhook", url: many + webhook + "202"},
		{name: "test-accepted", url: many + webhook + "205", then: []step{tested}},
		{name: "test-rejected", url: many + webhook + "203", then: []step{tested}},
		{name: "test-unreachable", url: many + webhook + "204", then: []step{tested}},
		{name: "tenant-webhooks", url: enter, then: []step{chromedp.WaitVisible(chromedp.CSS(".hooks, .empty"))}, top: true},
		{name: "tenant-log", url: enter, then: []step{chromedp.WaitVisible(chromedp.CSS(".hooks, .empty")), chromedp.Navigate(many + "/log")}, top: true},
		{name: "link-over", url: many + access.LinkPath + "over"},
		{name: "sign-in", url: on.locked.server.URL + "/"},
		{name: "sign-in-wrong", url: on.locked.server.URL + "/", then: []step{write("#s-name", "operator"), write("#s-password", "guess"),
			click(".form .primary"), chromedp.WaitVisible(chromedp.CSS(".notice.bad"))}},
		{name: "not-set-up", url: on.away.server.URL + "/"},
	}, err
}
