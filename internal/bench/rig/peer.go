package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/outboxrelay/relay/internal/bench/rounds"
)

// peersModule is where the peers are, a module of its own.
const peersModule = "internal/bench/peers"

// Peer is another way to deliver events.
type Peer struct {
	Kind     string // As the peers' program knows it.
	Settings string // Its arguments, separated by spaces.
}

// String is the command's arguments.
func (p Peer) String() string { return p.Kind + " " + p.Settings }

// idle is, for each kind, whether all that was to be done stands in the database.
var idle = map[string]string{
	"naive": `SELECT NOT EXISTS (SELECT FROM polled_events WHERE status = 'pending')`,
	"tuned": `SELECT NOT EXISTS (SELECT FROM polled_events WHERE status = 'pending')`,
	"river": `SELECT NOT EXISTS (SELECT FROM river_job WHERE state <> 'completed')`,
}

// DrainPeer inserts a backlog in db as the peer needs it, starts the peer and waits until all is delivered and recorded.
func (r *Rig) DrainPeer(ctx context.Context, db *Database, peer Peer, url string, events int) (rounds.Sample, error) {
	if err := r.buildPeers(ctx); err != nil {
		return rounds.Sample{}, err
	}
	setUp := exec.CommandContext(ctx, r.peers, "setup", "-kind", peer.Kind, "-database", db.URL,
		"-events", fmt.Sprint(events), "-payload", Payload)
	if out, err := setUp.CombinedOutput(); err != nil {
		return rounds.Sample{}, fmt.Errorf("set up %s: %w\n%s", peer.Kind, err, out)
	}
	return r.deliver(ctx, db, events, func() (Programs, error) {
		args := append([]string{"run", "-kind", peer.Kind, "-database", db.URL, "-to", url}, strings.Fields(peer.Settings)...)
		cmd := exec.Command(r.peers, args...)
		cmd.Env = append(os.Environ(), "GOGC=400") // what `relay run` sets
		program, err := r.launch(cmd)
		return Programs{program}, err
	}, func(ctx context.Context) error { return db.waitFor(ctx, idle[peer.Kind], "all is recorded") })
}

func (r *Rig) buildPeers(ctx context.Context) error {
	if r.peers != "" {
		return nil
	}
	Say("building the peers")
	top, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("find the repository: %w", err)
	}
	binary := filepath.Join(r.dir, "peers")
	if err := build(ctx, filepath.Join(strings.TrimSpace(string(top)), peersModule), binary, "."); err != nil {
		return err
	}
	r.peers = binary
	return nil
}
