//go:build unix && !linux

package postgres

import "syscall"

// attributes are those of a child process: a process group of its own, so that Ctrl-C on a terminal is for us alone to
// act on.
func attributes(as *account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: as.credential()}
}

// watch ends the child pid when this process dies.
func watch(pid int) (release func()) { return watchdog(pid) }
