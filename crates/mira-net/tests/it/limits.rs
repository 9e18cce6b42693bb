//! Bodies and answers that never end, never come, or grow.

use crate::support::{Answer, Server, client, ok, short};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures_util::{StreamExt, TryStreamExt};
use mira_net::{Limits, NetError, Phase};
use reqwest::header::HeaderValue;
use std::{io::Write, time::Duration};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn fetch(answer: Answer, limits: Limits) -> Result<Bytes, NetError> {
    let server = Server::start("127.0.0.1", 0, move |_| answer.clone()).await;
    let request = client("127.0.0.1").get(server.url("/")).gzip().limits(limits);
    request.send().await?.body.bytes().await
}

const ZIPPED: &str = "Content-Encoding: gzip\r\n";

#[tokio::test]
async fn a_bomb_ends_at_the_cap() {
    let bomb = gzip(&vec![0; 64 * 1024 * 1024]);
    assert!(bomb.len() < 1024 * 1024);
    let error = fetch(ok(ZIPPED, &bomb), short()).await.unwrap_err();
    assert!(matches!(error, NetError::TooLarge { limit: 1_048_576, .. }), "{error}");
}

#[tokio::test]
async fn gzip_is_undone_and_its_damage_is_noticed() {
    let text = "all work and no play ".repeat(10_000);
    let zipped = gzip(text.as_bytes());
    assert_eq!(fetch(ok(ZIPPED, &zipped), short()).await.unwrap(), text);
    let two = [gzip(b"one "), gzip(b"two")].concat();
    assert_eq!(fetch(ok(ZIPPED, &two), short()).await.unwrap(), "one two");
    for damaged in [
        &zipped[..zipped.len() - 9],
        b"no gzip at all",
        &[zipped.as_slice(), b"tail"].concat(),
    ] {
        let error = fetch(ok(ZIPPED, damaged), short()).await.unwrap_err();
        assert!(matches!(error, NetError::Broken { .. }), "{error}");
    }
    // However it is spelt, and where there is nothing to undo.
    let shouted = ok("Content-Encoding: GZIP\r\n", &gzip(b"one"));
    assert_eq!(fetch(shouted, short()).await.unwrap(), "one");
    assert_eq!(fetch(ok(ZIPPED, b""), short()).await.unwrap(), "");
    let error = fetch(ok("Content-Encoding: br\r\n", b"x"), short()).await.unwrap_err();
    assert!(matches!(error, NetError::Broken { .. }), "{error}");
}

#[tokio::test]
async fn an_endless_body_ends_at_the_cap() {
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let error = fetch(Answer::Endless(head, vec![b'x'; 4096]), short())
        .await
        .unwrap_err();
    assert!(matches!(error, NetError::TooLarge { .. }), "{error}");
    // A gzip stream of blocks that hold nothing (RFC 1951, 3.2.4): no byte ever comes out, so the wire is counted too.
    let mut head = format!("HTTP/1.1 200 OK\r\n{ZIPPED}\r\n").into_bytes();
    head.extend([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
    let nothing = [0, 0, 0, 0xff, 0xff].repeat(1000);
    let error = fetch(Answer::Endless(head, nothing), short()).await.unwrap_err();
    assert!(matches!(error, NetError::TooLarge { .. }), "{error}");
    // Said beforehand: refused before a byte is read.
    let promise = Answer::Hang(b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n".to_vec());
    let error = fetch(promise, short()).await.unwrap_err();
    assert!(matches!(error, NetError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_body_of_exactly_the_cap_passes() {
    let body = vec![b'x'; 1024 * 1024];
    assert_eq!(fetch(ok("", &body), short()).await.unwrap().len(), body.len());
}

#[tokio::test]
async fn silence_ends() {
    let phase = async |answer, limits| match fetch(answer, limits).await.unwrap_err() {
        NetError::Timeout { phase, .. } => phase,
        other => panic!("{other}"),
    };
    let hurried = Limits {
        connect: Duration::from_millis(200),
        ..short()
    };
    assert_eq!(phase(Answer::Hang(Vec::new()), hurried).await, Phase::Answer);
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec();
    assert_eq!(phase(Answer::Hang(half), short()).await, Phase::Body);
    // Always a byte in time, and yet it must end.
    let limits = Limits {
        total: Duration::from_millis(300),
        body_bytes: u64::MAX,
        ..short()
    };
    let drip = Answer::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), b"x".to_vec());
    assert_eq!(phase(drip, limits).await, Phase::Whole);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error() {
    let short_of = Answer::Whole(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec());
    let error = fetch(short_of, short()).await.unwrap_err();
    assert!(matches!(error, NetError::Broken { .. }), "{error}");
}

#[tokio::test]
async fn bodies_stream_in_both_directions() {
    let server = Server::start("127.0.0.1", 0, |request| ok("", request.as_bytes())).await;
    let parts = futures_util::stream::iter(0..100).map(|n| Ok(Bytes::from(format!("part {n};"))));
    let request = client("127.0.0.1").post_stream(server.url("/"), HeaderValue::from_static("text/plain"), parts);
    let answer = request.send().await.unwrap();
    let echoed: Vec<Bytes> = answer.body.into_stream().try_collect().await.unwrap();
    let echoed = String::from_utf8(echoed.concat()).unwrap();
    assert!(echoed.contains("part 0;") && echoed.contains("part 99;"));
}
