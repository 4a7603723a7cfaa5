//go:build unix

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options say how a cluster is set up. The zero value is a good one.
type Options struct {
	BinDir   string            // Folder of the server binaries. Default: what FindOrFetch returns.
	Settings map[string]string // Settings of postgresql.conf, over the defaults of this package.
	Logger   *slog.Logger      // Told of starts and stops. Default: silent.
	Dir      string            // Where the cluster's folder is made. Default: the system's folder for temporary files.
	FsyncOff bool              // Faster, and safe against everything but a crash of the machine.
}

// Cluster is a running Postgres. Start, Stop, Kill and Resume it from one goroutine at a time; all other methods, and
// Close, may be called by any number at once.
type Cluster struct {
	binDir  string
	logger  *slog.Logger
	account *account
	folder  *folder
	port    int

	mu       sync.Mutex
	settings map[string]string
	server   *process      // Of the last start, which may have ended.
	pastCPU  time.Duration // Of the servers before it.

	closing  sync.Once
	closeErr error
}

// Start sets up a cluster and starts it: on a free port of 127.0.0.1 and, where the path is short enough, on a socket in
// its own folder; every local user may log in as superuser postgres. It returns once the server answers, in about a second.
// ctx ends the start, not the server: Close does that. As root, the server runs as user postgres, or nobody.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	c := &Cluster{binDir: o.BinDir, logger: o.Logger, settings: maps.Clone(defaultSettings)}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	if o.FsyncOff {
		maps.Copy(c.settings, unsafeSettings)
	}
	maps.Copy(c.settings, o.Settings)
	if err := c.prepare(ctx, o.Dir); err != nil {
		return nil, err
	}
	if err := c.create(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// prepare finds what the cluster needs, and makes its folder.
func (c *Cluster) prepare(ctx context.Context, parent string) (err error) {
	if c.binDir == "" {
		if c.binDir, err = FindOrFetch(ctx, c.logger); err != nil {
			return err
		}
	}
	if c.binDir, err = filepath.Abs(c.binDir); err != nil {
		return fmt.Errorf("find the server binaries: %w", err)
	}
	if c.account, err = serverAccount(); err != nil {
		return err
	}
	if err := c.account.reach(c.binDir); err != nil {
		return fmt.Errorf("run the server binaries: %w", err)
	}
	if parent == "" {
		parent = os.TempDir()
	}
	if parent, err = filepath.Abs(parent); err != nil {
		return fmt.Errorf("make a folder for Postgres: %w", err)
	}
	if err := sweep(parent); err != nil {
		c.logger.WarnContext(ctx, "could not remove what a killed run left behind", "error", err)
	}
	if c.folder, err = newFolder(parent, c.account); err != nil {
		return fmt.Errorf("make a folder for Postgres: %w", err)
	}
	return nil
}

// create makes the data folder and starts the server.
func (c *Cluster) create(ctx context.Context) error {
	if err := c.initdb(ctx); err != nil {
		return err
	}
	if err := errors.Join(c.includeSettings(), c.writeSettings()); err != nil {
		return fmt.Errorf("write the settings of Postgres: %w", err)
	}
	return c.startOnFreePort(ctx)
}

func (c *Cluster) initdb(ctx context.Context) error {
	output, err := os.OpenFile(c.folder.log(), os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("make a log for Postgres: %w", err)
	}
	defer output.Close()
	p, err := startProcess(c.command(output, "initdb", "-D", c.folder.data(), "-U", superuser, "-A", "trust",
		"-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"), c.folder.lock)
	if err != nil {
		return fmt.Errorf("run initdb: %w", err)
	}
	select {
	case <-p.gone:
	case <-ctx.Done():
		_ = p.cmd.Process.Kill()
		<-p.gone
		return fmt.Errorf("run initdb: %w", ctx.Err())
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("run initdb: %s: %s", p.cmd.ProcessState, c.LogTail())
	}
	return nil
}

// command is a program of the server, run in the cluster's folder as its account.
func (c *Cluster) command(output *os.File, name string, arg ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.binDir, name), arg...)
	cmd.Dir = c.folder.data()
	cmd.Env = environment()
	cmd.Stdout = output
	cmd.Stderr = output
	cmd.SysProcAttr = attributes(c.account)
	return cmd
}

// environment is ours, without what would change how the programs behave or in what language they log.
func environment() []string {
	env := []string{"LC_ALL=C"}
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "PG") && !strings.HasPrefix(entry, "LC_") && !strings.HasPrefix(entry, "LANG") {
			env = append(env, entry)
		}
	}
	return env
}

// URL returns the address of a database of this cluster, for its superuser.
func (c *Cluster) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User(superuser),
		Host:     "127.0.0.1:" + strconv.Itoa(c.port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Port returns the TCP port that the cluster listens on, the same after a Resume.
func (c *Cluster) Port() int { return c.port }

// DataDir returns the data folder.
func (c *Cluster) DataDir() string { return c.folder.data() }

// BinDir returns the folder of the server binaries that run the cluster.
func (c *Cluster) BinDir() string { return c.binDir }

// PID returns the process id of the postmaster, 0 while it does not run.
func (c *Cluster) PID() int {
	p := c.process()
	if p == nil || !p.running() {
		return 0
	}
	return p.cmd.Process.Pid
}

func (c *Cluster) process() *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.server
}

// LogTail returns the last lines of the server's log, at most 4 KiB; an error to read it is put in their place.
func (c *Cluster) LogTail() string {
	const most = 4 << 10
	f, err := os.Open(c.folder.log())
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > most {
		_, _ = f.Seek(-most, io.SeekEnd)
	}
	content, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(content))
}
