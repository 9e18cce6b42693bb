//! The emulator through real HTTP.

#![cfg_attr(test, expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests"))]

mod chat;
mod doors;
mod faults;
mod hosted;
mod responses;
mod rules;
mod rules_chat;
mod support;
mod tools;
