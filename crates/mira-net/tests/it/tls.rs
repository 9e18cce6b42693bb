//! Real TLS: a server is believed if the system trusts its certificate and it is for that host, and not otherwise. The
//! system's certificates are read once per process, so a second process is asked, whose only trusted one is the test's.

#![expect(
    clippy::disallowed_methods,
    reason = "the child is told by its environment what to do"
)]

use crate::support::{client, short};
use mira_net::NetError;
use std::{
    env, fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

const URL: &str = "MIRA_NET_CHILD_URL";

/// The child's part: fetches, and says what came of it by how it ends.
#[tokio::test]
async fn child() {
    let Ok(url) = env::var(URL) else { return };
    let answer = client("127.0.0.1")
        .get(url.parse().unwrap())
        .limits(short())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
    assert!(!answer.body.bytes().await.unwrap().is_empty());
}

/// `openssl`'s little web server; ends with the value.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A certificate for an address, and a server that shows it.
fn serve(dir: &std::path::Path, address: &str) -> (Peer, String) {
    let (key, certificate) = (dir.join("key.pem"), dir.join("certificate.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=mira test",
            "-addext",
            &format!("subjectAltName=IP:{address}"),
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
    let mut child = Command::new("openssl")
        .args(["s_server", "-accept", "127.0.0.1:0", "-www", "-key"])
        .arg(&key)
        .arg("-cert")
        .arg(&certificate)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let place = said
        .find_map(|line| line.unwrap().strip_prefix("ACCEPT ").map(str::to_owned))
        .unwrap();
    (Peer(child), format!("https://{place}/"))
}

fn fetched_by_a_child(url: &str, trusted: &std::path::Path) -> bool {
    let child = Command::new(env::current_exe().unwrap())
        .args(["tls::child", "--exact"])
        .env(URL, url)
        .env("SSL_CERT_FILE", trusted)
        .env_remove("SSL_CERT_DIR")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    child.success()
}

#[tokio::test]
async fn a_certificate_counts_if_it_is_trusted_and_for_this_host() {
    let dir = tempfile::tempdir().unwrap();
    let (_peer, url) = serve(dir.path(), "127.0.0.1");
    let trusted = dir.path().join("certificate.pem");
    assert!(fetched_by_a_child(&url, &trusted));
    let error = client("127.0.0.1")
        .get(url.parse().unwrap())
        .limits(short())
        .send()
        .await
        .unwrap_err();
    assert!(
        matches!(&error, NetError::Unreachable { why, .. } if why.contains("certificate")),
        "{error:?}"
    );

    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    let (_peer, url) = serve(&other, "127.0.0.2");
    assert!(!fetched_by_a_child(&url, &other.join("certificate.pem")));
}
