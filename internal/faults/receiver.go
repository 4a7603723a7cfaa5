package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// behaviour is how a receiver treats requests.
type behaviour int

const (
	steady  behaviour = iota // Answers 200.
	flaky                    // Cuts one connection in five, once it has read the request.
	hanging                  // Reads and never answers.
	slow                     // Answers 200 after slowFor.
	gone                     // Ends each connection before it reads anything.
)

const (
	// slowFor is how long a slow receiver takes.
	slowFor = 200 * time.Millisecond
	// hangsAfter is when a request may have hung: the relay takes one off its limit after half a second, and began it earlier
	// than it came here.
	hangsAfter = 400 * time.Millisecond
)

// cutPercent is how many requests in a hundred a flaky receiver fails. It reads them first, so that it knows of each attempt
// that the log tells of, and the two can be held against each other.
const cutPercent = 20

// What a line of a receiver's journal says was done with a request.
const (
	didAnswer = "200"
	didCut    = "cut"
	didHang   = "hung"
)

// receiver is a subscriber outside the relay: it checks each request's signature with the reference library and keeps a
// journal of what came.
type receiver struct {
	name     string
	patterns []string
	kind     behaviour
	optional bool // Which events it must get is not known: its subscription is switched on and off.

	address string
	webhook *standardwebhooks.Webhook
	journal *journal
	ending  context.CancelFunc

	server *http.Server
	open   atomic.Int64 // Connections.

	mu     sync.Mutex
	now    behaviour
	seen   map[uuid.UUID]int
	flying map[uuid.UUID]int // Of these, requests that have not ended.
	total  int               // Requests, without those of expiring types.
	recent map[uuid.UUID]int // Events of these since they were last forgotten, and how many of their requests hung.
	herd   herd
}

// sent is what a receiver saw of the requests for one event.
type sent struct {
	event uuid.UUID
	came  int // All.
	ended int // Answered, cut, or left by the relay.
	hung  int // Took long enough for the relay to take them off its limit.
}

// herd is how many requests are in flight at a time since the receiver last changed.
type herd struct {
	began        time.Time // When the first came.
	flying, most int
	early        int // The most before the first can have been answered by a slow receiver.
}

func (h *herd) enter(now time.Time) {
	if h.began.IsZero() {
		h.began = now
	}
	h.flying++
	h.most = max(h.most, h.flying)
	if now.Sub(h.began) < slowFor {
		h.early = max(h.early, h.flying)
	}
}

// startReceiver listens on a loopback port. Requests are taken once the secret is known.
func startReceiver(dir, name string, kind behaviour, patterns ...string) (*receiver, error) {
	j, err := newJournal(filepath.Join(dir, "received-"+name+".journal"))
	if err != nil {
		return nil, err
	}
	r := &receiver{name: name, patterns: patterns, kind: kind, now: kind, journal: j,
		seen: make(map[uuid.UUID]int), flying: make(map[uuid.UUID]int), recent: make(map[uuid.UUID]int)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start receiver %s: %w", name, err)
	}
	r.address = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	r.ending = cancel
	r.server = &http.Server{Handler: r, BaseContext: func(net.Listener) context.Context { return ctx }, ConnState: r.connection}
	go func() { _ = r.server.Serve(listener) }()
	return r, nil
}

func (r *receiver) setSecret(secret string) (err error) {
	if r.webhook, err = standardwebhooks.NewWebhook(secret); err != nil {
		return fmt.Errorf("read the secret of %s: %w", r.name, err)
	}
	return nil
}

func (r *receiver) url() string { return "http://" + r.address + "/hook" }

// become changes how requests are treated from now on.
func (r *receiver) become(kind behaviour) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = kind
	r.herd = herd{flying: r.herd.flying}
}

// ServeHTTP notes a request once all of it has come, and then answers.
func (r *receiver) ServeHTTP(_ http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(io.LimitReader(request.Body, 64<<20))
	if err != nil {
		return // Cut off half way: not a request that arrived.
	}
	id, typ, hash, signed := r.examine(request.Header, body)
	r.mu.Lock()
	if r.now == gone { // On a connection of before.
		r.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	began := time.Now()
	r.herd.enter(began)
	defer func() { r.leave(id, typ, began) }()
	times, did := r.seen[id], didAnswer
	switch {
	case r.now == hanging:
		did = didHang
	case r.now == flaky && unlucky(id, times):
		did = didCut
	}
	r.seen[id]++
	r.flying[id]++
	if !expiring(typ) {
		r.total++
		r.recent[id] += 0 // There, if it was not.
	}
	r.journal.write(fmt.Sprintf("%d %s %s %s %s", time.Now().UnixNano(), id, hash, signed, did))
	late := r.now == slow
	r.mu.Unlock()
	if late {
		pause(request.Context(), slowFor)
	}
	switch did {
	case didHang:
		<-request.Context().Done()
	case didCut:
		panic(http.ErrAbortHandler)
	}
}

func (r *receiver) leave(id uuid.UUID, typ string, began time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.herd.flying--
	if r.flying[id]--; r.flying[id] == 0 {
		delete(r.flying, id)
	}
	if time.Since(began) > hangsAfter && !expiring(typ) {
		r.recent[id]++
	}
}

// examine returns the event's id and type, the hash of its payload as it came, and whether the signature is right. A body that is
// not an envelope of that event has no payload, and its hash is that of the body: it matches nothing.
func (r *receiver) examine(header http.Header, body []byte) (id uuid.UUID, typ, hash, signed string) {
	signed = "signed"
	if err := r.webhook.Verify(body, header); err != nil {
		signed = "forged"
	}
	id, err := uuid.Parse(header.Get("Webhook-Id"))
	if err != nil {
		return uuid.Nil, "", hashOf(body), signed
	}
	var envelope struct {
		ID   uuid.UUID       `json:"id"`
		Type string          `json:"type"`
		Time time.Time       `json:"timestamp"`
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(body, &envelope) != nil || envelope.ID != id || !matches(r.patterns, envelope.Type) || envelope.Time.IsZero() {
		return id, envelope.Type, hashOf(body), signed
	}
	return id, envelope.Type, hashOf(envelope.Data), signed
}

// unlucky says whether a flaky receiver cuts the n-th request for an event: always the same ones, whatever the order.
func unlucky(id uuid.UUID, n int) bool {
	h := fnv.New32a()
	_, _ = h.Write(append(id[:], byte(n)))
	return h.Sum32()%100 < cutPercent
}

// got says whether an event has arrived.
func (r *receiver) got(id uuid.UUID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[id] > 0
}

// lately returns what was seen of each event of which something came since it was last told to forget.
func (r *receiver) lately(forget bool) []sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]sent, 0, len(r.recent))
	for id, hung := range r.recent {
		all = append(all, sent{event: id, came: r.seen[id], ended: r.seen[id] - r.flying[id], hung: hung})
	}
	if forget {
		clear(r.recent)
	}
	return all
}

// counts returns how many different events have come, and how many requests.
func (r *receiver) counts() (distinct, requests int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seen), r.total
}

// connection counts the open connections. All that was sent on one has been read by the time that it counts as closed.
func (r *receiver) connection(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		r.open.Add(1)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.now == gone {
			_ = c.Close()
		}
	case http.StateClosed, http.StateHijacked:
		r.open.Add(-1)
	}
}

func (r *receiver) close() error {
	r.ending()
	_ = r.server.Close()
	return r.journal.close()
}
