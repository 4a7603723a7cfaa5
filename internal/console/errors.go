package console

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/outboxrelay/relay/internal/access"
	"github.com/outboxrelay/relay/internal/store"
)

// pageError is what a person is told in place of a page.
type pageError struct {
	status         int
	title, text    string
	link, linkText string
}

func (e *pageError) Error() string { return e.title }

var (
	errNoPage = &pageError{status: http.StatusNotFound, title: "There is nothing here",
		text: "The address may be mistyped, or what was here was removed.", link: "/", linkText: "Go to the webhooks"}
	errBadRequest = &pageError{status: http.StatusBadRequest, title: "The console can't read this request",
		text: "Go back and try again.", link: "/", linkText: "Go to the webhooks"}
	errNoWebhook = &pageError{status: http.StatusNotFound, title: "There is no such webhook",
		text: "It may have been removed; what was sent to it is still in the event log.", link: "/", linkText: "Go to the webhooks"}
	errNoDelivery = &pageError{status: http.StatusNotFound, title: "There is no such delivery",
		text: "It may be older than the log is kept.", link: "/log", linkText: "Go to the event log"}
	errDeclared = &pageError{status: http.StatusConflict, title: "This webhook is kept by relay.yaml",
		text: "Change it there and restart the relay; the console can only test it.", link: "/", linkText: "Go to the webhooks"}
	errNotSetUp = &pageError{status: http.StatusServiceUnavailable, title: "The database is not set up yet",
		text: "The relay sets it up when it starts, or do it with `relay init`. `relay check` says what is missing."}
	errNoRight = &pageError{status: http.StatusServiceUnavailable, title: "The relay may not read or write this in the database",
		text: "`relay check` names each missing right and how to grant it."}
	errNoDatabase = &pageError{status: http.StatusServiceUnavailable, title: "The database does not answer",
		text: "The relay keeps trying. Reload this page in a moment."}
	errInternal = &pageError{status: http.StatusInternalServerError, title: "Something went wrong",
		text: "The relay's log says what."}
)

// explain turns an error into what a person may be told of it. What the database or the network said is for the log:
// it can name values.
func explain(err error) *pageError {
	var known *pageError
	var wait *access.WaitError
	var pg *pgconn.PgError
	var connect *pgconn.ConnectError
	var network net.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &wait):
		return &pageError{status: http.StatusTooManyRequests, title: "Too many wrong passwords", text: "Wait a minute and try again."}
	case errors.Is(err, store.ErrNoSubscription):
		return errNoWebhook
	case errors.Is(err, store.ErrNoDelivery):
		return errNoDelivery
	case errors.As(err, &pg):
		return explainDatabase(pg)
	case errors.As(err, &connect), errors.As(err, &network), errors.Is(err, context.DeadlineExceeded):
		return errNoDatabase
	}
	return errInternal
}

func explainDatabase(pg *pgconn.PgError) *pageError {
	switch {
	case pg.Code == "3F000", pg.Code == "42P01", pg.Code == "42703", pg.Code == "42883": // no schema, table, column, function
		return errNotSetUp
	case pg.Code == "42501": // insufficient_privilege
		return errNoRight
	case pg.Code[:2] == "08", pg.Code[:2] == "57", pg.Code[:2] == "53": // connection, shutdown, out of resources
		return errNoDatabase
	}
	return errInternal
}

// showError answers with an error's page, and logs what a person is not told.
func (c *Console) showError(w http.ResponseWriter, r *request, err error) {
	if errors.Is(r.Context().Err(), context.Canceled) {
		return // Nobody is there any more.
	}
	told := explain(err)
	if told.status >= http.StatusInternalServerError {
		c.log.Error("console: a page could not be made", "method", r.Method, "pattern", r.Pattern, "error", err)
	}
	view := struct{ Title, Text, Link, LinkText string }{told.title, told.text, told.link, told.linkText}
	if r.isFragment() {
		c.renderFragment(w, told.status, "error", view)
		return
	}
	c.render(w, r, told.status, "error", page{Title: told.title, Body: view})
}
