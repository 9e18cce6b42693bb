//! Why a fetch did not happen or did not end well. No variant carries a path, a query or a header: those may hold
//! secrets, and these texts end up in logs and on screens.

use std::{fmt, net::IpAddr, time::Duration};

/// What a fetch was waiting for when its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The name server's answer.
    Resolving,
    /// The connection or the first byte of the answer.
    Answer,
    /// More of the answer's body.
    Body,
    /// The end of the whole exchange.
    Whole,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolving => "its address",
            Self::Answer => "an answer",
            Self::Body => "more of the answer",
            Self::Whole => "the end of the answer",
        })
    }
}

/// A fetch that failed, by reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// The text is no URL with a host.
    #[error("not a usable address: {why}")]
    NotAUrl {
        /// What is wrong with it.
        why: String,
    },
    /// Another scheme than http or https.
    #[error("`{scheme}:` addresses are not fetched, only https (and http for listed hosts)")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// Plain http to a host that is not listed.
    #[error("plain http to {host} is refused: use https, or list the host in MIRA_ALLOW_PRIVATE_HOSTS")]
    PlainHttp {
        /// The host.
        host: String,
    },
    /// `user:password@` inside the URL.
    #[error("the address of {host} carries credentials; give them apart from it")]
    CredentialsInUrl {
        /// The host.
        host: String,
    },
    /// The host leads to an address that is not on the public network.
    #[error("{host} leads to {address}, {why}; list it in MIRA_ALLOW_PRIVATE_HOSTS if Mira may reach it")]
    BlockedAddress {
        /// The host as it was named.
        host: String,
        /// The address that was refused.
        address: IpAddr,
        /// What kind of address it is.
        why: &'static str,
    },
    /// The name has no address.
    #[error("{host} has no address: {why}")]
    Unresolved {
        /// The host.
        host: String,
        /// The resolver's reason.
        why: String,
    },
    /// No connection, or it broke before an answer.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// The host.
        host: String,
        /// The reason, without addresses of resources.
        why: String,
    },
    /// Waited too long.
    #[error("{host} kept Mira waiting for {phase} for more than {after:?}")]
    Timeout {
        /// The host.
        host: String,
        /// For what.
        phase: Phase,
        /// How long.
        after: Duration,
    },
    /// More redirects than allowed.
    #[error("{host} redirects again after {limit} redirects")]
    TooManyRedirects {
        /// The host that redirected last.
        host: String,
        /// How many were followed.
        limit: u8,
    },
    /// A redirect that is not followed.
    #[error("{host} redirects in a way that is not followed: {why}")]
    BadRedirect {
        /// The host that redirected.
        host: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The body is larger than allowed.
    #[error("the answer of {host} is larger than {limit} bytes")]
    TooLarge {
        /// The host.
        host: String,
        /// The cap, in bytes after decompression.
        limit: u64,
    },
    /// The answer broke off or is damaged.
    #[error("the answer of {host} broke off: {why}")]
    Broken {
        /// The host.
        host: String,
        /// The reason.
        why: String,
    },
    /// TLS cannot be set up on this machine (no certificates it trusts, most likely).
    #[error("no secure connection can be set up here: {why}")]
    Tls {
        /// The reason.
        why: String,
    },
}

impl NetError {
    /// Whether a rule refused the address, rather than the network failing.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::NotAUrl { .. }
            | Self::Scheme { .. }
            | Self::PlainHttp { .. }
            | Self::CredentialsInUrl { .. }
            | Self::BlockedAddress { .. }
            | Self::TooManyRedirects { .. }
            | Self::BadRedirect { .. } => true,
            Self::Unresolved { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::TooLarge { .. }
            | Self::Broken { .. }
            | Self::Tls { .. } => false,
        }
    }
}

/// The innermost cause in words; the outer layers repeat it, or name the URL.
pub(crate) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
