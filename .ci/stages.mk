# Stages of CI. `.ci/run` runs all of them on a clean clone, several at once; CONTRIBUTING.md documents its variables.
#
# Exercises and deployments mostly wait: for probes, back-offs and grace periods. Compilers and tests run beside them at a low priority
# (nice), so that nothing that is timed waits for a processor.

# Without make's own variables: targets of the Makefile that write the same directories would run at the same time.
SHELL = /usr/bin/env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL bash
.SHELLFLAGS = -euo pipefail -c

.PHONY: ci packages build-exercises rootfs-applications rootfs-sidecar embedded build-tests \
  cluster-applications cluster-sidecar cluster images kind static tests

.SILENT:

# Printed immediately; the output of a stage, with its name, is printed when the stage has finished.
START = echo "== $@: started ($$((($$(date +%s) - STARTED) / 60)) min)" >&3; echo "== $@"
# Stages after this one run although it has failed; `ci` fails at the end.
RECORD_FAILURE = || { echo "== $@: failed" >&3; echo $@ >> "$$STATE/failed"; }

ci: cluster kind static tests
	[ ! -s "$$STATE/failed" ] || { echo "failed stages: $$(paste -sd ' ' "$$STATE/failed")" >&3; exit 1; }

packages:
	$(START)
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then nice -n 19 .ci/install-packages; fi

build-exercises:
	$(START)
	make build-exercises

# In the order in which the cluster gets them.
rootfs-applications:
	$(START)
	nice -n 10 make rootfs-numbers-api rootfs-todo-web rootfs-pg-ready rootfs-todo-db

rootfs-sidecar: rootfs-applications
	$(START)
	nice -n 10 make rootfs-probe-sidecar

embedded: build-exercises packages
	$(START)
	.ci/run-embedded

build-tests: embedded
	$(START)
	nice -n 19 make build-tests

cluster-applications: rootfs-applications embedded
	$(START)
	.ci/run-cluster up numbers-api todo-web todo-db pg-ready

cluster-sidecar: cluster-applications rootfs-sidecar
	$(START)
	.ci/run-cluster load probe-sidecar

# Starts before probe-sidecar is built: only one exercise waits for its image.
cluster: cluster-applications
	$(START)
	.ci/run-cluster test $(RECORD_FAILURE)

# Writes the root file systems again, which cluster-sidecar reads.
images: rootfs-sidecar cluster-sidecar
	$(START)
	nice -n 19 make images ARCHIVES=dist/archives

kind: images
	$(START)
	nice -n 19 .ci/run-kind $(RECORD_FAILURE)

# After build-tests, because cargo locks the directory that both write.
static: build-tests
	$(START)
	nice -n 19 make check-static validate checkov $(RECORD_FAILURE)

tests: kind static
	$(START)
	nice -n 19 .ci/run-tests $(RECORD_FAILURE)
