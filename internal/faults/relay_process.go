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
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stopWithin is how long a relay may take to end after SIGTERM: delivery.timeout as it is set here, and what it allows
// itself beyond.
const stopWithin = 15 * time.Second

// binaries are the programs under test, both built from this source.
type binaries struct {
	relay  string // As users build it.
	tagged string // With the build tag failpoints.
}

func build(ctx context.Context, dir string) (b binaries, err error) {
	b = binaries{relay: filepath.Join(dir, "relay"), tagged: filepath.Join(dir, "relay-failpoints")}
	for _, arg := range [][]string{{"-o", b.relay}, {"-tags", "failpoints", "-o", b.tagged}} {
		cmd := exec.CommandContext(ctx, "go", append(append([]string{"build"}, arg...), "github.com/outboxrelay/relay/cmd/relay")...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return b, fmt.Errorf("build relay (run this in the repository): %w\n%s", err, out)
		}
	}
	return b, nil
}

// relayProcess is a running `relay run`.
type relayProcess struct {
	cmd    *exec.Cmd
	listen string
	began  time.Time
	exited chan struct{} // Closed once cmd has been waited for.
}

// launch starts a relay and does not wait for it. Settings are environment variables.
func (r *rig) launch(binary string, settings ...string) (*relayProcess, error) {
	return r.spawn([]string{binary, "run"}, settings...)
}

// launchUnder is launch with a limit on open files.
func (r *rig) launchUnder(files int) (*relayProcess, error) {
	return r.spawn([]string{"/bin/sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" run`, files), r.binaries.relay})
}

func (r *rig) spawn(command []string, settings ...string) (*relayProcess, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find a free port: %w", err)
	}
	listen := listener.Addr().String()
	_ = listener.Close()
	log, err := os.OpenFile(r.path("relay.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start relay: %w", err)
	}
	defer log.Close()
	p := &relayProcess{cmd: exec.Command(command[0], command[1:]...), listen: listen, began: time.Now(), exited: make(chan struct{})}
	p.cmd.Dir = r.dir
	p.cmd.Env = r.environment(append([]string{"RELAY_HTTP_LISTEN=" + listen}, settings...)...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the harness to act on.
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start relay: %w", err)
	}
	go func() { _ = p.cmd.Wait(); close(p.exited) }()
	r.processes = append(r.processes, p)
	return p, nil
}

// start starts a relay and waits until it is ready.
func (r *rig) start(ctx context.Context) (*relayProcess, error) {
	p, err := r.launch(r.binaries.relay)
	if err != nil {
		return nil, err
	}
	return p, p.awaitReady(ctx)
}

func (p *relayProcess) awaitReady(ctx context.Context) error {
	return await(ctx, time.Minute, "relay is ready", func() (bool, error) {
		if p.ended() {
			return false, fmt.Errorf("relay ended before it was ready: %s", p.cmd.ProcessState)
		}
		return p.ready(ctx), nil
	})
}

func (p *relayProcess) ready(ctx context.Context) bool {
	status, _ := p.readiness(ctx)
	return status == http.StatusOK
}

// readiness is what /readyz says; 0 where nobody answers.
func (p *relayProcess) readiness(ctx context.Context) (status int, body string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.listen+"/readyz", nil)
	if err != nil {
		return 0, ""
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	var text strings.Builder
	buffer := make([]byte, 4096)
	for {
		n, err := response.Body.Read(buffer)
		text.Write(buffer[:n])
		if err != nil {
			return response.StatusCode, text.String()
		}
	}
}

func (p *relayProcess) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// diedOf returns the signal that ended the process, 0 where it ended by itself or runs.
func (p *relayProcess) diedOf() syscall.Signal {
	if !p.ended() {
		return 0
	}
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal()
	}
	return 0
}

func (p *relayProcess) kill() {
	_ = p.cmd.Process.Kill() // It may have ended.
	<-p.exited
}

// stop ends the relay as a service manager would and returns how long that took. Another exit code than 0 is an error.
func (p *relayProcess) stop() (time.Duration, error) {
	began := time.Now()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(stopWithin):
		p.kill()
		return time.Since(began), fmt.Errorf("relay did not end within %s of SIGTERM", stopWithin)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return time.Since(began), fmt.Errorf("relay ended with exit code %d after SIGTERM", code)
	}
	return time.Since(began), nil
}

// memory returns the resident set in bytes: VmRSS as it is, VmHWM at its highest.
func (p *relayProcess) memory(which string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, which+":"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("read memory: no " + which)
}
