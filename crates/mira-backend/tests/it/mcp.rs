//! MCP on both sides: servers of the owner's file in a turn, and other programs (the official SDKs of two languages, and
//! plain HTTP) at `/mcp`.

use crate::support::{
    client::House,
    server::{BINARY, LIMIT, Server, Setup, json as body, problem},
};
use openai_sim::{Call, Plan};
use reqwest::Method;
use serde_json::{Value, json};
use std::{fs, path::PathBuf, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::{Instant, timeout},
};

fn script(name: &str) -> String {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/mcp")).join(name);
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

/// Where the gate installs the Python SDK: beside the binary's folder.
fn python_packages() -> String {
    let place = PathBuf::from(BINARY).with_file_name("..").join("tools/mcp-python");
    let found = place.canonicalize();
    let found = found.expect("the Python SDK of MCP is not installed: `cargo xtask test test` installs it");
    found.to_str().unwrap().to_owned()
}

/// With a file of servers.
pub fn with_servers(setup: Setup, servers: &Value) -> Setup {
    let file = setup.dir().join("mcp.json");
    fs::write(&file, json!({ "mcpServers": servers }).to_string()).unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "tests: peers are found where the test runner finds them"
    )]
    let path = std::env::var("PATH").unwrap_or_default();
    setup.env("MIRA_MCP_CONFIG", file.to_str().unwrap()).env("PATH", path)
}

fn python() -> Value {
    json!({ "command": "python3", "args": [script("server.py")], "env": { "PYTHONPATH": "${PEERS}" } })
}

pub fn fault(name: &str) -> Value {
    json!({ "command": "python3", "args": [script("faults.py"), name] })
}

async fn tools(house: &House) -> Vec<Value> {
    let listed = house.api.get("/api/tools").await;
    let all = listed["tools"].as_array().unwrap();
    let of_servers = all
        .iter()
        .filter(|tool| tool["name"].as_str().unwrap().starts_with("mcp__"));
    of_servers.cloned().collect()
}

fn named<'a>(tools: &'a [Value], name: &str) -> &'a Value {
    let found = tools.iter().find(|tool| tool["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {tools:#?}"))
}

/// Waits until a tool can be called.
pub fn ready(house: &House, server: &str) {
    let log = &house.server.stderr;
    let line = log.wait_for("an MCP server is ready");
    assert!(line.contains(server), "{line}");
}

#[tokio::test]
async fn tools_of_servers_are_used_in_a_turn() {
    let servers = json!({
        "py": python().as_object().map(|fields| {
            let mut fields = fields.clone();
            fields.insert("trusted".to_owned(), json!(true));
            fields
        }),
        "gone": { "command": "no-such-program-anywhere" },
        "off": { "url": "https://mcp.example/mcp", "disabled": true },
    });
    let house = House::with(|setup| with_servers(setup, &servers).env("PEERS", python_packages())).await;
    ready(&house, "py");
    let listed = tools(&house).await;
    let add = named(&listed, "mcp__py__add");
    assert_eq!((&add["effect"], &add["available"]), (&json!("read"), &json!(true)));
    assert_eq!(named(&listed, "mcp__py__fail")["effect"], "outside");
    let gone = named(&listed, "mcp__gone");
    assert_eq!(gone["available"], false);
    assert!(gone["reason"].as_str().unwrap().contains("cannot be started"), "{gone}");
    assert_eq!(named(&listed, "mcp__off")["enabled"], false);

    let call = |name: &str, arguments: Value| Call::new(name, &arguments);
    house.sim.push(Plan::calls([
        call("mcp__py__add", json!({ "a": 40, "b": null })),
        call("mcp__py__add", json!({ "a": "x", "b": 1 })),
        call("mcp__py__grow", json!({})),
    ]));
    house.sim.push(Plan::reply("Forty-two."));
    let mut line = house.line().await;
    let told = line.turn("What is 40 and 2?").await;
    assert_eq!(told.text, "Forty-two.", "{told:?}");
    let of = |n: usize| {
        let same = |result: &&Value| result["tool_call_id"] == told.calls[n]["tool_call_id"];
        told.results.iter().find(same).unwrap()
    };
    assert_eq!((&of(0)["status"], &of(0)["data"]["text"]), (&json!("ok"), &json!("42")));
    assert_eq!(of(0)["data"]["server"], "py");
    assert_eq!(of(1)["status"], "failed");
    // The model was offered them in the form it is held to, and the emulator took that.
    let prompt = house.prompts().pop().unwrap().body;
    let offered = prompt["tools"].as_array().unwrap();
    let offer = offered.iter().find(|tool| tool["name"] == "mcp__py__add").unwrap();
    assert_eq!(offer["parameters"]["required"], json!(["a", "b"]));
    assert!(!prompt.to_string().contains("mcp__gone"));
    // What a server has learnt is offered from then on.
    assert!(!prompt["tools"].to_string().contains("mcp__py__grown"), "{prompt}");
    let deadline = Instant::now() + LIMIT;
    while !tools(&house).await.iter().any(|tool| tool["name"] == "mcp__py__grown") {
        assert!(Instant::now() < deadline, "it is never listed");
    }
    line.turn("And now?").await;
    let prompt = house.prompts().pop().unwrap().body;
    assert!(prompt["tools"].to_string().contains("mcp__py__grown"), "{prompt}");
}

