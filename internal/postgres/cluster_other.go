//go:build !unix

package postgres

import (
	"context"
	"errors"
	"time"
)

// Cluster is a running Postgres. There is none on this system: Start returns an error.
type Cluster struct{}

var errSystem = errors.New("a private Postgres can be run on Linux, macOS and other Unix systems only")

// Start returns an error on this system.
func Start(context.Context, Options) (*Cluster, error) { return nil, errSystem }

// URL returns nothing on this system.
func (*Cluster) URL(string) string { return "" }

// Port returns 0 on this system.
func (*Cluster) Port() int { return 0 }

// PID returns 0 on this system.
func (*Cluster) PID() int { return 0 }

// DataDir returns nothing on this system.
func (*Cluster) DataDir() string { return "" }

// BinDir returns nothing on this system.
func (*Cluster) BinDir() string { return "" }

// LogTail returns nothing on this system.
func (*Cluster) LogTail() string { return "" }

// CPUTime returns an error on this system.
func (*Cluster) CPUTime() (time.Duration, error) { return 0, errSystem }

// CreateDatabase returns an error on this system.
func (*Cluster) CreateDatabase(context.Context, string) error { return errSystem }

// Set returns an error on this system.
func (*Cluster) Set(context.Context, map[string]string) error { return errSystem }

// Reload returns an error on this system.
func (*Cluster) Reload(context.Context) error { return errSystem }

// Standby returns an error on this system.
func (*Cluster) Standby(context.Context, Options) (*Cluster, error) { return nil, errSystem }

// Promote returns an error on this system.
func (*Cluster) Promote(context.Context) error { return errSystem }

// Resume returns an error on this system.
func (*Cluster) Resume(context.Context) error { return errSystem }

// Stop returns an error on this system.
func (*Cluster) Stop(context.Context, StopMode) error { return errSystem }

// Kill returns an error on this system.
func (*Cluster) Kill() error { return errSystem }

// Close does nothing on this system.
func (*Cluster) Close() error { return nil }
