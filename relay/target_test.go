package relay

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNewTarget(t *testing.T) {
	target, err := NewTarget("https://crm.example.com:8443/hooks?token=abc#part", senderSecret, "", map[string]string{
		"x-tenant": "a", "X-Tenant": "b", "authorization": "Bearer t\tü", "X-Empty": "",
	})
	require.NoError(t, err)
	require.Equal(t, "https://crm.example.com:8443/hooks?token=abc", target.URL.String())
	require.Equal(t, []Secret{mustSecret(t, senderSecret)}, target.Secrets)
	require.Equal(t, http.Header{
		"X-Tenant": {"b", "a"}, "Authorization": {"Bearer t\tü"}, "X-Empty": {""},
	}, target.Header)

	target, err = NewTarget("http://[2606:4700::1111]", senderSecret, senderOtherSecret, nil)
	require.NoError(t, err)
	require.Equal(t, []Secret{mustSecret(t, senderSecret), mustSecret(t, senderOtherSecret)}, target.Secrets, "newest first")
	require.Empty(t, target.Header)
}

func TestNewTargetURL(t *testing.T) {
	for _, good := range []string{
		"http://a", "https://a/", "HTTPS://A.example/", "http://a:80/x", "http://a:/x", "http://1.2.3.4", "http://[::1]:9/",
		"https://bücher.example/ü?ü", "http://a/%2e%2e/%00?%zz", "http://a_b.example/", "http://a?x", "http://a:65535",
		"http://127.1/", "http://[fe80::1%25eth0]/",
	} {
		_, err := NewTarget(good, senderSecret, "", nil)
		require.NoError(t, err, good)
	}
	for bad, want := range map[string]string{
		"":                                 "url: must begin with http:// or https://",
		"a.example/hook":                   "url: must begin with http:// or https://",
		"ftp://a.example":                  "url: must begin with http:// or https://",
		"file:///etc/passwd":               "url: must begin with http:// or https://",
		"//a.example":                      "url: must begin with http:// or https://",
		"http:a.example":                   "url: has no host",
		"http://":                          "url: has no host",
		"http:///hook":                     "url: has no host",
		"http://:80/":                      "url: has no host",
		"http://hunter2@a.example":         "url: must have no user or password",
		"http://me:hunter2@a.example":      "url: must have no user or password",
		"http://@a.example":                "url: must have no user or password",
		"http://a:0/?hunter2":              "url: has a port that is not between 1 and 65535",
		"http://a:65536/hunter2":           "url: has a port that is not between 1 and 65535",
		"http://a:99999999999999999999/":   "url: has a port that is not between 1 and 65535",
		"http://me:hunter2/a@a.example":    "url: cannot be parsed",
		"http://me:hunt er2@a.example":     "url: cannot be parsed",
		"http://a.example/hunter2%zz":      "url: cannot be parsed",
		"http://a.example/\nhunter2":       "url: cannot be parsed",
		"http://a:b:hunter2":               "url: cannot be parsed",
		"http://[::1/hunter2":              "url: cannot be parsed",
		"http://a b/hunter2":               "url: cannot be parsed",
		"http://%68unter2":                 "url: cannot be parsed",
		"http://a\x7f.example/?k=hunter2":  "url: cannot be parsed",
		" http://a.example/?token=hunter2": "url: cannot be parsed",
	} {
		_, err := NewTarget(bad, senderSecret, "", nil)
		require.EqualError(t, err, want, bad)
	}
}

func TestNewTargetSecrets(t *testing.T) {
	_, err := NewTarget("http://a", "hunter2", "", nil)
	require.EqualError(t, err, "secret: must be whsec_ and the base64 of 24 to 64 bytes")
	_, err = NewTarget("http://a", "", "", nil)
	require.EqualError(t, err, "secret: must be whsec_ and the base64 of 24 to 64 bytes")
	_, err = NewTarget("http://a", senderSecret, "whsec_hunter2", nil)
	require.EqualError(t, err, "previous_secret: must be whsec_ and the base64 of 24 to 64 bytes")
}

func TestNewTargetHeaders(t *testing.T) {
	for name, want := range map[string]string{
		"":                  `headers: "" is not a header name`,
		"a b":               `headers: "a b" is not a header name`,
		"a:":                `headers: "a:" is not a header name`,
		"a\r\nb":            `headers: "a\r\nb" is not a header name`,
		"ü":                 `headers: "ü" is not a header name`,
		"(a)":               `headers: "(a)" is not a header name`,
		"Host":              `headers: "Host" is set by the relay`,
		"content-length":    `headers: "content-length" is set by the relay`,
		"Content-Type":      `headers: "Content-Type" is set by the relay`,
		"TRANSFER-ENCODING": `headers: "TRANSFER-ENCODING" is set by the relay`,
		"Connection":        `headers: "Connection" is set by the relay`,
		"Expect":            `headers: "Expect" is set by the relay`,
		"Trailer":           `headers: "Trailer" is set by the relay`,
		"user-agent":        `headers: "user-agent" is set by the relay`,
		"Accept-Encoding":   `headers: "Accept-Encoding" is set by the relay`,
		"Idempotency-Key":   `headers: "Idempotency-Key" is set by the relay`,
		"x-idempotency-key": `headers: "x-idempotency-key" is set by the relay`,
		"webhook-id":        `headers: "webhook-id" is set by the relay`,
		"Webhook-Timestamp": `headers: "Webhook-Timestamp" is set by the relay`,
		"WEBHOOK-SIGNATURE": `headers: "WEBHOOK-SIGNATURE" is set by the relay`,
	} {
		_, err := NewTarget("http://a", senderSecret, "", map[string]string{name: "hunter2"})
		require.EqualError(t, err, want)
	}
	for _, value := range []string{"hunter2\n", "\rhunter2", "hunter2\x00", "\x1f", "\x7f"} {
		_, err := NewTarget("http://a", senderSecret, "", map[string]string{"X-A": value})
		require.EqualError(t, err, `headers: the value of "X-A" has a control character`)
	}
}

func FuzzNewTarget(f *testing.F) {
	f.Add("http://user:hunter2secret@host:port/?q=hunter2secret", senderSecret, "", "x-a", "hunter2secret")
	f.Add("https://[::1%25hunter2secret]:1/", "whsec_hunter2secret", "whsec_hunter2secret", "host", "hunter2secret\n")
	f.Add("http://hunter2secret:hunter2secret/@/%zz", senderSecret, senderOtherSecret, "", "")
	f.Fuzz(func(t *testing.T, rawURL, secret, previous, name, value string) {
		target, err := NewTarget(rawURL, secret, previous, map[string]string{name: value})
		if err != nil {
			text := strings.ReplaceAll(err.Error(), name, "")
			for _, private := range []string{secret, previous, value, "hunter2secret"} {
				if len(private) > 8 && !strings.Contains(name, private) {
					require.NotContains(t, text, private)
				}
			}
			return
		}
		require.Contains(t, []string{"http", "https"}, target.URL.Scheme)
		require.NotEmpty(t, target.URL.Hostname())
		require.Nil(t, target.URL.User)
		require.NotEmpty(t, target.Secrets)
		require.Len(t, target.Header, 1)
		// What is accepted can be sent: net/http refuses nothing of it.
		request, err := http.NewRequest(http.MethodPost, target.URL.String(), nil)
		require.NoError(t, err)
		request.Header = target.Header
		require.NoError(t, request.Write(discard{}))
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
