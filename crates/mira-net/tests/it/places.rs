//! Where a connection may go, and where not.

use crate::support::{Names, Server, client, ok, short};
use mira_net::{Guard, GuardedClient, HostPort, NetError, Url};
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Spellings of addresses that are not public, as URLs.
const PRIVATE: &[&str] = &[
    "http://127.0.0.1/",
    "https://127.0.0.1/",
    "https://127.0.0.1:8443/",
    "https://127.1/",
    "https://127.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://0x7f.0x0.0x0.0x1/",
    "https://127.0.0.1./",
    "https://127.255.255.254/",
    "https://0/",
    "https://0.0.0.0/",
    "https://0x0/",
    "https://%31%32%37.0.0.1/",
    "https://１２７.0.0.1/",
    "https://127。0。0。1/",
    "https://①②⑦.0.0.1/",
    "https:127.0.0.1/",
    "https:\\\\127.0.0.1\\",
    "https://10.0.0.1/",
    "https://167772161/",
    "https://172.16.0.1/",
    "https://192.168.0.1/",
    "https://0xc0a80001/",
    "https://169.254.169.254/latest/meta-data/",
    "https://2852039166/",
    "https://0xa9.254.0xa9fe/",
    "https://100.64.0.1/",
    "https://100.100.100.200/",
    "https://198.18.0.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[::1]/",
    "https://[::]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::FFFF:A9FE:A9FE]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b::169.254.169.254]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[2001:db8::1]/",
];

#[tokio::test]
async fn every_spelling_of_a_private_address_is_refused_by_name() {
    for text in PRIVATE {
        let url: Url = text.parse().unwrap();
        let error = client("").get(url).limits(short()).send().await.unwrap_err();
        assert!(matches!(error, NetError::BlockedAddress { .. }), "{text}: {error}");
    }
}

#[tokio::test]
async fn every_name_of_a_private_address_is_refused_whatever_else_it_means() {
    for answer in [
        &["127.0.0.1"][..],
        &["8.8.8.8", "10.0.0.1"],
        &["::ffff:192.168.0.1"],
        &["2606:4700::1", "fd00::1"],
        &["64:ff9b::a9fe:a9fe"],
    ] {
        let guard = Guard::new(Vec::new()).with_resolver(Names::answering(&[answer]));
        let url: Url = "https://innocent.example/secret?token=hidden".parse().unwrap();
        let error = GuardedClient::new(guard).get(url).send().await.unwrap_err();
        assert!(
            matches!(&error, NetError::BlockedAddress { host, .. } if host == "innocent.example"),
            "{error}"
        );
        assert!(!format!("{error} {error:?}").contains("hidden"));
    }
    for localhost in ["https://localhost/", "https://LOCALHOST:8443/"] {
        let error = client("").get(localhost.parse().unwrap()).send().await.unwrap_err();
        assert!(matches!(error, NetError::BlockedAddress { .. }), "{localhost}: {error}");
    }
    // Not every system knows these names; where one does, it is for loopback.
    for perhaps in ["https://localhost./", "https://any.localhost/"] {
        let error = client("").get(perhaps.parse().unwrap()).send().await.unwrap_err();
        let refused = matches!(error, NetError::BlockedAddress { .. } | NetError::Unresolved { .. });
        assert!(refused, "{perhaps}: {error}");
    }
    // A zone names an interface of this machine; no URL has one.
    assert!("https://[fe80::1%25eth0]/".parse::<Url>().is_err());
}

#[tokio::test]
async fn other_schemes_plain_http_and_credentials_in_the_url_are_refused() {
    let check = async |url: &str, expect: fn(&NetError) -> bool| {
        let error = client("").get(url.parse().unwrap()).send().await.unwrap_err();
        assert!(expect(&error), "{url}: {error}");
        assert!(error.is_refusal());
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    };
    check("file:///etc/passwd", |e| matches!(e, NetError::Scheme { .. })).await;
    check("gopher://127.0.0.1/", |e| matches!(e, NetError::Scheme { .. })).await;
    check("ftp://example.org/", |e| matches!(e, NetError::Scheme { .. })).await;
    check("data:text/plain,x", |e| matches!(e, NetError::Scheme { .. })).await;
    check("http://example.org/", |e| matches!(e, NetError::PlainHttp { .. })).await;
    check("https://me:hunter2@example.org/", |e| {
        matches!(e, NetError::CredentialsInUrl { .. })
    })
    .await;
}

#[tokio::test]
async fn a_listed_host_is_reached_and_only_at_its_port() {
    let server = Server::start("127.0.0.1", 0, |_| ok("", b"welcome")).await;
    let listed = client(&server.address.to_string());
    let answer = listed.get(server.url("/")).send().await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body.bytes().await.unwrap(), "welcome");
    let asked = &server.seen()[0];
    assert!(
        !asked.contains("cookie") && !asked.contains("referer") && !asked.contains("accept-encoding"),
        "{asked}"
    );

    let other = Server::start("127.0.0.1", 0, |_| ok("", b"never")).await;
    let error = listed.get(other.url("/")).send().await.unwrap_err();
    assert!(matches!(error, NetError::BlockedAddress { .. }), "{error}");
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn a_second_answer_of_the_name_server_is_never_used() {
    let first = Server::start("127.0.0.1", 0, |_| ok("", b"first")).await;
    let port = first.address.port();
    let second = Server::start("127.0.0.2", port, |_| ok("", b"second")).await;
    let names = Names::answering(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let asked = Arc::clone(&names.1);
    let guard = Guard::new(HostPort::parse_list("rebind.test").unwrap()).with_resolver(names);
    let url: Url = format!("http://rebind.test:{port}/").parse().unwrap();
    let answer = GuardedClient::new(guard).get(url).send().await.unwrap();
    assert_eq!(answer.body.bytes().await.unwrap(), "first");
    assert_eq!(*asked.lock().unwrap(), ["rebind.test"]);
    assert!(second.seen().is_empty());
}

#[tokio::test]
async fn a_name_that_turns_private_later_is_refused_then() {
    let guard = Guard::new(Vec::new()).with_resolver(Names::answering(&[&["8.8.8.8"], &["127.0.0.1"]]));
    let url: Url = "https://rebind.test/".parse().unwrap();
    let first = guard.target(&url).await.unwrap();
    assert_eq!(first.addresses, ["8.8.8.8:443".parse().unwrap()]);
    let error = guard.target(&url).await.unwrap_err();
    assert!(matches!(error, NetError::BlockedAddress { .. }), "{error}");
}

#[tokio::test]
async fn what_does_not_speak_tls_is_no_secure_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let answering = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\n\r\nplain").await.unwrap();
        let mut heard = Vec::new();
        socket.read_to_end(&mut heard).await.ok();
        heard
    };
    let (fetched, heard) = tokio::join!(client("127.0.0.1").get(url).limits(short()).send(), answering);
    assert!(matches!(fetched, Err(NetError::Unreachable { .. })), "{fetched:?}");
    // A handshake record, and no request in the clear.
    assert_eq!(heard.first(), Some(&22));
    assert!(!String::from_utf8_lossy(&heard).contains("GET"));
}
