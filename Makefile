# Every command that a person or CI runs. `make` alone lists them.

CARGO ?= cargo
NEXTEST := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo yes)
# What images are built for: this host's architecture. Without a Linux toolchain the programs are built in a container.
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
MACHINE := $(shell uname -m | sed 's/^arm64$$/aarch64/')
TARGET ?= $(if $(findstring linux,$(HOST)),$(HOST),$(MACHINE)-unknown-linux-gnu)
# What the embedded node asks of the kernel: root's namespaces, or a user's own.
NAMESPACES = unshare --pid --mount --net --fork true || unshare --user --map-root-user --pid --mount --net --fork true
PREFIX ?= $(HOME)/.local
INSTALLED = $(DESTDIR)$(PREFIX)
COMPLETIONS = bash-completion/completions zsh/site-functions fish/vendor_completions.d
# How many times as fast as a cluster's the embedded node's clock runs.
SPEED ?= 5
BUILT = $(or $(CARGO_TARGET_DIR),./target)
# What the exercises showed on either engine, for `compare`.
RECORDINGS = $(BUILT)/recordings
# pg-ready and probe-sidecar are built on musl, of which a megabyte less comes along than of glibc.
MUSL = $(TARGET:-gnu=-musl)
HAS_MUSL = test -d "$$(rustc --print target-libdir --target $(MUSL))"
MUSL_TARGET = $(shell $(HAS_MUSL) && echo $(MUSL) || echo $(TARGET))
# A directory of its own: the sidecar is built for the same target with other flags, and each build would discard the other's.
PG_READY_TARGET_DIR = $(BUILT)/pg-ready
PG_READY = $(PG_READY_TARGET_DIR)/$(MUSL_TARGET)/compact/pg-ready
GLIBC = numbers-api todo-web todo-db
SIDECAR = $(BUILT)/$(MUSL_TARGET)/compact/probe-sidecar
PG_READY_LIMIT = 2097152
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

.DEFAULT_GOAL := help
.PHONY: help build up install uninstall exercise-programs exercises exercises-cluster e2e compare resilience conformance test test-programs fmt lint docs check bench dist dist-glibc $(GLIBC:%=dist-%) dist-pg-ready musl clean

##@ Use

help: ## List these commands
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build every program (target/release); `make dist` builds what is shipped
	$(CARGO) build --release --locked

up: exercise-programs ## Start a node on this host for kubectl, until Ctrl-C
	$(BUILT)/debug/selfheal up

# One program, which contains the workloads. Unoptimized: it compiles in a third of the time, and probes wait for seconds.
# test-support is for the features that it enables: without it the tests compile a hundred libraries again.
# Everything is fetched first, so that the tests can be built without a network afterwards.
exercise-programs:
	$(CARGO) fetch --locked
	$(CARGO) build --locked -p selfheal -p selfheal-test-support

exercises: exercise-programs ## Run the chapter's exercises, no cluster needed
	$(BUILT)/debug/selfheal exercise $(EXERCISES) --speed $(SPEED) --record $(RECORDINGS)/embedded

exercises-cluster: exercise-programs ## Run them, or those of EXERCISES, on the cluster of KUBECONFIG (NODE_ADDRESS= if it has no load balancers)
	$(BUILT)/debug/selfheal exercise $(EXERCISES) --kubeconfig "$${KUBECONFIG:-$$HOME/.kube/config}" \
	  $(if $(NODE_ADDRESS),--node-address $(NODE_ADDRESS)) --record $(RECORDINGS)/cluster

e2e: ## Run them on the cluster of KUBECONFIG, and compare with what they show on the embedded node
	rm -rf $(RECORDINGS)/cluster
	$(MAKE) exercises-cluster compare

