//! Addresses of remote repositories. [`RemoteUrl`] has one constructor, so a value of it can be handed to a transport,
//! shown, stored and written into `.git/config`: it has one of the allowed schemes, leads nowhere private by its own
//! words, carries no credentials, and no part of it can be taken for an option of a program.
//!
//! Where a *name* leads is decided when a connection is made (`mira-net`), not here.

use mira_net::{Guard, Host, NetError, Url};
use std::fmt;

/// Longer than any address of a repository.
const MAX_LENGTH: usize = 2048;
/// The port of ssh.
const SSH_PORT: u16 = 22;

/// Why a text is no address of a repository that Mira clones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No scheme, and not `user@host:path`.
    #[error("not an address of a repository: use https://host/path, ssh://user@host/path or user@host:path")]
    Shape,
    /// A path of this machine.
    #[error("this is a path on this machine; Mira clones over https and ssh only")]
    Local,
    /// Another scheme.
    #[error("`{0}` addresses are not cloned; use https or ssh")]
    Scheme(String),
    /// White space, control characters, backslashes.
    #[error("the address holds white space, a control character or a backslash")]
    Characters,
    /// A user name, host or path that looks like an option.
    #[error("the {0} of the address begins with `-`")]
    Option(&'static str),
    /// A password or token inside.
    #[error("the address carries credentials; give them apart from it, so that they are stored nowhere else")]
    Credentials,
    /// A query or a fragment.
    #[error("the address has a part behind `?` or `#`, where a repository has none")]
    Query,
    /// Too long.
    #[error("the address is longer than {MAX_LENGTH} characters")]
    Length,
    /// Plain http, or a private address, of a host that is not listed.
    #[error(transparent)]
    Refused(#[from] NetError),
}

/// The address of a remote repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteUrl {
    text: String,
    place: Place,
}

/// How it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Smart HTTP below this URL, which ends without a slash.
    Http(Url),
    /// The `ssh` program.
    Ssh(SshPlace),
}

/// What `ssh` is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SshPlace {
    pub(crate) user: Option<String>,
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
    /// As the remote's git takes it: absolute, or relative to the login folder.
    pub(crate) path: String,
}

impl RemoteUrl {
    /// The only way to get one.
    pub fn parse(text: &str, guard: &Guard) -> Result<Self, UrlError> {
        if text.len() > MAX_LENGTH {
            return Err(UrlError::Length);
        }
        if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(UrlError::Characters);
        }
        if text.starts_with('-') {
            return Err(UrlError::Option("start"));
        }
        let place = match text.split_once("://") {
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http") => {
                http(text, guard)?
            }
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("ssh") => ssh(rest)?,
            Some((scheme, _)) if is_scheme(scheme) => return Err(UrlError::Scheme(scheme.to_owned())),
            Some(_) => return Err(UrlError::Shape),
            None => scp(text)?,
        };
        if let Place::Ssh(ssh) = &place {
            ssh.check(guard)?;
        }
        let text = match &place {
            Place::Http(url) => url.as_str().to_owned(),
            Place::Ssh(_) => text.to_owned(),
        };
        Ok(Self { text, place })
    }

    /// As it may be shown and stored: without any secret.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host, for messages.
    pub fn host(&self) -> String {
        match &self.place {
            Place::Http(url) => url.host_str().unwrap_or_default().to_owned(),
            Place::Ssh(ssh) => ssh.host.to_string(),
        }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | ':'))
}

fn http(text: &str, guard: &Guard) -> Result<Place, UrlError> {
    let mut url = Url::parse(text).map_err(|_| UrlError::Shape)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlError::Credentials);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(UrlError::Query);
    }
    guard.check_url(&url)?;
    let path = url.path().trim_end_matches('/').to_owned();
    if path.is_empty() {
        return Err(UrlError::Shape);
    }
    url.set_path(&path);
    Ok(Place::Http(url))
}

/// `[user@]host[:port]/path`.
fn ssh(rest: &str) -> Result<Place, UrlError> {
    if rest.contains(['?', '#']) {
        return Err(UrlError::Query);
    }
    let at = rest.find('/').ok_or(UrlError::Shape)?;
    let (authority, path) = rest.split_at(at);
    let (user, host) = user_of(authority)?;
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let port = port.parse().ok().filter(|port| *port != 0);
            (host, port.ok_or(UrlError::Shape)?)
        }
        _ => (host, SSH_PORT),
    };
    let path = percent_decoded(path).ok_or(UrlError::Characters)?;
    // As git has it: `/~` stands for a login folder, everything else is absolute.
    let path = path
        .strip_prefix('/')
        .filter(|path| path.starts_with('~'))
        .unwrap_or(&path);
    place(user, host, port, path)
}

