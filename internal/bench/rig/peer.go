package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

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
	if err := r.setUpPeer(ctx, db, peer, events); err != nil {
		return rounds.Sample{}, err
	}
	return r.deliver(ctx, db, events, func() (Programs, error) {
		program, err := r.startPeer(db, peer, url)
		return Programs{program}, err
	}, func(ctx context.Context) error { return db.waitFor(ctx, idle[peer.Kind]) })
}

// ObservePeer commits events at a steady rate as the peer's users do, and returns how long each took to arrive.
func (r *Rig) ObservePeer(ctx context.Context, db *Database, peer Peer, url string, work Stream) (d Delays, err error) {
	if err := r.buildPeers(ctx); err != nil {
		return nil, err
	}
	if err := r.setUpPeer(ctx, db, peer, 0); err != nil {
		return nil, err
	}
	program, err := r.startPeer(db, peer, url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, program.Stop()) }()
	warm, count := work.counts()
	if err := r.Receiver.Reset(ctx, count); err != nil {
		return nil, err
	}
	commits, err := r.commitForPeer(ctx, db, peer, count, work.Rate)
	if err != nil {
		return nil, program.Failure(err)
	}
	if err := r.waitDelivered(ctx, Programs{program}, count); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return r.delays(ctx, commits[warm:])
}

// commitForPeer has the peers' program commit events.
func (r *Rig) commitForPeer(ctx context.Context, db *Database, peer Peer, count, rate int) ([]commit, error) {
	args := append([]string{"commit", "-kind", peer.Kind, "-database", db.URL, "-events", fmt.Sprint(count), "-rate", fmt.Sprint(rate),
		"-payload", Payload}, strings.Fields(peer.Settings)...)
	cmd := exec.CommandContext(ctx, r.peers, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("commit for %s: %w", peer.Kind, err)
	}
	var all []commit
	for line := range strings.Lines(string(out)) {
		var id string
		var at int64
		if _, err := fmt.Sscan(line, &id, &at); err != nil {
			return nil, fmt.Errorf("commit for %s: %q: %w", peer.Kind, line, err)
		}
		parsed, err := uuid.Parse(id)
		if err != nil {
			return nil, fmt.Errorf("commit for %s: %w", peer.Kind, err)
		}
		all = append(all, commit{parsed, time.Unix(0, at)})
	}
	return all, nil
}

func (r *Rig) setUpPeer(ctx context.Context, db *Database, peer Peer, events int) error {
	cmd := exec.CommandContext(ctx, r.peers, "setup", "-kind", peer.Kind, "-database", db.URL,
		"-events", fmt.Sprint(events), "-payload", Payload)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("set up %s: %w\n%s", peer.Kind, err, out)
	}
	return nil
}

func (r *Rig) startPeer(db *Database, peer Peer, url string) (*Program, error) {
	args := append([]string{"run", "-kind", peer.Kind, "-database", db.URL, "-to", url}, strings.Fields(peer.Settings)...)
	cmd := exec.Command(r.peers, args...)
	cmd.Env = append(os.Environ(), "GOGC="+strconv.Itoa(heapGrowth))
	return r.launch(cmd)
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
