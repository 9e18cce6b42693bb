//! The owner's token, the file it lies in, and the one-time codes made from it. No network, no store.
//!
//! A code is `base64url(expiry, nonce, HMAC-SHA256(token, expiry, nonce))`: whoever can read the token file can make
//! one, the server can check one without having seen it before, and a changed token ends all of them.

use crate::config::{Invalid, Secret};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use mira_core::clock::Clock;
use sha2::{Digest, Sha256};
use std::{
    fs, io,
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};
use subtle::ConstantTimeEq;

/// How long a one-time code works.
pub const CODE_LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// Separates codes from anything else the token may ever sign.
const CODE_DOMAIN: &[u8] = b"mira login code 1";
const EXPIRY_BYTES: usize = 8;
const NONCE_BYTES: usize = 16;
const MAC_BYTES: usize = 32;

/// What may go wrong with the token file.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or written.
    #[error("token file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds no token.
    #[error("token file {path}: {source}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Invalid,
    },
}

/// Which token a login was made with: the token's SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a token.
    pub fn of(token: &Secret) -> Self {
        Self(Sha256::digest(token.expose().as_bytes()).into())
    }

    /// As bytes, for the store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Whether two secrets are the same, in time that does not depend on where they differ.
pub fn same_secret(left: &str, right: &str) -> bool {
    let (left, right) = (Sha256::digest(left.as_bytes()), Sha256::digest(right.as_bytes()));
    left.ct_eq(&right).into()
}

/// 32 random bytes as text.
pub fn random_secret(clock: &dyn Clock) -> String {
    let mut bytes = clock.random_bytes().to_vec();
    bytes.extend(clock.random_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads the token file; `None` where there is none yet.
pub fn read_token(path: &Path) -> Result<Option<Secret>, TokenError> {
    match fs::read_to_string(path) {
        Ok(text) => match Secret::parse(text.trim()) {
            Ok(token) => Ok(Some(token)),
            Err(source) => Err(TokenError::Damaged {
                path: path.to_owned(),
                source,
            }),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TokenError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Reads the token file, making it first where there is none.
pub fn read_or_create_token(path: &Path, clock: &dyn Clock) -> Result<Secret, TokenError> {
    match read_token(path)? {
        Some(token) => Ok(token),
        None => replace_token(path, clock),
    }
}

/// Writes a fresh token in place of whatever was there. Readers see the old one or the new one, never half of one.
pub fn replace_token(path: &Path, clock: &dyn Clock) -> Result<Secret, TokenError> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let failed = |source| TokenError::Io {
        path: path.to_owned(),
        source,
    };
    let text = random_secret(clock);
    let unique = format!(
        "token.{}.{}.new",
        std::process::id(),
        COUNTER.fetch_add(1, Ordering::Relaxed)
    );
    let fresh = path.with_file_name(unique);
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().map_err(failed)?;
    Secret::parse(&text).map_err(|source| TokenError::Damaged {
        path: path.to_owned(),
        source,
    })
}

/// What changes when the file is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    inode: u64,
    size: u64,
    seconds: i64,
    nanos: i64,
}

impl FileStamp {
    /// Of a file; `None` where there is none.
    pub fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self {
            inode: found.ino(),
            size: found.size(),
            seconds: found.mtime(),
            nanos: found.mtime_nsec(),
        })
    }
}

/// A fresh one-time code.
pub fn new_code(token: &Secret, clock: &dyn Clock) -> String {
    let expiry = clock
        .now()
        .saturating_add(CODE_LIFETIME)
        .map_or(0, Timestamp::as_second);
    let mut bytes = expiry.to_be_bytes().to_vec();
    bytes.extend(clock.random_bytes());
    let mac = code_mac(token, &bytes);
    bytes.extend(mac);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What a code that was made by this token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeClaim {
    /// SHA-256 of the code's nonce: its name in the store.
    pub hash: [u8; 32],
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// Checks that a code was made by this token. Whether it is too old or used is the caller's question.
pub fn read_code(token: &Secret, code: &str) -> Option<CodeClaim> {
    let bytes = URL_SAFE_NO_PAD.decode(code).ok()?;
    if bytes.len() != EXPIRY_BYTES + NONCE_BYTES + MAC_BYTES {
        return None;
    }
    let (body, mac) = bytes.split_at_checked(EXPIRY_BYTES + NONCE_BYTES)?;
    if !bool::from(code_mac(token, body).ct_eq(mac)) {
        return None;
    }
    let (expiry, nonce) = body.split_first_chunk::<EXPIRY_BYTES>()?;
    Some(CodeClaim {
        hash: Sha256::digest(nonce).into(),
        expires_at: Timestamp::from_second(i64::from_be_bytes(*expiry)).ok()?,
    })
}

/// SHA-256 of a login's secret: the only form that is stored.
pub fn login_hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn code_mac(token: &Secret, body: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length, so this cannot fail; an empty answer would match no code.
    let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(token.expose().as_bytes()) else {
        return Vec::new();
    };
    mac.update(CODE_DOMAIN);
    mac.update(body);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mira_core::clock::SystemClock;

    fn secret(text: &str) -> Secret {
        Secret::parse(text).unwrap()
    }

    #[test]
    fn codes_belong_to_their_token() {
        let code = new_code(&secret("one"), &SystemClock);
        let claim = read_code(&secret("one"), &code).unwrap();
        let left = claim.expires_at.duration_since(SystemClock.now());
        assert!(left <= CODE_LIFETIME && left > CODE_LIFETIME - SignedDuration::from_secs(60));
        assert_eq!(read_code(&secret("two"), &code), None);
        assert_eq!(read_code(&secret("one"), ""), None);
        assert_eq!(read_code(&secret("one"), "not base64!"), None);
    }

    #[test]
    fn any_changed_bit_spoils_a_code() {
        let code = new_code(&secret("one"), &SystemClock);
        let bytes = URL_SAFE_NO_PAD.decode(&code).unwrap();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert_eq!(
                read_code(&secret("one"), &URL_SAFE_NO_PAD.encode(changed)),
                None,
                "byte {index}"
            );
        }
    }

    #[test]
    fn token_files_are_private_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        assert!(read_token(&path).unwrap().is_none());
        let first = read_or_create_token(&path, &SystemClock).unwrap();
        let stamp = FileStamp::of(&path);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(read_or_create_token(&path, &SystemClock).unwrap(), first);
        let second = replace_token(&path, &SystemClock).unwrap();
        assert_ne!(first, second);
        assert_ne!(FileStamp::of(&path), stamp);
        assert_eq!(read_token(&path).unwrap(), Some(second));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left behind");
    }
}
