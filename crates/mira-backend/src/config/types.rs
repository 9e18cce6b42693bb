//! The values a configuration is made of. Each has one constructor that checks, so that nothing behind the
//! configuration has to check again.

use reqwest::Url;
use std::{fmt, net::IpAddr, path::PathBuf};

/// Why a text is not a valid value. The text is shown to the owner behind the variable's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

impl Invalid {
    /// A reason in the owner's words. Must not repeat a secret.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// A key or token: never shown, not even by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret from text: visible ASCII without spaces, so that it fits into a header, at most 4096 bytes.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() || text.len() > 4096 || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Invalid::new(
                "must be 1 to 4096 visible ASCII characters without spaces (value not shown)",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The value, for the one place that sends or compares it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Whether a login is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// Everything but the public routes needs a login.
    Required,
    /// No login; only on a loopback address.
    Off,
}

/// What survives what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurabilityMode {
    /// An acknowledged message survives power loss.
    Full,
    /// An acknowledged message survives the death of the process.
    Normal,
}

/// Which API the model is spoken to with; `auto` is already decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LlmApi {
    /// OpenAI's Responses API.
    Responses,
    /// Chat Completions.
    Chat,
    /// The built-in emulator: no key, no network.
    Rehearsal,
}

/// How the structured reply is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyFormat {
    /// Whatever the endpoint turns out to take.
    Auto,
    /// A strict JSON schema.
    JsonSchema,
    /// A forced `format_response` function.
    Function,
    /// Plain text, then the metadata in a second strict call.
    TwoStep,
}

/// The model to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelChoice {
    /// This one.
    Named(String),
    /// The first the endpoint offers (a local server without `MIRA_MODEL`).
    FirstOffered,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A host name or address, lower case, without brackets or a trailing dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostName(String);

impl HostName {
    /// A host as it stands in a URL or a `Host` header, without its port.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Self(address.to_string()));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if (1..=253).contains(&name.len()) && name.bytes().all(legal) {
            Ok(Self(name))
        } else {
            Err(Invalid::new(format!("{text:?} is not a host name")))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `localhost`, a name below it, or a loopback address.
    pub fn is_loopback(&self) -> bool {
        self.0 == "localhost"
            || self.0.ends_with(".localhost")
            || self.0.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') {
            write!(f, "[{}]", self.0)
        } else {
            f.write_str(&self.0)
        }
    }
}

/// A host with an optional port, as in a `Host` header or a list of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// The host.
    pub host: HostName,
    /// The port, where one is named.
    pub port: Option<u16>,
}

impl HostPort {
    /// Parses `host`, `host:port`, `[v6]` or `[v6]:port`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.contains('*') {
            return Err(Invalid::new(format!(
                "{text:?}: a wildcard would switch the check off; name the hosts"
            )));
        }
        if text.parse::<std::net::Ipv6Addr>().is_ok() {
            return Ok(Self {
                host: HostName::parse(text)?,
                port: None,
            });
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let bad = |_| Invalid::new(format!("{text:?} does not end with a port"));
                Ok(Self {
                    host: HostName::parse(host)?,
                    port: Some(port.parse().map_err(bad)?),
                })
            }
            _ => Ok(Self {
                host: HostName::parse(text)?,
                port: None,
            }),
        }
    }

    /// Whether `other` is this host, and this port where one is named here.
    pub fn covers(&self, other: &Self) -> bool {
        self.host == other.host && (self.port.is_none() || self.port == other.port)
    }
}

/// A browser origin: scheme, host and port, the port always known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// The host.
    pub host: HostName,
    /// The port, the scheme's own where the text names none.
    pub port: u16,
}

/// The two schemes Mira is reached by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS, ended by a proxy.
    Https,
}

impl Scheme {
    /// The name in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port where none is named.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// From a URL's scheme.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }
}

impl Origin {
    /// Parses `scheme://host[:port]`, nothing behind it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let bad = || Invalid::new(format!("{text:?} is not an origin like https://mira.example:8443"));
        let (scheme, rest) = text.split_once("://").ok_or_else(bad)?;
        let scheme = Scheme::parse(scheme).ok_or_else(bad)?;
        let place = HostPort::parse(rest).map_err(|_| bad())?;
        Ok(Self {
            scheme,
            host: place.host,
            port: place.port.unwrap_or(scheme.default_port()),
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.port == self.scheme.default_port() {
            Ok(())
        } else {
            write!(f, ":{}", self.port)
        }
    }
}

/// The address Mira is reached by from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    /// Scheme, host and port.
    pub origin: Origin,
    /// The sub-path without a trailing slash: empty or `/mira`.
    pub path: String,
}

impl PublicUrl {
    /// Parses `https://host[:port][/path]`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let url = parse_http_url(text)?;
        let bad = |reason: &str| Invalid::new(format!("{text:?} {reason}"));
        let scheme = Scheme::parse(url.scheme()).ok_or_else(|| bad("is not an http or https URL"))?;
        let host = HostName::parse(url.host_str().unwrap_or_default())?;
        let port = url.port().unwrap_or(scheme.default_port());
        let path = url.path().trim_end_matches('/').to_owned();
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b'~');
        if !path.bytes().all(legal) || path.contains("//") {
            return Err(bad(
                "has a path with characters other than letters, digits, - _ . ~ and /",
            ));
        }
        Ok(Self {
            origin: Origin { scheme, host, port },
            path,
        })
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