/// With no model at all: what a newcomer says calls a server's tool, and what it lacks is told.
#[tokio::test]
async fn in_rehearsal_they_are_called_by_name() {
    let mut server = python();
    server["trusted"] = json!(true);
    let servers = json!({ "weather": server });
    let house = House::with(|_| with_servers(Setup::new(), &servers).env("PEERS", python_packages())).await;
    ready(&house, "weather");
    let mut line = house.line().await;
    let told = line
        .turn("Use the weather server: what is the weather tomorrow in Graz?")
        .await;
    assert_eq!(told.calls.len(), 1, "{told:?}");
    assert_eq!(told.results[0]["status"], "ok", "{told:?}");
    assert_eq!(told.results[0]["data"]["text"], "Graz: rain for 1 day(s)");
    assert!(told.text.contains("Graz: rain for 1 day(s)"), "{}", told.text);
    let told = line
        .turn("ask weather.forecast {\"city\": \"Linz\", \"days\": 3}")
        .await;
    assert_eq!(told.results[0]["data"]["text"], "Linz: rain for 3 day(s)", "{told:?}");
    let told = line.turn("Use the forecast tool").await;
    assert!(told.calls.is_empty() && told.text.contains("`city` (text)"), "{told:?}");
}

/// How a reply of the rehearsal was made is told to the owner, and is no memory of anything.
#[tokio::test]
async fn what_is_recalled_of_a_rehearsal_is_what_was_said() {
    let house = House::with(|_| Setup::new()).await;
    let reply = house.api.say("My sister Anna plays the violin.").await;
    assert!(reply["content"].as_str().unwrap().contains("OPENAI_API_KEY"), "{reply}");
    house.indexed().await;
    let question = json!({ "question": "What was that about a rehearsal, a script, a model and OPENAI_API_KEY?" });
    let answer = rpc(&house, "tools/call", json!({ "name": "recall", "arguments": question })).await;
    let found = answer["result"]["content"][0]["text"].as_str().unwrap();
    let of_reply = |line: &&str| line.starts_with(reply["id"].as_str().unwrap());
    let line = found.lines().find(of_reply).unwrap_or_else(|| panic!("{found}"));
    assert!(line.contains(" | Mira | ") && line.contains("Anna"), "{line}");
    assert!(
        !found.contains("This is a rehearsal") && !found.contains("OPENAI_API_KEY"),
        "{found}"
    );
}

