package main

import (
	"context"
	"fmt"
	"net/rpc"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// receiverProcess is a Receiver in a process of its own.
type receiverProcess struct {
	cmd     *exec.Cmd
	control *rpc.Client
	address string
}

func startReceiver(ctx context.Context) (*receiverProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.Command(self, receiverCommand)
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

	r := &receiverProcess{cmd: cmd, control: rpc.NewClient(stdio{out, in})}
	if err := r.call(ctx, "Address", struct{}{}, &r.address); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *receiverProcess) url(path string) string { return "http://" + r.address + path }

// reset forgets what has arrived and makes room for n more.
func (r *receiverProcess) reset(ctx context.Context, n int) error {
	return r.call(ctx, "Reset", n, &struct{}{})
}

// wait returns what arrived since reset, once that is n requests or more.
func (r *receiverProcess) wait(ctx context.Context, n int) (arrivals, error) {
	if err := r.call(ctx, "Wait", n, &struct{}{}); err != nil {
		return nil, err
	}
	return r.arrivals(ctx)
}

func (r *receiverProcess) arrivals(ctx context.Context) (arrivals, error) {
	var all arrivals
	err := r.call(ctx, "Arrivals", struct{}{}, &all)
	return all, err
}

// release lets all that hangs be answered.
func (r *receiverProcess) release(ctx context.Context) error {
	return r.call(ctx, "Release", struct{}{}, &struct{}{})
}

func (r *receiverProcess) call(ctx context.Context, method string, args, reply any) error {
	call := r.control.Go("Receiver."+method, args, reply, make(chan *rpc.Call, 1))
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

func (r *receiverProcess) close() {
	_ = r.control.Close()
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

// arrivals are requests in the order in which they came in.
type arrivals []Arrival

// rate is requests a second from the first to the last.
func (a arrivals) rate() float64 {
	if len(a) < 2 {
		return 0
	}
	return float64(len(a)-1) / a.span().Seconds()
}

func (a arrivals) span() time.Duration { return time.Duration(a[len(a)-1].At - a[0].At) }

// distinct is how many different ids came in: fewer than len(a) if some came twice.
func (a arrivals) distinct() int {
	seen := make(map[[16]byte]struct{}, len(a))
	for _, one := range a {
		seen[one.ID] = struct{}{}
	}
	return len(seen)
}
