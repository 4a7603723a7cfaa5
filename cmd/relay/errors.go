package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/outboxrelay/relay/config"
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

// complain prints an error on stderr: `relay: …`, a line for each fault, or a record each where the log is for programs.
func (p *program) complain(err error) {
	log := p.records.Load()
	for _, fault := range faults(err) {
		if log != nil {
			log.Error("ended", "error", fault)
			continue
		}
		_, _ = fmt.Fprintln(p.stderr, "relay: "+printable(fault))
	}
}

// faults returns what an error says, fault by fault: those of the settings, and those that were joined. What comes from
// outside may hold line ends; they make no other fault.
func faults(err error) (all []string) {
	var settings *config.Error
	joined, several := any(err).(interface{ Unwrap() []error })
	switch {
	case errors.As(err, &settings):
		for _, f := range settings.Faults {
			all = append(all, f.String())
		}
	case several && err.Error() == errors.Join(joined.Unwrap()...).Error():
		for _, e := range joined.Unwrap() {
			all = append(all, faults(e)...)
		}
	default:
		all = append(all, err.Error())
	}
	return all
}

// explain says what a person can do about an error of the database, where one is known.
func explain(err error) error {
	var known *relay.ConfigError
	var pg *pgconn.PgError
	var refused *pgconn.ConnectError
	if errors.As(err, &refused) { // It has a line for each address that was tried.
		return errors.New(strings.Join(strings.Fields(err.Error()), " "))
	}
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
