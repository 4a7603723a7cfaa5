//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5/pgxpool"
)

// shot is a page to draw.
type shot struct {
	name, url string
	then      []step // What is done on the page first.
	sql       string // What is done in the database before.
	top       bool   // Only what is seen without scrolling.
}

// toNow moves the statistics to the minute before this one: shots take a while.
const toNow = `UPDATE outbox.relay_stats SET relay_id = gen_random_uuid(), minute = minute + (SELECT date_trunc('minute', now()) - interval '1 minute' - max(minute) FROM outbox.relay_stats)`

type step = chromedp.Action[chromedp.Void]

// size is that of a window.
type size struct {
	name          string
	width, height int64
	mobile        bool
}

var sizes = []size{{"desktop", 1280, 800, false}, {"phone", 390, 844, true}}

func allShots(ctx context.Context, full, empty *stage) ([]shot, error) {
	var retrying, rejected, accepted, user string
	err := full.db.QueryRow(ctx, `
		SELECT (SELECT id FROM outbox.deliveries WHERE status = 'retrying' AND attempts = 4 ORDER BY id DESC LIMIT 1),
		       (SELECT id FROM outbox.deliveries WHERE response_code = 429 ORDER BY id DESC LIMIT 1),
		       (SELECT id FROM outbox.deliveries WHERE status = 'accepted' AND event_type = 'order.paid' ORDER BY id DESC LIMIT 1),
		       (SELECT user_id FROM outbox.deliveries ORDER BY id DESC OFFSET 20 LIMIT 1)`).Scan(&retrying, &rejected, &accepted, &user)
	if err != nil {
		return nil, err
	}
	const webhook = "/webhooks/0199c82c-0000-7000-8000-00000000000"
	at, nothing := full.server.URL, empty.server.URL
	click := func(selector chromedp.CSS) step { return chromedp.Click(selector) }
	write := func(selector chromedp.CSS, text string) step { return chromedp.SendKeys(selector, text) }
	submit := chromedp.Steps(click(".form .primary"), chromedp.Sleep(700*time.Millisecond))
	return []shot{
		{name: "webhooks", url: at + "/"},
		{name: "webhook", url: at + webhook + "2"},
		{name: "webhook-tested", url: at + webhook + "5", then: []step{
			click("#test button"), chromedp.WaitVisible(chromedp.CSS("#test-result .tested")),
		}},
		{name: "webhook-declared", url: at + webhook + "1"},
		{name: "webhook-off", url: at + webhook + "6"},
		{name: "add", url: at + "/webhooks/new"},
		{name: "add-wrong", url: at + "/webhooks/new", then: []step{
			write("#f-url", "example.com/hooks"), click("[data-which-some]"), write("#f-others", "a..b"), submit,
		}},
		{name: "added", url: at + "/webhooks/new", then: []step{
			write("#f-url", "https://example.com/hooks/"+fmt.Sprint(time.Now().UnixNano())), submit,
		}},
		{name: "edit", url: at + webhook + "2/edit"},
		{name: "rotate", url: at + webhook + "2/rotate"},
		{name: "remove", url: at + webhook + "3/remove"},
		{name: "log", url: at + "/log"},
		{name: "log-top", url: at + "/log", top: true},
		{name: "log-filtered", url: at + "/log?status=unhappy&within=24h"},
		{name: "log-nothing", url: at + "/log?user=nobody"},
		{name: "delivery", url: at + "/deliveries/" + accepted},
		{name: "delivery-retrying", url: at + "/deliveries/" + retrying},
		{name: "delivery-rejected", url: at + "/deliveries/" + rejected},
		{name: "user", url: at + "/users/" + user},
		{name: "overview", url: at + "/overview", sql: toNow},
		{name: "docs", url: at + "/docs"},
		{name: "not-found", url: at + "/nowhere"},
		{name: "start-webhooks", url: nothing + "/"},
		{name: "start-log", url: nothing + "/log"},
		{name: "start-docs", url: nothing + "/docs"},
		{name: "start-overview", url: nothing + "/overview"},
		{name: "start-add", url: nothing + "/webhooks/new"},
	}, nil
}

// draw makes every shot in light and dark at every size.
func draw(ctx context.Context, db *pgxpool.Pool, shots []shot, only []string, keep func(name string, png []byte) error) error {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.Flag("force-color-profile", "srgb"),
		chromedp.Flag("lang", "en-GB"))
	allocator, stop := chromedp.NewExecAllocator(ctx, options...)
	defer stop()
	browser, quit := chromedp.NewContext(allocator)
	defer quit()
	for _, s := range shots {
		for _, theme := range []string{"light", "dark"} {
			for _, w := range sizes {
				name := s.name + "-" + theme + "-" + w.name
				if len(only) > 0 && !slices.Contains(only, s.name) && !slices.Contains(only, name) {
					continue
				}
				if s.sql != "" {
					if _, err := db.Exec(ctx, s.sql); err != nil {
						return fmt.Errorf("prepare %s: %w", name, err)
					}
				}
				png, err := drawOne(browser, s, theme, w)
				if err != nil {
					return fmt.Errorf("draw %s: %w", name, err)
				}
				if err := keep(name, png); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func drawOne(browser context.Context, s shot, theme string, w size) (png []byte, err error) {
	tab, done := chromedp.NewContext(browser)
	defer done()
	tab, cancel := context.WithTimeout(tab, 30*time.Second)
	defer cancel()
	viewport := []chromedp.EmulateViewportOption{}
	if w.mobile {
		viewport = append(viewport, chromedp.EmulateMobile)
	}
	err = chromedp.Do(tab,
		chromedp.EmulateViewport(w.width, w.height, viewport...),
		chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
			})
			return err
		}),
		chromedp.Navigate(s.url),
		chromedp.WaitVisible(chromedp.CSS("main")),
		chromedp.Steps(s.then...),
	)
	if err != nil {
		return nil, err
	}
	if s.top {
		return chromedp.Run(tab, chromedp.CaptureScreenshot())
	}
	return chromedp.Run(tab, chromedp.FullScreenshot(100))
}
