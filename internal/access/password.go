package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/outboxrelay/relay/config"
)

const (
	// hashCost takes about a quarter of a second of one core: bearable at a login, dear to who guesses.
	hashCost = 12
	// checksAtOnce bounds the cores that guessing can take up.
	checksAtOnce = 2
	// rememberFor is how long a password that was right is not hashed again, for programs that send it with each request.
	rememberFor = 5 * time.Minute
	// rememberMost bounds the memory of that.
	rememberMost = 256
	// maxPasswordBytes is what bcrypt looks at.
	maxPasswordBytes = 72
	minPasswordBytes = 8
)

// HashPassword returns what http.auth.users takes as password_hash.
func HashPassword(password string) (string, error) {
	if len(password) < minPasswordBytes {
		return "", fmt.Errorf("the password is shorter than %d characters", minPasswordBytes)
	}
	if len(password) > maxPasswordBytes {
		return "", fmt.Errorf("the password is longer than %d bytes", maxPasswordBytes)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), hashCost)
	if err != nil {
		return "", fmt.Errorf("hash the password: %w", err)
	}
	return string(hash), nil
}

// NewToken returns a random token and what http.auth.tokens takes for it.
func NewToken() (token, hash string) {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // Never fails.
	token = base64.RawURLEncoding.EncodeToString(random)
	sum := sha256.Sum256([]byte(token))
	return token, hex.EncodeToString(sum[:])
}

// passwords checks those of the users.
type passwords struct {
	hashes map[string][]byte
	nobody []byte // Checked for names that are not there, so that the time says nothing.
	slots  chan struct{}

	mu    sync.Mutex
	salt  [32]byte
	known map[[32]byte]time.Time // Name and password that were right, hashed; until when.
}

func newPasswords(users []config.User) *passwords {
	p := &passwords{
		hashes: make(map[string][]byte), slots: make(chan struct{}, checksAtOnce), known: make(map[[32]byte]time.Time),
	}
	for _, u := range users {
		p.hashes[u.Name] = []byte(u.PasswordHash)
		p.nobody = p.hashes[u.Name]
	}
	_, _ = rand.Read(p.salt[:]) // Never fails.
	return p
}

func (p *passwords) check(ctx context.Context, name, password string, now time.Time) (bool, error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	hash, there := p.hashes[name]
	if !there {
		hash = p.nobody
	}
	if len(hash) == 0 || len(password) > maxPasswordBytes {
		return false, nil
	}
	err := bcrypt.CompareHashAndPassword(hash, []byte(password))
	if err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, fmt.Errorf("check a password: %w", err)
	}
	if err != nil || !there {
		return false, nil
	}
	p.remember(name, password, now)
	return true, nil
}

func (p *passwords) key(name, password string) [32]byte {
	text := append(append(append(p.salt[:len(p.salt):len(p.salt)], name...), 0), password...)
	return sha256.Sum256(text)
}

func (p *passwords) remembered(name, password string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	until, ok := p.known[p.key(name, password)]
	return ok && now.Before(until)
}

func (p *passwords) remember(name, password string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) >= rememberMost {
		clear(p.known)
	}
	p.known[p.key(name, password)] = now.Add(rememberFor)
}

// equal compares in constant time and returns 1 or 0.
func equal(a, b []byte) int { return subtle.ConstantTimeCompare(a, b) }
