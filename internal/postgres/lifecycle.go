//go:build unix

package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	superuser = "postgres"
	database  = "postgres" // Always there: initdb makes it.

	// startTimeout is long enough for crash recovery on a busy machine.
	startTimeout = 2 * time.Minute
	// endTimeout is how long processes may take to end after they were killed.
	endTimeout = time.Minute
	// Ports below the range that Linux (32768) and macOS (49152) give to outgoing connections: nobody takes the port by
	// chance while the server is stopped.
	firstPort, lastPort = 15000, 32000
	portAttempts        = 20
	// maxSocketPath is what fits into the shortest sockaddr_un, of macOS.
	maxSocketPath = 103
)

// StopMode says how a server stops.
type StopMode int

// The ways to stop, as pg_ctl names them.
const (
	Fast      StopMode = iota // Ends the sessions, then stops in an orderly way.
	Immediate                 // Stops at once; recovers from the WAL at the next start.
	Smart                     // Waits until all sessions have ended by themselves.
)

func (m StopMode) signal() syscall.Signal {
	switch m {
	case Immediate:
		return syscall.SIGQUIT
	case Smart:
		return syscall.SIGTERM
	default:
		return syscall.SIGINT
	}
}

// errPortTaken says that another program listens on the port.
var errPortTaken = errors.New("the port is taken")

func (c *Cluster) startOnFreePort(ctx context.Context) error {
	for range portAttempts {
		port, err := freePort()
		if err != nil {
			return err
		}
		c.port = port
		if err := c.launch(ctx); !errors.Is(err, errPortTaken) {
			return err
		}
	}
	return fmt.Errorf("start Postgres: %w, each of %d that seemed free", errPortTaken, portAttempts)
}

func freePort() (int, error) {
	var err error
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		var l net.Listener
		if l, err = net.Listen("tcp4", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("find a free port: %w", err)
}

// launch starts the server and waits until it answers.
func (c *Cluster) launch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	output, err := os.OpenFile(c.folder.log(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of Postgres: %w", err)
	}
	defer output.Close()
	begun := time.Now()
	p, err := startProcess(c.command(output, "postgres", "-D", c.folder.data(), "-h", "127.0.0.1",
		"-p", strconv.Itoa(c.port), "-k", c.socketFolder()), c.folder.lock)
	if err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	c.mu.Lock()
	if c.server != nil {
		c.pastCPU += c.server.cpuTime()
	}
	c.server = p
	c.mu.Unlock()
	if err := c.awaitReady(ctx, p); err != nil {
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
		return errors.Join(err, awaitEnd(p))
	}
	c.logger.InfoContext(ctx, "started Postgres", "port", c.port, "pid", p.cmd.Process.Pid,
		"duration", time.Since(begun).Round(time.Millisecond))
	return nil
}

// socketFolder is empty, which means no socket, where the socket's path would be too long.
func (c *Cluster) socketFolder() string {
	dir := c.folder.sockets()
	if len(filepath.Join(dir, ".s.PGSQL.00000")) > maxSocketPath {
		return ""
	}
	return dir
}

// awaitReady tries to connect until it is this server that answers.
func (c *Cluster) awaitReady(ctx context.Context, p *process) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := c.probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return c.startError(p)
		case <-ctx.Done():
			return fmt.Errorf("wait for Postgres to answer: %w: %w: %s", ctx.Err(), err, c.LogTail())
		case <-ticker.C:
		}
	}
}

func (c *Cluster) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var dir string
	if err := conn.QueryRow(ctx, "SELECT current_setting('data_directory')").Scan(&dir); err != nil {
		return err
	}
	if dir != c.folder.data() {
		return errPortTaken
	}
	return nil
}

func (c *Cluster) startError(p *process) error {
	tail := c.LogTail()
	if strings.Contains(tail, "could not create any TCP/IP sockets") {
		return fmt.Errorf("start Postgres: %w: %s", errPortTaken, tail)
	}
	return fmt.Errorf("start Postgres: %s: %s", p.cmd.ProcessState, tail)
}

// Resume starts the server again, on the same port and data, after a Stop, a Kill or a crash. It returns once the server
// answers, with whatever recovery that takes.
func (c *Cluster) Resume(ctx context.Context) error {
	if c.PID() != 0 {
		return errors.New("resume Postgres: it is running")
	}
	if err := awaitEnd(c.process()); err != nil {
		return fmt.Errorf("resume Postgres: %w", err)
	}
	return c.launch(ctx)
}

// Stop stops the server and returns when it and all its processes have ended; at once where it does not run. Where ctx
// ends first, so does Stop, with its error; the server goes on stopping.
func (c *Cluster) Stop(ctx context.Context, mode StopMode) error {
	p := c.process()
	if err := p.cmd.Process.Signal(mode.signal()); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop Postgres: %w", err)
	}
	select {
	case <-p.gone:
		c.logger.InfoContext(ctx, "stopped Postgres", "port", c.port)
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop Postgres: %w", ctx.Err())
	}
}

// Kill kills the server and all its processes with SIGKILL, and returns when they have ended: the next Resume recovers
// as after a crash.
func (c *Cluster) Kill() error {
	p := c.process()
	children := childProcesses(p.cmd.Process.Pid)
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill Postgres: %w", err)
	}
	// They would notice by themselves, but one in the midst of a long computation only after it.
	for _, pid := range children {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err := awaitEnd(p); err != nil {
		return fmt.Errorf("kill Postgres: %w", err)
	}
	return nil
}

func awaitEnd(p *process) error {
	select {
	case <-p.gone:
		return nil
	case <-time.After(endTimeout):
		return fmt.Errorf("processes of server %d are still there after %s", p.cmd.Process.Pid, endTimeout)
	}
}

// Close stops the server at once and removes everything: processes, files, shared memory. It may be called again, and
// returns the same.
func (c *Cluster) Close() error {
	c.closing.Do(func() { c.closeErr = c.close() })
	return c.closeErr
}

func (c *Cluster) close() error {
	if c.process() != nil {
		// A server that stops immediately kills its stragglers after 5 s: past twice that it hangs.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := c.Stop(ctx, Immediate); err != nil {
			if err := c.Kill(); err != nil {
				return fmt.Errorf("close Postgres: %w", err)
			}
		}
	}
	if err := c.folder.remove(); err != nil {
		return fmt.Errorf("close Postgres: %w", err)
	}
	return nil
}
