//! Servers of the official Python and TypeScript SDKs, over both transports.

use crate::support::{LIMIT, Rig, listening, node, python, text};
use mira_mcp::{McpError, McpPart, ServerStatus};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

fn names(rig: &Rig) -> Vec<String> {
    rig.servers
        .tools()
        .iter()
        .map(|tool| tool.full_name.to_string())
        .collect()
}

/// What any server of the Python SDK must do, over whichever transport.
async fn speaks_python(rig: &Rig) {
    let state = rig.ready().await;
    assert!(state.left_out.is_empty(), "{state:?}");
    let add = rig.servers.find("mcp__py__add").unwrap().0;
    assert!(add.read_only_hint, "{add:?}");
    assert_eq!(&*add.description, "Adds two numbers.");
    assert_eq!(rig.call("mcp__py__add", json!({"a": 40})).await, "42");
    assert_eq!(
        rig.call("mcp__py__add", json!({"a": "x"})).await,
        "error: the arguments are wrong: `a` must be of type integer"
    );
    let picture = rig
        .servers
        .call("mcp__py__picture", json!({"size": 1_500_000}), LIMIT)
        .await;
    let [McpPart::File(file)] = &picture.as_ref().unwrap().parts[..] else {
        panic!("{picture:?}")
    };
    assert_eq!(
        (file.name.as_str(), file.media_type.as_str()),
        ("picture.png", "image/png")
    );
    assert_eq!(file.bytes.len(), 1_500_000);
    let failed = rig.servers.call("mcp__py__fail", json!({}), LIMIT).await.unwrap();
    assert!(failed.is_error && text(&failed).contains("fail"), "{failed:?}");
    let unknown = rig.servers.call("mcp__py__nothing", json!({}), LIMIT).await;
    assert!(matches!(unknown, Err(McpError::UnknownTool(_))), "{unknown:?}");
    // Side by side.
    let calls = (0..20).map(|n| rig.call("mcp__py__add", json!({"a": n, "b": n})));
    let sums = futures_util::future::join_all(calls).await;
    assert!(
        sums.iter().enumerate().all(|(n, sum)| *sum == (2 * n).to_string()),
        "{sums:?}"
    );
    assert_eq!(rig.call("mcp__py__grow", json!({})).await, "grown");
    rig.until(|state| state.tools.iter().any(|tool| &*tool.full_name == "mcp__py__grown"))
        .await;
    assert_eq!(rig.call("mcp__py__grown", json!({})).await, "here");
    // What has no strict form is asked as a text.
    let (tool, _) = rig.servers.find("mcp__py__anything").unwrap();
    let written = json!({"arguments": r#"{"value": {"b": 1, "a": null}}"#});
    let arguments = tool.shape.unfold(&tool.schema, written).unwrap();
    assert_eq!(rig.call("mcp__py__anything", arguments).await, "['a', 'b']");
}

#[tokio::test]
async fn a_python_server_over_its_pipes() {
    let rig = Rig::start(&json!({ "py": python(&[]) }));
    speaks_python(&rig).await;
    let names = rig.call("mcp__py__environment", json!({})).await;
    // The test itself has dozens more, some by its runner.
    assert!(names.contains("PYTHONPATH") && !names.contains("CARGO"), "{names}");
    rig.end().await;
}

#[tokio::test]
async fn a_python_server_at_an_address() {
    let peer = listening(&python(&["http"])).await;
    let rig = Rig::start(&json!({ "py": { "url": peer.url } }));
    speaks_python(&rig).await;
    rig.end().await;
}

#[tokio::test]
async fn an_answer_that_is_too_large_costs_one_call() {
    let peer = listening(&python(&["http"])).await;
    for server in [python(&[]), json!({ "url": peer.url })] {
        let rig = Rig::start(&json!({ "py": server }));
        let mut news = rig.servers.news();
        timeout(LIMIT, news.wait_for(|count| *count > 0))
            .await
            .unwrap()
            .unwrap();
        rig.ready().await;
        let large = rig.call("mcp__py__picture", json!({"size": 9_000_000})).await;
        assert!(
            large.contains("answered with more than 8388608 bytes"),
            "{server}: {large}"
        );
        assert_eq!(rig.call("mcp__py__add", json!({"a": 40})).await, "42");
        assert!(!news.has_changed().unwrap(), "the connection stays as it is");
        rig.end().await;
    }
}

#[tokio::test]
async fn a_typescript_server_over_its_pipes() {
    let rig = Rig::start(&json!({ "ts": node(&[]) }));
    rig.ready().await;
    assert_eq!(names(&rig), ["mcp__ts__echo", "mcp__ts__grow"]);
    assert_eq!(rig.call("mcp__ts__echo", json!({"text": "äöü 😀"})).await, "äöü 😀");
    // A null that only stands for something left out is not sent.
    let (tool, _) = rig.servers.find("mcp__ts__echo").unwrap();
    let written = json!({"text": "quiet", "loud": null});
    let arguments = tool.shape.unfold(&tool.schema, written).unwrap();
    let answer = rig.servers.call("mcp__ts__echo", arguments, LIMIT).await.unwrap();
    assert_eq!(answer.structured, Some(json!({"said": "quiet"})));
    assert_eq!(rig.call("mcp__ts__grow", json!({})).await, "grown");
    rig.until(|state| state.tools.len() == 3).await;
    rig.end().await;
}

/// How many sessions a server has.
async fn sessions(url: &str) -> usize {
    let host = url
        .strip_prefix("http://")
        .and_then(|rest| rest.strip_suffix("/mcp"))
        .unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let asked = format!("GET /sessions HTTP/1.0\r\nhost: {host}\r\n\r\n");
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.rsplit("\r\n\r\n").next().unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn a_refused_message_ends_nothing_and_the_end_is_told() {
    let peer = listening(&node(&["http"])).await;
    let headers = json!({ "Authorization": "Bearer s3cret" });
    // Along a redirect within the origin, the headers go too.
    let moved = peer.url.replace("/mcp", "/moved");
    let rig = Rig::start(&json!({ "ts": { "url": moved, "headers": headers } }));
    rig.ready().await;
    assert_eq!(rig.call("mcp__ts__grow", json!({})).await, "grown");
    rig.until(|state| state.tools.len() == 3).await;
    let refused = rig.call("mcp__ts__echo", json!({"text": "400"})).await;
    assert!(refused.contains("the status 400"), "{refused}");
    // The same session: what was learnt in it is known.
    assert_eq!(rig.call("mcp__ts__grown", json!({})).await, "here");
    assert_eq!(sessions(&peer.url).await, 1);
    rig.end().await;
    assert_eq!(sessions(&peer.url).await, 0);
}

#[tokio::test]
async fn a_typescript_server_at_an_address_wants_its_header_and_may_forget() {
    let peer = listening(&node(&["http"])).await;
    let locked_out = Rig::start(&json!({ "ts": { "url": peer.url } }));
    let reason = locked_out.failed().await;
    assert!(reason.contains("wants a login (status 401)"), "{reason}");
    locked_out.end().await;

    let server = json!({ "url": peer.url, "headers": { "Authorization": "Bearer s3cret" } });
    let rig = Rig::start(&json!({ "ts": server }));
    rig.ready().await;
    assert_eq!(rig.call("mcp__ts__echo", json!({"text": "hello"})).await, "hello");
    assert_eq!(rig.call("mcp__ts__grow", json!({})).await, "grown");
    rig.until(|state| state.tools.len() == 3).await;
    // Its sessions are gone, as after a restart.
    let pid = rustix::process::Pid::from_raw(peer.child.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::USR1).unwrap();
    // The signal may come after a call or two.
    let refused = loop {
        let told = rig.call("mcp__ts__echo", json!({"text": "hello"})).await;
        if told != "hello" {
            break told;
        }
    };
    assert!(refused.contains("forgotten this session"), "{refused}");
    rig.until(|state| state.status == ServerStatus::Ready && state.tools.len() == 2)
        .await;
    assert_eq!(rig.call("mcp__ts__echo", json!({"text": "again"})).await, "again");
    rig.end().await;
}

#[tokio::test]
async fn a_server_that_dies_comes_back() {
    let rig = Rig::start(&json!({ "py": python(&[]) }));
    rig.ready().await;
    let died = rig.call("mcp__py__die", json!({})).await;
    assert!(
        died.starts_with("error: the connection to the MCP server \"py\" broke"),
        "{died}"
    );
    assert!(rig.failed().await.contains("the program ended"));
    rig.ready().await;
    assert_eq!(rig.call("mcp__py__add", json!({"a": 1})).await, "3");
    rig.end().await;
}

/// Waits for a file.
async fn appears(path: &Path) {
    let wait = async {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, wait)
        .await
        .unwrap_or_else(|_| panic!("no {}", path.display()));
}

async fn nobody_waits(program: Value) {
    let rig = Rig::start(&json!({ "py": program }));
    rig.ready().await;
    let folder = tempfile::tempdir().unwrap();
    // A call that takes too long.
    let late = folder.path().join("late");
    let arguments = json!({ "path": late });
    let slow = rig
        .servers
        .call("mcp__py__hang", arguments, Duration::from_millis(500))
        .await;
    assert!(matches!(slow, Err(McpError::Timeout { .. })), "{slow:?}");
    appears(&late.with_extension("cancelled")).await;
    // A call that is dropped.
    let dropped = folder.path().join("dropped");
    let begun = dropped.with_extension("begun");
    let arguments = json!({ "path": dropped });
    tokio::select! {
        answer = rig.servers.call("mcp__py__hang", arguments, LIMIT) => panic!("{answer:?}"),
        () = appears(&begun) => {}
    }
    appears(&dropped.with_extension("cancelled")).await;
    assert_eq!(rig.call("mcp__py__add", json!({"a": 1})).await, "3");
    rig.end().await;
}

#[tokio::test]
async fn a_program_is_told_when_nobody_waits() {
    nobody_waits(python(&[])).await;
}

#[tokio::test]
async fn an_address_is_told_when_nobody_waits() {
    let peer = listening(&python(&["http"])).await;
    nobody_waits(json!({ "url": peer.url })).await;
}
