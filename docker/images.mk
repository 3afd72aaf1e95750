# Images: what goes into them, and who makes them. Part of the Makefile.

# The database's is made of Debian's packages; elsewhere the manifests' own postgres image is what there is.
IMAGES ?= numbers-api todo-web probe-sidecar pg-ready $(if $(shell command -v apt-get),todo-db)
ARCH = $(if $(findstring aarch64,$(TARGET)),arm64,amd64)
POSTGRES ?= 15
ROOTS = dist/$(ARCH)

.PHONY: roots $(IMAGES:%=root-%)

roots: $(IMAGES:%=root-%) ## What is in the images, a folder each (dist/<architecture>/<image>)

root-numbers-api: dist-numbers-api
	rm -rf $(ROOTS)/numbers-api && install -D -m 0555 $(BUILT)/$(TARGET)/compact/numbers-api $(ROOTS)/numbers-api/numbers-api

root-todo-web: dist-todo-web
	rm -rf $(ROOTS)/todo-web && install -D -m 0555 $(BUILT)/$(TARGET)/compact/todo-web $(ROOTS)/todo-web/todo-web

root-probe-sidecar: dist-probe-sidecar
	rm -rf $(ROOTS)/probe-sidecar && install -D -m 0555 $(SIDECAR) $(ROOTS)/probe-sidecar/probe-sidecar

root-pg-ready: dist-pg-ready
	rm -rf $(ROOTS)/pg-ready && install -D -m 0555 $(PG_READY) $(ROOTS)/pg-ready/pg-ready

root-todo-db: dist-todo-db dist-pg-ready
	rm -rf $(ROOTS)/todo-db && docker/todo-db-root $(POSTGRES) $(BUILT)/$(TARGET)/compact/todo-db $(PG_READY) $(ROOTS)/todo-db

# A commit's images have its time in them, not the time at which they were made: the same commit, the same digests.
REVISION := $(shell git describe --always --abbrev=40 --dirty --exclude '*' 2>/dev/null || echo unknown)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
CREATED = $(shell date -u -d @$(SOURCE_DATE_EPOCH) +%Y-%m-%dT%H:%M:%SZ 2>/dev/null || date -u -r $(SOURCE_DATE_EPOCH) +%Y-%m-%dT%H:%M:%SZ)
CONTAINER_TOOL ?= $(shell docker/tool)
# What an image says of itself. The epoch is not among it: cargo would build all that has C in it anew for each commit.
LABELS = VERSION=$(VERSION) REVISION=$(REVISION) CREATED=$(CREATED) ARCH=$(ARCH)
FACTS = $(LABELS) SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH)

.PHONY: images
ifneq ($(ARCHIVES),)
images: roots ## Images in the store of docker, podman or buildah (CONTAINER_TOOL); with ARCHIVES=FOLDER as files, without any of them
	@mkdir -p "$(ARCHIVES)"
	@for image in $(IMAGES); do \
	  $(FACTS) docker/archive $$image selfheal/$$image:$(VERSION) "$(ARCHIVES)/$$image.tar" || exit; \
	  echo "images: $(ARCHIVES)/$$image.tar, $$(du -k "$(ARCHIVES)/$$image.tar" | cut -f 1) KiB"; done
else
images: roots
	@$(FACTS) docker/build "$(CONTAINER_TOOL)" $(IMAGES)
endif

.PHONY: push
push: images ## Push them: make push REGISTRY=ghcr.io/you
	@VERSION=$(VERSION) docker/push "$(CONTAINER_TOOL)" "$(REGISTRY)" $(IMAGES)

.PHONY: test-images
test-images: ## Make archives and test them, as containers too where podman is (root)
	$(MAKE) images ARCHIVES=dist/archives
	$(MAKE) --no-print-directory test IMAGE_ARCHIVES=dist/archives RUN_TESTS='$(CARGO) test --locked --no-fail-fast -p packaging'
	@$(MAKE) --no-print-directory print-image-facts

.PHONY: image-facts print-image-facts
image-facts: ## How large the images are and how soon they answer, beside the chapter's
	$(MAKE) images ARCHIVES=dist/archives
	@$(MAKE) --no-print-directory print-image-facts

print-image-facts:
	@IMAGE_ARCHIVES=dist/archives $(CARGO) run --quiet --locked --bin image-facts

.PHONY: sbom release-images
# What each program is made of, in CycloneDX; `cargo auditable` writes the same into the programs themselves, where it is.
sbom: ## What the programs are made of (dist/sbom, CycloneDX)
	@$(CARGO) cyclonedx --version > /dev/null 2>&1 || { echo "sbom: needs cargo-cyclonedx: cargo install --locked cargo-cyclonedx" >&2; exit 2; }
	@rm -rf dist/sbom && mkdir -p dist/sbom
	@SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) $(CARGO) cyclonedx --quiet --format json --target $(TARGET) --override-filename sbom
	@for image in $(filter-out todo-db,$(IMAGES)); do mv crates/$$image/sbom.json dist/sbom/$$image.cdx.json && echo "sbom: dist/sbom/$$image.cdx.json"; done
	@rm -f crates/*/sbom.json bench/sbom.json

# The release workflow's: the folders of both architectures are there, and cosign has an identity.
release-images:
	@test -n "$(REGISTRY)" || { echo "release-images: where to? REGISTRY=" >&2; exit 2; }
	$(FACTS) SOURCE=$(SOURCE) PREFIX=$(REGISTRY)/ docker buildx bake --file docker/docker-bake.hcl --push \
	  --set '*.platform=linux/amd64,linux/arm64' --set '*.attest=type=provenance,mode=max' --set '*.attest=type=sbom' \
	  --metadata-file dist/pushed.json numbers-api todo-web probe-sidecar pg-ready
	for image in numbers-api todo-web probe-sidecar pg-ready; do \
	  cosign sign --yes "$(REGISTRY)/selfheal/$$image@$$(jq --raw-output --arg image $$image '.[$$image]["containerimage.digest"]' dist/pushed.json)" || exit; done
