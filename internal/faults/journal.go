package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// flushEvery is how often a journal goes to the disk. It is there so that the evidence outlives the harness; the verdict
// is taken after close, when all of it has.
const flushEvery = 100 * time.Millisecond

// journal is a file of lines, each handed to the operating system when it is written, and flushed to the disk ten times a
// second and at the end. Any number of goroutines may write.
type journal struct {
	path string

	mu    sync.Mutex
	file  *os.File
	err   error
	dirty bool
	ended chan struct{}
	done  sync.WaitGroup
}

func newJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open a journal: %w", err)
	}
	j := &journal{path: path, file: file, ended: make(chan struct{})}
	j.done.Go(j.flush)
	return j, nil
}

// write adds lines.
func (j *journal) write(lines ...string) {
	if len(lines) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err := j.file.WriteString(strings.Join(lines, "\n") + "\n")
	j.err = errors.Join(j.err, err)
	j.dirty = true
}

func (j *journal) flush() {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			j.mu.Lock()
			dirty := j.dirty
			j.dirty = false
			j.mu.Unlock()
			if dirty {
				_ = j.file.Sync() // close finds what is wrong with the disk.
			}
		case <-j.ended:
			return
		}
	}
}

// close flushes what is left and returns the first fault that there was.
func (j *journal) close() error {
	close(j.ended)
	j.done.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := errors.Join(j.err, j.file.Sync(), j.file.Close()); err != nil {
		return fmt.Errorf("keep a journal: %w", err)
	}
	return nil
}

// readJournal calls f with the fields of each line.
func readJournal(path string, f func(fields []string) error) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read a journal: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		if err := f(strings.Fields(lines.Text())); err != nil {
			return fmt.Errorf("read a journal: %s line %d: %w", path, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read a journal: %w", err)
	}
	return nil
}
