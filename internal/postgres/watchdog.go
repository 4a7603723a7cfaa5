//go:build unix && !linux

package postgres

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// watchdog has a shell send SIGQUIT to pid when this process dies: the shell then reads the end of its input. For systems
// whose kernel does not see to it. It does its best: without a shell there is none. Release it once pid has ended.
func watchdog(pid int) (release func()) {
	input, keep, err := os.Pipe()
	if err != nil {
		return func() {}
	}
	defer input.Close()
	cmd := exec.Command("/bin/sh", "-c", `read -r _; kill -QUIT "$0"`, strconv.Itoa(pid))
	cmd.Stdin = input
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		keep.Close()
		return func() {}
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		keep.Close()
	}
}
