package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/outboxrelay/relay/relay"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1 // It did not work.
	exitUsage  = 2 // Bad usage or configuration.
)

// usageError is a mistake on the command line or in the settings.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (e usageError) Unwrap() error { return e.error }

// errSaid ends a command with exit code 1 where its output says why.
var errSaid = errors.New("it did not work")

// report prints why a command ended, a line each, and returns the exit code.
func (p *program) report(err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errSaid):
		return exitFailed
	case errors.As(err, &usage):
		p.complain(usage.error)
		return exitUsage
	case errors.Is(err, context.Canceled):
		p.complain(errors.New("interrupted"))
	default:
		p.complain(explain(err))
	}
	return exitFailed
}

// complain prints an error on stderr: `relay: …`, one line for each of its own.
func (p *program) complain(err error) {
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" {
			_, _ = fmt.Fprintln(p.stderr, "relay: "+printable(line))
		}
	}
}

// explain says what a person can do about an error of the database, where one is known.
func explain(err error) error {
	var known *relay.ConfigError
	var pg *pgconn.PgError
	if errors.As(err, &known) || !errors.As(err, &pg) {
		return err
	}
	switch pg.Code {
	case "3F000", "42P01", "42703", "42883": // no such schema, table, column, function
		return fmt.Errorf("%s: schema outbox is not there, or not as this version needs it; run `relay init`", pg.Message)
	case "42501": // insufficient_privilege
		return fmt.Errorf("%s: `relay check` names each missing right and how to grant it", pg.Message)
	case "25006": // read_only_sql_transaction
		return fmt.Errorf("%s: point database.url at the primary", pg.Message)
	}
	if pg.Hint != "" {
		return fmt.Errorf("%s: %s", pg.Message, strings.TrimSuffix(pg.Hint, "."))
	}
	return err
}
