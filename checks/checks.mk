# Checks that run no program of the project. Part of the Makefile.

##@ Check it

.PHONY: check check-static check-format check-spelling check-prose check-scripts check-licences check-workflows check-dependencies lint docs fmt msrv

check: check-static test ## Every check of a change: check-static and all tests

check-static: check-format check-spelling check-prose check-scripts check-licences check-workflows check-dependencies lint docs ## Every check without tests (programs from PyPI and crates.io, installed once)

fmt: ## Format the code
	$(CARGO) fmt --all

check-format:
	$(CARGO) fmt --all --check

check-spelling: ## Check spelling (typos; _typos.toml has the exceptions)
	@checks/pypi-tool typos==1.52.0 typos
	@echo "spelling: typos has no findings"

check-prose: ## Check the vocabulary of comments, documents, messages and names (checks/prose.toml)
	@python3 checks/prose_test.py
	@checks/prose.py

check-scripts: ## Check shell scripts (shellcheck)
	@checks/scripts

check-licences: ## Check that every file has a copyright and a licence (REUSE)
	@checks/pypi-tool reuse==6.2.0 reuse lint --quiet || { checks/pypi-tool reuse==6.2.0 reuse lint; exit 1; }
	@echo "licences: every file has a copyright and a licence"

check-workflows: ## Check .github (actionlint, zizmor)
	@checks/workflows

check-dependencies: ## Check dependencies: unused ones, licences, sources, advisories (cargo-machete, cargo-deny)
	@checks/unused-dependencies
	@checks/dependencies

lint: ## Clippy, warnings denied
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

docs: ## API documentation, warnings denied
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --locked

MSRV = $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
msrv: ## Check that the workspace builds with the oldest supported Rust (needs rustup)
	rustup toolchain install --profile minimal $(MSRV)
	rustup run $(MSRV) cargo check --workspace --locked
