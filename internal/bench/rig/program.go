package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// stopWithin is how long a program may take to finish what it has in flight: the delivery timeout, and a little.
const stopWithin = 20 * time.Second

// build builds a program as a user would.
func build(ctx context.Context, dir, binary, path string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, path)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s (run this at the top of the repository): %w\n%s", path, err, out)
	}
	return nil
}

// Program is a process that sends: a relay or a peer.
type Program struct {
	cmd    *exec.Cmd
	log    string
	exited chan struct{} // closed once cmd has been waited for
}

// launch starts a program whose output goes to a log of its own.
func (r *Rig) launch(cmd *exec.Cmd) (*Program, error) {
	name := filepath.Base(cmd.Path)
	r.logs++
	logfile, err := os.Create(filepath.Join(r.dir, fmt.Sprintf("%s-%d.log", name, r.logs)))
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer logfile.Close()
	cmd.Dir = r.dir
	cmd.Stdout, cmd.Stderr = logfile, logfile
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process to act on
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Program{cmd: cmd, log: logfile.Name(), exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

func (p *Program) pid() int { return p.cmd.Process.Pid }

// Stop ends the program as a service manager would, and kills it if that takes too long.
func (p *Program) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(stopWithin):
		_ = p.cmd.Process.Kill()
		<-p.exited
		return p.Failure(fmt.Errorf("%s did not stop within %s", filepath.Base(p.cmd.Path), stopWithin))
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return p.Failure(fmt.Errorf("%s ended with exit code %d", filepath.Base(p.cmd.Path), code))
	}
	return nil
}

// Failure adds the end of the program's log to err.
func (p *Program) Failure(err error) error {
	const enough = 2 << 10
	log, _ := os.ReadFile(p.log)
	if len(log) > enough {
		log = log[len(log)-enough:]
	}
	return fmt.Errorf("%w; its log ends:\n%s", err, log)
}

// Programs work on the same database.
type Programs []*Program

// Stop stops all of them.
func (p Programs) Stop() error {
	var errs []error
	for _, one := range p {
		errs = append(errs, one.Stop())
	}
	return errors.Join(errs...)
}

// cpu is what they have taken so far, and peak what they have held at most, added up.
func (p Programs) usage() (cpu time.Duration, peak int64, err error) {
	for _, one := range p {
		took, err := cpuTime(one.pid())
		if err != nil {
			return 0, 0, err
		}
		held, err := peakBytes(one.pid())
		if err != nil {
			return 0, 0, err
		}
		cpu, peak = cpu+took, peak+held
	}
	return cpu, peak, nil
}

// failure adds the end of the first one's log to err.
func (p Programs) failure(err error) error { return p[0].Failure(err) }
