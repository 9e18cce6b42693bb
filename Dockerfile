# syntax=docker/dockerfile:1
# Two stages: the compiler stays behind, the image holds one binary.
# `cargo xtask test deploy` checks every line of this file that can be checked without a container engine.

FROM rust:1.95-bookworm AS builder
WORKDIR /src
# Only what the build reads (.dockerignore lets nothing else in, so no key and no data can end up in a layer).
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY xtask xtask
COPY migrations migrations
COPY personas personas
COPY frontend frontend
RUN cargo build --release --locked --package mira-backend

FROM debian:bookworm-slim
# ca-certificates: the roots that model endpoints and repositories are verified against. openssh-client: repositories over
# ssh. The others are the box for Python and what is used most in it; without them, and unless the container may make
# namespaces (docs/OPERATIONS.md, "The box"), she runs no code and says why. Nothing else is needed.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates openssh-client \
    bubblewrap python3 python3-matplotlib python3-pandas \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin mira \
 && install --directory --owner mira --group mira --mode 0700 /data
COPY --from=builder /src/target/release/mira-backend /usr/local/bin/mira-backend
# Inside the container all addresses are right: what reaches it is decided where the port is published.
ENV MIRA_HOST=0.0.0.0 MIRA_PORT=8080 MIRA_DATA_DIR=/data
USER mira
WORKDIR /data
VOLUME /data
EXPOSE 8080
# bookworm-slim has neither curl nor wget, and adding one would add what an intruder wants first. bash is part of every
# Debian (an essential package) and speaks TCP: one request, and the first line of the answer decides.
HEALTHCHECK --interval=30s --timeout=6s --start-period=30s --start-interval=1s --retries=3 \
  CMD ["bash", "-c", "exec 3<>\"/dev/tcp/127.0.0.1/${MIRA_PORT:-8080}\" && printf 'GET /health HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r -t 5 _ status _ <&3 && [ \"$status\" = 200 ]"]
STOPSIGNAL SIGTERM
CMD ["mira-backend"]
