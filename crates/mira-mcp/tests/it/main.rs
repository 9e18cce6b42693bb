//! Real peers and broken ones: servers of the official SDKs of two other languages, and one that goes wrong on request.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests: a panic is how a test reports"
)]

mod faults;
mod peers;
mod support;
