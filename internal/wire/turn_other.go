//go:build !unix

package wire

// canTurn says that turns are not taken on this system.
const canTurn = false

func (t *turn) step(uintptr) bool { return true }

func isQuiet(uintptr, []byte) bool { return true }
