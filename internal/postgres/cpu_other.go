//go:build unix && !linux

package postgres

import (
	"errors"
	"time"
)

// CPUTime returns an error: only Linux tells.
func (c *Cluster) CPUTime() (time.Duration, error) {
	return 0, errors.New("the CPU time of Postgres can be read on Linux only")
}

// childProcesses returns none: children end by themselves when they notice that their parent has.
func childProcesses(int) []int { return nil }
