package relay

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

const (
	senderSecret      = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	senderOtherSecret = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
)

func TestSignatureIsStandardWebhooks(t *testing.T) {
	// The example of the specification's own libraries.
	secret, err := ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	require.NoError(t, err)
	got := signature(newSigners([]Secret{secret}), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, []byte(`{"test": 2432232314}`))
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", got)
}

func TestSignatureIsVerifiedByTheReferenceLibrary(t *testing.T) {
	first, second := mustSecret(t, senderSecret), mustSecret(t, senderOtherSecret)
	for _, tt := range []struct {
		name     string
		secrets  []Secret
		verifies []string
		refuses  []string
	}{
		{"one secret", []Secret{first}, []string{senderSecret}, []string{senderOtherSecret}},
		{"the other", []Secret{second}, []string{senderOtherSecret}, []string{senderSecret}},
		{"while rotating", []Secret{second, first}, []string{senderSecret, senderOtherSecret}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, body := range [][]byte{nil, []byte("{}"), []byte("\x00\xff"), bytes.Repeat([]byte("x"), 1<<20)} {
				header := signedHeader(tt.secrets, "8f1d…", time.Now(), body)
				require.Len(t, strings.Split(header.Get("webhook-signature"), " "), len(tt.secrets))
				for _, secret := range tt.verifies {
					require.NoError(t, verify(t, secret, body, header))
					require.Error(t, verify(t, secret, append([]byte("!"), body...), header), "another body")
				}
				for _, secret := range tt.refuses {
					require.Error(t, verify(t, secret, body, header))
				}
			}
		})
	}
}

func TestParseSecret(t *testing.T) {
	encode := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for _, tt := range []struct {
		name, in string
		ok       bool
	}{
		{"24 bytes", encode(24), true},
		{"32 bytes", encode(32), true},
		{"64 bytes", encode(64), true},
		{"23 bytes", encode(23), false},
		{"65 bytes", encode(65), false},
		{"empty", "", false},
		{"prefix alone", "whsec_", false},
		{"no prefix", strings.TrimPrefix(encode(32), "whsec_"), false},
		{"prefix in capitals", "WHSEC_" + strings.TrimPrefix(encode(32), "whsec_"), false},
		{"no padding", strings.TrimRight(encode(32), "="), false},
		{"URL alphabet", "whsec_" + strings.Repeat("-_", 16), false},
		{"a line break in it", encode(32)[:20] + "\n" + encode(32)[20:], false},
		{"a space after it", encode(32) + " ", false},
		{"hex", "whsec_" + strings.Repeat("0f", 16) + "!", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseSecret(tt.in)
			if tt.ok {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, "must be whsec_ and the base64 of 24 to 64 bytes")
			}
		})
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	secret := mustSecret(t, senderSecret)
	var log bytes.Buffer
	for _, value := range []any{secret, Target{Secrets: []Secret{secret}, signers: newSigners([]Secret{secret})}} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o"} {
			fmt.Fprintf(&log, format, value)
		}
		slog.New(slog.NewJSONHandler(&log, nil)).Info("", "value", value)
		slog.New(slog.NewTextHandler(&log, nil)).Info("", "value", value)
	}
	require.Contains(t, log.String(), "whsec_…")
	for _, format := range []string{"%s", "%x", "%X", "%d", "%#v"} {
		key := strings.Trim(fmt.Sprintf(format, []byte(secret)[:10]), "[]byte{}")
		require.NotContains(t, log.String(), key, format)
	}
	require.NotContains(t, log.String(), base64.StdEncoding.EncodeToString(secret)[:12])
}

func FuzzSignature(f *testing.F) {
	f.Add("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_1", int64(1614265330), []byte(`{"test": 1}`))
	f.Add(senderSecret, "", int64(-1), []byte{})
	f.Add("whsec_", "a.b", int64(0), []byte("\n"))
	f.Fuzz(func(t *testing.T, text, id string, timestamp int64, body []byte) {
		secret, err := ParseSecret(text)
		if err != nil {
			require.Equal(t, errSecret, err)
			return
		}
		require.GreaterOrEqual(t, len(secret), 24)
		require.LessOrEqual(t, len(secret), 64)

		mac := hmac.New(sha256.New, secret)
		fmt.Fprintf(mac, "%s.%d.%s", id, timestamp, body)
		signers := newSigners([]Secret{secret})
		for range 2 { // A signer begins anew with each message.
			require.Equal(t, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)), signature(signers, id, timestamp, body))
		}

		now := time.Now()
		require.NoError(t, verify(t, text, body, signedHeader([]Secret{secret}, "id", now, body)))
	})
}

func BenchmarkSignature(b *testing.B) {
	for _, size := range []int{300, 100_000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			signers := newSigners([]Secret{mustSecret(b, senderSecret)})
			body := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				signature(signers, "01890a5d-ac96-774b-bcce-b302099a8057", 1614265330, body)
			}
		})
	}
}

func mustSecret(t testing.TB, text string) Secret {
	t.Helper()
	secret, err := ParseSecret(text)
	require.NoError(t, err)
	return secret
}

func signedHeader(secrets []Secret, id string, at time.Time, body []byte) http.Header {
	header := make(http.Header)
	header.Set("webhook-id", id)
	header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	header.Set("webhook-signature", signature(newSigners(secrets), id, at.Unix(), body))
	return header
}

func verify(t testing.TB, secret string, body []byte, header http.Header) error {
	t.Helper()
	webhook, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	return webhook.Verify(body, header)
}
