package model

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// told is a history as a test tells it, a second a step.
type told struct {
	*history
	clock time.Time
}

func (h *told) tick() time.Time {
	h.clock = h.clock.Add(time.Second)
	return h.clock
}

func (h *told) subscribe() *subscription {
	h.change("s", version{exists: true, active: true, eventTypes: []string{"*"}, createdAt: h.tick()})
	return h.subscriptions["s"]
}

func (h *told) emit(eventType string, relayRuns bool) *event {
	e := &event{id: eventType, eventType: eventType, createdAt: h.tick()}
	h.insert(e, 0, relayRuns)
	return e
}

func (h *told) turn(active bool) {
	v := h.subscriptions["s"].before(far)
	v.active = active
	h.change("s", v)
}

func TestPatterns(t *testing.T) {
	for pattern, types := range map[string]map[string]bool{
		"*": {"a": true, "a.b": true}, "a": {"a": true, "a.b": false, "ab": false}, "a.*": {"a": false, "a.b": true, "a.b.c": true, "ab": false},
	} {
		for eventType, want := range types {
			v := version{exists: true, active: true, eventTypes: []string{pattern}}
			require.Equal(t, want, v.wants(&event{eventType: eventType}), "%s %s", pattern, eventType)
		}
	}
}

func TestTheOrderOfCommitsDecides(t *testing.T) {
	h := &told{history: newHistory()}
	h.relays()
	before := h.emit("before", true)
	s := h.subscribe()
	after := h.emit("after", true)
	h.turn(false)
	off := h.emit("off", true)
	require.Equal(t, due{}, h.due(before, s))
	require.Equal(t, due{may: true, must: true, streamed: true}, h.due(after, s))
	require.Equal(t, due{}, h.due(off, s))
	require.True(t, s.offBetween(after.at, far))
}

func TestWhatNoRelaySawIsCancelledUnsent(t *testing.T) {
	h := &told{history: newHistory()}
	h.relays()
	s := h.subscribe()
	e := h.emit("a", false)
	h.turn(false)
	h.turn(true)
	h.seen()
	require.Equal(t, due{may: true, must: true, streamed: true, unsent: true}, h.due(e, s))
}

func TestAfterALossTheTimesDecide(t *testing.T) {
	h := &told{history: newHistory()}
	h.relays()
	early := h.emit("early", true)
	s := h.subscribe()
	settled := h.emit("settled", true)
	h.settle(1)
	unseen := h.emit("unseen", false)
	h.lose()
	during := h.emit("during", false)
	require.Equal(t, due{}, h.due(early, s))
	require.Equal(t, due{may: true, must: true, streamed: true}, h.due(settled, s))
	require.Equal(t, due{may: true, must: true}, h.due(unseen, s), "by the scan alone")
	require.Equal(t, due{may: true, must: true}, h.due(during, s), "by the scan or the stream")
	h.turn(false)
	require.Equal(t, due{may: true, must: true, streamed: true}, h.due(settled, s))
	require.Equal(t, due{may: true}, h.due(unseen, s), "the scan may come after it was switched off")
	h.turn(true)
	h.relays()
	late := h.emit("late", true)
	require.Equal(t, due{may: true, must: true, streamed: true}, h.due(late, s))
}

func TestAScanFindsWhatOrderDidNotAllow(t *testing.T) {
	h := &told{history: newHistory()}
	h.relays()
	s := h.subscribe()
	h.turn(false)
	e := h.emit("while off", true)
	h.turn(true)
	h.settle(1)
	require.Equal(t, due{}, h.due(e, s))
	h.lose()
	h.relays()
	require.Equal(t, due{may: true, must: true}, h.due(e, s), "it is switched on, and no younger than the event")
}
