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
	published bool   // Shown in the README or the manual, as a desktop has it.
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

// draw makes every shot in light and dark at every size.
func draw(ctx context.Context, db *pgxpool.Pool, shots []shot, only []string, keep func(s shot, w size, name string, png []byte) error) error {
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
				if err := keep(s, w, name, png); err != nil {
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
	tab, cancel := context.WithTimeout(tab, time.Minute)
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
