# Builds the root file systems of images for hosts without Rust (`make images-docker`). The result is a dist/ directory for
# docker/Dockerfile.
ARG RUST=1.95-bookworm

FROM docker.io/library/rust:${RUST} AS build
WORKDIR /work
COPY . .
ARG IMAGES
ARG POSTGRES=15
# Caches keep crates and compiled dependencies between builds. Only todo-db needs apt: it is built from Debian's packages.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/work/target \
  case " ${IMAGES} " in *" todo-db "*) apt-get update ;; esac \
  && make rootfs BUILDER=cargo IMAGES="${IMAGES}" POSTGRES="${POSTGRES}"

FROM scratch
COPY --from=build /work/dist/ /
