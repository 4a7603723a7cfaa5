package access_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/access"
)

// consoleLink is the function of docs/console.md, to the letter.
func consoleLink(base string, key []byte, tenant string, expires time.Time) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(tenant)) + "." + strconv.FormatInt(expires.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("relay-link-1." + text))
	return base + "/enter?token=" + text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func TestTheDocumentedLinkIsTaken(t *testing.T) {
	page, err := os.ReadFile("../../docs/console.md")
	require.NoError(t, err)
	self, err := os.ReadFile("docs_test.go")
	require.NoError(t, err)
	code := regexp.MustCompile("(?s)```go\n(.*?)```").FindStringSubmatch(string(page))[1]
	require.Contains(t, string(self), code, "the page shows the function that is tried here")

	const keyText = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	key, err := access.ParseLinkKey(keyText)
	require.NoError(t, err)
	gate, err := access.New(config.HTTP{LinkKey: keyText})
	require.NoError(t, err)
	_, token, _ := strings.Cut(consoleLink("https://relay.example.com", key, "acme", time.Now().Add(time.Hour)), "token=")
	viewer, _, err := gate.Enter(token)
	require.NoError(t, err)
	require.Equal(t, access.Viewer{Tenant: "acme"}, viewer)

	_, known, _ := strings.Cut(consoleLink("", key, "acme", time.Unix(1800000000, 0)), "token=")
	require.Contains(t, string(page), "\n    "+known+"\n", "the known answer is right")
}
