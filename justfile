# Thin names for what cargo already does; nothing here that a bare cargo cannot.

# Start Mira (rehearsal mode unless .env says otherwise).
run:
    cargo run

# Start with debug logs.
debug:
    RUST_LOG=debug cargo run

# The whole gate, as CI runs it. `just test clippy` runs one step.
test *STEPS:
    cargo xtask test {{STEPS}}

# Structure rules only.
tidy:
    cargo xtask tidy

fmt:
    cargo fmt --all

lint:
    cargo clippy --workspace --all-targets -- -D warnings

# Unit and integration tests, in parallel processes, if cargo-nextest is there.
nextest:
    cargo nextest run --workspace

# Build what the container image would hold, without a container engine.
image:
    cargo xtask image
