# `make` alone prints this help. What `make check` does is what CI does.

GOLANGCI_LINT_VERSION := v2.15.0
WORKFLOWCHECK_VERSION := v0.6.0

BIN := $(CURDIR)/.bin
LINT := $(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION)
WORKFLOWCHECK := $(BIN)/workflowcheck-$(WORKFLOWCHECK_VERSION)

# What builds call themselves: the tag, or the commits after it.
VERSION = $(shell git describe --tags --always --dirty)
REVISION = $(shell git rev-parse HEAD)
LDFLAGS = -s -w -X github.com/headrace/headrace/internal/version.stamp=$(VERSION)

# The Temporal server takes minutes to build, and minutes more with the race
# detector. What does not import it is nearly everything that runs concurrently.
SERVER_FREE = $(shell go list ./... | grep -v -e /cmd/ -e /internal/devserver -e /internal/e2e -e /bench)

# The test in which everything fails in turn prints a table, and wants the machine
# for itself.
FAILURES := ^TestAClusterLosesNothingAndDoublesNothing$$

.PHONY: help
help: ## Show what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the program into .bin: headrace, and headrace-slim without the embedded Temporal
	go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/headrace ./cmd/headrace
	CGO_ENABLED=0 go build -tags slim -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/headrace-slim ./cmd/headrace
	@ls -l $(BIN)/headrace $(BIN)/headrace-slim | awk '{ printf "%6.1f MB  %s\n", $$5 / 1e6, $$NF }'
	@gzip -9 -c $(BIN)/headrace-slim | wc -c | awk '{ printf "%6.1f MB  headrace-slim in an image, compressed\n", $$1 / 1e6 }'

.PHONY: image
image: ## Build the image with Docker, as headrace:VERSION
	docker build --pull -t headrace:$(VERSION) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) .

.PHONY: env
env: ## Write .env for docker-compose.yml with secrets of its own, and print the API key
	@deploy/compose/env.sh

.PHONY: test
test: ## Run all tests, those of the whole system included
	go test ./...

.PHONY: test-cluster
test-cluster: ## Run the tests on a real Temporal, PostgreSQL and S3 server (needs Debian's postgresql)
	go test -tags cluster -timeout 30m ./internal/store
	go test -tags cluster -timeout 30m -skip '$(FAILURES)' ./internal/e2e
	go test -tags cluster -timeout 30m -count 1 -v -run '$(FAILURES)' ./internal/e2e

.PHONY: check
check: format lint tidy workflowcheck race replay ## Everything that must hold before a change lands

.PHONY: format
format: $(LINT) ## Fail if a file is not formatted
	$(LINT) fmt --diff

.PHONY: lint
lint: $(LINT) ## Fail if a linter has something to say
	$(LINT) run

.PHONY: tidy
tidy: ## Fail if go.mod or go.sum is not tidy
	go mod tidy -diff
	go mod verify

.PHONY: workflowcheck
workflowcheck: $(WORKFLOWCHECK) ## Fail if a workflow is not deterministic
	$(WORKFLOWCHECK) ./workflows/... ./internal/ledger/... ./internal/queue/...

.PHONY: race
race: ## Run the tests that need no Temporal server with the race detector
	go test -race $(SERVER_FREE)

.PHONY: replay
replay: ## Replay the saved histories of every release
	go test -count=1 -run 'Replay' ./workflows

.PHONY: fuzz
fuzz: ## Fuzz everything that reads the outside world, half a minute each
	@go test -list '^Fuzz' $(SERVER_FREE) | awk ' \
		/^Fuzz/ { names[++n] = $$1 } \
		/^ok/ { for (i = 1; i <= n; i++) print $$2, names[i]; n = 0 }' | \
	while read -r package name; do \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime 30s "$$package" || exit 1; \
	done

.PHONY: bench
bench: ## Measure headrace against a bare loop, and whether limits hold; takes half an hour
	go run ./bench

$(LINT):
	GOBIN=$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv $(BIN)/golangci-lint $@

$(WORKFLOWCHECK):
	GOBIN=$(BIN) go install go.temporal.io/sdk/contrib/tools/workflowcheck@$(WORKFLOWCHECK_VERSION)
	mv $(BIN)/workflowcheck $@
