// Package outboxrelay holds the two files at the top of the repository that the program carries with it.
package outboxrelay

import _ "embed"

// Schema is schema.sql: every table, view and function of schema outbox. It is idempotent, and one script for the
// simple query protocol: it brings its own BEGIN and COMMIT.
//
//go:embed schema.sql
var Schema string
