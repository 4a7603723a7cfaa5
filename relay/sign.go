package relay

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	secretPrefix   = "whsec_"
	redactedSecret = "whsec_…"
	signatureLabel = "v1,"

	// Standard Webhooks asks for 24 to 64 bytes of key.
	secretMinBytes = 24
	secretMaxBytes = 64
)

var errSecret = errors.New("must be whsec_ and the base64 of 24 to 64 bytes")

// Secret is the key that a subscription's requests are signed with. It is never to be logged.
type Secret []byte

// ParseSecret reads a secret as subscriptions hold it: whsec_ and base64 (standard alphabet, padded) of 24 to 64 bytes.
// The error says what is expected and never contains any of s.
func ParseSecret(s string) (Secret, error) {
	encoded, ok := strings.CutPrefix(s, secretPrefix)
	if !ok || strings.ContainsAny(encoded, "\r\n") { // which the decoder would skip
		return nil, errSecret
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) < secretMinBytes || len(key) > secretMaxBytes {
		return nil, errSecret
	}
	return key, nil
}

// Format keeps a secret out of whatever is printed, with any verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedSecret) }

// MarshalText keeps a secret out of JSON and of structured logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redactedSecret), nil }

// signature is the webhook-signature header of Standard Webhooks 1.0: for each secret, in the order given,
// "v1," and the base64 of HMAC-SHA256 over id.timestamp.body, separated by a space. timestamp is Unix seconds.
func signature(secrets []Secret, id string, timestamp int64, body []byte) string {
	const encodedBytes = 44 // base64 of 32
	header := make([]byte, 0, len(secrets)*(len(signatureLabel)+encodedBytes+1))
	prefix := make([]byte, 0, 64) // a UUID, two dots and the seconds fit
	prefix = append(append(prefix, id...), '.')
	prefix = append(strconv.AppendInt(prefix, timestamp, 10), '.')

	var sum [sha256.Size]byte
	for i, secret := range secrets {
		if i > 0 {
			header = append(header, ' ')
		}
		mac := hmac.New(sha256.New, secret)
		mac.Write(prefix)
		mac.Write(body)
		header = append(header, signatureLabel...)
		header = base64.StdEncoding.AppendEncode(header, mac.Sum(sum[:0]))
	}
	return string(header)
}
