//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// shot is a page to draw.
type shot struct {
	name, url string
	then      []step // What is done on the page first.
}

type step = chromedp.Action[chromedp.Void]

// size is that of a window.
type size struct {
	name          string
	width, height int64
	mobile        bool
}

var sizes = []size{{"desktop", 1280, 860, false}, {"phone", 390, 844, true}}

func allShots(ctx context.Context, full, empty *stage) ([]shot, error) {
	var retrying, rejected, accepted, user string
	err := full.db.QueryRow(ctx, `
		SELECT (SELECT id FROM outbox.deliveries WHERE status = 'retrying' AND attempts = 3 ORDER BY id DESC LIMIT 1),
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
		{"webhooks", at + "/", nil},
		{"webhook", at + webhook + "2", nil},
		{"webhook-tested", at + webhook + "5", []step{
			click("#test button"), chromedp.WaitVisible(chromedp.CSS("#test-result .tested")),
		}},
		{"webhook-declared", at + webhook + "1", nil},
		{"webhook-off", at + webhook + "6", nil},
		{"add", at + "/webhooks/new", nil},
		{"add-wrong", at + "/webhooks/new", []step{
			write("#f-url", "example.com/hooks"), click("[data-which-some]"), write("#f-others", "a..b"), submit,
		}},
		{"added", at + "/webhooks/new", []step{
			write("#f-url", "https://example.com/hooks/"+fmt.Sprint(time.Now().UnixNano())), submit,
		}},
		{"edit", at + webhook + "2/edit", nil},
		{"rotate", at + webhook + "2/rotate", nil},
		{"remove", at + webhook + "3/remove", nil},
		{"log", at + "/log", nil},
		{"log-filtered", at + "/log?status=unhappy&within=24h", nil},
		{"log-nothing", at + "/log?user=nobody", nil},
		{"delivery", at + "/deliveries/" + accepted, nil},
		{"delivery-retrying", at + "/deliveries/" + retrying, nil},
		{"delivery-rejected", at + "/deliveries/" + rejected, nil},
		{"user", at + "/users/" + user, nil},
		{"overview", at + "/overview", nil},
		{"docs", at + "/docs", nil},
		{"not-found", at + "/nowhere", nil},
		{"start-webhooks", nothing + "/", nil},
		{"start-log", nothing + "/log", nil},
		{"start-docs", nothing + "/docs", nil},
		{"start-overview", nothing + "/overview", nil},
		{"start-add", nothing + "/webhooks/new", nil},
	}, nil
}

// draw makes every shot in light and dark at every size.
func draw(ctx context.Context, shots []shot, only []string, keep func(name string, png []byte) error) error {
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
	return chromedp.Run(tab, chromedp.FullScreenshot(100))
}