/// `[user@]host:path`.
fn scp(text: &str) -> Result<Place, UrlError> {
    if text.contains("::") && !text.contains('[') {
        let helper = text.split("::").next().unwrap_or_default();
        return Err(UrlError::Scheme(format!("{helper}::")));
    }
    let local = || {
        if text.starts_with(['/', '.', '~']) || text.contains('/') {
            UrlError::Local
        } else {
            UrlError::Shape
        }
    };
    let colon = match text.find(']') {
        Some(bracket) => text
            .get(bracket..)
            .and_then(|rest| rest.find(':'))
            .map(|at| at + bracket),
        None => text.find(':'),
    };
    let (authority, path) = text.split_at(colon.ok_or_else(local)?);
    if authority.contains('/') {
        return Err(UrlError::Local);
    }
    let (user, host) = user_of(authority)?;
    let path = path.strip_prefix(':').unwrap_or(path);
    // `user:password@host:path` would be taken for the path `password@host:path` on the host `user`.
    if user.is_none() && path.split('/').next().is_some_and(|first| first.contains('@')) {
        return Err(UrlError::Credentials);
    }
    place(user, host, SSH_PORT, path)
}

fn user_of(authority: &str) -> Result<(Option<String>, &str), UrlError> {
    let Some((user, host)) = authority.rsplit_once('@') else {
        return Ok((None, authority));
    };
    if user.starts_with('-') {
        return Err(UrlError::Option("user name"));
    }
    if user.contains([':', '@', '%']) {
        return Err(UrlError::Credentials);
    }
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    if user.is_empty() || !user.chars().all(plain) {
        return Err(UrlError::Characters);
    }
    Ok((Some(user.to_owned()), host))
}

fn place(user: Option<String>, host: &str, port: u16, path: &str) -> Result<Place, UrlError> {
    if host.starts_with('-') {
        return Err(UrlError::Option("host"));
    }
    let host = Host::parse(host).map_err(|_| UrlError::Shape)?;
    // The name ends up in an option of ssh (the host key's alias), where some characters mean something.
    if let Host::Domain(name) = &host
        && !name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
    {
        return Err(UrlError::Characters);
    }
    if path.starts_with('-') {
        return Err(UrlError::Option("path"));
    }
    if path.contains(|c: char| c.is_control() || c == '\\') {
        return Err(UrlError::Characters);
    }
    if path.trim_matches('/').is_empty() {
        return Err(UrlError::Shape);
    }
    Ok(Place::Ssh(SshPlace {
        user,
        host,
        port,
        path: path.to_owned(),
    }))
}

impl SshPlace {
    /// The host as the guard takes it.
    pub(crate) fn host(&self) -> Host<&str> {
        match &self.host {
            Host::Domain(name) => Host::Domain(name),
            Host::Ipv4(address) => Host::Ipv4(*address),
            Host::Ipv6(address) => Host::Ipv6(*address),
        }
    }

