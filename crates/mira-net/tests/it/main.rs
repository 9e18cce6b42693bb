//! The guarded client against real sockets on loopback, reached through the list of allowed hosts, and against
//! addresses it must refuse.

#![expect(clippy::unwrap_used, reason = "tests")]

mod limits;
mod places;
mod redirects;
mod support;
mod tls;
