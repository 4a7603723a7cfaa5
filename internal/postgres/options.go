package postgres

import "log/slog"

// Options say how a cluster is set up. The zero value is a good one.
type Options struct {
	BinDir   string            // Folder of the server binaries. Default: what FindOrFetch returns.
	Settings map[string]string // Settings of postgresql.conf, over the defaults of this package.
	Logger   *slog.Logger      // Told of starts and stops. Default: silent.
	Dir      string            // Where the cluster's folder is made. Default: the system's folder for temporary files.
	FsyncOff bool              // Faster, and safe against everything but a crash of the machine.
}

// StopMode says how a server stops.
type StopMode int

// The ways to stop, as pg_ctl names them.
const (
	Fast      StopMode = iota // Ends the sessions, then stops in an orderly way.
	Immediate                 // Stops at once; recovers from the WAL at the next start.
	Smart                     // Waits until all sessions have ended by themselves.
)