    fn check(&self, guard: &Guard) -> Result<(), UrlError> {
        Ok(guard.check_literal(&self.host(), self.port)?)
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let value = digit()? * 16 + digit()?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mira_net::HostPort;

    fn parse(text: &str) -> Result<RemoteUrl, UrlError> {
        RemoteUrl::parse(
            text,
            &Guard::new(HostPort::parse_list("gitea.lan:3000, 10.1.1.1").unwrap()),
        )
    }

    #[test]
    fn what_is_taken() {
        let check = |text: &str, stored: &str, host: &str| {
            let url = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((url.as_str(), url.host().as_str()), (stored, host), "{text}");
        };
        check("https://github.com/a/b.git", "https://github.com/a/b.git", "github.com");
        check("HTTPS://GitHub.com/a/b/", "https://github.com/a/b", "github.com");
        check(
            "https://example.org:8443/a",
            "https://example.org:8443/a",
            "example.org",
        );
        check(
            "http://gitea.lan:3000/me/it.git",
            "http://gitea.lan:3000/me/it.git",
            "gitea.lan",
        );
        check("https://10.1.1.1/x", "https://10.1.1.1/x", "10.1.1.1");
        check(
            "ssh://git@example.org/a/b.git",
            "ssh://git@example.org/a/b.git",
            "example.org",
        );
        check("git@github.com:a/b.git", "git@github.com:a/b.git", "github.com");
        check("example.org:b.git", "example.org:b.git", "example.org");
        check("git@[2606:4700::1]:a", "git@[2606:4700::1]:a", "[2606:4700::1]");
    }

    #[test]
    fn what_ssh_is_told() {
        let check = |text: &str, user: Option<&str>, port: u16, path: &str| match parse(text).unwrap().place {
            Place::Ssh(ssh) => assert_eq!((ssh.user.as_deref(), ssh.port, ssh.path.as_str()), (user, port, path)),
            Place::Http(_) => panic!("{text}"),
        };
        check("git@github.com:a/b.git", Some("git"), 22, "a/b.git");
        check("git@github.com:/a/b.git", Some("git"), 22, "/a/b.git");
        check("ssh://git@github.com/a/b.git", Some("git"), 22, "/a/b.git");
        check("ssh://example.org:2222/~me/b%20c", None, 2222, "~me/b c");
    }

    #[test]
    fn what_is_refused() {
        let check = |text: &str, expect: fn(&UrlError) -> bool| {
            let error = parse(text).err().unwrap_or_else(|| panic!("{text} was taken"));
            assert!(expect(&error), "{text}: {error:?}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{text}");
        };
        for text in [
            "file:///etc",
            "git://example.org/a",
            "ftp://example.org/a",
            "ext::sh -c id".split(' ').next().unwrap(),
            "fd::17/a",
            "transport::https://example.org/a",
            "svn+ssh://example.org/a",
            "FILE:///etc",
        ] {
            check(text, |e| matches!(e, UrlError::Scheme(_)));
        }
        for text in ["/etc", "./a", "../a", "~/a", "a/b", "a/b:c"] {
            check(text, |e| matches!(e, UrlError::Local));
        }
        for text in [
            "",
            "a",
            "https://",
            "https://example.org",
            "https://example.org/",
            "ssh://example.org",
            "host:",
            "ssh://h:0/a",
            "ssh://h:x/a",
            "://a/b",
        ] {
            check(text, |e| matches!(e, UrlError::Shape));
        }
        for text in [
            "--upload-pack=id",
            "-x:y",
            "-oProxyCommand=id@h:p",
            "ssh://-oProxyCommand=id/a",
            "ssh://-o@h/a",
            "git@-h:a",
            "git@h:-a",
        ] {
            check(text, |e| matches!(e, UrlError::Option(_)));
        }
        for text in [
            "https://example.org/a b",
            "https://example.org/\u{7}",
            "git@h:a\nb",
            "ssh://h/a%0ab",
            "ssh://h/%zz",
            "C:\\a",
            "ssh://a$b/c",
            "ext::sh -c id",
            "https://example.org/a\\b",
        ] {
            check(text, |e| matches!(e, UrlError::Characters | UrlError::Shape));
        }
        for text in [
            "https://me:hunter2@example.org/a",
            "https://hunter2@example.org/a",
            "ssh://git:hunter2@example.org/a",
            "git:hunter2@h:a",
        ] {
            check(text, |e| matches!(e, UrlError::Credentials | UrlError::Shape));
        }
        for text in ["https://example.org/a?b", "https://example.org/a#b", "ssh://h/a?b"] {
            check(text, |e| matches!(e, UrlError::Query));
        }
        for text in [
            "http://example.org/a",
            "http://gitea.lan/a",
            "https://127.0.0.1/a",
            "https://0x7f.1/a",
            "https://[::1]/a",
            "ssh://127.0.0.1/a",
            "ssh://2130706433/a",
            "git@10.0.0.1:a",
            "git@[::ffff:127.0.0.1]:a",
            "ssh://[fd00::1]/a",
        ] {
            check(text, |e| matches!(e, UrlError::Refused(_)));
        }
        check(&format!("https://example.org/{}", "a".repeat(MAX_LENGTH)), |e| {
            matches!(e, UrlError::Length)
        });
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_taken_is_harmless(text in "(https://|ssh://|ext::|git@|)[-a-z0-9@:/%.~'$ ]{0,40}") {
            if let Ok(url) = parse(&text) {
                proptest::prop_assert!(!url.as_str().starts_with('-'));
                if let Place::Ssh(ssh) = url.place() {
                    proptest::prop_assert!(!ssh.path.starts_with('-'));
                    proptest::prop_assert!(!ssh.user.as_deref().unwrap_or_default().starts_with('-'));
                    proptest::prop_assert!(!ssh.host.to_string().starts_with('-'));
                }
            }
        }
    }
}
