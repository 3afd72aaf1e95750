# Images for people with Docker and without Rust: `docker build -f docker/Dockerfile.builder --build-arg BIN=numbers-api .`
# Slower than `make images`, which is what everything else uses; todo-db is not made here, use the official postgres image.
ARG RUST=1.95-bookworm

FROM docker.io/library/rust:${RUST} AS chef
RUN cargo install --locked cargo-chef@0.1.78
WORKDIR /work

FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

# Dependencies are a layer of their own: they are built anew only when they change.
FROM chef AS build
ARG BIN TARGETARCH
ENV RUSTFLAGS="-C target-feature=+crt-static"
RUN case "${TARGETARCH}" in arm64) echo aarch64 ;; *) echo x86_64 ;; esac > /arch
COPY --from=plan /work/recipe.json recipe.json
RUN cargo chef cook --release --locked --target "$(cat /arch)-unknown-linux-gnu" --package "${BIN}" --recipe-path recipe.json
COPY . .
RUN cargo build --release --locked --target "$(cat /arch)-unknown-linux-gnu" --package "${BIN}" \
  && install -D -m 0555 "target/$(cat /arch)-unknown-linux-gnu/release/${BIN}" /root-of-image/program

FROM scratch
COPY --from=build /root-of-image/ /
USER 65532:65532
ENTRYPOINT ["/program"]