async fn content(house: &House, file: &Value) -> Vec<u8> {
    let path = format!("/api/files/{}/content", file["id"].as_str().unwrap());
    let response = house.api.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn what_servers_send_along_becomes_files() {
    let house =
        House::with(|setup| with_servers(setup, &json!({ "py": python() })).env("PEERS", python_packages())).await;
    ready(&house, "py");
    let size = 700_000;
    house.sim.push(Plan::calls([
        Call::new("mcp__py__picture", &json!({ "size": size })),
        Call::new("mcp__py__parcel", &json!({})),
    ]));
    house.sim.push(Plan::reply("Look."));
    let told = house.line().await.turn("Show me.").await;
    assert_eq!(told.text, "Look.", "{told:?}");
    let data = |tool: &str| {
        let mut results = told.results.iter().map(|result| &result["data"]);
        results.find(|data| data["tool"] == tool).unwrap()
    };
    let picture = &data("picture")["files"][0];
    assert_eq!(
        (&picture["name"], &picture["media_type"], &picture["size"]),
        (&json!("picture.png"), &json!("image/png"), &json!(size))
    );
    let bytes = content(&house, picture).await;
    assert!(bytes.len() == size && bytes.starts_with(b"\x89PNG"));
    let parcel = data("parcel");
    let files = parcel["files"].as_array().unwrap();
    let names: Vec<&str> = files.iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["sound.wav", "plan.txt", "picture.png"], "{parcel}");
    assert_eq!(content(&house, &files[1]).await, b"Day 1: the lake.");
    // The model is told of each by its id, of what is none too; it looks at the picture.
    let prompt = house.prompts().pop().unwrap().body;
    let items = prompt["input"].as_array().unwrap();
    let output = |begin: &str| {
        let mut outputs = items.iter().filter_map(|item| item["output"].as_str());
        outputs
            .find(|output| output.starts_with(begin))
            .unwrap_or_else(|| panic!("{prompt}"))
    };
    let of_picture = output("(file ");
    assert!(of_picture.contains(picture["id"].as_str().unwrap()), "{of_picture}");
    assert!(
        of_picture.ends_with("700000 bytes; a picture, shown to the owner)"),
        "{of_picture}"
    );
    let of_parcel = output("All there is:");
    for part in [
        "no base64",
        "audio/wav",
        "said to be a picture, but none that can be shown",
    ] {
        assert!(of_parcel.contains(part), "{of_parcel}");
    }
    let shown = &items.last().unwrap()["content"];
    assert_eq!(shown.as_array().unwrap().len(), 2, "its words and one picture");
    assert!(
        shown[1]["image_url"]
            .as_str()
            .unwrap()
            .starts_with("data:image/png;base64,iVBOR")
    );
    // Nothing of it stands in the conversation; the files stay.
    let stored = house.api.history().await[1]["tool_calls"].to_string();
    assert!(stored.len() < 8_000 && !stored.contains("iVBOR"), "{}", stored.len());
    let kept = house.api.get("/api/files").await["files"].as_array().unwrap().len();
    assert_eq!(kept, 4);
}

#[tokio::test]
async fn a_server_that_says_nothing_delays_nobody_and_ends_with_mira() {
    let servers = json!({ "mute": fault("silent"), "odd": fault("schema") });
    let mut house = House::with(|setup| with_servers(setup, &servers)).await;
    ready(&house, "odd");
    let listed = tools(&house).await;
    assert_eq!(named(&listed, "mcp__mute")["reason"], "the server is being connected");
    let wrong = named(&listed, "mcp__odd__wrong");
    assert_eq!(wrong["reason"], "its schema is not that of an object");
    house.api.say("Hello?").await;
    let begun = Instant::now();
    house.server.signal("TERM");
    house.server.wait();
    assert!(begun.elapsed() < LIMIT);
}

