// Package console is the relay's web console: the subscribed URLs and their tests, the documentation of the events, the
// log of what was sent, and how the relays do.
//
// Pages are made on the server from html/template and work without JavaScript; static/app.js adds what moves: local times,
// live updates, tests in place. Nothing is loaded from elsewhere, and the Content-Security-Policy allows no inline script
// or style, so that what comes from outside (URLs, payloads, answers, names) is text and nothing else.
//
// Whoever comes in is an operator, who sees everything, or one tenant's viewer, whom a signed link let in. Every statement
// takes the viewer's store.Scope, whose zero value is that of nobody. What has no tenant (how the relays do) is for
// operators alone. Nothing is changed by GET.
//
//	console.go   the routes, and what stands before every handler
//	webhook*.go  the subscribed URLs       log.go, delivery.go, user.go   what was sent
//	docs.go      what events look like     overview.go, chart.go          how it goes
package console
