package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// forget makes the system drop what it has cached of a file.
func forget(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED)
}
