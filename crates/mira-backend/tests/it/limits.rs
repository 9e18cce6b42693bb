//! What the system gives her runs out: she waits, says so, and goes on.

use crate::support::{
    client::Api,
    server::{LIMIT, Server, Setup},
};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

/// Sets how many files the server's process may have open.
fn allow_files(server: &Server, files: u64) {
    let pid = Pid::from_raw(server.pid().cast_signed());
    // A child has our own hard limit.
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = Some(files);
    let limit = Rlimit { current, maximum };
    prlimit(pid, Resource::Nofile, limit).unwrap();
}

fn open_files(server: &Server) -> u64 {
    fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count() as u64
}

/// Whether a request on this connection is answered.
fn answers(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).is_ok() && &head == b"HTTP/1.1 200"
}

#[tokio::test]
async fn out_of_descriptors_she_waits_and_recovers() {
    let mut server = Setup::new().start();
    let api = Api::new(&server).await;
    api.say("warm").await;
    drop(api);
    let files = open_files(&server);
    allow_files(&server, files + 4);
    // More than the process may have; the system completes the connections, nobody takes them.
    let held: Vec<TcpStream> = (0..32).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    server.stderr.wait_for("a connection could not be accepted");
    // Each failure waits longer than the one before: three of them take less than a spinning loop takes for thousands.
    server.stderr.wait_for("wait_ms=160");
    let failures = |server: &Server| {
        let lines = server.stderr.all();
        lines
            .iter()
            .filter(|line| line.contains("could not be accepted"))
            .count()
    };
    assert!(failures(&server) < 100, "a busy loop");
    drop(held);
    let mut stream = TcpStream::connect(server.address).unwrap();
    assert!(answers(&mut stream), "she answers again, with the limit as it is");
    allow_files(&server, 4096);
    let api = Api::new(&server).await;
    api.say("still here").await;
    assert!(failures(&server) < 100);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}
