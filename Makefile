# make demo   watch real events go out, on a private throw-away Postgres
# make test   every test; those that need a Postgres start one
# make bench  the core of docs/performance.md, measured here: a few minutes, prints a table
# make bench-all  all of docs/performance.md, tables and charts: a quarter of an hour; ARGS=-huge adds tables of 10 million events
# make bench-retention  the figures of docs/retention.md: 10 million events, a quarter of an hour, 15 GB of disk
# make test-matrix  the tests on PostgreSQL 14, 16, 17 and 18 (Linux; fetches the servers with npm)
# make lint   what CI checks besides
# make screenshots  every page of the console, in light and dark, into docs/screenshots/; needs Chromium
# make test-pgbouncer  what make test proves with a stand-in, with a real pgbouncer, which must be installed
# make test-rules  the alert rules, with promtool (Debian: package prometheus)

GO ?= go
PROMTOOL ?= promtool
GOLANGCI_LINT_VERSION := v2.15.0

.PHONY: demo build test test-pgbouncer test-matrix test-rules race lint bench bench-all bench-retention screenshots

demo:
	$(GO) run ./cmd/relay demo $(ARGS)

build:
	$(GO) build -o bin/relay ./cmd/relay

test:
	$(GO) test -timeout 14m ./...

test-pgbouncer:
	$(GO) test -tags pgbouncer -run PgBouncer -timeout 5m ./internal/check ./internal/pgtest ./internal/e2e

test-rules:
	$(PROMTOOL) check rules deploy/prometheus/relay.rules.yml
	$(PROMTOOL) test rules deploy/prometheus/relay.rules.test.yml

test-matrix:
	$(GO) run ./internal/matrix -- $(ARGS) ./...

race:
	$(GO) test -race -timeout 30m ./...

lint:
	$(GO) vet -tags pgbouncer ./...
	cd internal/bench/peers && $(GO) vet ./...
	$(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION) run

bench:
	$(GO) run ./internal/bench $(ARGS)

bench-all:
	$(GO) run ./internal/bench -all -docs docs/performance.md $(ARGS)

bench-retention:
	$(GO) run ./internal/bench/retention $(ARGS)

screenshots:
	$(GO) run ./internal/console/screenshots docs/screenshots $(ARGS)
