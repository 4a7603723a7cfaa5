//go:build !unix

package wire

// isQuiet takes every connection for a live one: the write tells.
func isQuiet(uintptr) bool { return true }
