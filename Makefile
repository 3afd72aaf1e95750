# Every command of a developer and of CI. `make` lists them.

CARGO ?= cargo
NEXTEST := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo yes)
# Target of images: this host's architecture. Without a Linux toolchain the programs are built in a container.
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
MACHINE := $(shell uname -m | sed 's/^arm64$$/aarch64/')
TARGET ?= $(if $(findstring linux,$(HOST)),$(HOST),$(MACHINE)-unknown-linux-gnu)
# Requirement of the embedded node: root's namespaces, or a user's own.
NAMESPACES = unshare --pid --mount --net --fork true || unshare --user --map-root-user --pid --mount --net --fork true
PREFIX ?= $(HOME)/.local
INSTALLED = $(DESTDIR)$(PREFIX)
COMPLETIONS = bash-completion/completions zsh/site-functions fish/vendor_completions.d
# Speed of the embedded node's clock, as a multiple of real time.
SPEED ?= 5
TARGET_DIR = $(or $(CARGO_TARGET_DIR),./target)
# Recordings of the exercises on the embedded node and on a cluster, for `compare`.
RECORDINGS = $(TARGET_DIR)/recordings
# pg-ready and probe-sidecar link musl, which is 1 MB smaller than glibc.
MUSL = $(TARGET:-gnu=-musl)
HAS_MUSL = test -d "$$(rustc --print target-libdir --target $(MUSL))"
MUSL_TARGET = $(shell $(HAS_MUSL) && echo $(MUSL) || echo $(TARGET))
# A separate directory: probe-sidecar is built for the same target with other flags, and each build would discard the other's.
PG_READY_TARGET_DIR = $(TARGET_DIR)/pg-ready
PG_READY = $(PG_READY_TARGET_DIR)/$(MUSL_TARGET)/compact/pg-ready
GLIBC = numbers-api todo-web todo-db
SIDECAR = $(TARGET_DIR)/$(MUSL_TARGET)/compact/probe-sidecar
PG_READY_MAX_BYTES = 2097152
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

.DEFAULT_GOAL := help
.PHONY: help build up install uninstall build-exercises exercises exercises-cluster e2e compare resilience conformance test build-tests bench dist dist-glibc $(GLIBC:%=dist-%) dist-pg-ready musl clean

##@ Use

help: ## List these commands
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build every program (target/release); `make dist` builds them for shipping
	$(CARGO) build --release --locked

up: build-exercises ## Start a node on this host for kubectl, until Ctrl-C
	$(TARGET_DIR)/debug/selfheal up

# One program contains the workloads. Unoptimized: it compiles in a third of the time, and probes wait for seconds.
# Features that test-support enables are built in: without it the tests compile a hundred libraries again.
# Dependencies are fetched first, so that the tests can be built without a network.
build-exercises:
	$(CARGO) fetch --locked
	$(CARGO) build --locked -p selfheal -p selfheal-test-support

exercises: build-exercises ## Run the chapter's exercises, no cluster needed
	$(TARGET_DIR)/debug/selfheal exercise $(EXERCISES) --speed $(SPEED) --record $(RECORDINGS)/embedded

exercises-cluster: build-exercises ## Run the exercises, or those of EXERCISES, on the cluster of KUBECONFIG (NODE_ADDRESS= if it has no load balancers)
	$(TARGET_DIR)/debug/selfheal exercise $(EXERCISES) --kubeconfig "$${KUBECONFIG:-$$HOME/.kube/config}" \
	  $(if $(NODE_ADDRESS),--node-address $(NODE_ADDRESS)) --record $(RECORDINGS)/cluster

e2e: ## Run the exercises on the cluster of KUBECONFIG, and compare the recordings with those of the embedded node
	rm -rf $(RECORDINGS)/cluster
	$(MAKE) exercises-cluster compare

