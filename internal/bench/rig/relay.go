package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// Relay is `relay run` on one database.
type Relay struct {
	*Program
	ready string // its /readyz
}

// relayEnv is the settings of a relay: the defaults, with loopback allowed, since that is where the receiver is.
func (r *Rig) relayEnv(db *Database, listen string, extra []string) []string {
	env := append(os.Environ(),
		"SSL_CERT_FILE="+r.authority, // the receiver's certificate is to be trusted
		"RELAY_DATABASE_URL="+db.URL,
		"RELAY_REPLICATION_SLOT="+db.Name, // slots are of the cluster, not of the database
		"RELAY_NETWORK_ALLOW=127.0.0.0/8",
		"RELAY_HTTP_LISTEN="+listen)
	return append(env, extra...)
}

// InitRelay sets up what the relay needs in db: from then on its slot keeps what is committed.
func (r *Rig) InitRelay(ctx context.Context, db *Database) error {
	cmd := exec.CommandContext(ctx, r.relay, "init")
	cmd.Dir = r.dir
	cmd.Env = r.relayEnv(db, "", nil)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("relay init: %w\n%s", err, out)
	}
	return nil
}

// StartRelay starts a relay and returns at once; extra is further settings as environment.
func (r *Rig) StartRelay(db *Database, extra ...string) (*Relay, error) {
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(r.relay, "run")
	cmd.Env = r.relayEnv(db, listen, extra)
	program, err := r.launch(cmd)
	if err != nil {
		return nil, err
	}
	return &Relay{Program: program, ready: "http://" + listen + "/readyz"}, nil
}

// WaitReady waits until events are being relayed, for a while.
func (r *Relay) WaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.ready, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-r.exited:
			return r.Failure(errors.New("relay ended before it was ready"))
		case <-ctx.Done():
			return r.Failure(fmt.Errorf("wait until relay is ready: %w", context.Cause(ctx)))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// LiveRelay starts a relay on a database of its own, with the receiver's path subscribed to all events, and waits until it
// relays.
func (r *Rig) LiveRelay(ctx context.Context, name, path string) (*Database, *Relay, error) {
	db, err := r.NewDatabase(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	relay, err := r.StartRelay(db)
	if err != nil {
		db.Close()
		return nil, nil, err
	}
	if err = relay.WaitReady(ctx); err == nil {
		err = db.Subscribe(ctx, "receiver", r.Receiver.URL(path))
	}
	if err != nil {
		err = errors.Join(err, relay.Stop())
		db.Close()
		return nil, nil, err
	}
	return db, relay, nil
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// ObserveRelay starts a relay on a database with subscriptions, and observes it.
func (r *Rig) ObserveRelay(ctx context.Context, db *Database, work Stream) (d Delays, err error) {
	relay, err := r.StartRelay(db)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, relay.Stop(), db.DropSlot(ctx)) }()
	if err := relay.WaitReady(ctx); err != nil {
		return nil, err
	}
	if d, err = r.Observe(ctx, db, work); err != nil {
		return nil, relay.Failure(err)
	}
	return d, nil
}
