# Every command that a person or CI runs. `make` alone lists them.

CARGO ?= cargo
NEXTEST := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo yes)
TARGET ?= x86_64-unknown-linux-gnu
# How many times as fast as a cluster's the embedded node's clock runs.
SPEED ?= 3
STATIC = $(or $(CARGO_TARGET_DIR),target)/$(TARGET)/small
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

.DEFAULT_GOAL := help
.PHONY: help build up exercise-programs exercises exercises-cluster test fmt lint docs deny check bench dist dist-pg-ready clean

##@ Use

help: ## List these commands
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build every program (target/release)
	$(CARGO) build --release --locked

up: build ## Start a node on this machine for kubectl, until Ctrl-C
	./target/release/selfheal up

# What the exercises run, and nothing that they do not wait for.
exercise-programs:
	$(CARGO) build --release --locked -p selfheal -p numbers-api

exercises: exercise-programs ## Run the chapter's exercises, no cluster needed
	./target/release/selfheal exercise --speed $(SPEED)

exercises-cluster: exercise-programs ## Run them on the cluster of KUBECONFIG
	./target/release/selfheal exercise --kubeconfig "$${KUBECONFIG:-$$HOME/.kube/config}"

##@ Work on it

test: ## Run every test
ifeq ($(NEXTEST),yes)
	$(CARGO) nextest run --workspace --locked
else
	$(CARGO) test --workspace --locked
endif

fmt: ## Format the code
	$(CARGO) fmt --all

lint: ## Clippy, warnings denied
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

docs: ## API documentation, warnings denied
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --locked

deny: ## Licences, sources and duplicates of the dependencies (needs cargo-deny), advisories where they can be reached
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
	  $(CARGO) deny --locked check licenses bans sources && \
	  { $(CARGO) deny --locked check advisories || echo "deny: advisories could not be checked or need attention (see above)"; }; \
	else echo "SKIPPED: cargo-deny is not installed: cargo install --locked cargo-deny"; fi

check: ## What CI asks of a change: format, clippy, docs, dependencies, tests
	$(CARGO) fmt --all --check
	$(MAKE) lint docs deny test

bench: dist-pg-ready ## What probes and checks cost, beside a bare loop and pg_isready (takes minutes)
	PG_READY=$(STATIC)/pg-ready $(CARGO) run --release --locked -p bench

##@ Ship it

dist: dist-numbers-api dist-todo-web dist-pg-ready ## Static programs for images (target/<triple>/release, pg-ready in small)

dist-%: # One of them; built alone, so that it gets no feature that only another one asks for.
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --release --locked --target $(TARGET) -p $*

# Without position independence there is nothing to relocate: a checker that lives a millisecond feels that.
dist-pg-ready:
	RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static -C force-unwind-tables=no" \
	  $(CARGO) build --profile small --locked --target $(TARGET) -p pg-ready

clean: ## Remove what was built
	$(CARGO) clean
