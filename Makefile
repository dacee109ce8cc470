# `make` lists the targets. Only Go and make must be there beforehand; what the
# tests need besides, `make setup` installs.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# Tools have versions and checksums of their own, apart from the product's.
TOOL := go tool -modfile=tools/go.mod
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# Runs a command with a PostgreSQL and a Redis of its own.
SERVERS := go run ./test/servers

# Packages of .go files that differ from the last commit.
CHANGED = $(shell { git diff --name-only --diff-filter=d HEAD -- '*.go'; git ls-files --others --exclude-standard -- '*.go'; } \
	| grep -v '^tools/' | xargs -r -n1 dirname | sort -u | sed 's,^,./,')

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

.PHONY: run
run: build ## Build and run Gatehouse on SQLite, memory and local files
	@exec bin/gatehouse serve

.PHONY: build
build: ## Build bin/gatehouse
	@CGO_ENABLED=0 go build -trimpath -o bin/gatehouse ./cmd/gatehouse

.PHONY: test
test: setup ## Run every test on both stacks, with the race detector
	@$(SERVERS) -- env CGO_ENABLED=1 go test -race -timeout 15m $(TESTFLAGS) ./...

.PHONY: check
check: ## Inner loop: format, vet, staticcheck, and the tests of changed packages
	@unformatted=$$($(TOOL) gofumpt -l cmd internal test); test -z "$$unformatted" || { echo "not formatted: $$unformatted"; exit 1; }
	@go vet ./...
	@$(TOOL) staticcheck ./...
	@$(SERVERS) -- go test $(TESTFLAGS) ./internal/arch $(CHANGED)

.PHONY: format
format: ## Format the source
	@$(TOOL) gofumpt -w cmd internal test

.PHONY: lint
lint: ## Run every linter of .golangci.yml (its first build takes minutes)
	@go run $(GOLANGCI) run ./...

.PHONY: fuzz
fuzz: ## Run each fuzz test for FUZZTIME (default 3s)
	@FUZZTIME=$(or $(FUZZTIME),3s) test/fuzz.sh

.PHONY: bench
bench: setup ## Measure the operations of docs/performance.md on both stacks
	@go run ./test/bench $(BENCHFLAGS)

.PHONY: generate
generate: ## Write generated files anew
	@go generate ./internal/platform/bcrypt

.PHONY: setup
setup: ## Install what the tests need: PostgreSQL, Redis, a C compiler
	@test/setup.sh

.PHONY: clean
clean: ## Remove what was built
	@rm -rf bin
