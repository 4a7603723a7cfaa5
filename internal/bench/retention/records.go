package main

import (
	"time"

	"github.com/google/uuid"

	"github.com/outboxrelay/relay/internal/store"
)

// records are deliveries that were accepted at once, as the relay writes them.
type records []store.Record

// newRecords returns n of them, of events of now.
func newRecords(n int) records {
	all := make(records, n)
	for i := range all {
		now := time.Now()
		id := uuid.Must(uuid.NewV7())
		user := userID(int(id[15]) | int(id[14])<<8)
		which := int(id[13]) % subscriptions
		all[i] = store.Record{
			ID: stamped(now, 8, id[6:]), EventID: id, SubscriptionID: subscriptionID(which), EventCreatedAt: now,
			EventType: eventType, Tenant: "default", UserID: &user, URL: subscriptionURL(which), Status: "accepted", Attempts: 1,
			Attempt: &store.Attempt{EndedAgo: time.Millisecond, Duration: 2 * time.Millisecond, Code: 200, ResponseBody: "ok"},
		}
	}
	return all
}

func (r records) batch() *store.Batch {
	var b store.Batch
	for i := range r {
		b.Add(&r[i])
	}
	return &b
}

// arguments are those of the statement that records a batch.
func (r records) arguments() []any {
	n := len(r)
	ids, events, subs, leases := make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n)
	created := make([]time.Time, n)
	types, tenants, users, urls, statuses := make([]string, n), make([]string, n), make([]*string, n), make([]string, n), make([]string, n)
	attempts, codes := make([]int32, n), make([]int32, n)
	ended, due, took := make([]int64, n), make([]int64, n), make([]int64, n)
	classes, faults, bodies := make([]*string, n), make([]*string, n), make([]string, n)
	for i, one := range r {
		ids[i], events[i], subs[i], created[i] = one.ID, one.EventID, one.SubscriptionID, one.EventCreatedAt
		types[i], tenants[i], users[i], urls[i], statuses[i] = one.EventType, one.Tenant, one.UserID, one.URL, one.Status
		attempts[i], codes[i] = int32(one.Attempts), int32(one.Attempt.Code)
		ended[i], took[i], bodies[i] = one.Attempt.EndedAgo.Microseconds(), one.Attempt.Duration.Microseconds(), one.Attempt.ResponseBody
	}
	return []any{ids, events, subs, created, types, tenants, users, urls, statuses, attempts, leases, ended, due, took, codes, classes, faults, bodies}
}
