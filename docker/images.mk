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
	@$(NOTICES) numbers-api $(TARGET) $(ROOTS)/numbers-api/licenses

root-todo-web: dist-todo-web
	rm -rf $(ROOTS)/todo-web && install -D -m 0555 $(BUILT)/$(TARGET)/compact/todo-web $(ROOTS)/todo-web/todo-web
	@$(NOTICES) todo-web $(TARGET) $(ROOTS)/todo-web/licenses

root-probe-sidecar: dist-probe-sidecar
	rm -rf $(ROOTS)/probe-sidecar && install -D -m 0555 $(SIDECAR) $(ROOTS)/probe-sidecar/probe-sidecar
	@$(NOTICES) probe-sidecar $(MUSL_TARGET) $(ROOTS)/probe-sidecar/licenses

root-pg-ready: dist-pg-ready
	rm -rf $(ROOTS)/pg-ready && install -D -m 0555 $(PG_READY) $(ROOTS)/pg-ready/pg-ready
	@$(NOTICES) pg-ready $(MUSL_TARGET) $(ROOTS)/pg-ready/licenses

root-todo-db: dist-todo-db dist-pg-ready
	rm -rf $(ROOTS)/todo-db && docker/todo-db-root $(POSTGRES) $(BUILT)/$(TARGET)/compact/todo-db $(PG_READY) $(ROOTS)/todo-db
	@umask 022 && $(NOTICES) todo-db $(TARGET) $(ROOTS)/todo-db/usr/share/doc/todo-db && $(NOTICES) pg-ready $(MUSL_TARGET) $(ROOTS)/todo-db/usr/share/doc/pg-ready

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
	$(LABELS) IMAGE_ARCHIVES=dist/archives $(CARGO) test --locked -p packaging
	@$(MAKE) --no-print-directory print-image-facts

.PHONY: image-facts print-image-facts
image-facts: ## How large the images are and how soon they answer, beside the chapter's
	$(MAKE) images ARCHIVES=dist/archives
	@$(MAKE) --no-print-directory print-image-facts

print-image-facts:
	@IMAGE_ARCHIVES=dist/archives $(CARGO) run --quiet --locked --bin image-facts
