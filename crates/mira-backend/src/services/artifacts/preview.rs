//! Links to previews: an artifact's page is shown without any login, by a link that is signed and soon too old. A link
//! opens one version of one artifact, nothing else; who runs scripts on that page holds no cookie and no token.

use crate::config::Config;
use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use mira_core::{
    clock::Clock,
    ids::{AccountId, ArtifactId},
    project::{hex, unhex},
};
use sha2::Sha256;
use std::{io, sync::Arc};

/// How long a link opens its page.
pub const LINK_LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// What a link opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Previewed {
    /// Whose it is.
    pub account: AccountId,
    /// The artifact.
    pub artifact: ArtifactId,
    /// The version.
    pub version: u32,
    /// Until when, in seconds since the Unix epoch.
    pub expires: i64,
}

/// Why a link opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It was not signed here.
    #[error("this link was not made by Mira; ask for a fresh one")]
    Wrong,
    /// It is too old.
    #[error("this link is too old; ask for a fresh one")]
    Expired,
}

/// Signs links and reads them. Cheap to clone.
#[derive(Clone)]
pub struct Previews(Arc<[u8; 32]>);

impl std::fmt::Debug for Previews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Previews(..)")
    }
}

impl Previews {
    /// With the key in the data directory, made if missing.
    pub fn open(config: &Config, clock: &dyn Clock) -> io::Result<Self> {
        crate::datadir::key_file(&config.preview_key_file(), clock).map(|key| Self(Arc::new(key)))
    }

    fn mac(&self, link: Previewed) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_slice()).ok()?;
        mac.update(b"preview\0");
        mac.update(&link.account.0.to_be_bytes());
        mac.update(link.artifact.0.as_bytes());
        mac.update(&link.version.to_be_bytes());
        mac.update(&link.expires.to_be_bytes());
        Some(mac)
    }

    /// The signature of a link: its account and a keyed hash, in hexadecimal digits.
    pub fn sign(&self, link: Previewed) -> String {
        // HMAC takes keys of any length, so this cannot fail; an empty signature would open nothing.
        let Some(mac) = self.mac(link) else {
            return String::new();
        };
        let hash: [u8; 32] = mac.finalize().into_bytes().into();
        format!("{}.{}", link.account.0, hex(&hash))
    }

    /// What a link opens now.
    pub fn open_link(
        &self,
        artifact: ArtifactId,
        version: u32,
        expires: i64,
        signature: &str,
        now: Timestamp,
    ) -> Result<Previewed, LinkError> {
        let (account, hash) = signature.split_once('.').ok_or(LinkError::Wrong)?;
        let link = Previewed {
            account: AccountId(account.parse().map_err(|_| LinkError::Wrong)?),
            artifact,
            version,
            expires,
        };
        let hash = unhex(hash).ok_or(LinkError::Wrong)?;
        let mac = self.mac(link).ok_or(LinkError::Wrong)?;
        // In constant time.
        mac.verify_slice(&hash).map_err(|_| LinkError::Wrong)?;
        if expires < now.as_second() {
            return Err(LinkError::Expired);
        }
        Ok(link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_link_opens_one_version_until_it_is_too_old() {
        let previews = Previews(Arc::new([7; 32]));
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let link = Previewed {
            account: AccountId::OWNER,
            artifact: ArtifactId(Uuid::from_u128(5)),
            version: 3,
            expires: now.as_second() + 600,
        };
        let signature = previews.sign(link);
        let open = |link: Previewed, signature: &str, now| {
            previews.open_link(link.artifact, link.version, link.expires, signature, now)
        };
        assert_eq!(open(link, &signature, now), Ok(link));
        let late = now + SignedDuration::from_secs(601);
        assert_eq!(open(link, &signature, late), Err(LinkError::Expired));
        for other in [
            Previewed { version: 4, ..link },
            Previewed {
                artifact: ArtifactId(Uuid::from_u128(6)),
                ..link
            },
            Previewed {
                expires: link.expires + 1,
                ..link
            },
        ] {
            assert_eq!(open(other, &signature, now), Err(LinkError::Wrong), "{other:?}");
        }
        let foreign = signature.replacen("1.", "2.", 1);
        let cut = signature.get(..signature.len() - 1).unwrap();
        for spoilt in ["", ".", "1.", &foreign, cut, &format!("{signature}0"), &"ä".repeat(40)] {
            assert_eq!(open(link, spoilt, now), Err(LinkError::Wrong), "{spoilt:?}");
        }
        assert_eq!(
            Previews(Arc::new([8; 32])).open_link(link.artifact, 3, link.expires, &signature, now),
            Err(LinkError::Wrong),
            "another key"
        );
    }
}
