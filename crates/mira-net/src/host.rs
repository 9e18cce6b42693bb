//! `host[:port]` as the owner lists it. A host is normalised exactly as a URL's host is, so that no second spelling of a
//! listed name or address exists.

use std::{fmt, net::Ipv6Addr, str::FromStr};
use url::Host;

/// A text that is not `host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a host or host:port: {why}")]
pub struct BadHost {
    text: String,
    why: &'static str,
}

/// A host the owner allows although it is private, with a port or for all ports.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    host: Host,
    port: Option<u16>,
}

impl HostPort {
    /// A list as in `MIRA_ALLOW_PRIVATE_HOSTS`: entries apart by commas or white space, none is an empty list.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, BadHost> {
        text.split(|c: char| c == ',' || c.is_whitespace())
            .filter(|part| !part.is_empty())
            .map(str::parse)
            .collect()
    }

    /// Whether this entry allows `host` at `port`.
    pub fn covers(&self, host: &Host<&str>, port: u16) -> bool {
        self.port.is_none_or(|own| own == port) && self.host == normal(host)
    }
}

/// A name in lower case without the dot that ends absolute names; an address as it is.
fn normal(host: &Host<&str>) -> Host {
    match host {
        Host::Domain(name) => Host::Domain(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()),
        Host::Ipv4(address) => Host::Ipv4(*address),
        Host::Ipv6(address) => Host::Ipv6(*address),
    }
}

impl FromStr for HostPort {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        let bad = |why| BadHost {
            text: text.to_owned(),
            why,
        };
        if text.contains('*') {
            return Err(bad("a wildcard would switch the check off; name the hosts"));
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self {
                host: Host::Ipv6(address),
                port: None,
            });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse().ok().filter(|port| *port != 0);
                (host, Some(port.ok_or_else(|| bad("it does not end with a port"))?))
            }
            _ => (text, None),
        };
        let host = Host::parse(host).map_err(|_| bad("no such host name is possible"))?;
        let host = match &host {
            Host::Domain(name) => normal(&Host::Domain(name.as_str())),
            Host::Ipv4(_) | Host::Ipv6(_) => host,
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_cover_what_they_name() {
        let check = |entry: &str, host: &str, port: u16, expect: bool| {
            let entry: HostPort = entry.parse().unwrap();
            let host = Host::parse(host).unwrap();
            let host = match &host {
                Host::Domain(name) => Host::Domain(name.as_str()),
                Host::Ipv4(address) => Host::Ipv4(*address),
                Host::Ipv6(address) => Host::Ipv6(*address),
            };
            assert_eq!(entry.covers(&host, port), expect, "{entry} {host}:{port}");
        };
        check("gitea.lan", "gitea.lan", 3000, true);
        check("Gitea.LAN", "gitea.lan.", 3000, true);
        check("gitea.lan:3000", "gitea.lan", 3000, true);
        check("gitea.lan:3000", "gitea.lan", 80, false);
        check("gitea.lan", "evil-gitea.lan", 80, false);
        check("gitea.lan", "gitea.lan.evil.example", 80, false);
        check("127.0.0.1", "0x7f.1", 80, true);
        check("127.0.0.1", "127.0.0.2", 80, false);
        check("127.0.0.1", "[::ffff:127.0.0.1]", 80, false);
        check("::1", "[0:0::1]", 80, true);
        check("[::1]:8080", "[::1]", 8080, true);
        check("[::1]:8080", "[::1]", 8081, false);
    }

    #[test]
    fn lists_are_read_whole_or_not_at_all() {
        let shown =
            |text| HostPort::parse_list(text).map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(
            shown(" a.lan, 10.0.0.2:3000\n[::1]:80 ").unwrap(),
            ["a.lan", "10.0.0.2:3000", "[::1]:80"]
        );
        assert_eq!(shown("").unwrap(), Vec::<String>::new());
        for bad in [
            "*", "*.lan", "a:b", "a:0", "a:99999", "a b:c", "http://a", "a/b", "a@b", "[::1", ":80",
        ] {
            assert!(HostPort::parse_list(bad).is_err(), "{bad}");
        }
    }
}