compare: exercise-programs # What the cluster showed with what the embedded node does, which is recorded if it is not yet.
	@if [ -d $(RECORDINGS)/embedded ] || { $(NAMESPACES); } 2>/dev/null; then \
	  [ -d $(RECORDINGS)/embedded ] || $(MAKE) exercises || exit; \
	  $(BUILT)/debug/selfheal compare $(RECORDINGS)/cluster $(RECORDINGS)/embedded; \
	else echo "SKIPPED: the comparison with the embedded node: no namespaces here" >&2; fi

resilience: ## What only a real node can show: kubelet and containers killed, a drain (.ci/resilience says what it needs)
	@.ci/resilience

conformance: exercise-programs ## Kubernetes' own tests on the embedded node (E2E_TEST, AGNHOST: crates/node/conformance says what these are)
	@crates/node/conformance "$(E2E_TEST)" "$(AGNHOST)"

install: ## Install selfheal, its shell completions and man pages below PREFIX (~/.local)
	$(CARGO) build --release --locked -p selfheal
	install -D -m 0755 $(BUILT)/release/selfheal "$(INSTALLED)/bin/selfheal"
	install -d $(COMPLETIONS:%="$(INSTALLED)/share/%") "$(INSTALLED)/share/man/man1"
	$(BUILT)/release/selfheal completions bash > "$(INSTALLED)/share/bash-completion/completions/selfheal"
	$(BUILT)/release/selfheal completions zsh > "$(INSTALLED)/share/zsh/site-functions/_selfheal"
	$(BUILT)/release/selfheal completions fish > "$(INSTALLED)/share/fish/vendor_completions.d/selfheal.fish"
	$(BUILT)/release/selfheal man "$(INSTALLED)/share/man/man1"

uninstall: ## Remove what `make install` installed below PREFIX (not ~/.cache/selfheal)
	rm -f "$(INSTALLED)/bin/selfheal" "$(INSTALLED)/share/bash-completion/completions/selfheal" \
	  "$(INSTALLED)/share/zsh/site-functions/_selfheal" "$(INSTALLED)/share/fish/vendor_completions.d/selfheal.fish" \
	  "$(INSTALLED)"/share/man/man1/selfheal.1 "$(INSTALLED)"/share/man/man1/selfheal-*.1

##@ Work on it

# Of what people run (default-members): measurements have no tests, and ask the same libraries for more.
RUN_TESTS = $(CARGO) $(if $(filter yes,$(NEXTEST)),nextest run,test) --locked --no-fail-fast
test: ## Run every test; with IMAGE_ARCHIVES=DIR also those of the images in it; SELFHEAL_TEST_REQUIRE=all allows no skip
	$(if $(IMAGE_ARCHIVES),$(IMAGE_ENV) )SELFHEAL_TEST_SKIPS=$(abspath $(BUILT))/skipped-tests.tsv crates/test-support/run-tests $(RUN_TESTS)

# What they are made of, without running them.
test-programs:
	$(CARGO) $(if $(filter yes,$(NEXTEST)),nextest run,test) --locked --no-run

fmt: ## Format the code
	$(CARGO) fmt --all

lint: ## Clippy, warnings denied
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

docs: ## API documentation, warnings denied
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --locked

check: ## What CI asks of a change: format, licences, workflows, dependencies, clippy, docs, tests
	$(CARGO) fmt --all --check
	$(MAKE) reuse workflows deny lint docs test

bench: dist-pg-ready dist-probe-sidecar ## What probes, checks, the to-do list and the sidecar cost, each beside its peer (takes half an hour)
	$(CARGO) build --profile compact --locked -p todo-web
	PG_READY=$(PG_READY) TODO_WEB=$(BUILT)/compact/todo-web PROBE_SIDECAR=$(SIDECAR) \
	  $(CARGO) run --profile compact --locked -p bench

##@ Ship it

dist: dist-glibc dist-probe-sidecar dist-pg-ready ## Static programs for images (target/<triple>/compact)

