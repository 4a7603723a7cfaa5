package postgres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of times in /proc: USER_HZ, 100 on every architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// CPUTime returns the user and system time that the server's processes have used since Start, those that have ended
// included, in steps of 10 ms. Linux only: an error elsewhere. What a Kill cut off counts for the postmaster alone.
func (c *Cluster) CPUTime() (time.Duration, error) {
	c.mu.Lock()
	p, past := c.server, c.pastCPU
	c.mu.Unlock()
	// Where a child ends between the readings, it would count twice or not at all: then read again.
	for range 100 {
		if !p.running() {
			return past + p.cpuTime(), nil
		}
		before, err := readStat(p.cmd.Process.Pid)
		if err != nil {
			continue // Ended just now.
		}
		live := time.Duration(0)
		for _, pid := range childProcesses(p.cmd.Process.Pid) {
			if child, err := readStat(pid); err == nil {
				live += child.self + child.reaped
			}
		}
		after, err := readStat(p.cmd.Process.Pid)
		if err == nil && after.reaped == before.reaped {
			return past + after.self + after.reaped + live, nil
		}
	}
	return 0, errors.New("read the CPU time of Postgres: its processes come and go too fast")
}

// processStat is what /proc says of a process.
type processStat struct {
	parent       int
	self, reaped time.Duration // CPU time of its own, and of those children that it has waited for.
}

func readStat(pid int) (processStat, error) {
	content, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return processStat{}, err
	}
	// The name, in parentheses, may hold anything: the fields are counted from behind it.
	text := string(content)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	const parent, utime, stime, cutime, cstime = 1, 11, 12, 13, 14
	if len(fields) <= cstime {
		return processStat{}, fmt.Errorf("read /proc/%d/stat: only %d fields", pid, len(fields))
	}
	number := func(field int) int64 {
		n, _ := strconv.ParseInt(fields[field], 10, 64)
		return n
	}
	return processStat{
		parent: int(number(parent)),
		self:   time.Duration(number(utime)+number(stime)) * clockTick,
		reaped: time.Duration(number(cutime)+number(cstime)) * clockTick,
	}, nil
}

// childProcesses returns the ids of the live children of parent.
func childProcesses(parent int) []int {
	paths, _ := filepath.Glob("/proc/[0-9]*")
	var children []int
	for _, path := range paths {
		pid, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			continue
		}
		if stat, err := readStat(pid); err == nil && stat.parent == parent {
			children = append(children, pid)
		}
	}
	return children
}
