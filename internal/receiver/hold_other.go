//go:build !unix

package receiver

import (
	"net"
	"syscall"
)

func shared(string, string, syscall.RawConn) error { return nil }

// hold does nothing here: a port that is not listened on may be taken by others.
func hold(net.Addr) (release func(), err error) { return func() {}, nil }
