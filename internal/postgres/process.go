package postgres

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// process is a program that must not outlive this one.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // Closed when it has ended; cmd.ProcessState is set.
	gone   chan struct{} // Closed when all that it started has ended too.
}

// startProcess runs cmd as a child that ends with SIGQUIT when this process dies. The child and all that it starts
// inherit lock, and with it the file lock that this process holds.
func startProcess(cmd *exec.Cmd, lock *os.File) (*process, error) {
	// Its end of this pipe is handed down to every descendant: when the last of them has ended, we read the end of file.
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	cmd.ExtraFiles = []*os.File{lock, theirs}
	p := &process{cmd: cmd, exited: make(chan struct{}), gone: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Linux tells a child of the death of the thread that forked it: this one must live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer ours.Close()
		err := cmd.Start()
		theirs.Close()
		started <- err
		if err != nil {
			return
		}
		p.wait(ours)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) wait(ours io.Reader) {
	release := watch(p.cmd.Process.Pid)
	_ = p.cmd.Wait() // What matters of it is in ProcessState.
	release()
	close(p.exited)
	_, _ = io.Copy(io.Discard, ours)
	close(p.gone)
}

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// cpuTime is that of an ended process with those of its children that it waited for.
func (p *process) cpuTime() time.Duration {
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}
