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
	lockName     = "lock"
	lockMark     = "private cluster of relay\n" // What makes a lock file ours.
)

// folder holds all the files of one cluster. It is ours for as long as the lock in it is held: by this process, or by a
// server that it started.
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
	path, err := os.MkdirTemp(parent, folderPrefix)
	if err != nil {
		return nil, err
	}
	f := &folder{path: path}
	if err := f.fill(as); err != nil {
		return nil, errors.Join(err, f.remove())
	}
	return f, nil
}

func (f *folder) fill(as *account) error {
	// Locked before it has the name that sweep looks for: nobody can take it for abandoned.
	lock, err := os.CreateTemp(f.path, "new-lock-")
	if err != nil {
		return err
	}
	f.lock = lock
	if _, err := lock.WriteString(lockMark); err != nil {
		return err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if err := os.Rename(lock.Name(), filepath.Join(f.path, lockName)); err != nil {
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
	segmentErr := removeSegment(f.data())
	err := os.RemoveAll(f.path)
	if f.lock != nil {
		f.lock.Close()
	}
	return errors.Join(segmentErr, err)
}

// sweep removes the folders under parent that killed processes left behind: those with our lock file in them, owned by
// our user, whose lock nobody holds.
func sweep(parent string) error {
	paths, err := filepath.Glob(filepath.Join(parent, folderPrefix+"*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range paths {
		if f := abandoned(path); f != nil {
			errs = append(errs, f.remove())
		}
	}
	return errors.Join(errs...)
}

// abandoned returns the folder, locked, if it is ours and nobody holds its lock; else nil.
func abandoned(path string) *folder {
	if !ours(path) {
		return nil
	}
	lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	mark := make([]byte, len(lockMark)+1)
	n, _ := lock.Read(mark)
	if string(mark[:n]) != lockMark || syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		lock.Close()
		return nil
	}
	return &folder{path: path, lock: lock}
}

// ours says whether path is a folder, no link to one, that our user owns.
func ours(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() || info.Mode()&fs.ModeSymlink != 0 {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
