package model

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// build builds the program on first use, for all sequences, unless one is given.
var build = sync.OnceValues(func() (string, error) {
	if *program != "" {
		return *program, nil
	}
	path := filepath.Join(os.TempDir(), "relay-model-"+strconv.Itoa(os.Getpid()))
	out, err := exec.Command("go", "build", "-o", path, "github.com/outboxrelay/relay/cmd/relay").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
})

// Settings of every relay: quick retries and a short timeout, so that a sequence takes no longer than it must.
const (
	retries         = 3
	deliveryTimeout = time.Second
	slotName        = "model"
)

// process is a running `relay run`.
type process struct {
	cmd    *exec.Cmd
	log    *lockedBuffer
	listen string
	ended  chan struct{}
	err    error // Of the end; for who has seen it.
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// launch starts the program without waiting for it. Its log is added to what was logged before.
func launch(url string, log *lockedBuffer) (*process, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	listen := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	binary, err := build()
	if err != nil {
		return nil, err
	}
	p := &process{log: log, listen: listen, ended: make(chan struct{})}
	p.cmd = exec.Command(binary, "run")
	p.cmd.Dir = os.TempDir() // Without a relay.yaml.
	p.cmd.Env = append(os.Environ(),
		"RELAY_DATABASE_URL="+url, "RELAY_REPLICATION_SLOT="+slotName, "RELAY_REPLICATION_PUBLICATION="+slotName,
		"RELAY_HTTP_LISTEN="+listen, "RELAY_HTTP_CONSOLE=false", "RELAY_NETWORK_ALLOW=127.0.0.0/8",
		"RELAY_DELIVERY_TIMEOUT="+deliveryTimeout.String(), "RELAY_DELIVERY_RETRY_MAX="+strconv.Itoa(retries),
		"RELAY_DELIVERY_RETRY_BASE=100ms", "RELAY_DELIVERY_RETRY_UNIT=0s", "RELAY_DELIVERY_RETRY_EXPONENT=1")
	p.cmd.Stderr, p.cmd.Stdout = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.err = p.cmd.Wait(); close(p.ended) }()
	return p, nil
}

func (p *process) ready() bool {
	response, err := http.Get("http://" + p.listen + "/readyz")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// running says whether it has not ended of its own accord.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// stop ends it as an operator does; a clean end is expected. Before it listens, it does not look after signals yet.
func (p *process) stop() error {
	for deadline := time.Now().Add(patience); p.running() && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", p.listen); err == nil {
			_ = c.Close()
			break
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.ended:
		return p.err
	case <-time.After(patience):
		return fmt.Errorf("still running %v after SIGTERM", patience)
	}
}

// kill ends it as nobody should.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // It may have ended.
	<-p.ended
}