# Records the exercises on the embedded node if there is no recording yet.
compare: build-exercises
	@if [ -d $(RECORDINGS)/embedded ] || { $(NAMESPACES); } 2>/dev/null; then \
	  [ -d $(RECORDINGS)/embedded ] || $(MAKE) exercises || exit; \
	  $(TARGET_DIR)/debug/selfheal compare $(RECORDINGS)/cluster $(RECORDINGS)/embedded; \
	else echo "SKIPPED: the comparison with the embedded node: no namespaces here" >&2; fi

resilience: ## Kill the kubelet and containers of a real node, and drain it (.ci/test-resilience lists its requirements)
	@.ci/test-resilience

conformance: build-exercises ## Run Kubernetes' own tests on the embedded node (E2E_TEST, AGNHOST: crates/node/conformance describes them)
	@crates/node/conformance "$(E2E_TEST)" "$(AGNHOST)"

install: ## Install selfheal, its shell completions and man pages below PREFIX (~/.local)
	$(CARGO) build --release --locked -p selfheal
	install -D -m 0755 $(TARGET_DIR)/release/selfheal "$(INSTALLED)/bin/selfheal"
	install -d $(COMPLETIONS:%="$(INSTALLED)/share/%") "$(INSTALLED)/share/man/man1"
	$(TARGET_DIR)/release/selfheal completions bash > "$(INSTALLED)/share/bash-completion/completions/selfheal"
	$(TARGET_DIR)/release/selfheal completions zsh > "$(INSTALLED)/share/zsh/site-functions/_selfheal"
	$(TARGET_DIR)/release/selfheal completions fish > "$(INSTALLED)/share/fish/vendor_completions.d/selfheal.fish"
	$(TARGET_DIR)/release/selfheal man "$(INSTALLED)/share/man/man1"

uninstall: ## Remove what `make install` installed below PREFIX (not ~/.cache/selfheal)
	rm -f "$(INSTALLED)/bin/selfheal" "$(INSTALLED)/share/bash-completion/completions/selfheal" \
	  "$(INSTALLED)/share/zsh/site-functions/_selfheal" "$(INSTALLED)/share/fish/vendor_completions.d/selfheal.fish" \
	  "$(INSTALLED)"/share/man/man1/selfheal.1 "$(INSTALLED)"/share/man/man1/selfheal-*.1

##@ Test it

# Of the default members: bench has no tests, and enables more features of the same libraries.
RUN_TESTS = $(CARGO) $(if $(filter yes,$(NEXTEST)),nextest run,test) --locked --no-fail-fast
test: ## Run every test; with IMAGE_ARCHIVES=DIR also those of the images in it; SELFHEAL_TEST_REQUIRE=all allows no skip
	$(if $(IMAGE_ARCHIVES),$(IMAGE_ENV) )SELFHEAL_TEST_SKIPS=$(abspath $(TARGET_DIR))/skipped-tests.tsv crates/test-support/run-tests $(RUN_TESTS)

# Compiles the tests without running them.
build-tests:
	$(CARGO) $(if $(filter yes,$(NEXTEST)),nextest run,test) --locked --no-run

bench: dist-pg-ready dist-probe-sidecar ## Measure probes, checks, the to-do list and the sidecar beside their peers (half an hour)
	$(CARGO) build --profile compact --locked -p todo-web
	PG_READY=$(PG_READY) TODO_WEB=$(TARGET_DIR)/compact/todo-web PROBE_SIDECAR=$(SIDECAR) \
	  $(CARGO) run --profile compact --locked -p bench

##@ Ship it

dist: dist-glibc dist-probe-sidecar dist-pg-ready ## Static programs for images (target/<triple>/compact)

