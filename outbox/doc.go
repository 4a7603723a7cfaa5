// Package outbox is what Go host apps import to write events into the outbox.
package outbox
