//! The box from outside: what it does for whoever uses it, and twenty ways out of it or through it that are closed. Each
//! test makes a box of its own. Where no box can be made the gate fails; elsewhere the tests say that they proved nothing.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod escape;
mod exhaust;
mod support;
mod work;
