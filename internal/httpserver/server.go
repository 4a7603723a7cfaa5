// Package httpserver is the relay's own HTTP server: health, readiness and metrics, and whatever page is given to it.
package httpserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options are what a server shows.
type Options struct {
	// Ready says whether events are being relayed, and in a few words why (not). It is called at every request of /readyz.
	Ready   func() (bool, string)
	Metrics prometheus.Gatherer
	// Protect stands before /metrics. Default: nothing does.
	Protect func(http.Handler) http.Handler
	Root    http.Handler // Everything that is not a path of this package. Default: a line of text that names those.
	Logger  *slog.Logger // Default: discards.
}

// Server answers /healthz, /readyz and /metrics. It may be used as an http.Handler too.
type Server struct {
	mux *http.ServeMux
	log *slog.Logger
}

const (
	headerTimeout = 5 * time.Second  // For a request's headers: clients are near, so this is for those that hang.
	readTimeout   = 30 * time.Second // For a whole request: the longest is a form.
	idleTimeout   = 2 * time.Minute  // Longer than the interval at which Prometheus asks, so that it keeps its connection.
	stopTimeout   = 5 * time.Second  // For answers under way when the relay stops.
	maxHeader     = 64 << 10
)

// New makes a server that does not listen yet.
func New(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Root == nil {
		o.Root = http.HandlerFunc(index)
	}
	if o.Protect == nil {
		o.Protect = func(next http.Handler) http.Handler { return next }
	}
	s := &Server{mux: http.NewServeMux(), log: o.Logger}
	s.get("/healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	s.get("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		ready, why := o.Ready()
		status := http.StatusOK
		if !ready {
			status = http.StatusServiceUnavailable
		}
		plain(w, status, why)
	})
	s.get("/metrics", o.Protect(promhttp.HandlerFor(o.Metrics, promhttp.HandlerOpts{
		ErrorLog:      slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
		ErrorHandling: promhttp.ContinueOnError,
	})).ServeHTTP)
	s.mux.Handle("/", o.Root)
	return s
}

// get has a path answered to GET and HEAD. Other methods would fall through to Root.
func (s *Server) get(path string, h http.HandlerFunc) {
	s.mux.HandleFunc("GET "+path, h)
	s.mux.HandleFunc(path, notAllowed)
}

func notAllowed(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Allow", "GET, HEAD")
	plain(w, http.StatusMethodNotAllowed, "method not allowed; there is GET and HEAD")
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Listen takes an address, host:port, to serve on. The error says so where something else has it.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use; choose another address, or \"\" for none", address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: no right to listen there; choose a port above 1023", address)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s: %w", address, innermost(err))
	}
	return listener, nil
}

// Serve answers requests until ctx ends; then it lets answers under way end, a few seconds long, and returns nil. It
// closes the listener.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(stopped)
		limit, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if server.Shutdown(limit) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(listener)
	if errors.Is(err, http.ErrServerClosed) {
		<-stopped
		return nil
	}
	cancel()
	return fmt.Errorf("serve http.listen: %w", err)
}

// innermost strips the address that net puts around an error, again and again.
func innermost(err error) error {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}

func index(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/":
		plain(w, http.StatusNotFound, "not found; there is /healthz, /readyz and /metrics")
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		notAllowed(w, r)
	default:
		plain(w, http.StatusOK, "relay: /healthz, /readyz, /metrics")
	}
}
