// Package relay is the engine: it reads committed events from Postgres logical replication, POSTs each to every
// subscription that wants it, and keeps status and attempts in the same database.
//
// # Three ideas
//
// The outbox row is the truth, the slot is a doorbell. Whenever a slot is made, the outbox is scanned in the slot's own
// snapshot for events without deliveries (slot.go). A lost slot means late, never lost.
//
// The WAL is the queue for the first attempt. Nearly every delivery succeeds at once: it is sent straight from the stream
// and written once, with its outcome. The slot's position is confirmed only up to where all that came before stands in
// the database (tracker.go); a crash reads the rest again.
//
// Nobody waits for a slow URL. A delivery that is not settled in half a second is written down as pending, with a lease;
// from then on the database owns it, the slot moves on, and any relay takes it up when it is due (watch.go, claimer.go). So
// is one that has waited for two seconds in a lane behind retries.
//
// # The way of an event
//
//	host app ── INSERT INTO outbox.events … COMMIT
//	   │ WAL
//	tailer      owns the replication connection: reads, answers the server, confirms positions
//	   │
//	router      event × matching subscriptions → deliveries; changes of subscriptions come down the same stream
//	   │
//	dispatcher  a lane for each subscription: a short queue, a bounded number in flight
//	   │                 └── hanging, or full and not quick: written down as pending ──────┐
//	sender      sign, POST, classify → outcome                                             │
//	   │                                                                                   │
//	recorder    outcomes and pending rows in batches, last those that the database owns ◄──┘
//	   │ committed
//	tracker     which transactions are settled → the position to confirm
//
//	claimer     what the database owns and is due → lanes
//	janitor     removes what is older than the retention
//
// # Subscriptions in commit order
//
// A trigger writes each change of outbox.subscriptions into outbox.subscription_changes, whose inserts come down the same
// stream as the events. So the router knows the subscriptions as they were at each commit. Each change read is marked with
// the position of its commit before the slot may pass it; at a restart the state at the slot's position is what the marks
// before it say, and the rest comes down the stream again. Changes that switch a subscription off are looked for ahead of
// the stream as well, since they cancel what has not been sent. What is new is not sent before its transaction's end is read or, where
// that is large, before the journal was asked about it.
//
// # Sent twice
//
// At the start of a stream the WAL may hold what an earlier one has delivered. Up to the position that the earlier one had read
// when it ended in order, or else to where the WAL ended when the stream began, events are looked up in batches before they
// go on: a delivery's id is derived from event and subscription, so what stands in the database is known. Before a stream begins
// in the same process, all that came of the last one is recorded; and where the database went away and came back, a relay that
// stands by leaves the slot for a while to the one that led before (yield.go). What is sent twice after a crash is what was in
// flight or not yet recorded, which count against delivery.concurrency alike, and two more for each subscription; so it is where
// a standby takes over from a leader that lives, but has lost its own connection.
//
// # Who leads
//
// An advisory lock, held on the replication connection, makes one relay the only one to work with the slot; the others
// look every second whether it is free. All of them claim what is due. A row is changed only by who holds its lease. One that
// was held still (SIGSTOP, a suspended machine) gives up its stream before it reads on: another may lead (pulse.go). One of which
// Postgres hears nothing any more is found out by whoever stands by, and by itself where it lives (deaf.go).
//
// # Stopping
//
//  1. Intake ends: the tailer reads no more, the claimer claims no more.
//  2. What waits in the lanes is dropped (the stream brings it again) or given back (the claimer's).
//  3. Requests in flight end, at most delivery.timeout later, and are recorded. Those of a subscription with a longer timeout
//     of its own are broken off, and made again.
//  4. The position is persisted and confirmed, word is left of how far the stream was read, and the slot is free for another
//     relay.
//
// A relay whose database takes no writes lets go of the slot within two seconds, and at once where the server is shutting down, which
// waits for it: nothing could be confirmed. It keeps what it knows until it is written. A statement that waits, for a lock or a
// standby, instead of failing, is given up after half a minute; after 5 s it is not ready any more.
package relay
