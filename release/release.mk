# Releases. Part of the Makefile.

##@ Release it

# The compiler of released programs: another one gives other bytes. docker/Dockerfile.builder names the same release.
RELEASE_RUST = 1.95.0
.PHONY: release-rust check-release-rust
release-rust:
	@echo $(RELEASE_RUST)
check-release-rust: ## Check that the compiler is that of releases
	@rustc -vV | grep -qx 'release: $(RELEASE_RUST)' || \
	  { echo "check-release-rust: releases are built with $(RELEASE_RUST), and this is $$(rustc -V)" >&2; exit 1; }

# Licence notices of a program: $(NOTICES) PROGRAM TARGET DIRECTORY. In a separate target directory, because cargo would wait for a
# build in the same one.
NOTICES = $(CARGO) run --quiet --locked --target-dir $(TARGET_DIR)/notices -p selfheal-notices --

RELEASED_IMAGES = numbers-api todo-web probe-sidecar pg-ready
# Programs that are also released as archives, each with its target.
RELEASED_PROGRAMS = selfheal=$(TARGET) pg-ready=$(MUSL_TARGET) probe-sidecar=$(MUSL_TARGET)

.PHONY: dist-selfheal
dist-selfheal:
	RUSTFLAGS="$(STATIC) $(GLIBC_LINK_ARGS)" $(CARGO) build --profile compact --locked --target $(TARGET) -p selfheal
	@release/check-linkage $(TARGET_DIR)/$(TARGET)/compact/selfheal

.PHONY: release-artifact
release-artifact: check-release-rust dist-selfheal sbom ## Build the release artifact of this architecture (dist/release/<architecture>.tar)
	$(MAKE) rootfs IMAGES="$(RELEASED_IMAGES)"
	VERSION=$(VERSION) SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) TARGET_DIR=$(TARGET_DIR) NOTICES="$(NOTICES)" \
	  release/archives $(ARCH) $(RELEASED_PROGRAMS)
	release/pack $(ARCH) dist/release/$(ARCH).tar

.PHONY: sbom
# CycloneDX, from cargo's dependencies of a program on its target.
SBOM = dist/sbom/$(ARCH)
sbom: ## Bills of materials of the released programs (dist/sbom, CycloneDX; needs cargo-cyclonedx)
	@$(CARGO) cyclonedx --version > /dev/null 2>&1 || { echo "sbom: cargo-cyclonedx is not installed: cargo install --locked cargo-cyclonedx" >&2; exit 2; }
	@rm -rf $(SBOM) && mkdir -p $(SBOM)
	@SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) $(CARGO) cyclonedx --quiet --format json --target $(TARGET) --override-filename sbom
	@for program in selfheal $(RELEASED_IMAGES); do mv crates/$$program/sbom.json $(SBOM)/$$program.cdx.json || exit; done
	@rm -f crates/*/sbom.json bench/sbom.json

.PHONY: release-images
# Needs the artifacts of both architectures in dist, a login to the registry, and an identity for cosign.
release-images: ## Push the images of a release and sign them (REGISTRY, SOURCE)
	@test -n "$(REGISTRY)" || { echo "release-images: REGISTRY= is not set" >&2; exit 2; }
	$(BUILD_ENV) SOURCE=$(SOURCE) PREFIX=$(REGISTRY)/ docker buildx bake --file docker/docker-bake.hcl --push \
	  --set '*.platform=linux/amd64,linux/arm64' --set '*.attest=type=provenance,mode=max,version=v1' \
	  --metadata-file dist/pushed.json $(RELEASED_IMAGES)
	release/digests dist/pushed.json > dist/digests.txt
	release/sign dist/digests.txt

.PHONY: release-assets
release-assets: ## Collect the files of a release (dist/assets), with their checksums
	rm -rf dist/assets && mkdir -p dist/assets
	cp dist/programs/*/*.tar.gz dist/digests.txt dist/assets/
	for arch in amd64 arm64; do \
	  for sbom in dist/sbom/$$arch/*.cdx.json; do cp "$$sbom" "dist/assets/$$(basename "$$sbom" .cdx.json)-$$arch.cdx.json"; done; done
	release/registry-overlay dist/digests.txt > dist/assets/registry.yaml
	cd dist/assets && sha256sum * > ../SHA256SUMS && mv ../SHA256SUMS .
	cosign sign-blob --yes --bundle dist/assets/SHA256SUMS.sigstore.json dist/assets/SHA256SUMS
