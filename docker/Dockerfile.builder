# Builds the root file systems of images for hosts without Rust: `make images-docker`. Its result is a dist/ directory, from which
# docker/Dockerfile builds the images as it does everywhere else.
ARG RUST=1.95-bookworm

FROM docker.io/library/rust:${RUST} AS build
WORKDIR /work
COPY . .
ARG IMAGES
ARG POSTGRES=15
# The registry's crates and the compiled dependencies outlive a build. Only todo-db is made of Debian's packages.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/work/target \
  case " ${IMAGES} " in *" todo-db "*) apt-get update ;; esac \
  && make rootfs BUILDER=cargo IMAGES="${IMAGES}" POSTGRES="${POSTGRES}"

FROM scratch
COPY --from=build /work/dist/ /
