//! Redirects: each is a new hop with all checks, and what is secret stays where it was given.

use crate::support::{Server, client, ok, redirect, short};
use bytes::Bytes;
use mira_net::NetError;
use reqwest::header::{ACCEPT, HeaderName, HeaderValue};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain");

#[tokio::test]
async fn a_redirect_to_a_private_place_is_refused() {
    let inner = Server::start("127.0.0.1", 0, |_| ok("", b"secret")).await;
    let inside = inner.url("/").to_string();
    for (to, expect) in [
        (inside.as_str(), "BlockedAddress"),
        ("https://127.0.0.1/", "BlockedAddress"),
        ("https://0x7f.1/", "BlockedAddress"),
        ("https://[::ffff:127.0.0.1]/", "BlockedAddress"),
        ("http://169.254.169.254/latest", "BlockedAddress"),
        ("//10.0.0.1/", "BlockedAddress"),
        ("https://localhost/", "BlockedAddress"),
        ("http://example.org/", "PlainHttp"),
        ("file:///etc/passwd", "Scheme"),
        ("https://me:pw@example.org/", "CredentialsInUrl"),
        ("https://[broken", "BadRedirect"),
    ] {
        for status in [301, 302, 303, 307, 308] {
            let target = to.to_owned();
            let server = Server::start("127.0.0.1", 0, move |_| redirect(status, &target)).await;
            let listed = client(&server.address.to_string());
            let error = listed.get(server.url("/")).limits(short()).send().await.unwrap_err();
            assert!(format!("{error:?}").starts_with(expect), "{status} {to}: {error:?}");
        }
    }
    assert!(inner.seen().is_empty());
}

#[tokio::test]
async fn five_redirects_are_followed_and_no_sixth() {
    let server = Server::start("127.0.0.1", 0, |head| {
        let left: u32 = head
            .split_once('/')
            .unwrap()
            .1
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        if left == 0 {
            ok("", b"there")
        } else {
            redirect(302, &format!("/{}", left - 1))
        }
    })
    .await;
    let listed = client("127.0.0.1");
    let answer = listed.get(server.url("/5")).send().await.unwrap();
    assert_eq!(answer.url, server.url("/0"));
    let error = listed.get(server.url("/6")).send().await.unwrap_err();
    assert_eq!(
        error,
        NetError::TooManyRedirects {
            host: server.address.to_string(),
            limit: 5
        }
    );
}

#[tokio::test]
async fn an_address_in_any_letters_is_followed() {
    let server = Server::start("127.0.0.1", 0, |head| {
        if head.starts_with("get /start") {
            redirect(302, "/grüße?an=köln")
        } else {
            ok("", b"there")
        }
    })
    .await;
    let answer = client("127.0.0.1").get(server.url("/start")).send().await.unwrap();
    assert_eq!(answer.url, server.url("/gr%C3%BC%C3%9Fe?an=k%C3%B6ln"));
}

#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let other = Server::start("127.0.0.1", 0, |_| ok("", b"other")).await;
    let away = other.url("/end").to_string();
    let home = Server::start("127.0.0.1", 0, move |head| {
        redirect(302, if head.contains("/start") { "/second" } else { &away })
    })
    .await;
    let key = HeaderName::from_static("x-api-key");
    let answer = client("127.0.0.1")
        .get(home.url("/start"))
        .authorization(HeaderValue::from_static("Bearer open-sesame"))
        .header(key, HeaderValue::from_static("open-sesame"))
        .header(ACCEPT, TEXT)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.url, other.url("/end"));
    assert!(home.seen().iter().all(|head| head.matches("open-sesame").count() == 2));
    assert_eq!(home.seen().len(), 2);
    let left = &other.seen()[0];
    assert!(
        !left.contains("open-sesame") && left.contains("accept: text/plain"),
        "{left}"
    );
}

#[tokio::test]
async fn what_was_sent_goes_to_no_other_origin() {
    let other = Server::start("127.0.0.1", 0, |_| ok("", b"other")).await;
    let away = other.url("/").to_string();
    let home = Server::start("127.0.0.1", 0, move |head| match head {
        _ if head.contains("/away") => redirect(307, &away),
        _ if head.contains("/get") => redirect(303, "/end"),
        _ if head.contains("/again") => redirect(308, "/end"),
        _ => ok("", b"end"),
    })
    .await;
    let post = |path| client("127.0.0.1").post(home.url(path), TEXT, "letter").send();
    let error = post("/away").await.unwrap_err();
    assert!(matches!(error, NetError::BadRedirect { .. }), "{error}");
    assert!(other.seen().is_empty());
    post("/get").await.unwrap();
    let last = home.seen().pop().unwrap();
    assert!(last.starts_with("get /end") && !last.contains("letter"), "{last}");
    post("/again").await.unwrap();
    let last = home.seen().pop().unwrap();
    assert!(last.starts_with("post /end") && last.ends_with("letter"), "{last}");

    let body = futures_util::stream::iter(["let", "ter"].map(|part| Ok(Bytes::from_static(part.as_bytes()))));
    let error = client("127.0.0.1")
        .post_stream(home.url("/again"), TEXT, body)
        .send()
        .await
        .unwrap_err();
    assert!(matches!(error, NetError::BadRedirect { .. }), "{error}");
}