#[tokio::test]
async fn what_cannot_be_offered_is_listed_with_its_reason() {
    let servers = json!({ "a": fault("many"), "odd": fault("schema"), "two": fault("twice") });
    let house = House::with(|setup| with_servers(setup, &servers)).await;
    let deadline = Instant::now() + LIMIT;
    let listed = loop {
        let listed = tools(&house).await;
        let has = |name: &str| listed.iter().any(|tool| tool["name"] == name);
        if has("mcp__a__") && has("mcp__odd__wrong") && has("mcp__two__good") {
            break listed;
        }
        assert!(Instant::now() < deadline, "{listed:#?}");
    };
    let why = |name: &str| {
        let tool = named(&listed, name);
        assert_eq!(
            (&tool["available"], &tool["enabled"]),
            (&json!(false), &json!(true)),
            "{tool}"
        );
        assert_eq!(tool["effect"], "outside", "{tool}");
        tool["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(why("mcp__odd__wrong"), "its schema is not that of an object");
    assert_eq!(why("mcp__odd__worse"), "its schema is no object");
    assert_eq!(why("mcp__odd__"), "a tool has no name");
    assert!(why("mcp__a__").contains("more than 128 tools"));
    let clash = |tool: &&Value| tool["name"] == "mcp__two__good" && tool["reason"] == "it is listed twice";
    assert_eq!(listed.iter().filter(clash).count(), 1, "{listed:#?}");
    // Of all servers together a model is offered so many, the first ones.
    let of_many: Vec<&Value> = listed
        .iter()
        .filter(|tool| tool["name"].as_str().unwrap().starts_with("mcp__a__tool"))
        .collect();
    let (offered, crowded): (Vec<&Value>, Vec<&Value>) =
        of_many.into_iter().partition(|tool| tool["available"] == true);
    assert_eq!((offered.len(), crowded.len()), (96, 32));
    for tool in crowded.into_iter().chain([named(&listed, "mcp__odd__good")]) {
        assert_eq!(
            tool["reason"], "models are offered at most 96 tools of MCP servers",
            "{tool}"
        );
    }
    // None of it reaches the model, and a call of it comes to nothing.
    house.sim.push(Plan::calls([
        Call::new("mcp__odd__wrong", &json!({})),
        Call::new("mcp__odd__good", &json!({})),
        Call::new("mcp__a__tool0", &json!({})),
    ]));
    house.sim.push(Plan::reply("I see."));
    let told = house.line().await.turn("Try them.").await;
    let statuses: Vec<&Value> = told
        .calls
        .iter()
        .map(|call| {
            let same = |result: &&Value| result["tool_call_id"] == call["tool_call_id"];
            &told.results.iter().find(same).unwrap()["status"]
        })
        .collect();
    assert_eq!(statuses, ["unavailable", "unavailable", "ok"], "{told:?}");
    let prompt = house.prompts().pop().unwrap().body;
    let names = prompt["tools"].as_array().unwrap().iter();
    let of_servers: Vec<&str> = names
        .filter_map(|tool| tool["name"].as_str().filter(|name| name.starts_with("mcp__")))
        .collect();
    assert_eq!(of_servers.len(), 96);
    assert!(
        of_servers.iter().all(|name| name.starts_with("mcp__a__tool")),
        "{of_servers:?}"
    );
}

#[test]
fn every_mistake_of_the_file_is_told_at_once() {
    let servers = json!({
        "a": {}, "b": { "command": "x", "env": { "KEY": "${NOT_SET}" } },
        "c": { "url": "https://x.example", "headers": { "X": "s3cret\n" } },
    });
    let setup = with_servers(Setup::new(), &servers).env("MIRA_PORT", "70000");
    let output = setup.run(&[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{said}");
    for part in [
        "mcpServers.a:",
        "mcpServers.b.env.KEY:",
        "mcpServers.c.headers.X:",
        "MIRA_PORT",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!said.contains("s3cret"), "{said}");
    let setup = Setup::new().env("MIRA_MCP_CONFIG", "nowhere.json");
    assert_eq!(setup.run(&[]).status.code(), Some(64));
}

// ---- /mcp ---------------------------------------------------------------------------------------------------------

async fn rpc(house: &House, method: &str, params: Value) -> Value {
    let request = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    let answer = house.api.post("/mcp", request).await.expect(200);
    assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(7)));
    answer
}

#[tokio::test]
async fn the_protocol_is_spoken_with_the_same_login() {
    let house = House::new().await;
    let greeting = rpc(&house, "initialize", json!({ "protocolVersion": "2025-06-18" })).await;
    assert_eq!(greeting["result"]["protocolVersion"], "2025-06-18");
    let newer = rpc(&house, "initialize", json!({ "protocolVersion": "2099-01-01" })).await;
    assert_eq!(newer["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(rpc(&house, "ping", json!({})).await["result"], json!({}));
    let tools = rpc(&house, "tools/list", json!({})).await["result"]["tools"].clone();
    let names: Vec<&str> = tools
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "recall",
            "remember",
            "search_history",
            "list_projects",
            "get_project",
            "list_artifacts",
            "read_artifact",
            "create_artifact",
            "edit_artifact"
        ]
    );
    for tool in tools.as_array().unwrap() {
        jsonschema::meta::validate(&tool["inputSchema"]).unwrap();
        assert!(!tool["description"].as_str().unwrap().is_empty(), "{tool}");
    }
    for (method, params, code) in [
        ("resources/list", json!({}), -32601),
        ("server/discover", json!({}), -32601),
        ("tools/list", json!({ "cursor": "2" }), -32602),
        ("tools/call", json!({}), -32602),
        ("tools/call", json!({ "name": "forget" }), -32602),
        ("tools/call", json!({ "name": "recall", "arguments": 7 }), -32602),
    ] {
        let answer = rpc(&house, method, params).await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
    // A notification is taken and not answered.
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let taken = house.api.post("/mcp", note).await;
    assert_eq!((taken.status, taken.body), (202, Value::Null));
    // What is wrong with a request as such is a problem, as everywhere.
    let http = Server::client();
    let url = house.server.url("/mcp");
    let greet = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let post = |token: &str| {
        http.post(&url)
            .bearer_auth(token)
            .header("content-type", "application/json")
    };
    let token = house.server.token();
    problem(post("wrong").body(greet).send().await.unwrap(), 401, "unauthorized").await;
    let foreign = post(&token).header("origin", "https://evil.example").body(greet);
    problem(foreign.send().await.unwrap(), 403, "forbidden").await;
    let elsewhere = post(&token).header("host", "evil.example").body(greet);
    problem(elsewhere.send().await.unwrap(), 421, "unknown-host").await;
    assert_eq!(post(&token).body("{").send().await.unwrap().status(), 400);
    assert_eq!(post(&token).body("[]").send().await.unwrap().status(), 422);
    let large = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "x".repeat(1024 * 1024));
    assert_eq!(post(&token).body(large).send().await.unwrap().status(), 413);
    assert_eq!(http.get(&url).bearer_auth(&token).send().await.unwrap().status(), 405);
    for id in ["null", "[1]", "true"] {
        let odd = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        problem(post(&token).body(odd).send().await.unwrap(), 422, "invalid").await;
    }
    for (accept, status) in [
        ("application/json, text/event-stream", 200),
        ("text/event-stream, Application/JSON;q=0.5", 200),
        ("*/*", 200),
        ("text/event-stream", 406),
        ("text/html", 406),
    ] {
        let answer = post(&token).header("accept", accept).body(greet).send().await.unwrap();
        assert_eq!(answer.status(), status, "{accept}");
    }
    // An answer to a question nobody asked, and a call nobody waits for any more.
    for taken in [
        r#"{"jsonrpc":"2.0","id":4,"result":{}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}"#,
    ] {
        let answer = post(&token).body(taken).send().await.unwrap();
        assert_eq!(answer.status(), 202);
        assert!(answer.bytes().await.unwrap().is_empty());
    }
    let refused = post("wrong").body(greet).send().await.unwrap();
    assert!(
        refused.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Bearer")
    );
    let unread = http.get(&url).bearer_auth(&token).send().await.unwrap();
    assert_eq!(unread.headers()["allow"], "POST");
    // A session nobody gave out means nothing.
    let strange = post(&token)
        .header("mcp-session-id", "x")
        .body(greet)
        .send()
        .await
        .unwrap();
    assert_eq!(strange.status(), 200);
    // There are no sessions to end.
    let ended = http.delete(&url).bearer_auth(&token).header("mcp-session-id", "x");
    problem(ended.send().await.unwrap(), 405, "method-not-allowed").await;
    let speaking = |version: &'static str, method: &str| {
        let message = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
        post(&token).header("mcp-protocol-version", version).body(message)
    };
    for method in ["tools/list", "tools/call", "ping", "notifications/initialized"] {
        let odd = problem(speaking("1999-01-01", method).send().await.unwrap(), 400, "malformed").await;
        assert!(odd["detail"].as_str().unwrap().contains("only 2025-11-25"), "{odd}");
    }
    let spoken = speaking("2025-06-18", "tools/list").send().await.unwrap();
    assert!(body(spoken).await["result"]["tools"].is_array());
    assert_eq!(speaking("1999-01-01", "initialize").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn lists_of_messages_are_taken_in_the_revision_that_has_them() {
    let house = House::new().await;
    let ask = |id: Value, method: &str| json!({ "jsonrpc": "2.0", "id": id, "method": method });
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let call = json!({ "jsonrpc": "2.0", "id": "c", "method": "tools/call",
                       "params": { "name": "list_projects", "arguments": {} } });
    let list = json!([
        ask(json!(1), "ping"),
        note,
        call,
        ask(json!(2), "nothing"),
        ask(json!(3), "initialize"),
        ask(json!(null), "ping"),
        [ask(json!(4), "ping")],
        7,
    ]);
    let answers = house.api.post("/mcp", list).await.expect(200);
    let of = |n: usize| (&answers[n]["id"], &answers[n]["error"]["code"]);
    assert_eq!(answers.as_array().unwrap().len(), 7, "{answers}");
    assert_eq!((&answers[0]["id"], &answers[0]["result"]), (&json!(1), &json!({})));
    assert_eq!(
        (&answers[1]["id"], &answers[1]["result"]["isError"]),
        (&json!("c"), &json!(false))
    );
    assert_eq!(of(2), (&json!(2), &json!(-32601)));
    assert_eq!(of(3), (&json!(3), &json!(-32600)));
    for n in 4..7 {
        assert_eq!(of(n), (&Value::Null, &json!(-32600)), "{answers}");
    }
    // Nothing that is answered.
    let taken = house.api.post("/mcp", json!([note, note])).await;
    assert_eq!((taken.status, taken.body), (202, Value::Null));
    let many = vec![ask(json!(1), "ping"); 51];
    house.api.post("/mcp", json!(many)).await.problem(422, "invalid");
    let speaking = |version: &'static str| {
        let list = json!([ask(json!(1), "ping")]);
        let request = house.api.request(Method::POST, "/mcp");
        let request = request.header("mcp-protocol-version", version);
        request
            .header("content-type", "application/json")
            .body(list.to_string())
            .send()
    };
    let same = body(speaking("2025-03-26").await.unwrap()).await;
    assert_eq!(same[0]["result"], json!({}));
    for version in ["2025-06-18", "2025-11-25", "1999-01-01"] {
        problem(speaking(version).await.unwrap(), 400, "malformed").await;
    }
}

/// A client of an SDK at work.
struct Program {
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Program {
    fn start(mut command: Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = piped.spawn().unwrap();
        Self {
            stdin: child.stdin.take().unwrap(),
            lines: BufReader::new(child.stdout.take().unwrap()).lines(),
            _child: child,
        }
    }

    async fn next(&mut self) -> Value {
        let line = timeout(LIMIT, self.lines.next_line()).await.expect("no line in time");
        serde_json::from_str(&line.unwrap().expect("the client ended")).unwrap()
    }

    /// Calls a tool; its text. `error` is whether it must fail.
    async fn call(&mut self, name: &str, arguments: Value, error: bool) -> String {
        let line = format!("{}\n", json!([name, arguments]));
        self.stdin.write_all(line.as_bytes()).await.unwrap();
        let answer = self.next().await;
        assert_eq!(answer["error"], error, "{name}: {answer}");
        answer["text"].as_str().unwrap().to_owned()
    }
}

/// What every client must get, whichever SDK it is made with.
async fn works_with(program: Command) {
    let house = House::new().await;
    house.api.say("My sister Anna plays the violin.").await;
    let project = json!({ "name": "Lamp", "description": "A lamp that listens" });
    let project = house.api.post("/api/projects", project).await.expect(201)["id"].clone();
    house.indexed().await;
    let mut command = program;
    command.args([house.server.url("/mcp"), house.server.token()]);
    if command.as_std().get_program() == "python3" {
        command.arg("auto");
    }
    let mut client = Program::start(command);
    assert_eq!(client.next().await["tools"].as_array().unwrap().len(), 9);

    let found = client
        .call("recall", json!({ "question": "What does Anna play?" }), false)
        .await;
    assert!(found.contains("violin"), "{found}");
    let found = client.call("search_history", json!({ "query": "violin" }), false).await;
    assert!(
        found.contains("| owner |") && found.contains("My sister Anna plays the violin."),
        "{found}"
    );
    let none = client
        .call("search_history", json!({ "query": "zeppelin", "limit": 3 }), false)
        .await;
    assert_eq!(none, "there are none");

    let fact = json!({ "about": "owner", "topic": "allergy", "text": "The owner is allergic to hazelnuts." });
    let kept = client.call("remember", fact.clone(), false).await;
    assert!(kept.starts_with("kept as "), "{kept}");
    let facts = house.api.get("/api/memories?kind=fact").await;
    assert_eq!(facts["memories"][0]["source"], "tool", "a program's word: {facts}");
    assert!(client.call("remember", fact, false).await.starts_with("known already"));
    house
        .api
        .patch("/api/memory", json!({ "paused": true }))
        .await
        .expect(200);
    let paused = json!({ "about": "owner", "topic": "pet", "text": "The owner has a grey cat called Tom." });
    let refused = client.call("remember", paused, true).await;
    assert!(refused.contains("paused"), "{refused}");

    let listed = client.call("list_projects", json!({}), false).await;
    assert_eq!(
        listed,
        format!("{} | Lamp | A lamp that listens", project.as_str().unwrap())
    );
    let new = json!({ "project_id": project, "name": "lamp.py", "type": "code", "language": "python", "content": "on = True\n" });
    let made = client.call("create_artifact", new, false).await;
    let id = made.split_whitespace().nth(2).unwrap().trim_end_matches(',').to_owned();
    let edit = json!({ "artifact": id, "edits": [{ "old": "True", "new": "False" }] });
    assert_eq!(
        client.call("edit_artifact", edit.clone(), false).await,
        "saved as version 2"
    );
    client.call("edit_artifact", edit, true).await;
    let read = client.call("read_artifact", json!({ "artifact": id }), false).await;
    assert_eq!(read, "lamp.py | version 2\non = False\n");
    let listed = client
        .call("list_artifacts", json!({ "project_id": project }), false)
        .await;
    assert!(listed.contains("lamp.py"), "{listed}");
    client.call("list_artifacts", json!({}), true).await;
    let told = client
        .call("get_project", json!({ "project_id": project }), false)
        .await;
    assert!(told.contains("A lamp that listens") && told.contains(&id), "{told}");
    client.call("get_project", json!({ "project_id": id }), true).await;
    let artifact = house.api.get(&format!("/api/artifacts/{id}")).await;
    assert_eq!(
        (&artifact["version"], &artifact["message_id"]),
        (&json!(2), &Value::Null)
    );
}

#[tokio::test]
async fn a_python_client_works_with_her() {
    let mut command = Command::new("python3");
    command.arg(script("client.py")).env("PYTHONPATH", python_packages());
    works_with(command).await;
}

#[tokio::test]
async fn a_typescript_client_works_with_her() {
    let mut command = Command::new("node");
    command.arg(script("client.mjs"));
    works_with(command).await;
}