# The same sources give the same bytes on every host: panics name files of dependencies by their paths. Those of the workspace are
# relative already; this directory here would make cargo rebuild everything in a copy of it.
REMAP = --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo
STATIC = -C target-feature=+crt-static $(REMAP)
# One cargo command for all, so that shared dependencies are built once. Features that one program enables in them for another are
# removed by the linker. rustc links with its own lld on x86_64 only; elsewhere an installed lld is used. GNU ld knows neither option.
USE_LLD = $(if $(filter x86_64-unknown-linux-gnu,$(TARGET)),yes,$(if $(shell command -v ld.lld),-C link-arg=-fuse-ld=lld))
GLIBC_LINK_ARGS = $(if $(USE_LLD),$(filter-out yes,$(USE_LLD)) -C link-arg=-Wl$(comma)--icf=all -C link-arg=-Wl$(comma)-z$(comma)pack-relative-relocs)
comma := ,
$(GLIBC:%=dist-%): dist-glibc
dist-glibc:
	RUSTFLAGS="$(STATIC) $(GLIBC_LINK_ARGS)" \
	  $(CARGO) build --profile compact --locked --target $(TARGET) $(GLIBC:%=-p %)
	@release/check-static $(GLIBC:%=$(BUILT)/$(TARGET)/compact/%)

# The sidecar runs in every pod, and most of its memory is its program. A static address (no PIE) needs no relocations. Two measures
# keep the image within 6 MiB: lld folds identical functions (72 KB; GNU ld does not), and events of level `trace`, most of them
# h2's and the resolver's, are compiled out (140 KB). The PATH finds rustc's lld, because a path in RUSTFLAGS would change the bytes.
RUSTC_LLD_DIR = $(shell rustc --print sysroot 2>/dev/null)/lib/rustlib/$(HOST)/bin/gcc-ld
SIDECAR_PATH = $(RUSTC_LLD_DIR):$(PATH)
SIDECAR_LINK_ARGS = $(if $(shell PATH="$(SIDECAR_PATH)" command -v ld.lld),-C link-arg=-fuse-ld=lld -C link-arg=-Wl$(comma)--icf=all -C link-arg=-Wl$(comma)-O2)
dist-probe-sidecar: musl
	PATH="$(SIDECAR_PATH)" CC_$(subst -,_,$(MUSL))=$(CC) RUSTFLAGS="$(STATIC) -C relocation-model=static $(SIDECAR_LINK_ARGS)" \
	  $(CARGO) build --profile compact --config 'profile.compact.opt-level="z"' --locked --target $(MUSL_TARGET) -p probe-sidecar \
	  --features tracing/release_max_level_debug
	@release/check-static $(SIDECAR)

# A checker starts every few seconds: fewer pages are read if it has no relocations and, with panic=abort, no unwind tables.
# ring's C code includes no header of musl, so the host's compiler can build it.
dist-pg-ready: musl
	CC_$(subst -,_,$(MUSL))=$(CC) \
	RUSTFLAGS="$(STATIC) -C relocation-model=static -C force-unwind-tables=no \
	  -C link-arg=-Wl,--no-eh-frame-hdr -C link-arg=-Wl,-T,crates/pg-ready/discard-unwind.ld" \
	  $(CARGO) build --profile compact --config 'profile.compact.opt-level="z"' --config 'profile.compact.panic="abort"' \
	  --locked --target $(MUSL_TARGET) --target-dir $(PG_READY_TARGET_DIR) -p pg-ready
	@release/check-static --no-unwind-tables $(PG_READY)
	@size=$$(stat -c %s $(PG_READY)); [ $$size -le $(PG_READY_LIMIT) ] || \
	  echo "dist-pg-ready: $$size bytes, more than the $(PG_READY_LIMIT) intended$(if $(filter $(MUSL),$(MUSL_TARGET)),, (built on glibc: rustup target add $(MUSL)))" >&2

musl: # Rust's library for it, if it can be had; without it pg-ready is built on glibc, and is larger.
	@$(HAS_MUSL) || timeout 120 rustup target add $(MUSL) || true

include docker/images.mk k8s/deploy/deploy.mk release/release.mk

clean: ## Remove what was built
	$(CARGO) clean
	rm -rf dist
