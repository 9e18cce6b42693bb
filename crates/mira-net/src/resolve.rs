//! From names to addresses. A trait, so that a test (or a cache, or another resolver) can stand in for the system's.

use std::{future::Future, io, net::IpAddr, pin::Pin};

/// A lookup on its way.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Finds the addresses of a name. What it answers is checked by the guard, address by address.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of `name`.
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a>;
}

/// The system's resolver (`getaddrinfo`, on the runtime's blocking pool).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}
