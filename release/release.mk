# Licences, dependency checks and releases. Part of the Makefile.

##@ Release it

.PHONY: reuse
reuse: ## Check that every file has a copyright and a licence (REUSE; needs Python, PyPI once)
	@release/pypi-tool reuse==6.2.0 reuse lint --quiet || { release/pypi-tool reuse==6.2.0 reuse lint; exit 1; }
	@echo "reuse: every file has a copyright and a licence"
