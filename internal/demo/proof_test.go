//go:build unix

package demo

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// testStage is a stage with subscribers, but no database and no relay.
func testStage(t *testing.T) *stage {
	s := &stage{ledger: newLedger()}
	t.Cleanup(s.close)
	for name, sub := range map[string]**subscriber{"crm": &s.crm, "audit": &s.audit, "mailer": &s.mailer} {
		var err error
		*sub, err = startSubscriber(t.Context(), name, "*", http.StatusOK)
		require.NoError(t, err)
	}
	s.crm.arrived = s.ledger.arrive
	return s
}

// deliver sends an event to a subscriber as the relay would, and returns the status code.
func deliver(t *testing.T, to *subscriber, id uuid.UUID) int {
	body := []byte(`{"id":"` + id.String() + `"}`)
	now := time.Now()
	signature, err := to.webhook.Sign(id.String(), now, body)
	require.NoError(t, err)
	return send(to, id, now, signature, body)
}

func send(to *subscriber, id uuid.UUID, now time.Time, signature string, body []byte) int {
	req := httptest.NewRequest(http.MethodPost, to.url(), bytes.NewReader(body))
	req.Header.Set("webhook-id", id.String())
	req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("webhook-signature", signature)
	w := httptest.NewRecorder()
	to.ServeHTTP(w, req)
	return w.Code
}

// held returns which claims hold.
func held(s *stage) map[string]bool {
	holds := make(map[string]bool)
	for _, c := range s.proof() {
		holds[c.what] = c.holds
	}
	return holds
}

func TestProof(t *testing.T) {
	const received, neverSeen, signed = "committed = received", "rolled back = never seen", "every request signed"
	id := uuid.New()

	t.Run("holds", func(t *testing.T) {
		s := testStage(t)
		s.ledger.commit(id)
		s.ledger.rollBack(uuid.New())
		require.Equal(t, http.StatusOK, deliver(t, s.crm, id))
		require.Equal(t, http.StatusOK, deliver(t, s.audit, id))
		require.Equal(t, map[string]bool{received: true, neverSeen: true, signed: true}, held(s))
	})
	t.Run("nothing was committed", func(t *testing.T) {
		require.Equal(t, map[string]bool{received: false, neverSeen: true, signed: true}, held(testStage(t)))
	})
	t.Run("an event is missing", func(t *testing.T) {
		s := testStage(t)
		s.ledger.commit(id, uuid.New())
		deliver(t, s.crm, id)
		deliver(t, s.crm, id) // A second time makes up for nothing.
		require.Equal(t, map[string]bool{received: false, neverSeen: true, signed: true}, held(s))
	})
	t.Run("one that was rolled back came to another subscriber", func(t *testing.T) {
		s := testStage(t)
		rolledBack := uuid.New()
		s.ledger.commit(id)
		s.ledger.rollBack(rolledBack)
		deliver(t, s.crm, id)
		deliver(t, s.mailer, rolledBack)
		require.Equal(t, map[string]bool{received: true, neverSeen: false, signed: true}, held(s))
	})
	t.Run("one that nobody knows of came", func(t *testing.T) {
		s := testStage(t)
		s.ledger.commit(id)
		deliver(t, s.crm, id)
		deliver(t, s.crm, uuid.New())
		require.Equal(t, map[string]bool{received: true, neverSeen: false, signed: true}, held(s))
	})
	t.Run("a signature is not valid", func(t *testing.T) {
		s := testStage(t)
		s.ledger.commit(id)
		deliver(t, s.crm, id)
		require.Equal(t, http.StatusForbidden, send(s.audit, id, time.Now(), "v1,bm90IGEgc2lnbmF0dXJl", []byte("{}")))
		require.Equal(t, map[string]bool{received: true, neverSeen: true, signed: false}, held(s))
	})
}

func TestLedgerDelays(t *testing.T) {
	l := newLedger()
	_, _, ok := l.percentiles()
	require.False(t, ok)

	early, late := uuid.New(), uuid.New()
	l.arrive(early, time.Now())
	l.commit(early, late)
	l.arrive(late, time.Now().Add(time.Hour))
	p50, p99, ok := l.percentiles()
	require.True(t, ok)
	require.Zero(t, p50)
	require.Zero(t, p99) // of two, the lower
	require.Len(t, l.delays, 2)
	require.GreaterOrEqual(t, l.delays[1], time.Hour)

	for range keptDelays {
		l.delay(time.Minute)
	}
	p50, p99, _ = l.percentiles()
	require.Equal(t, time.Minute, p50)
	require.Equal(t, time.Minute, p99)
	require.Len(t, l.delays, keptDelays)
}
