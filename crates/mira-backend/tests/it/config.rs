//! Configuration, as a shell sees it.

use crate::support::server::{Server, Setup};
use std::fs;

#[test]
fn every_wrong_variable_is_listed_and_nothing_is_opened() {
    let setup = Setup::new()
        .env("MIRA_PORT", "70000")
        .env("MIRA_DURABILITY", "most")
        .env("QDRANT_URL", "nowhere")
        .env("OPENAI_API_KEY", "hunter two");
    fs::write(setup.dir().join(".env"), "MIRA_TZ=Mars/Olympus\nMIRA_MODEL\n").unwrap();
    for args in [&[][..], &["token"], &["migrate", "info"], &["backup", "x"]] {
        let output = setup.run(args);
        assert_eq!(output.status.code(), Some(64), "{args:?}");
        assert!(output.stdout.is_empty());
        let text = String::from_utf8(output.stderr).unwrap();
        for part in [
            "MIRA_PORT:",
            "MIRA_DURABILITY:",
            "QDRANT_URL:",
            "OPENAI_API_KEY:",
            "MIRA_TZ:",
            ".env line 2:",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("hunter"), "{text}");
    }
    assert!(!setup.data_dir().exists(), "nothing was made");
}

#[test]
fn no_login_is_refused_beyond_loopback() {
    let output = Setup::new()
        .env("MIRA_AUTH", "off")
        .env("MIRA_HOST", "0.0.0.0")
        .run(&[]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("MIRA_AUTH: off is refused")
    );
}

#[test]
fn what_is_odd_is_a_warning() {
    let server = Setup::new().env("MIRA_PROT", "1").start();
    server.stderr.wait_for("did you mean MIRA_PORT?");
}

#[tokio::test]
async fn secrets_come_from_files_and_real_variables_win() {
    let setup = Setup::new();
    let file = setup.dir().join("secret");
    fs::write(&file, "a-token-from-a-file\n").unwrap();
    fs::write(setup.dir().join(".env"), "MIRA_PORT=1\nMIRA_SESSION_ID=from-dotenv\n").unwrap();
    let setup = setup.env("MIRA_AUTH_TOKEN_FILE", file.to_str().unwrap());
    assert_eq!(setup.say(&["token"]), "a-token-from-a-file");
    let server = setup.start();
    let request = Server::client()
        .get(server.url("/api/sessions/from-dotenv"))
        .bearer_auth("a-token-from-a-file");
    assert_eq!(request.send().await.unwrap().status(), 200);
    let output = setup.run(&["token", "new"]);
    assert_eq!(output.status.code(), Some(1), "the token is not ours to replace");
}

#[tokio::test]
async fn the_example_starts_a_rehearsal() {
    let setup = Setup::new();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.env.example");
    fs::copy(example, setup.dir().join(".env")).unwrap();
    let server = setup.start();
    let body = crate::support::server::json(server.get("/health").await).await;
    assert_eq!(body["rehearsal"], true);
    assert_eq!(body["status"], "ok");
    assert_eq!(setup.run(&["doctor"]).status.code(), Some(0));
}

#[test]
fn usage_errors_and_help() {
    let setup = Setup::new();
    assert_eq!(setup.run(&["no-such-command"]).status.code(), Some(2));
    assert_eq!(setup.run(&["backup"]).status.code(), Some(2));
    for args in [
        &["--version"][..],
        &["serve", "--version"],
        &["migrate", "run", "--version"],
        &["token", "new", "--version"],
        &["chat", "-V"],
    ] {
        let version = setup.say(args);
        assert!(version.starts_with("mira-backend"), "{args:?}: {version}");
        assert!(version.ends_with(env!("CARGO_PKG_VERSION")), "{args:?}: {version}");
    }
    for args in [
        &["--help"][..],
        &["migrate", "--help"],
        &["chat", "--help"],
        &["token", "--help"],
    ] {
        assert!(setup.say(args).contains("Usage:"), "{args:?}");
    }
}

#[test]
fn what_cannot_be_used_is_said_in_one_line() {
    let check = |setup: &Setup, part: &str| {
        let output = setup.run(&[]);
        assert_eq!(output.status.code(), Some(1), "{part}");
        assert!(output.stdout.is_empty());
        let text = String::from_utf8(output.stderr).unwrap();
        let last = text.trim_end().lines().last().unwrap_or_default();
        assert!(
            last.starts_with("mira-backend: ") && last.contains(part),
            "{part} in {text}"
        );
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    check(
        &Setup::new().env("MIRA_PORT", port.to_string()),
        "another program listens there",
    );
    let file = Setup::new();
    fs::write(file.data_dir(), "").unwrap();
    check(&file, "cannot be used");
    let personas = Setup::new();
    fs::write(personas.dir().join("personas"), "").unwrap();
    check(
        &personas.env("MIRA_PERSONA_DIR", "personas"),
        "personas: not a directory",
    );
    let damaged = Setup::new();
    fs::create_dir(damaged.data_dir()).unwrap();
    let database = damaged.data_dir().join("mira.db");
    fs::write(
        &database,
        "this is no database, but it is long enough to be taken for one".repeat(100),
    )
    .unwrap();
    let before = fs::read(&database).unwrap();
    check(&damaged, "damaged");
    assert!(fs::read(&database).unwrap() == before, "it was left as it is");
}
