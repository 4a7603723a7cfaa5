package wire

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/idna"
)

// route is what all requests to one URL have in common.
type route struct {
	method string
	url    url.URL
	host   string

	origin origin
	start  []byte // The request line and the Host header.
}

// routeOf returns the route that req takes: mostly the same as the request before.
func (t *Transport) routeOf(req *http.Request) (*route, error) {
	if last := t.route.Load(); last != nil && last.method == req.Method && last.host == req.Host && last.url == *req.URL {
		return last, nil
	}
	r, err := newRoute(req)
	if err == nil {
		t.route.Store(r)
	}
	return r, err
}

// newRoute works out where req goes. Errors contain nothing of the URL.
func newRoute(req *http.Request) (*route, error) {
	u := req.URL
	r := &route{method: req.Method, url: *u, host: req.Host, origin: origin{https: u.Scheme == "https"}}
	host := req.Host
	if host == "" {
		host = u.Host
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("the URL is neither http nor https")
	case u.Hostname() == "":
		return nil, errors.New("the URL has no host")
	case req.Method != http.MethodPost && req.Method != http.MethodPut:
		return nil, errors.New("the method is neither POST nor PUT") // others answer by rules of their own
	}
	name, err := asciiName(u.Hostname())
	if err != nil {
		return nil, err
	}
	if host, err = asciiHost(host); err != nil {
		return nil, err
	}
	target := u.RequestURI()
	if !isVisible(target) {
		return nil, errors.New("the URL has a space or a control character")
	}
	r.origin.address = net.JoinHostPort(name, portOf(u))
	r.start = fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n", req.Method, target, host)
	return r, nil
}

func portOf(u *url.URL) string {
	switch port := u.Port(); {
	case port != "":
		return port
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}

var errName = errors.New("the URL's host is not a name")

// asciiName returns a name in the form that DNS knows.
func asciiName(name string) (string, error) {
	if isASCII(name) {
		return name, nil
	}
	ascii, err := idna.Lookup.ToASCII(name)
	if err != nil {
		return "", errName
	}
	return ascii, nil
}

// asciiHost returns a host, with or without a port, as a Host header has it.
func asciiHost(host string) (string, error) {
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		name, port = host[:i], host[i:]
	}
	name, err := asciiName(name)
	if err != nil {
		return "", err
	}
	if host = withoutZone(name) + port; !httpguts.ValidHostHeader(host) {
		return "", errName
	}
	return host, nil
}

// withoutZone removes the zone of an IPv6 address, which concerns this machine alone.
func withoutZone(host string) string {
	end := strings.LastIndexByte(host, ']')
	if zone := strings.IndexByte(host, '%'); strings.HasPrefix(host, "[") && 0 <= zone && zone < end {
		return host[:zone] + host[end:]
	}
	return host
}

func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// appendHead appends the headers of req to dst, behind the request line and the host.
func appendHead(dst []byte, req *http.Request) ([]byte, error) {
	switch {
	case req.ContentLength < 0, req.ContentLength == 0 && req.Body != nil && req.Body != http.NoBody:
		return dst, errors.New("the length of the request's body is not known")
	case req.ContentLength > 0 && req.Body == nil:
		return dst, errBodyLength
	}
	for name, values := range req.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return dst, fmt.Errorf("invalid header name %q", name)
		}
		if isOurs(name) {
			return dst, fmt.Errorf("the header %q is not for callers to set", name)
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				return dst, fmt.Errorf("invalid value of the header %q", name)
			}
			dst = append(dst, name...)
			dst = append(dst, ": "...)
			dst = append(dst, value...)
			dst = append(dst, "\r\n"...)
		}
	}
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, req.ContentLength, 10)
	return append(dst, "\r\n\r\n"...), nil
}

// isOurs reports whether a header speaks of the connection or of where the message ends.
func isOurs(name string) bool {
	for _, ours := range [...]string{
		"Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Upgrade", "Te", "Trailer", "Expect",
	} {
		if len(name) == len(ours) && strings.EqualFold(name, ours) {
			return true
		}
	}
	return false
}
