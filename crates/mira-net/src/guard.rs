//! The decision where a connection may go: scheme, host, and every address the host has.

use crate::{
    address::refusal,
    error::NetError,
    host::HostPort,
    resolve::{Resolve, SystemResolver},
};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use url::{Host, Url};

/// More addresses of one name than this are not tried.
const MAX_ADDRESSES: usize = 16;

/// What may be reached: the public network, and the hosts the owner listed. Cheap to clone.
#[derive(Clone)]
pub struct Guard {
    allowed: Arc<[HostPort]>,
    resolver: Arc<dyn Resolve>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

/// Where a checked connection goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The host as a URL shows it (IPv6 in brackets).
    pub host: String,
    /// The port.
    pub port: u16,
    /// The addresses that passed, at least one.
    pub addresses: Vec<SocketAddr>,
}

impl Guard {
    /// A guard that lets through the public network and `allowed`.
    pub fn new(allowed: Vec<HostPort>) -> Self {
        Self {
            allowed: allowed.into(),
            resolver: Arc::new(SystemResolver),
        }
    }

    /// The same with another resolver.
    #[must_use]
    pub fn with_resolver(self, resolver: impl Resolve) -> Self {
        Self {
            resolver: Arc::new(resolver),
            ..self
        }
    }

    /// Whether the owner listed this host and port.
    pub fn lists(&self, host: &Host<&str>, port: u16) -> bool {
        self.allowed.iter().any(|entry| entry.covers(host, port))
    }

    /// What can be said about a URL without asking a name server: scheme, credentials, literal addresses.
    pub fn check_url(&self, url: &Url) -> Result<(), NetError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(NetError::Scheme {
                scheme: url.scheme().to_owned(),
            });
        }
        let (host, port) = place(url)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NetError::CredentialsInUrl { host: host.to_string() });
        }
        if url.scheme() == "http" && !self.lists(&host, port) {
            // A private literal is named as such: that is the more useful of two reasons.
            self.check_literal(&host, port)?;
            return Err(NetError::PlainHttp { host: host.to_string() });
        }
        self.check_literal(&host, port)
    }

    /// Refuses an address that stands in the URL itself. Names pass.
    pub fn check_literal(&self, host: &Host<&str>, port: u16) -> Result<(), NetError> {
        let address = match host {
            Host::Domain(_) => return Ok(()),
            Host::Ipv4(address) => IpAddr::V4(*address),
            Host::Ipv6(address) => IpAddr::V6(*address),
        };
        self.check_address(host, port, address)
    }

    fn check_address(&self, host: &Host<&str>, port: u16, address: IpAddr) -> Result<(), NetError> {
        match refusal(address) {
            Some(why) if !self.lists(host, port) => Err(NetError::BlockedAddress {
                host: host.to_string(),
                address,
                why,
            }),
            _ => Ok(()),
        }
    }

    /// The checked addresses of a URL's host.
    pub async fn target(&self, url: &Url) -> Result<Target, NetError> {
        self.check_url(url)?;
        let (host, port) = place(url)?;
        self.resolve(&host, port).await
    }

    /// The checked addresses of a host for any protocol. One refused address refuses the host: which of several a
    /// client would take is not for the other side to decide.
    pub async fn resolve(&self, host: &Host<&str>, port: u16) -> Result<Target, NetError> {
        let found = match host {
            Host::Ipv4(address) => vec![IpAddr::V4(*address)],
            Host::Ipv6(address) => vec![IpAddr::V6(*address)],
            Host::Domain(name) => self
                .resolver
                .resolve(name)
                .await
                .map_err(|error| NetError::Unresolved {
                    host: host.to_string(),
                    why: error.to_string(),
                })?,
        };
        for address in &found {
            self.check_address(host, port, *address)?;
        }
        if found.is_empty() {
            return Err(NetError::Unresolved {
                host: host.to_string(),
                why: "the name server knows none".to_owned(),
            });
        }
        let addresses = found
            .into_iter()
            .take(MAX_ADDRESSES)
            .map(|address| SocketAddr::new(address, port))
            .collect();
        Ok(Target {
            host: host.to_string(),
            port,
            addresses,
        })
    }
}

/// Host and port of an http or https URL.
fn place(url: &Url) -> Result<(Host<&str>, u16), NetError> {
    let missing = |what: &str| NetError::NotAUrl {
        why: format!("it has no {what}"),
    };
    let host = url.host().ok_or_else(|| missing("host"))?;
    let port = url.port_or_known_default().ok_or_else(|| missing("port"))?;
    Ok((host, port))
}
