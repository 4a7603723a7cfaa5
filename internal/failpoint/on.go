//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// plan is what FAILPOINT asks for.
type plan struct {
	point string
	nth   int64
	pause time.Duration // 0: die.
}

var (
	wanted = mustParse(os.Getenv("FAILPOINT"))
	hits   atomic.Int64
)

// Hit dies, or waits, where FAILPOINT names this point and it is hit for the n-th time.
func Hit(point string) {
	if point != wanted.point || hits.Add(1) != wanted.nth {
		return
	}
	fmt.Fprintf(os.Stderr, "failpoint: reached %s, hit %d\n", point, wanted.nth)
	if wanted.pause > 0 {
		time.Sleep(wanted.pause)
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func mustParse(text string) plan {
	p, err := parse(text)
	if err != nil {
		panic("FAILPOINT=" + text + ": " + err.Error())
	}
	return p
}

// parse reads NAME@N or NAME@N:DURATION.
func parse(text string) (plan, error) {
	if text == "" {
		return plan{}, nil
	}
	name, rest, _ := strings.Cut(text, "@")
	if !slices.ContainsFunc(Points, func(p Point) bool { return p.Name == name }) {
		return plan{}, fmt.Errorf("there is no point %q", name)
	}
	count, pause, paused := strings.Cut(rest, ":")
	nth, err := strconv.ParseInt(count, 10, 64)
	if err != nil || nth < 1 {
		return plan{}, fmt.Errorf("%q is not the number of a hit", count)
	}
	p := plan{point: name, nth: nth}
	if paused {
		if p.pause, err = time.ParseDuration(pause); err != nil {
			return plan{}, err
		}
	}
	return p, nil
}