# The same sources give the same bytes on every host, although panics name files of dependencies by their paths. Paths of the workspace
# are relative; remapping this directory would make cargo rebuild everything in a copy of it.
REMAP = --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo
STATIC = -C target-feature=+crt-static $(REMAP)
# One cargo command for all, so that shared dependencies are built once. The linker removes features that only one program uses from the
# others. rustc links with its own lld on x86_64 only; elsewhere an installed lld is used. GNU ld has neither option.
USE_LLD = $(if $(filter x86_64-unknown-linux-gnu,$(TARGET)),yes,$(if $(shell command -v ld.lld),-C link-arg=-fuse-ld=lld))
GLIBC_LINK_ARGS = $(if $(USE_LLD),$(filter-out yes,$(USE_LLD)) -C link-arg=-Wl$(comma)--icf=all -C link-arg=-Wl$(comma)-z$(comma)pack-relative-relocs)
comma := ,
# Extensions of SQLite that the to-do list does not use: 190 KB, which the linker cannot remove.
SQLITE_OMITTED = DBSTAT_VTAB FTS3 FTS3_PARENTHESIS FTS5 LOAD_EXTENSION RTREE STAT4
$(GLIBC:%=dist-%): dist-glibc
dist-glibc:
	RUSTFLAGS="$(STATIC) $(GLIBC_LINK_ARGS)" LIBSQLITE3_FLAGS="$(SQLITE_OMITTED:%=-USQLITE_ENABLE_%)" \
	  $(CARGO) build --profile compact --locked --target $(TARGET) $(GLIBC:%=-p %)
	@release/check-linkage $(GLIBC:%=$(TARGET_DIR)/$(TARGET)/compact/%)

# The sidecar runs in every pod, and most of its memory is its program. A static address (no PIE) needs no relocations. Two measures
# keep the image within 6 MiB: lld folds identical functions (72 KB; GNU ld does not), and events of level `trace`, most of them of h2
# and the resolver, are compiled out (140 KB). rustc's lld is found in PATH, because a path in RUSTFLAGS would change the bytes.
RUSTC_LLD_DIR = $(shell rustc --print sysroot 2>/dev/null)/lib/rustlib/$(HOST)/bin/gcc-ld
SIDECAR_PATH = $(RUSTC_LLD_DIR):$(PATH)
SIDECAR_LINK_ARGS = $(if $(shell PATH="$(SIDECAR_PATH)" command -v ld.lld),-C link-arg=-fuse-ld=lld -C link-arg=-Wl$(comma)--icf=all -C link-arg=-Wl$(comma)-O2)
dist-probe-sidecar: musl
	PATH="$(SIDECAR_PATH)" CC_$(subst -,_,$(MUSL))=$(CC) RUSTFLAGS="$(STATIC) -C relocation-model=static $(SIDECAR_LINK_ARGS)" \
	  $(CARGO) build --profile compact --config 'profile.compact.opt-level="z"' --locked --target $(MUSL_TARGET) -p probe-sidecar \
	  --features tracing/release_max_level_debug
	@release/check-linkage $(SIDECAR)

# A checker starts every few seconds: without relocations and, with panic=abort, unwind tables fewer pages are read.
# ring's C code includes no header of musl, so the host's compiler can build it.
dist-pg-ready: musl
	CC_$(subst -,_,$(MUSL))=$(CC) \
	RUSTFLAGS="$(STATIC) -C relocation-model=static -C force-unwind-tables=no \
	  -C link-arg=-Wl,--no-eh-frame-hdr -C link-arg=-Wl,-T,crates/pg-ready/discard-unwind.ld" \
	  $(CARGO) build --profile compact --config 'profile.compact.opt-level="z"' --config 'profile.compact.panic="abort"' \
	  --locked --target $(MUSL_TARGET) --target-dir $(PG_READY_TARGET_DIR) -p pg-ready
	@release/check-linkage --no-unwind-tables $(PG_READY)
	@size=$$(stat -c %s $(PG_READY)); [ $$size -le $(PG_READY_MAX_BYTES) ] || \
	  echo "dist-pg-ready: $$size bytes, more than the limit of $(PG_READY_MAX_BYTES)$(if $(filter $(MUSL),$(MUSL_TARGET)),, (built on glibc: rustup target add $(MUSL)))" >&2

# Installs Rust's target for musl if rustup can; without it pg-ready links glibc and is larger.
musl:
	@$(HAS_MUSL) || timeout 120 rustup target add $(MUSL) || true

include docker/images.mk k8s/deploy/deploy.mk checks/checks.mk release/release.mk

clean: ## Remove build results
	$(CARGO) clean
	rm -rf dist
