//! How she ends.

use crate::support::server::{LIMIT, Server, Setup};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Instant,
};

#[tokio::test]
async fn one_line_out_and_a_clean_end() {
    for name in ["TERM", "INT"] {
        let mut server = Setup::new().start();
        assert_eq!(server.get("/health").await.status(), 200);
        server.signal(name);
        assert_eq!(server.wait().code(), Some(0), "{name}");
        assert_eq!(server.stdout_rest(), "", "exactly one line");
    }
}

/// Whether a new connection is taken and answered.
fn answers(server: &Server) -> bool {
    let asked = TcpStream::connect(server.address).and_then(|mut stream| {
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        stream.read_exact(&mut [0])
    });
    asked.is_ok()
}

#[test]
fn requests_in_flight_are_answered() {
    let mut server = Setup::new().start();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let body = format!("{{\"token\": \"{}\"}}", server.token());
    let head = format!(
        "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The server asks for the body only when a handler reads it: from here on the request is in flight.
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    server.signal("TERM");
    server.stderr.wait_for("draining");
    // The listener is closed by a task of its own, so a request may still slip in before it.
    let asked = Instant::now();
    while answers(&server) {
        assert!(asked.elapsed() < LIMIT, "new requests are still taken");
    }
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn the_grace_is_kept_and_a_second_signal_ends_at_once() {
    // A request whose body never comes would hold the drain for its 30 seconds.
    let hold = |server: &Server| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let head = "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                    Expect: 100-continue\r\nContent-Length: 10\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.read_exact(&mut [0; 25]).unwrap();
        stream
    };
    let mut server = Setup::new().env("MIRA_SHUTDOWN_GRACE_SECONDS", "0").start();
    let held = hold(&server);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0), "no grace, no waiting");
    drop(held);

    let mut server = Setup::new().env("MIRA_SHUTDOWN_GRACE_SECONDS", "3600").start();
    let held = hold(&server);
    server.signal("INT");
    server.stderr.wait_for("draining");
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(1));
    drop(held);
}

#[test]
fn a_data_directory_has_one_holder() {
    let setup = Setup::new();
    let mut server = setup.start();
    let pid = format!("process {}", server.pid());
    for args in [&[][..], &["migrate", "run"], &["migrate", "revert"]] {
        let output = setup.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(&pid), "{args:?}: {pid} in {text}");
    }
    let elsewhere = Setup::new().env(
        "DATABASE_URL",
        format!("sqlite:{}", setup.dir().join("shared.db").display()),
    );
    let other = Setup::new().env(
        "DATABASE_URL",
        format!("sqlite:{}", setup.dir().join("shared.db").display()),
    );
    let first = elsewhere.start();
    let output = other.run(&[]);
    assert_eq!(output.status.code(), Some(1), "two data directories, one database");
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains(&format!("process {}", first.pid()))
    );
    server.signal("KILL");
    server.wait();
    drop(setup.start());
}
