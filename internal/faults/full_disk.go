package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// diskBytes is the size of the disk: what a fresh server with this little WAL takes, and the room of some seconds.
const diskBytes = 400 << 20

var fullDisk = &campaign{
	name: "full-disk",
	doc:  "the disk of Postgres full under load (a tmpfs of its own, as root)",
	run: func(ctx context.Context, r *rig) error {
		disk := r.path("disk")
		if err := os.Mkdir(disk, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%d,mode=755", diskBytes)); err != nil {
			return errSkip("a tmpfs can't be mounted here (" + err.Error() + "): run it as root, outside of a container without CAP_SYS_ADMIN")
		}
		r.afterCluster = append(r.afterCluster, func() error { return syscall.Unmount(disk, 0) })
		if err := r.setUpIn(ctx, disk, "max_wal_size=64MB", "min_wal_size=32MB"); err != nil {
			return err
		}
		relay, err := r.start(ctx)
		if err != nil {
			return err
		}
		r.writer.start(r.random, eventsPerSecond)
		times, crashes, n := r.count(2, 10), 0, 0
		for ; n < times && r.more(ctx); n++ {
			if err := r.awaitLoad(ctx, 200); err != nil {
				return err
			}
			crashed, err := r.fillDisk(ctx, filepath.Join(disk, "ballast"))
			if err != nil {
				return err
			}
			if crashed {
				crashes++
			}
			if relay.ended() {
				return fmt.Errorf("the relay ended: %s", relay.cmd.ProcessState)
			}
			if err := r.recovered(ctx, time.Now(), recoverWithin); err != nil {
				return err
			}
		}
		r.did(n, times, "filled the disk %d times for 5 s under %d events/s", n, eventsPerSecond)
		r.result.note("Postgres went down by it %d times and was started again", crashes)
		return r.settle(ctx)
	},
}

// fillDisk leaves no byte free until writes have failed for 5 s. Postgres may stop altogether, when it is the WAL for which
// there is no room: then it is started again.
func (r *rig) fillDisk(ctx context.Context, path string) (crashed bool, err error) {
	ballast, err := os.Create(path)
	if err != nil {
		return false, err
	}
	defer ballast.Close()
	block := make([]byte, 64<<10)
	began, failed := time.Now(), time.Time{}
	for failed.IsZero() || time.Since(failed) < 5*time.Second {
		for {
			if _, err := ballast.Write(block); err != nil {
				break // Full; again in a moment, should Postgres have freed something.
			}
		}
		if err := r.probeWrite(ctx); err != nil && failed.IsZero() {
			failed = time.Now()
		}
		if time.Since(began) > 40*time.Second {
			_ = os.Remove(path)
			return false, errors.New("the disk is full and Postgres writes on")
		}
		pause(ctx, 100*time.Millisecond)
	}
	if err := ballast.Truncate(0); err != nil {
		return false, err
	}
	if err := os.Remove(path); err != nil {
		return false, err
	}
	pause(ctx, time.Second) // It may be about to go down.
	if r.cluster.PID() == 0 {
		return true, r.cluster.Resume(ctx)
	}
	return false, nil
}

// probeWrite says whether a statement that needs room fails for want of it.
func (r *rig) probeWrite(ctx context.Context) error {
	err := r.exec(ctx, `CREATE TABLE IF NOT EXISTS probe AS SELECT repeat(md5(i::text), 20) AS t FROM generate_series(1, 2000) AS i`)
	if err == nil {
		err = r.exec(ctx, `DROP TABLE probe`)
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42P07" {
		return nil
	}
	return err
}
