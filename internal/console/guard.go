package console

import (
	"net/http"
	"slices"
	"strings"
)

// guard is what every request passes first.
func (c *Console) guard(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	crossOrigin.SetDenyHandler(c.refuse(http.StatusForbidden, "This request came from another site",
		"Open the console itself and try again there. Behind a proxy, have it pass the Host header on as it is."))
	wrongHost := c.refuse(http.StatusMisdirectedRequest, "The console does not go by this name",
		"Add the name to http.hosts in relay.yaml, so that no other site can pose as the console.")
	protected := crossOrigin.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.setHeaders(w.Header())
		if !c.gate.KnownHost(r.Host) {
			wrongHost.ServeHTTP(w, r)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
		protected.ServeHTTP(w, r)
	})
}

func (c *Console) refuse(status int, title, text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.showError(w, &request{Request: r}, &pageError{status: status, title: title, text: text})
	})
}

func contentSecurityPolicy(ancestors []string) string {
	frames := "'none'"
	if len(ancestors) > 0 {
		frames = "'self' " + strings.Join(ancestors, " ")
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
		"base-uri 'none'; frame-ancestors " + frames
}

func (c *Console) setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", c.csp)
	h.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer: with it browsers send forms with the origin "null", which tells them from no other site's.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cache-Control", "no-store")
	if len(c.cfg.HTTP.FrameAncestors) == 0 {
		h.Set("X-Frame-Options", "DENY")
	}
}

// isLocal says whether a path leads to a page of ours, for the way back after a login.
func isLocal(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") &&
		!slices.ContainsFunc([]rune(path), func(r rune) bool { return r == '\\' || r < ' ' || r == 0x7f })
}
