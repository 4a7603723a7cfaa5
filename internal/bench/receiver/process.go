package receiver

import (
	"context"
	"fmt"
	"net/rpc"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Process is a Receiver in a process of its own.
type Process struct {
	cmd     *exec.Cmd
	control *rpc.Client
	Addresses
}

// Start runs this program anew as a receiver; its main must know Command.
func Start(ctx context.Context) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.Command(self, Command)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process to act on
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the receiver: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the receiver: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the receiver: %w", err)
	}

	p := &Process{cmd: cmd, control: rpc.NewClient(stdio{out, in})}
	if err := p.call(ctx, "Addresses", struct{}{}, &p.Addresses); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// URL is that of a path, over HTTP.
func (p *Process) URL(path string) string { return "http://" + p.HTTP + path }

// SecureURL is that of a path, over HTTPS.
func (p *Process) SecureURL(path string) string { return "https://" + p.HTTPS + path }

// Reset forgets what has arrived and makes room for n more.
func (p *Process) Reset(ctx context.Context, n int) error {
	return p.call(ctx, "Reset", n, &struct{}{})
}

// Await waits until n requests or more have arrived since Reset.
func (p *Process) Await(ctx context.Context, n int) error {
	return p.call(ctx, "Wait", n, &struct{}{})
}

// Wait returns what arrived since Reset, once that is n requests or more.
func (p *Process) Wait(ctx context.Context, n int) (Arrivals, error) {
	if err := p.Await(ctx, n); err != nil {
		return nil, err
	}
	return p.Arrived(ctx)
}

// Arrived is what has arrived since Reset.
func (p *Process) Arrived(ctx context.Context) (Arrivals, error) {
	var all Arrivals
	err := p.call(ctx, "Arrivals", struct{}{}, &all)
	return all, err
}

// Release lets all that hangs be answered.
func (p *Process) Release(ctx context.Context) error {
	return p.call(ctx, "Release", struct{}{}, &struct{}{})
}

func (p *Process) call(ctx context.Context, method string, args, reply any) error {
	call := p.control.Go("Receiver."+method, args, reply, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		if call.Error != nil {
			return fmt.Errorf("ask the receiver (%s): %w", method, call.Error)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ask the receiver (%s): %w", method, context.Cause(ctx))
	}
}

// Close ends the process.
func (p *Process) Close() {
	_ = p.control.Close()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// Arrivals are requests in the order in which they came in.
type Arrivals []Arrival

// Rate is requests a second from the first to the last.
func (a Arrivals) Rate() float64 {
	if len(a) < 2 {
		return 0
	}
	return float64(len(a)-1) / time.Duration(a[len(a)-1].At-a[0].At).Seconds()
}

// Distinct is how many different ids came in.
func (a Arrivals) Distinct() int {
	seen := make(map[[16]byte]struct{}, len(a))
	for _, one := range a {
		seen[one.ID] = struct{}{}
	}
	return len(seen)
}
