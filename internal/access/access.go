// Package access decides who may come in to the relay's own HTTP server: operators, who sign in with a password or send a
// token, and one tenant's people, whom the host app sends over with a signed link.
package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/outboxrelay/relay/config"
)

// Viewer is who makes a request. The zero Viewer may see nothing.
type Viewer struct {
	Operator bool   // Sees everything.
	Tenant   string // Sees this tenant alone; never empty unless Operator is true.
	Name     string // Of the user who signed in; empty where nobody had to, and for tokens and links.
}

// String says who it is, for the log.
func (v Viewer) String() string {
	switch {
	case v.Name != "":
		return "user " + v.Name
	case v.Operator:
		return "operator"
	case v.Tenant != "":
		return "tenant " + v.Tenant
	}
	return "nobody"
}

var (
	// ErrUnknown is returned by Who for a request that says nothing of who makes it, where that is asked for.
	ErrUnknown = errors.New("nobody signed in")
	// ErrRefused is returned where the password, token or link is not valid, or not any more.
	ErrRefused = errors.New("not valid")
)

// WaitError is returned where too many passwords were wrong of late.
type WaitError struct{ Wait time.Duration }

func (e *WaitError) Error() string {
	return fmt.Sprintf("too many wrong passwords; try again in %s", e.Wait.Round(time.Second))
}

// Gate knows who may come in. It is safe for use by several goroutines.
type Gate struct {
	auth      config.Auth
	open      bool // Metrics for everybody.
	names     map[string]bool
	tokens    [][]byte
	passwords *passwords
	failures  *throttle
	sessions  sealer
	linkKey   []byte // Nil: there are no links.
	now       func() time.Time
}

// New makes a gate of settings that were found valid.
func New(c config.HTTP) (*Gate, error) {
	key, err := ParseLinkKey(c.LinkKey)
	if err != nil {
		return nil, err
	}
	g := &Gate{
		auth: c.Auth, open: c.OpenMetrics, names: hostNames(c), passwords: newPasswords(c.Auth.Users),
		failures: newThrottle(), sessions: newSealer(key, c.Auth), linkKey: key, now: time.Now,
	}
	for i, token := range c.Auth.Tokens {
		sum, err := hex.DecodeString(token)
		if err != nil {
			return nil, fmt.Errorf("http.auth.tokens[%d]: is not hex", i)
		}
		g.tokens = append(g.tokens, sum)
	}
	return g, nil
}

// Required says whether an operator has to sign in.
func (g *Gate) Required() bool { return g.auth.Required() }

// HasPasswords says whether anybody can sign in with a password.
func (g *Gate) HasPasswords() bool { return len(g.auth.Users) > 0 }

// Who says who makes a request: by its Authorization header, its session's cookie, or, where no login is configured, the
// mere fact that it came. Errors are ErrUnknown, ErrRefused, *WaitError and those of the request's context.
func (g *Gate) Who(r *http.Request) (Viewer, error) {
	if header := r.Header.Get("Authorization"); header != "" && g.Required() {
		return g.byHeader(r, header)
	}
	if v, ok := g.bySession(r); ok {
		return v, nil
	}
	if g.Required() {
		return Viewer{}, ErrUnknown
	}
	return Viewer{Operator: true}, nil
}

func (g *Gate) byHeader(r *http.Request, header string) (Viewer, error) {
	if name, password, ok := r.BasicAuth(); ok {
		return g.SignIn(r.Context(), r.RemoteAddr, name, password)
	}
	scheme, token, _ := strings.Cut(header, " ")
	if strings.EqualFold(scheme, "Bearer") && g.knowsToken(strings.TrimSpace(token)) {
		return Viewer{Operator: true}, nil
	}
	return Viewer{}, ErrRefused
}

// SignIn checks a password; from is the client's address, whose failures are counted. It blocks while as many passwords
// as may be are being checked.
func (g *Gate) SignIn(ctx context.Context, from, name, password string) (Viewer, error) {
	client := clientKey(from)
	// Before what is remembered: whoever guesses would find that without waiting.
	if wait := g.failures.wait(client, g.now()); wait > 0 {
		return Viewer{}, &WaitError{Wait: wait}
	}
	if g.passwords.remembered(name, password, g.now()) {
		return Viewer{Operator: true, Name: name}, nil
	}
	ok, err := g.passwords.check(ctx, name, password, g.now())
	if err != nil {
		return Viewer{}, err
	}
	if !ok {
		g.failures.failed(client, g.now())
		return Viewer{}, ErrRefused
	}
	g.failures.succeeded(client)
	return Viewer{Operator: true, Name: name}, nil
}

// Metrics lets those in who may read the metrics, and answers the others 401.
func (g *Gate) Metrics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.open {
			next.ServeHTTP(w, r)
			return
		}
		if !g.Required() && !g.KnownHost(r.Host) {
			http.Error(w, "this name is not in http.hosts", http.StatusMisdirectedRequest)
			return
		}
		if v, err := g.Who(r); err != nil || !v.Operator {
			var wait *WaitError
			if errors.As(err, &wait) {
				http.Error(w, err.Error(), http.StatusTooManyRequests)
				return
			}
			w.Header().Set("WWW-Authenticate", `Basic realm="relay", charset="UTF-8"`)
			http.Error(w, "log in with a user or token of http.auth", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// knowsToken compares with every token, whichever fits, so that the time says nothing.
func (g *Gate) knowsToken(token string) bool {
	sum := sha256.Sum256([]byte(token))
	known := 0
	for _, other := range g.tokens {
		known |= equal(sum[:], other)
	}
	return known == 1
}
