//! Credentials for remotes, and where they are kept: one folder per attachment below a folder the caller names, files with
//! mode 0600 in it, and nowhere else. Never in a URL, `.git/config`, the database, a log or an error.

use crate::error::GitError;
use base64::{Engine, engine::general_purpose::STANDARD};
use mira_core::ids::AttachmentId;
use mira_net::header::HeaderValue;
use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Larger than any key.
const MAX_SECRET_BYTES: u64 = 64 * 1024;
/// Who a token belongs to where nothing is said; hosts that care about the name document another.
const TOKEN_USER: &str = "oauth2";

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How Mira gets into a remote.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Credentials {
    /// As anybody (ssh: with the owner's own agent, where there is one).
    #[default]
    None,
    /// An access token, over https.
    Token {
        /// The token.
        token: Secret,
        /// Its user, where the host wants a certain one.
        user: Option<String>,
    },
    /// A password, over https.
    Password {
        /// Whose.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A private key, over ssh.
    SshKey {
        /// The key in OpenSSH's or PEM form.
        private_key: Secret,
        /// What it is locked with.
        passphrase: Option<Secret>,
    },
}

impl Credentials {
    /// The `Authorization` header, where these are for http.
    pub(crate) fn authorization(&self) -> Result<Option<HeaderValue>, GitError> {
        let (user, secret) = match self {
            Self::None => return Ok(None),
            Self::Token { token, user } => (user.as_deref().unwrap_or(TOKEN_USER), token),
            Self::Password { user, password } => (user.as_str(), password),
            Self::SshKey { .. } => return Err(GitError::Unusable("an ssh key is no use for an http address")),
        };
        // RFC 7617: the name ends at the first colon.
        if user.contains(':') || format!("{user}{}", secret.expose()).contains(char::is_control) {
            return Err(GitError::Unusable(
                "the user name or secret holds a character that cannot be sent",
            ));
        }
        let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{}", secret.expose())));
        let mut value =
            HeaderValue::from_str(&basic).map_err(|_| GitError::Unusable("the credentials cannot be sent"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// File names and contents.
    fn files(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::None => Vec::new(),
            Self::Token { token, user } => {
                let user = user.iter().map(|user| (USER, user.clone()));
                [(TOKEN, token.0.clone())].into_iter().chain(user).collect()
            }
            Self::Password { user, password } => vec![(USER, user.clone()), (PASSWORD, password.0.clone())],
            Self::SshKey {
                private_key,
                passphrase,
            } => {
                // OpenSSH takes no key whose last line does not end.
                let key = format!("{}\n", private_key.0.trim_end());
                let passphrase = passphrase.iter().map(|phrase| (PASSPHRASE, phrase.0.clone()));
                [(KEY, key)].into_iter().chain(passphrase).collect()
            }
        }
    }
}

const TOKEN: &str = "token";
const USER: &str = "user";
const PASSWORD: &str = "password";
/// The private key, as `ssh -i` takes it.
pub(crate) const KEY: &str = "key";
/// What unlocks it.
pub(crate) const PASSPHRASE: &str = "passphrase";

/// The credentials of all attachments, on disk.
#[derive(Debug, Clone)]
pub struct Secrets {
    dir: PathBuf,
}

impl Secrets {
    /// Kept below `dir`, which is made when first needed.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The folder of one attachment's credentials.
    pub(crate) fn folder(&self, id: AttachmentId) -> PathBuf {
        self.dir.join(id.to_string())
    }

    /// Keeps an attachment's credentials instead of what was kept before. Blocking; durable when it returns.
    pub fn keep(&self, id: AttachmentId, credentials: &Credentials) -> Result<(), GitError> {
        let failed = || GitError::io("keeping the credentials");
        let files = credentials.files();
        if files.is_empty() {
            return self.remove(id);
        }
        make_private(&self.dir).map_err(failed())?;
        let fresh = self.dir.join(format!(".new-{id}"));
        remove_folder(&fresh).map_err(failed())?;
        make_private(&fresh).map_err(failed())?;
        for (name, content) in files {
            write_private(&fresh.join(name), content.as_bytes()).map_err(failed())?;
        }
        sync(&fresh).map_err(failed())?;
        remove_folder(&self.folder(id)).map_err(failed())?;
        fs::rename(&fresh, self.folder(id)).map_err(failed())?;
        sync(&self.dir).map_err(failed())
    }

    /// What is kept for an attachment; [`Credentials::None`] if nothing is. Blocking.
    pub fn load(&self, id: AttachmentId) -> Result<Credentials, GitError> {
        let folder = self.folder(id);
        let read = |name: &str| read_private(&folder.join(name)).map_err(GitError::io("reading the credentials"));
        if let Some(token) = read(TOKEN)? {
            return Ok(Credentials::Token {
                token: Secret(token),
                user: read(USER)?,
            });
        }
        if let Some(password) = read(PASSWORD)? {
            return Ok(Credentials::Password {
                user: read(USER)?.unwrap_or_default(),
                password: Secret(password),
            });
        }
        if let Some(key) = read(KEY)? {
            return Ok(Credentials::SshKey {
                private_key: Secret(key),
                passphrase: read(PASSPHRASE)?.map(Secret),
            });
        }
        Ok(Credentials::None)
    }

    /// Removes what is kept for an attachment, what was about to be kept too. Blocking.
    pub fn remove(&self, id: AttachmentId) -> Result<(), GitError> {
        remove_folder(&self.dir.join(format!(".new-{id}"))).map_err(GitError::io("removing the credentials"))?;
        remove_folder(&self.folder(id)).map_err(GitError::io("removing the credentials"))
    }
}

/// A folder only its owner may enter; one that is there is left as it is.
pub(crate) fn make_private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Writes a new file only its owner may read.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn read_private(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(MAX_SECRET_BYTES).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// Removes a folder and what is in it; links are removed, not followed.
pub(crate) fn remove_folder(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn all() -> Vec<Credentials> {
        let secret = || Secret::new("hunter2");
        vec![
            Credentials::Token {
                token: secret(),
                user: None,
            },
            Credentials::Token {
                token: secret(),
                user: Some("me".to_owned()),
            },
            Credentials::Password {
                user: "me".to_owned(),
                password: secret(),
            },
            Credentials::SshKey {
                private_key: Secret::new("hunter2\n"),
                passphrase: None,
            },
            Credentials::SshKey {
                private_key: Secret::new("key\n"),
                passphrase: Some(secret()),
            },
            Credentials::None,
        ]
    }

    #[test]
    fn what_is_kept_is_found_again_and_only_the_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(dir.path().join("secrets/git"));
        let id = AttachmentId(uuid::Uuid::from_u128(7));
        for credentials in all() {
            secrets.keep(id, &credentials).unwrap();
            assert_eq!(secrets.load(id).unwrap(), credentials);
            for entry in fs::read_dir(secrets.folder(id)).into_iter().flatten() {
                let mode = entry.unwrap().metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600);
            }
        }
        assert!(!secrets.folder(id).exists());
        secrets.keep(id, &all()[0]).unwrap();
        let mode = fs::metadata(secrets.folder(id)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        secrets.remove(id).unwrap();
        secrets.remove(id).unwrap();
        assert_eq!(secrets.load(id).unwrap(), Credentials::None);
        assert_eq!(fs::read_dir(&secrets.dir).unwrap().count(), 0);
    }

    #[test]
    fn no_secret_is_shown() {
        for credentials in all() {
            assert!(!format!("{credentials:?} {credentials:#?}").contains("hunter2"));
            if let Ok(Some(header)) = credentials.authorization() {
                assert_eq!(format!("{header:?}"), "Sensitive");
            }
        }
    }

    #[test]
    fn headers_cannot_be_smuggled() {
        for (user, password) in [("a:b", "c"), ("a", "b\r\nX: y"), ("a\0", "b")] {
            let credentials = Credentials::Password {
                user: user.to_owned(),
                password: Secret::new(password),
            };
            assert!(credentials.authorization().is_err());
        }
    }
}
