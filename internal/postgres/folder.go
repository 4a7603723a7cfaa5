//go:build unix

package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	folderPrefix = "relay-postgres-"
	// markName is a file that makes a folder one of ours. It comes first and goes last.
	markName = "private-cluster-of-relay"
	// folderAttempts is how often a folder is made that another process, sweeping, takes for abandoned at that instant.
	folderAttempts = 10
)

// folder holds all the files of one cluster. It is in use for as long as somebody holds the lock on it: this process, or
// one of the server that it started, which inherits the lock.
type folder struct {
	path string
	lock *os.File
}

func (f *folder) data() string    { return filepath.Join(f.path, "data") }
func (f *folder) log() string     { return filepath.Join(f.path, "postgres.log") }
func (f *folder) sockets() string { return filepath.Join(f.path, "s") }

// newFolder makes a folder under parent, with the folders in it that the account writes to.
func newFolder(parent string, as *account) (*folder, error) {
	if err := as.reach(parent); err != nil {
		return nil, err
	}
	for range folderAttempts {
		path, err := os.MkdirTemp(parent, folderPrefix)
		if err != nil {
			return nil, err
		}
		f := lockFolder(path)
		if f == nil {
			continue
		}
		if err := f.fill(as); err != nil {
			return nil, errors.Join(err, f.remove())
		}
		return f, nil
	}
	return nil, fmt.Errorf("lock a new folder under %s: not possible in %d attempts", parent, folderAttempts)
}

// lockFolder returns the folder at path, locked; nil where another holds it, or it is not (or no longer) ours.
func lockFolder(path string) *folder {
	lock, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil
	}
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil && stillOurs(lock, path) {
		return &folder{path: path, lock: lock}
	}
	lock.Close()
	return nil
}

// stillOurs says whether path is that open folder, and our user's.
func stillOurs(lock *os.File, path string) bool {
	held, err := lock.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	if err != nil || !os.SameFile(held, named) {
		return false
	}
	stat, ok := held.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

func (f *folder) fill(as *account) error {
	if err := os.WriteFile(filepath.Join(f.path, markName), nil, 0o600); err != nil {
		return err
	}
	if as != nil {
		if err := os.Chmod(f.path, 0o711); err != nil {
			return err
		}
	}
	for _, dir := range []string{f.data(), f.sockets()} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if err := as.own(dir); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes the folder and lets go of the lock. All processes that wrote to it must have ended.
func (f *folder) remove() error {
	defer f.lock.Close()
	segmentErr := removeSegment(f.data())
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return errors.Join(segmentErr, err)
	}
	for _, entry := range entries {
		if entry.Name() == markName {
			continue
		}
		if err := os.RemoveAll(filepath.Join(f.path, entry.Name())); err != nil {
			return errors.Join(segmentErr, err)
		}
	}
	return errors.Join(segmentErr, os.RemoveAll(f.path))
}

// sweep removes the folders under parent that killed processes left behind: those of our user, with our mark in them,
// whose lock nobody holds. One without the mark goes only if it is empty: its maker was killed before it made the mark.
func sweep(parent string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		if ok, _ := filepath.Match(folderPrefix+"*", entry.Name()); ok && entry.IsDir() {
			errs = append(errs, sweepFolder(filepath.Join(parent, entry.Name())))
		}
	}
	return errors.Join(errs...)
}

func sweepFolder(path string) error {
	f := lockFolder(path)
	if f == nil {
		return nil
	}
	_, err := os.Lstat(filepath.Join(path, markName))
	switch {
	case err == nil:
		return f.remove()
	case errors.Is(err, fs.ErrNotExist):
		_ = os.Remove(path) // Refused unless it is empty.
	}
	return f.lock.Close()
}
