// Package outbox is what Go host apps import: it writes events into the outbox, and reads what became of them.
//
// # Writing
//
// Insert an event in the transaction that makes it true:
//
//	tx, err := pool.Begin(ctx)
//	…
//	_, err = tx.Exec(ctx, `INSERT INTO invitations (email) VALUES ($1)`, email)
//	…
//	_, err = outbox.Insert(ctx, tx, outbox.Event{
//		Type:    "user.invited",
//		UserID:  "42",
//		Payload: map[string]string{"email": email},
//	})
//	…
//	err = tx.Commit(ctx)
//
// Once that commits, the relay delivers the event to every URL subscribed to its type, at least once, or the delivery
// log says why it could not. If it rolls back, nobody ever sees the event. The insert itself is an ordinary one, in one
// round trip: it does not wait for the relay, does not need it to be running, and no receiver can make it fail.
//
// [Insert] takes a transaction, connection or pool of pgx; [InsertSQL] one of database/sql, with any driver. A host app
// in another language inserts into outbox.events with plain SQL, or calls outbox.emit.
//
// # Reading
//
// [Log] and [Attempts], and [LogSQL] and [AttemptsSQL] for database/sql, read the delivery log: what was sent about a
// user, say, and how each receiver answered. A [Delivery] is one event on its way to one subscription; an [Attempt] is
// one request of it.
//
// # Privileges
//
// A role that writes needs USAGE on schema outbox and INSERT on outbox.events. One that reads needs USAGE, and SELECT on
// outbox.delivery_log and outbox.attempts.
//
// This package imports pgx and a UUID package, and nothing of what the relay is built on. All of its functions may be
// called by several goroutines at once, as far as the database handles that they are given may be.
package outbox
