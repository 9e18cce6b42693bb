//! Servers that go wrong: each is refused with its reason and tried again, and hurts nobody.

use crate::support::{LIMIT, Rig, fault};
use mira_mcp::{McpError, Patience, ServerStatus};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

async fn check(server: Value, expect: &str) {
    let patience = Patience {
        greeting: Duration::from_secs(5),
        list: Duration::from_secs(5),
        retry: Duration::from_millis(20),
        ..Patience::default()
    };
    let rig = Rig::with(&json!({ "f": server }), patience);
    let reason = rig.failed().await;
    assert!(reason.contains(expect), "{server}: {reason}");
    assert!(rig.servers.tools().is_empty());
    rig.end().await;
}

#[tokio::test]
async fn servers_that_never_get_ready_say_why() {
    check(json!({ "command": "no-such-program-anywhere" }), "cannot be started").await;
    check(fault("dies"), "the program ended").await;
    check(fault("babbles"), "something other than MCP").await;
    check(fault("endless"), "larger than").await;
    check(fault("greets"), "the greeting failed").await;
    check(fault("list"), "its list of tools cannot be had").await;
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let patience = Patience {
        greeting: Duration::from_millis(300),
        retry: Duration::from_mins(1),
        ..Patience::default()
    };
    let rig = Rig::with(&json!({ "f": fault("silent") }), patience);
    assert!(
        rig.failed().await.contains("did not answer within"),
        "{:?}",
        rig.servers.states()
    );
    rig.end().await;
}

#[tokio::test]
async fn a_flood_ends_the_connection() {
    let rig = Rig::start(&json!({ "f": fault("floods") }));
    assert!(rig.failed().await.contains("messages in a second"));
    rig.end().await;
}

#[tokio::test]
async fn what_a_server_prints_beside_its_messages_is_passed_over() {
    let rig = Rig::start(&json!({ "f": fault("banner") }));
    rig.ready().await;
    assert!(rig.call("mcp__f__good", json!({})).await.starts_with("pid "));
    rig.end().await;
}

#[tokio::test]
async fn lists_end() {
    for (name, tools, left_out) in [("many", 128, 1), ("circle", 0, 0), ("schema", 1, 3)] {
        let rig = Rig::start(&json!({ "f": fault(name) }));
        let state = rig.ready().await;
        assert_eq!((state.tools.len(), state.left_out.len()), (tools, left_out), "{name}");
        rig.end().await;
    }
}

#[tokio::test]
async fn answers_that_are_none_are_said_to_be() {
    let call = |name: &'static str| async move {
        let rig = Rig::start(&json!({ "f": fault(name) }));
        rig.ready().await;
        let error = rig.servers.call("mcp__f__good", json!({}), LIMIT).await.unwrap_err();
        let back = rig.until(|state| state.status == ServerStatus::Ready).await;
        rig.end().await;
        (error, back)
    };
    let (error, _) = call("answers").await;
    assert!(matches!(error, McpError::Nonsense { .. }), "{error:?}");
    let (error, _) = call("refuses").await;
    assert!(
        error.is_untrusted() && error.to_string().ends_with("refuses: not today"),
        "{error}"
    );
    let (error, _) = call("crashes").await;
    assert!(error.is_uncertain(), "{error:?}");
}

/// What any server does whose every third answer alone is small enough: the others cost one call each.
async fn stays_connected(rig: &Rig) {
    rig.ready().await;
    let mut told = Vec::new();
    for _ in 0..2 {
        for _ in 0..2 {
            let error = rig.servers.call("mcp__f__good", json!({}), LIMIT).await.unwrap_err();
            assert!(matches!(error, McpError::TooLarge { .. }), "{error:?}");
            assert!(error.is_uncertain() && !error.is_untrusted());
            assert!(error.to_string().contains("answered with more than"), "{error}");
        }
        told.push(rig.call("mcp__f__good", json!({})).await);
    }
    let [first, second] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(first.starts_with("pid "), "{first:?}");
    assert_eq!(first, second, "it was never started again");
    let state = rig.until(|_| true).await;
    assert_eq!(state.status, ServerStatus::Ready);
}

#[tokio::test]
async fn an_answer_that_is_too_large_costs_one_call() {
    let rig = Rig::start(&json!({ "f": fault("huge") }));
    stays_connected(&rig).await;
    rig.end().await;
}

#[tokio::test]
async fn a_program_and_all_it_started_end_with_the_connection() {
    let started = "import subprocess, sys; child = subprocess.Popen(['sleep', '600']); \
                   print(child.pid, file=sys.stderr, flush=True); open(sys.argv[1], 'w').write(str(child.pid)); child.wait()";
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("pid");
    let server = json!({ "command": "python3", "args": ["-c", started, note] });
    let patience = Patience {
        greeting: Duration::from_secs(2),
        retry: Duration::from_mins(1),
        ..Patience::default()
    };
    let rig = Rig::with(&json!({ "f": server }), patience);
    rig.failed().await;
    let pid = std::fs::read_to_string(&note).unwrap();
    rig.end().await;
    // A killed process takes a moment to be gone.
    let gone = async {
        let alive = |state: String| !state.contains(") Z ");
        while std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(alive) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, gone).await.expect("it lives on");
}

/// A server of one answer, whatever it is asked.
async fn answering(head: &str, body: Vec<u8>) -> Value {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let head = head.to_owned();
    let tasks = tokio_util::task::TaskTracker::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = vec![0; 64 * 1024];
            if stream.read(&mut asked).await.is_ok() {
                let answer = [head.as_bytes(), b"\r\nconnection: close\r\n\r\n", &body].concat();
                // The client may have heard enough.
                stream.write_all(&answer).await.unwrap_or_default();
                stream.shutdown().await.unwrap_or_default();
            }
        }
    });
    json!({ "url": url })
}

#[tokio::test]
async fn addresses_that_are_no_servers_say_why() {
    let json_head = "HTTP/1.1 200 OK\r\ncontent-type: application/json";
    let sse_head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream";
    check(answering("HTTP/1.1 500 Oops", Vec::new()).await, "the status 500").await;
    check(
        answering("HTTP/1.1 307 Elsewhere\r\nlocation: http://127.0.0.1:1/", Vec::new()).await,
        "it redirects",
    )
    .await;
    check(
        answering("HTTP/1.1 302 Elsewhere\r\nlocation: /there", Vec::new()).await,
        "into a question",
    )
    .await;
    check(
        answering("HTTP/1.1 308 Elsewhere\r\nlocation: /mcp", Vec::new()).await,
        "redirects again",
    )
    .await;
    check(answering(json_head, b"<html>".to_vec()).await, "no MCP message").await;
    check(answering(json_head, vec![b' '; 20 * 1024 * 1024]).await, "larger than").await;
    check(answering(sse_head, b"data: hello\n\n".to_vec()).await, "no MCP message").await;
    check(answering(sse_head, b": nothing\n\n".to_vec()).await, "broke off").await;
    check(answering(sse_head, vec![b'x'; 9 * 1024 * 1024]).await, "larger than").await;
}

#[tokio::test]
async fn private_addresses_are_refused_unless_they_are_listed() {
    check(json!({ "url": "https://10.0.0.1/mcp" }), "a private address").await;
    check(
        json!({ "url": "http://[::ffff:169.254.169.254]/mcp" }),
        "list it in MIRA_ALLOW_PRIVATE_HOSTS",
    )
    .await;
    check(json!({ "url": "http://example.com/mcp" }), "plain http").await;
}
