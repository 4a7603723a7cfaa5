package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// stopWithin is how long a relay may take to finish what it has in flight: the delivery timeout, and a little.
const stopWithin = 20 * time.Second

// buildRelay builds the program as a user would.
func buildRelay(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "relay")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/relay").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build relay (run this in the repository): %w\n%s", err, out)
	}
	return binary, nil
}

// relayProcess is `relay run` on one database.
type relayProcess struct {
	cmd    *exec.Cmd
	log    string
	exited chan struct{} // closed once cmd has been waited for
	ready  string        // its /readyz
}

// relayEnv is the settings of a relay: the defaults, with loopback allowed, since that is where the receiver is.
func (b *bench) relayEnv(db *database, listen string, extra []string) []string {
	env := append(os.Environ(),
		"RELAY_DATABASE_URL="+db.url,
		"RELAY_REPLICATION_SLOT="+db.name, // slots are of the cluster, not of the database
		"RELAY_NETWORK_ALLOW=127.0.0.0/8",
		"RELAY_HTTP_LISTEN="+listen)
	return append(env, extra...)
}

// initRelay sets up what the relay needs in db: from then on its slot keeps what is committed.
func (b *bench) initRelay(ctx context.Context, db *database) error {
	cmd := exec.CommandContext(ctx, b.relay, "init")
	cmd.Dir = b.dir
	cmd.Env = b.relayEnv(db, "", nil)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("relay init: %w\n%s", err, out)
	}
	return nil
}

// startRelay starts a relay and returns at once; extra is further settings as environment.
func (b *bench) startRelay(db *database, extra ...string) (*relayProcess, error) {
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	logfile, err := os.Create(filepath.Join(b.dir, db.name+".log"))
	if err != nil {
		return nil, fmt.Errorf("start relay: %w", err)
	}
	defer logfile.Close()

	cmd := exec.Command(b.relay, "run")
	cmd.Dir = b.dir
	cmd.Env = b.relayEnv(db, listen, extra)
	cmd.Stdout, cmd.Stderr = logfile, logfile
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process to act on
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start relay: %w", err)
	}
	r := &relayProcess{cmd: cmd, log: logfile.Name(), exited: make(chan struct{}), ready: "http://" + listen + "/readyz"}
	go func() {
		_ = cmd.Wait()
		close(r.exited)
	}()
	return r, nil
}

// waitReady waits until events are being relayed.
func (r *relayProcess) waitReady(ctx context.Context) error {
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
			return r.failure(errors.New("relay ended before it was ready"))
		case <-ctx.Done():
			return r.failure(fmt.Errorf("wait until relay is ready: %w", context.Cause(ctx)))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (r *relayProcess) pid() int { return r.cmd.Process.Pid }

// stop ends the relay as a service manager would, and kills it if that takes too long.
func (r *relayProcess) stop() error {
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.exited:
	case <-time.After(stopWithin):
		_ = r.cmd.Process.Kill()
		<-r.exited
		return r.failure(fmt.Errorf("relay did not stop within %s", stopWithin))
	}
	if code := r.cmd.ProcessState.ExitCode(); code != 0 {
		return r.failure(fmt.Errorf("relay ended with exit code %d", code))
	}
	return nil
}

// failure adds the end of the relay's log to err.
func (r *relayProcess) failure(err error) error {
	const enough = 2 << 10
	log, _ := os.ReadFile(r.log)
	if len(log) > enough {
		log = log[len(log)-enough:]
	}
	return fmt.Errorf("%w; its log ends:\n%s", err, log)
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
