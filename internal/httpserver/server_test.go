package httpserver_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/outboxrelay/relay/internal/httpserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a condition may take to come true on a busy machine.
const patience = 30 * time.Second

func options() httpserver.Options {
	return httpserver.Options{
		Ready:   func() (bool, string) { return true, "relaying" },
		Metrics: prometheus.NewRegistry(),
	}
}

func ask(h http.Handler, method, path string) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(text)
}

func TestAnswers(t *testing.T) {
	ready, reason := true, "relaying"
	o := options()
	o.Ready = func() (bool, string) { return ready, reason }
	s := httpserver.New(o)
	for _, c := range []struct {
		name, method, path string
		ready              bool
		reason             string
		status             int
		body               string
	}{
		{"healthy", "GET", "/healthz", false, "starting", 200, "ok\n"},
		{"ready", "GET", "/readyz", true, "relaying", 200, "relaying\n"},
		{"stands by", "GET", "/readyz", true, "standing by: another relay has the slot", 200, "standing by: another relay has the slot\n"},
		{"not ready", "GET", "/readyz", false, "cannot set up: no database", 503, "cannot set up: no database\n"},
		{"index", "GET", "/", true, "", 200, "relay: /healthz, /readyz, /metrics\n"},
		{"unknown path", "GET", "/nope", true, "", 404, "not found; there is /healthz, /readyz and /metrics\n"},
		{"below a known path", "GET", "/healthz/x", true, "", 404, "not found; there is /healthz, /readyz and /metrics\n"},
		{"health by POST", "POST", "/healthz", true, "", 405, "method not allowed; there is GET and HEAD\n"},
		{"readiness by PUT", "PUT", "/readyz", true, "", 405, "method not allowed; there is GET and HEAD\n"},
		{"metrics by DELETE", "DELETE", "/metrics", true, "", 405, "method not allowed; there is GET and HEAD\n"},
		{"index by POST", "POST", "/", true, "", 405, "method not allowed; there is GET and HEAD\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ready, reason = c.ready, c.reason
			r := ask(s, c.method, c.path)
			require.Equal(t, c.status, r.StatusCode)
			require.Equal(t, c.body, body(t, r))
			require.Equal(t, "text/plain; charset=utf-8", r.Header.Get("Content-Type"))
			require.Equal(t, "no-store", r.Header.Get("Cache-Control"), "a proxy must not keep it")
			if c.status == http.StatusMethodNotAllowed {
				require.Equal(t, "GET, HEAD", r.Header.Get("Allow"))
			}
		})
	}
}

func TestMetricsAreExpositionText(t *testing.T) {
	registry := prometheus.NewRegistry()
	counted := prometheus.NewCounter(prometheus.CounterOpts{Name: "relay_things_total", Help: "Things."})
	counted.Add(3)
	registry.MustRegister(counted)
	o := options()
	o.Metrics = registry
	r := ask(httpserver.New(o), "GET", "/metrics")
	require.Equal(t, http.StatusOK, r.StatusCode)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r.Body)
	require.NoError(t, err)
	require.InDelta(t, 3, families["relay_things_total"].GetMetric()[0].GetCounter().GetValue(), 0)
}

// A metric that cannot be read must not take the others along.
func TestMetricsThatFailAreLogged(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "good", Help: "Good."}), broken{})
	var log bytes.Buffer
	o := options()
	o.Metrics, o.Logger = registry, slog.New(slog.NewTextHandler(&log, nil))
	r := ask(httpserver.New(o), "GET", "/metrics")
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.Contains(t, body(t, r), "good 0")
	require.Contains(t, log.String(), "out of order")
}

type broken struct{}

func (broken) Describe(ch chan<- *prometheus.Desc) {
	ch <- prometheus.NewDesc("broken", "Broken.", nil, nil)
}

func (broken) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.NewInvalidMetric(prometheus.NewDesc("broken", "Broken.", nil, nil), errOutOfOrder)
}

var errOutOfOrder = errorString("out of order")

type errorString string

func (e errorString) Error() string { return string(e) }

func TestRootAnswersAllElse(t *testing.T) {
	o := options()
	o.Root = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Method+" "+r.URL.Path)
	})
	s := httpserver.New(o)
	require.Equal(t, "GET /", body(t, ask(s, "GET", "/")))
	require.Equal(t, "POST /subscriptions", body(t, ask(s, "POST", "/subscriptions")))
	require.Equal(t, "ok\n", body(t, ask(s, "GET", "/healthz")))
	require.Equal(t, http.StatusMethodNotAllowed, ask(s, "POST", "/healthz").StatusCode, "its own paths are not Root's by other methods")
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, c := range []struct{ address, says string }{
		{taken.Addr().String(), taken.Addr().String() + ` is in use; choose another address, or "" for none`},
		{"192.0.2.1:8080", "cannot listen on 192.0.2.1:8080: cannot assign requested address"},
	} {
		_, err := httpserver.Listen(t.Context(), c.address)
		require.EqualError(t, err, c.says)
	}
}

// serve serves until the returned function is called, which waits for the end and returns its error.
func serve(t *testing.T, o httpserver.Options) (address string, stop func() error) {
	t.Helper()
	listener, err := httpserver.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	ended := make(chan error, 1)
	go func() { ended <- httpserver.New(o).Serve(ctx, listener) }()
	return listener.Addr().String(), func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(patience):
			return errorString("Serve did not end")
		}
	}
}

func TestStopLetsAnswersUnderWayEnd(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	o := options()
	o.Root = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		_, _ = io.WriteString(w, "whole")
	})
	address, stop := serve(t, o)

	answer := make(chan string, 1)
	go func() {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		r, err := client.Get("http://" + address + "/slow")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer r.Body.Close()
		text, _ := io.ReadAll(r.Body)
		answer <- string(text)
	}()
	<-begun
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}, patience, time.Millisecond, "it takes no new connections")
	select {
	case err := <-ended:
		require.Fail(t, "Serve ended before the answer", "%v", err)
	default:
	}
	close(finish)
	require.Equal(t, "whole", <-answer)
	require.NoError(t, <-ended)
}

func TestServeSaysWhyItEndsByItself(t *testing.T) {
	listener, err := httpserver.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- httpserver.New(options()).Serve(context.Background(), listener) }()
	require.NoError(t, listener.Close())
	require.ErrorContains(t, <-ended, "serve http.listen: ")
}
