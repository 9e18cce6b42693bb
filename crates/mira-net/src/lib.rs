//! One guarded HTTP client for everything whose address somebody else chose: a web page's link, a search result, a
//! repository to clone. What is fetched and why is decided elsewhere; here lives only *where a connection may go*.
//!
//! Invariants:
//! - a name is resolved once per hop, **every** address it has is checked, and the connection goes to those addresses
//!   and no others, so a second answer of the name server is never used;
//! - a redirect is a new hop with the same checks, and credentials stay with the origin they were given for;
//! - plain `http`, private and loopback addresses only where the owner listed the host ([`HostPort`]);
//! - no proxy variables, no cookies, no credentials inside URLs;
//! - every wait has a deadline and every body a cap that counts what came out of the decompression.

mod address;
mod body;
mod client;
mod error;
mod guard;
mod host;
mod resolve;
mod tls;

pub use address::refusal;
pub use body::Body;
pub use client::{GuardedClient, Limits, Request, Response};
pub use error::{NetError, Phase};
pub use guard::{Guard, Target};
pub use host::{BadHost, HostPort};
pub use reqwest::{StatusCode, header};
pub use resolve::{Resolve, Resolving, SystemResolver};
pub use url::{Host, Url};
