package relay

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
	"sync"
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

// signer signs with one secret. Several goroutines may use it. The zero value is of no use.
type signer struct{ seals sync.Pool }

// seal is what it takes to sign, kept since half of the work of HMAC is taking the key in.
type seal struct {
	mac    hash.Hash
	prefix []byte
	sum    [sha256.Size]byte
}

func newSigner(secret Secret) *signer {
	return &signer{sync.Pool{New: func() any {
		return &seal{mac: hmac.New(sha256.New, secret)}
	}}}
}

func newSigners(secrets []Secret) []*signer {
	signers := make([]*signer, 0, len(secrets))
	for _, secret := range secrets {
		signers = append(signers, newSigner(secret))
	}
	return signers
}

// append appends "v1," and the base64 of HMAC-SHA256 over id.timestamp.body to dst.
func (s *signer) append(dst []byte, id string, timestamp int64, body []byte) []byte {
	one := s.seals.Get().(*seal)
	defer s.seals.Put(one)
	one.prefix = append(append(one.prefix[:0], id...), '.')
	one.prefix = append(strconv.AppendInt(one.prefix, timestamp, 10), '.')
	one.mac.Reset()
	_, _ = one.mac.Write(one.prefix)
	_, _ = one.mac.Write(body)
	dst = append(dst, signatureLabel...)
	return base64.StdEncoding.AppendEncode(dst, one.mac.Sum(one.sum[:0]))
}

// signature is the webhook-signature header of Standard Webhooks 1.0: for each secret, in the order given,
// "v1," and the base64 of HMAC-SHA256 over id.timestamp.body, separated by a space. timestamp is Unix seconds.
func signature(signers []*signer, id string, timestamp int64, body []byte) string {
	const twoBytes = 2*(len(signatureLabel)+44) + 1 // 44 is base64 of 32
	header := make([]byte, 0, twoBytes)
	for i, s := range signers {
		if i > 0 {
			header = append(header, ' ')
		}
		header = s.append(header, id, timestamp, body)
	}
	return string(header)
}