/// An http(s) URL without user, query or fragment.
pub fn parse_http_url(text: &str) -> Result<Url, Invalid> {
    let url =
        Url::parse(text).map_err(|e| Invalid::new(format!("is not a URL like https://example.org:8443 ({e})")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(Invalid::new("is not an http or https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Invalid::new("must not hold a user name or password (value not shown)"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Invalid::new("must not have a query or fragment"));
    }
    Ok(url)
}

/// A range of addresses: one address, or `address/prefix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    base: IpAddr,
    prefix: u8,
}

impl AddressRange {
    /// Parses `192.0.2.7` or `192.0.2.0/24`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let bad = || Invalid::new(format!("{text:?} is not an address or address/prefix"));
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().map_err(|_| bad())?;
        let whole = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse::<u8>().ok().filter(|p| *p <= whole).ok_or_else(bad)?,
            None => whole,
        };
        Ok(Self { base, prefix })
    }

    /// Whether `address` lies in the range. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = |left: u128, right: u128, width: u32| {
            let shift = width.saturating_sub(u32::from(self.prefix));
            left.checked_shr(shift).unwrap_or(0) == right.checked_shr(shift).unwrap_or(0)
        };
        match (self.base.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => bits(a.to_bits().into(), b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => bits(a.to_bits(), b.to_bits(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Where the database lies: `sqlite:path` or `sqlite://path`, `?mode=rwc` allowed.
pub fn parse_database_url(text: &str) -> Result<PathBuf, Invalid> {
    let rest = text
        .strip_prefix("sqlite://")
        .or_else(|| text.strip_prefix("sqlite:"))
        .ok_or_else(|| Invalid::new("is not sqlite:PATH (value not shown)"))?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() || path == ":memory:" {
        return Err(Invalid::new(
            "needs a file: a database in memory would lose every message",
        ));
    }
    if !matches!(query, "" | "mode=rwc" | "mode=rw") {
        return Err(Invalid::new(format!(
            "has the option {query:?}; only mode=rwc is known"
        )));
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let covers =
            |listed: &str, seen: &str| HostPort::parse(listed).unwrap().covers(&HostPort::parse(seen).unwrap());
        assert!(covers("Mira.Example", "mira.example:8080"));
        assert!(covers("mira.example:8080", "mira.example:8080"));
        assert!(!covers("mira.example:8080", "mira.example"));
        assert!(covers("::1", "[::1]:80"));
        assert!(covers("mira.example", "mira.example."));
        for bad in [
            "",
            "*",
            "*.example",
            "a b",
            "a/b",
            "host:port",
            "host:99999",
            "user@host",
            "[::1",
        ] {
            assert!(HostPort::parse(bad).is_err(), "{bad:?}");
        }
        assert!(HostName::parse("127.0.0.2").unwrap().is_loopback());
        assert!(HostName::parse("app.localhost").unwrap().is_loopback());
        assert!(!HostName::parse("localhost.example").unwrap().is_loopback());
    }

    #[test]
    fn origins() {
        assert_eq!(
            Origin::parse("https://a").unwrap(),
            Origin::parse("HTTPS://A:443").unwrap()
        );
        assert_ne!(Origin::parse("https://a").unwrap(), Origin::parse("http://a").unwrap());
        for bad in [
            "null",
            "a",
            "https://a/",
            "https://a/path",
            "ftp://a",
            "https://",
            "https://a@b",
        ] {
            assert!(Origin::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn public_urls() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(
                PublicUrl::parse(text).ok().map(|url| url.to_string()).as_deref(),
                expect,
                "{text:?}"
            );
        };
        check("https://mira.example", Some("https://mira.example"));
        check("https://mira.example/", Some("https://mira.example"));
        check("http://h:8080/mira/", Some("http://h:8080/mira"));
        check("https://h/a%20b", None);
        check("https://user:pw@h", None);
        check("https://h/?x", None);
        check("mira.example", None);
    }

    #[test]
    fn ranges() {
        let check = |range: &str, address: &str, expect: bool| {
            let found = AddressRange::parse(range).unwrap().contains(address.parse().unwrap());
            assert_eq!(found, expect, "{range} {address}");
        };
        check("10.0.0.0/8", "10.9.9.9", true);
        check("10.0.0.0/8", "11.0.0.0", false);
        check("0.0.0.0/0", "1.2.3.4", true);
        check("::/0", "2001:db8::1", true);
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        assert!(AddressRange::parse("10.0.0.0/33").is_err());
    }

    #[test]
    fn database_urls() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(parse_database_url(text).ok(), expect.map(PathBuf::from), "{text:?}");
        };
        check("sqlite:./mira-data/mira.db", Some("./mira-data/mira.db"));
        check("sqlite:///var/lib/mira.db", Some("/var/lib/mira.db"));
        check("sqlite://mira.db?mode=rwc", Some("mira.db"));
        check("sqlite::memory:", None);
        check("postgres://u:p@h/db", None);
        check("mira.db", None);
    }
}
