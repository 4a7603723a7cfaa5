package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/status"
)

const (
	// watchEvery is how often --watch looks.
	watchEvery = 2 * time.Second

	// gatherTimeout bounds one look while watching: longer means that the database does not answer.
	gatherTimeout = 10 * time.Second
)

func newStatusCommand(p *program) *cobra.Command {
	var watch, asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show on one screen how the relays are doing",
		Long: "Show on one screen what needs somebody's attention, the relays that run, the\n" +
			"replication slot, what waits, what was sent in the last minutes and how\n" +
			"quickly, and the subscriptions that most went wrong at in this hour and the\n" +
			"last.\n\n" +
			"All of it is read from the database, so it may be run from anywhere. Latencies\n" +
			"are the upper bounds of steps: 5 ms is more than 2 ms and at most 5 ms. The\n" +
			"exit code is 0 wherever it could be told how things stand, well or not; for a\n" +
			"monitor, --json has the warnings as a list, and /readyz of each relay answers\n" +
			"200 or 503.",
		Example: "  relay status\n  relay status --watch\n  relay status --json | jq -e '.warnings == []'",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			cfg, db, err := p.open(ctx)
			if err != nil {
				return err
			}
			defer db.Close()
			page := p.newStatusPage(cfg, db, asJSON)
			if watch {
				return page.watch(ctx)
			}
			return page.once(ctx)
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "look again every 2 s, until Ctrl-C")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// statusPage prints how things stand, once or again and again.
type statusPage struct {
	out    io.Writer
	asJSON bool
	size   func() (width, height int) // Nil: no terminal that can be drawn on.
	color  bool
	gather func(context.Context) (*status.Status, error)
	every  time.Duration

	drawn int // Lines that the next page is drawn over.
}

func (p *program) newStatusPage(cfg *config.Config, db *pgxpool.Pool, asJSON bool) *statusPage {
	page := &statusPage{out: p.stdout, asJSON: asJSON, color: inColor(p.stdout), every: watchEvery}
	if !asJSON {
		page.size = p.terminalSize()
	}
	page.gather = func(ctx context.Context) (*status.Status, error) { return status.Gather(ctx, db, cfg) }
	return page
}

func (page *statusPage) once(ctx context.Context) error {
	s, err := page.gather(ctx)
	if err != nil {
		return err
	}
	text, err := page.render(s)
	if err != nil {
		return err
	}
	_, err = page.out.Write(text)
	return err
}

// watch goes on until ctx ends, which is no error. A database that cannot be asked is, at the first time; later that is
// said, and it asks again.
func (page *statusPage) watch(ctx context.Context) error {
	tick := time.NewTicker(page.every)
	defer tick.Stop()
	for first := true; ; first = false {
		look, cancel := context.WithTimeout(ctx, gatherTimeout)
		s, err := page.gather(look)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && first:
			return err
		case err != nil:
			err = page.draw([]byte("The database cannot be asked; trying again: " + printable(explain(err).Error()) + "\n"))
		default:
			var text []byte
			if text, err = page.render(s); err == nil {
				err = page.draw(text)
			}
		}
		if err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (page *statusPage) render(s *status.Status) ([]byte, error) {
	var out bytes.Buffer
	if page.asJSON {
		err := newEncoder(&out).Encode(s)
		return out.Bytes(), err
	}
	width := 0
	if page.size != nil {
		width, _ = page.size()
	}
	err := printStatus(&out, s, width, page.color)
	return out.Bytes(), err
}

// draw replaces what was drawn last; on a pipe it comes below, after an empty line.
func (page *statusPage) draw(text []byte) error {
	if page.size == nil {
		if page.drawn > 0 && !page.asJSON {
			text = append([]byte("\n"), text...)
		}
		page.drawn = 1
		_, err := page.out.Write(text)
		return err
	}
	const eraseRight, eraseBelow = "\x1b[K", "\x1b[J"
	lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	if _, height := page.size(); height > 1 && len(lines) > height-1 {
		lines = lines[:height-1] // What is above the screen could not be drawn over.
	}
	var b bytes.Buffer
	b.WriteByte('\r')
	if page.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", page.drawn)
	}
	for _, line := range lines {
		b.Write(line)
		b.WriteString(eraseRight + "\n")
	}
	b.WriteString(eraseBelow)
	page.drawn = len(lines)
	_, err := page.out.Write(b.Bytes())
	return err
}
