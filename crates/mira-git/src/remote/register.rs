//! Our transport in libgit2's table, under a scheme of its own. libgit2 is never given a real address, so that none of its
//! built-in transports (local paths, `git://`) and no `url.*.insteadOf` of a configuration can come into play.

use super::{exchange, http::HttpTransport, ssh::SshTransport, url::Place};
use crate::{error::GitError, global};
use git2::{Remote, Repository, transport::Transport};
use std::sync::{Arc, OnceLock};

/// The scheme, with an address that means "the remote of the exchange under way".
const SCHEME: &str = "mira";
const ADDRESS: &str = "mira://remote";

/// A remote that speaks through our transport, for use inside [`exchange::Exchange::hold`].
pub(crate) fn remote(repo: &Repository) -> Result<Remote<'_>, GitError> {
    prepare()?;
    Ok(repo.remote_anonymous(ADDRESS)?)
}

fn prepare() -> Result<(), GitError> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    global::prepare()?;
    match DONE.get_or_init(|| register().map_err(|error| error.message().to_owned())) {
        Ok(()) => Ok(()),
        Err(reason) => Err(GitError::Git(git2::Error::from_str(reason))),
    }
}

#[expect(
    unsafe_code,
    reason = "libgit2's table of transports has no lock; the OnceLock above makes this run alone and before any use"
)]
fn register() -> Result<(), git2::Error> {
    // SAFETY: registering must not overlap with the creation of transports or another registration. Remotes are made by
    // `remote` above only, which waits for this to be done; nothing else registers.
    unsafe { git2::transport::register(SCHEME, transport) }
}

fn transport(remote: &Remote<'_>) -> Result<Transport, git2::Error> {
    let exchange = exchange::current().ok_or_else(|| git2::Error::from_str("no exchange is under way"))?;
    match exchange.url.place() {
        Place::Http(_) => Transport::smart(remote, true, HttpTransport::new(Arc::clone(&exchange))),
        Place::Ssh(_) => Transport::smart(remote, false, SshTransport::new(Arc::clone(&exchange))),
    }
}
