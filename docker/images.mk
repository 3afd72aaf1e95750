# Images: their root file systems, and the tools that build images from these. Part of the Makefile.

# cargo, or docker/Dockerfile.builder on a host without cargo for Linux.
BUILDER ?= $(if $(findstring linux,$(HOST)),cargo,container)
# todo-db is built from Debian's packages; on a host without apt the cluster pulls the official postgres image.
IMAGES ?= numbers-api todo-web probe-sidecar pg-ready $(if $(filter container,$(BUILDER))$(shell command -v apt-get),todo-db)
ARCH = $(if $(findstring aarch64,$(TARGET)),arm64,amd64)
POSTGRES ?= 15
ROOTFS_DIR = dist/$(ARCH)

.PHONY: rootfs rootfs-container images-docker $(IMAGES:%=rootfs-%)

ifeq ($(BUILDER),cargo)
rootfs: $(IMAGES:%=rootfs-%) ## Build the root file system of each image (dist/<architecture>/<image>)
else
rootfs: rootfs-container
endif

rootfs-container:
	@POSTGRES=$(POSTGRES) docker/build-rootfs "$(CONTAINER_TOOL)" "$(ARCH)" $(IMAGES)

rootfs-numbers-api: dist-numbers-api
	rm -rf $(ROOTFS_DIR)/numbers-api && install -D -m 0555 $(TARGET_DIR)/$(TARGET)/compact/numbers-api $(ROOTFS_DIR)/numbers-api/numbers-api
	@$(NOTICES) numbers-api $(TARGET) $(ROOTFS_DIR)/numbers-api/licenses

rootfs-todo-web: dist-todo-web
	rm -rf $(ROOTFS_DIR)/todo-web && install -D -m 0555 $(TARGET_DIR)/$(TARGET)/compact/todo-web $(ROOTFS_DIR)/todo-web/todo-web
	@$(NOTICES) todo-web $(TARGET) $(ROOTFS_DIR)/todo-web/licenses

rootfs-probe-sidecar: dist-probe-sidecar
	rm -rf $(ROOTFS_DIR)/probe-sidecar && install -D -m 0555 $(SIDECAR) $(ROOTFS_DIR)/probe-sidecar/probe-sidecar
	@$(NOTICES) probe-sidecar $(MUSL_TARGET) $(ROOTFS_DIR)/probe-sidecar/licenses

rootfs-pg-ready: dist-pg-ready
	rm -rf $(ROOTFS_DIR)/pg-ready && install -D -m 0555 $(PG_READY) $(ROOTFS_DIR)/pg-ready/pg-ready
	@$(NOTICES) pg-ready $(MUSL_TARGET) $(ROOTFS_DIR)/pg-ready/licenses

rootfs-todo-db: dist-todo-db dist-pg-ready
	rm -rf $(ROOTFS_DIR)/todo-db && docker/build-todo-db-rootfs $(POSTGRES) $(TARGET_DIR)/$(TARGET)/compact/todo-db $(PG_READY) $(ROOTFS_DIR)/todo-db
	@umask 022 && $(NOTICES) todo-db $(TARGET) $(ROOTFS_DIR)/todo-db/usr/share/doc/todo-db && $(NOTICES) pg-ready $(MUSL_TARGET) $(ROOTFS_DIR)/todo-db/usr/share/doc/pg-ready

# Images have the time of the commit, not of the build: the same commit gives the same digests.
REVISION := $(shell git describe --always --abbrev=40 --dirty --exclude '*' 2>/dev/null || echo unknown)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
CREATED = $(shell date -u -d @$(SOURCE_DATE_EPOCH) +%Y-%m-%dT%H:%M:%SZ 2>/dev/null || date -u -r $(SOURCE_DATE_EPOCH) +%Y-%m-%dT%H:%M:%SZ)
CONTAINER_TOOL ?= $(shell docker/detect-tool)
# Values of the image's labels. SOURCE_DATE_EPOCH is separate: in the environment of cargo it would rebuild every crate with C code for
# each commit.
IMAGE_ENV = VERSION=$(VERSION) REVISION=$(REVISION) CREATED=$(CREATED) ARCH=$(ARCH)
BUILD_ENV = $(IMAGE_ENV) SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH)

.PHONY: images
ifneq ($(ARCHIVES),)
images: rootfs ## Build images with docker, podman or buildah (CONTAINER_TOOL), or as archives without any of them (ARCHIVES=DIR)
	@mkdir -p "$(ARCHIVES)"
	@for image in $(IMAGES); do \
	  $(BUILD_ENV) docker/build-archive $$image localhost/selfheal/$$image:$(VERSION) "$(ARCHIVES)/$$image.tar" || exit; \
	  echo "images: $(ARCHIVES)/$$image.tar, $$(du -k "$(ARCHIVES)/$$image.tar" | cut -f 1) KiB"; done
else
images: rootfs
	@$(BUILD_ENV) docker/build "$(CONTAINER_TOOL)" $(IMAGES)
endif

images-docker: ## Build images without cargo: a container builds the programs (docker/Dockerfile.builder)
	$(MAKE) images BUILDER=container

.PHONY: push
push: images ## Push images: make push REGISTRY=ghcr.io/you
	@VERSION=$(VERSION) ARCH=$(ARCH) docker/push "$(CONTAINER_TOOL)" "$(REGISTRY)" $(IMAGES)

.PHONY: test-images
test-images: ## Build archives and test them, also as containers where podman is installed (root)
	$(MAKE) images ARCHIVES=dist/archives
	$(MAKE) --no-print-directory test IMAGE_ARCHIVES=dist/archives RUN_TESTS='$(CARGO) test --locked --no-fail-fast -p selfheal-packaging'
	@$(MAKE) --no-print-directory print-image-report

.PHONY: image-report print-image-report
image-report: ## Print size and start-up time of each image beside the chapter's
	$(MAKE) images ARCHIVES=dist/archives
	@$(MAKE) --no-print-directory print-image-report

print-image-report:
	@IMAGE_ARCHIVES=dist/archives $(CARGO) run --quiet --locked --bin image-report

