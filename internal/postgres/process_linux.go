package postgres

import "syscall"

// attributes are those of a child process: a process group of its own, so that Ctrl-C on a terminal is for us alone to
// act on, and an end together with ours. Go asks for the latter after the change of user, which would undo it.
func attributes(as *account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGQUIT, Credential: as.credential()}
}

// watch does nothing: the kernel watches.
func watch(int) (release func()) { return func() {} }
