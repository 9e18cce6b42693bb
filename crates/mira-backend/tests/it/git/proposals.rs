//! What Mira proposes: shown as a difference, applied as a commit or put away, once.

use super::{Desk, new_project};
use crate::support::client::law;
use openai_sim::{Call, Plan};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

/// A proposal as a row: `n` makes its id.
struct Row<'a> {
    n: u8,
    kind: &'a str,
    path: &'a str,
    new_path: Option<&'a str>,
    texts: (Option<&'a str>, Option<&'a str>),
}

impl Desk {
    /// Puts a proposal about what is committed now among the rows, as a reply would have.
    async fn propose(&self, row: Row<'_>) -> String {
        let id = uuid::Uuid::from_u128(u128::from(row.n));
        let base = (row.kind != "create").then(|| self.git(&["rev-parse", &format!("HEAD:{}", row.path)]));
        let mut conn = self.rows().await;
        sqlx::query(
            "INSERT INTO proposals (account_id, id, repo_id, kind, path, new_path, base_sha, old_text, new_text, message,
                                    state, created_at)
             VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'Her commit', 'open', 1800000000000)",
        )
        .bind(id.as_bytes().as_slice())
        .bind(self.att.parse::<uuid::Uuid>().unwrap().as_bytes().as_slice())
        .bind(row.kind)
        .bind(row.path)
        .bind(row.new_path)
        .bind(base)
        .bind(row.texts.0)
        .bind(row.texts.1)
        .execute(&mut conn)
        .await
        .unwrap();
        conn.close().await.unwrap();
        id.to_string()
    }

    /// Makes a proposal open again, as it is where a crash came between the commit and the row.
    pub(super) async fn reopen(&self, id: &str) {
        let mut conn = self.rows().await;
        sqlx::query("UPDATE proposals SET state = 'open', commit_sha = NULL, decided_at = NULL WHERE id = ?1")
            .bind(id.parse::<uuid::Uuid>().unwrap().as_bytes().as_slice())
            .execute(&mut conn)
            .await
            .unwrap();
        conn.close().await.unwrap();
    }

    async fn rows(&self) -> SqliteConnection {
        let database = self.house.setup.data_dir().join("mira.db");
        SqliteConnection::connect(database.to_str().unwrap()).await.unwrap()
    }

    async fn decide(&self, id: &str, how: &str) -> crate::support::client::Answer {
        self.house
            .api
            .post(&self.below(&format!("proposals/{id}/{how}")), json!({}))
            .await
    }
}

fn write(n: u8, text: &str) -> Row<'_> {
    Row {
        n,
        kind: "write",
        path: "notes.txt",
        new_path: None,
        texts: (Some("first\nsecond\nthird\n"), Some(text)),
    }
}

#[tokio::test]
async fn a_proposal_is_reviewed_and_applied() {
    let desk = Desk::new().await;
    let id = desk.propose(write(1, "first\n2nd\nthird\n")).await;
    let list = desk.house.api.get(&desk.below("proposals?state=open")).await;
    assert_eq!(list["proposals"][0]["id"], id);
    assert_eq!(
        (&list["proposals"][0]["content"], &list["proposals"][0]["diff"]),
        (&Value::Null, &Value::Null)
    );
    let shown = desk.house.api.get(&desk.below(&format!("proposals/{id}"))).await;
    assert_eq!(shown["attachment_id"], desk.att);
    assert_eq!(shown["content"], "first\n2nd\nthird\n");
    let changed: Vec<(&str, &str)> = { shown["diff"]["hunks"][0]["lines"].as_array().unwrap().iter() }
        .filter(|line| line["kind"] != "context")
        .map(|line| (line["kind"].as_str().unwrap(), line["text"].as_str().unwrap()))
        .collect();
    assert_eq!(changed, [("removed", "second"), ("added", "2nd")]);
    assert_eq!(
        desk.read("notes.txt").await["content"],
        "first\nsecond\nthird\n",
        "nothing is done yet"
    );

    let mut line = desk.house.line().await;
    let applied = desk.decide(&id, "apply").await.expect(200);
    assert_eq!(
        (&applied["state"], &applied["commit"]),
        (&json!("applied"), &json!(desk.git(&["rev-parse", "HEAD"])))
    );
    let event = line.wait("proposal").await;
    assert_eq!(
        (&event["action"], &event["object"]["state"]),
        (&json!("updated"), &json!("applied"))
    );
    assert_eq!(desk.git(&["log", "-1", "--format=%s"]), "Her commit");
    assert_eq!(desk.git(&["show", "HEAD:notes.txt"]), "first\n2nd\nthird");
    // Again is the same, and the other way is too late.
    assert_eq!(desk.decide(&id, "apply").await.expect(200), applied);
    desk.decide(&id, "discard").await.problem(409, "conflict");
    assert_eq!(
        desk.house.api.get(&desk.below("proposals?state=open")).await["proposals"],
        json!([])
    );
    desk.is_clean();
}

#[tokio::test]
async fn every_kind_of_change_is_applied() {
    let desk = Desk::new().await;
    let made = Row {
        kind: "create",
        path: "made/by/her.txt",
        texts: (None, Some("hers\n")),
        ..write(1, "")
    };
    let moved = Row {
        n: 2,
        kind: "rename",
        new_path: Some("doc/notes.txt"),
        texts: (None, None),
        ..write(2, "")
    };
    let gone = Row {
        n: 3,
        kind: "delete",
        path: "README.md",
        texts: (Some("# It\n"), None),
        ..write(3, "")
    };
    for row in [made, moved, gone] {
        let kind = row.kind;
        let id = desk.propose(row).await;
        let shown = desk.house.api.get(&desk.below(&format!("proposals/{id}"))).await;
        assert_eq!(shown["diff"].is_null(), kind == "rename", "{shown}");
        desk.decide(&id, "apply").await.expect(200);
    }
    assert_eq!(
        desk.git(&["ls-tree", "-r", "--name-only", "HEAD"]),
        "doc/notes.txt\nmade/by/her.txt\nsrc/main.rs"
    );
    desk.is_clean();
}

#[tokio::test]
async fn a_file_that_changed_meanwhile_makes_it_stale() {
    let desk = Desk::new().await;
    let (first, second) = (
        desk.propose(write(1, "one\n")).await,
        desk.propose(write(2, "two\n")).await,
    );
    let wanted = desk.propose(write(3, "owner's\n")).await;
    desk.write("notes.txt", "owner's\n").await;
    let head = desk.git(&["rev-parse", "HEAD"]);
    let problem = desk.decide(&first, "apply").await.problem(409, "conflict");
    assert_eq!(problem["paths"], json!(["notes.txt"]));
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), head);
    let shown = desk.house.api.get(&desk.below(&format!("proposals/{first}"))).await;
    assert_eq!(shown["state"], "stale");
    assert_eq!(desk.decide(&first, "discard").await.expect(200)["state"], "discarded");
    assert_eq!(desk.decide(&first, "discard").await.expect(200)["state"], "discarded");
    desk.decide(&first, "apply").await.problem(409, "conflict");
    assert_eq!(desk.decide(&second, "discard").await.expect(200)["state"], "discarded");
    // What is wanted is there: as if a crash had come between the commit and the row.
    let applied = desk.decide(&wanted, "apply").await.expect(200);
    assert_eq!(
        (&applied["state"], &applied["commit"]),
        (&json!("applied"), &json!(head))
    );
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), head);
}

#[tokio::test]
async fn an_edit_by_hand_is_in_the_way_until_it_is_committed_or_gone() {
    let desk = Desk::new().await;
    let id = desk.propose(write(1, "hers\n")).await;
    std::fs::write(desk.clone_dir().join("notes.txt"), "by hand\n").unwrap();
    desk.decide(&id, "apply").await.problem(409, "conflict");
    assert_eq!(
        std::fs::read_to_string(desk.clone_dir().join("notes.txt")).unwrap(),
        "by hand\n"
    );
    let shown = desk.house.api.get(&desk.below(&format!("proposals/{id}"))).await;
    assert_eq!(shown["state"], "open");
    desk.git(&["checkout", "-q", "--", "notes.txt"]);
    desk.decide(&id, "apply").await.expect(200);
    desk.is_clean();
}

#[tokio::test]
async fn two_at_once_make_one_commit() {
    let desk = Desk::new().await;
    let id = desk.propose(write(1, "hers\n")).await;
    let (a, b) = tokio::join!(desk.decide(&id, "apply"), desk.decide(&id, "apply"));
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert!(matches!(statuses, [200, 200 | 503]), "{} {}", a.body, b.body);
    assert_eq!(desk.git(&["rev-list", "--count", "HEAD"]), "3");
}

#[tokio::test]
async fn proposals_belong_to_their_project() {
    let mut desk = Desk::new().await;
    let id = desk.propose(write(1, "hers\n")).await;
    let repo = desk
        .house
        .api
        .patch(&desk.of("repos", ""), json!({ "writes": "direct" }))
        .await
        .expect(200);
    assert_eq!(repo["writes"], "direct");
    desk.house
        .api
        .patch(&desk.of("repos", ""), json!({ "writes": "perhaps" }))
        .await
        .problem(422, "invalid");
    let here = std::mem::take(&mut desk.project);
    desk.project = new_project(&desk.house, "Other").await;
    desk.house
        .api
        .try_get(&desk.below(&format!("proposals/{id}")))
        .await
        .problem(404, "not-found");
    desk.decide(&id, "apply").await.problem(404, "not-found");
    desk.decide(&id, "discard").await.problem(404, "not-found");
    desk.decide("no-id", "apply").await.problem(404, "not-found");
    assert_eq!(
        desk.house.api.get(&desk.below("proposals")).await["proposals"],
        json!([])
    );
    desk.house
        .api
        .try_get(&desk.below("proposals?state=lost"))
        .await
        .problem(422, "invalid");
    desk.project = here;
    let other = desk.below("proposals?attachment_id=019b0000-0000-7000-8000-000000000000");
    assert_eq!(desk.house.api.get(&other).await["proposals"], json!([]));
    // They go with the repository.
    assert_eq!(desk.house.api.delete(&desk.of("repos", "")).await.status, 204);
    assert_eq!(
        desk.house.api.get(&desk.below("proposals")).await["proposals"],
        json!([])
    );
}

impl Desk {
    /// A turn of a session in the project, in which she writes a file: what the call came to, and the turn's frames.
    pub(super) async fn writes(&self, arguments: Value) -> (Value, Vec<Value>) {
        let member = json!({ "project_id": self.project });
        { self.house.api.patch("/api/sessions/eternal", member).await }.expect(200);
        let mut line = self.house.line().await;
        self.house.sim.push(Plan::calls([Call::new("write_file", &arguments)]));
        self.house.sim.push(Plan::reply("Look at it."));
        line.chat("Change it.").await;
        let frames = line.until("done").await;
        let result = frames
            .iter()
            .find(|frame| frame["type"] == "tool_result")
            .unwrap()
            .clone();
        (result, frames)
    }
}

fn second_line(to: &str) -> Value {
    json!({ "repository": null, "path": "notes.txt", "edits": [{ "old": "second", "new": to }], "content": null,
            "message": "Number it" })
}

#[tokio::test]
async fn what_she_writes_waits_for_the_owner() {
    let desk = Desk::new().await;
    let head = desk.git(&["rev-parse", "HEAD"]);
    let (result, frames) = desk.writes(second_line("2nd")).await;
    assert_eq!(result["status"], "ok", "{result}");
    let created = frames.iter().find(|frame| frame["type"] == "proposal").unwrap();
    assert_eq!(
        (&created["action"], &created["object"]["state"]),
        (&json!("created"), &json!("open"))
    );
    let done = frames.iter().find(|frame| frame["type"] == "done").unwrap();
    assert_eq!(
        created["object"]["message_id"], done["message_id"],
        "the reply that made it"
    );
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), head, "nothing is done yet");
    desk.is_clean();
    let id = created["object"]["id"].as_str().unwrap();
    let applied = desk.decide(id, "apply").await.expect(200);
    assert_eq!(applied["content"], "first\n2nd\nthird\n");
    assert_eq!(desk.git(&["log", "-1", "--format=%s"]), "Number it");
    assert_eq!(desk.read("notes.txt").await["content"], "first\n2nd\nthird\n");
}

#[tokio::test]
async fn where_the_owner_says_so_she_writes_at_once() {
    let desk = Desk::new().await;
    let direct = json!({ "writes": "direct" });
    desk.house.api.patch(&desk.of("repos", ""), direct).await.expect(200);
    let (result, frames) = desk.writes(second_line("2nd")).await;
    assert_eq!(result["status"], "ok", "{result}");
    assert!(frames.iter().all(|frame| frame["type"] != "proposal"));
    assert_eq!(result["data"]["commit"], desk.git(&["rev-parse", "HEAD"]));
    assert_eq!(desk.git(&["show", "HEAD:notes.txt"]), "first\n2nd\nthird");
    desk.is_clean();
}

#[tokio::test]
async fn a_later_edit_of_a_reply_goes_on_from_an_earlier_one() {
    let desk = Desk::new().await;
    let member = json!({ "project_id": desk.project });
    { desk.house.api.patch("/api/sessions/eternal", member).await }.expect(200);
    let edit = |old: &str, new: &str| {
        let arguments = json!({ "repository": null, "path": "notes.txt", "edits": [{ "old": old, "new": new }],
                                "content": null, "message": null });
        Call::new("write_file", &arguments)
    };
    let mut line = desk.house.line().await;
    desk.house
        .sim
        .push(Plan::calls([edit("first", "1st"), edit("second", "2nd")]));
    desk.house.sim.push(Plan::calls([edit("third", "3rd")]));
    desk.house.sim.push(Plan::reply("Look at it."));
    let told = line.turn("Number them.").await;
    assert!(told.results.iter().all(|result| result["status"] == "ok"), "{told:?}");
    let open = desk.house.api.get(&desk.below("proposals?state=open")).await["proposals"].clone();
    let [proposal] = open.as_array().unwrap().as_slice() else {
        panic!("one proposal holds all of it: {open}")
    };
    let applied = desk.decide(proposal["id"].as_str().unwrap(), "apply").await.expect(200);
    assert_eq!(applied["content"], "1st\n2nd\n3rd\n");
}

#[tokio::test]
async fn the_project_of_a_message_reaches_the_prompt_with_its_code() {
    let desk = Desk::new().await;
    desk.write("AGENTS.md", "Run make before you commit.\n").await;
    let path = format!("/api/projects/{}", desk.project);
    let told = json!({ "instructions": "Answer in rhymes.", "description": "A book of verse." });
    { desk.house.api.patch(&path, told).await }.expect(200);
    let mut line = desk.house.line().await;
    let repository = desk.repo().await;
    let told = line
        .ask(
            json!({ "type": "chat", "content": "What about this?", "project_id": desk.project, "metadata": {
            "file_path": "src/verse.rs", "attachment_id": repository["id"], "language": "rust",
            "selection": { "start_line": 3, "end_line": 4, "text": "let rhyme = time;" } } }),
        )
        .await;
    assert_eq!(told.outcome, "complete");
    let body = desk.house.prompts().pop().unwrap().body;
    let system = body["instructions"].as_str().unwrap();
    for part in [
        "Answer in rhymes.",
        "A book of verse.",
        "Run make before you commit.",
        "untrusted",
    ] {
        assert!(system.contains(part), "{part} in {system}");
    }
    assert!(system.contains(repository["id"].as_str().unwrap()), "{system}");
    let said = body["input"].to_string();
    for part in [
        "src/verse.rs",
        "rust",
        "lines: 3-4",
        "let rhyme = time;",
        repository["id"].as_str().unwrap(),
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let offered = body["tools"].to_string();
    for tool in [
        "list_files",
        "read_file",
        "search_files",
        "write_file",
        "git_log",
        "git_diff",
        "create_artifact",
    ] {
        assert!(offered.contains(&format!("\"{tool}\"")), "{tool} in {offered}");
    }
    // Outside the project nothing of it is told.
    line.turn("And now for something else.").await;
    let body = desk.house.prompts().pop().unwrap().body;
    assert!(!body["instructions"].as_str().unwrap().contains("Answer in rhymes."));
    assert!(!body["tools"].to_string().contains("write_file"));
}

/// Whoever wrote it spoke in the turn, though no tool read it.
#[tokio::test]
async fn a_reply_to_an_agents_md_is_marked() {
    let desk = Desk::new().await;
    let member = json!({ "project_id": desk.project });
    { desk.house.api.patch("/api/sessions/eternal", member).await }.expect(200);
    let mut line = desk.house.line().await;
    let mut expect = Vec::new();
    for (said, reply, trusted) in [
        ("Before it.", "Nothing yet.", true),
        ("After it.", "Make runs first.", false),
    ] {
        desk.house.sim.push(Plan::reply(reply));
        assert_eq!(line.turn(said).await.outcome, "complete");
        expect.extend([(said, true), (reply, trusted)]);
        if trusted {
            desk.write("AGENTS.md", "Run make before you commit.\n").await;
        }
    }
    desk.house.indexed().await;
    let all = desk.house.api.get("/api/memories?kind=message").await;
    for (text, trusted) in expect {
        let memory = all["memories"]
            .as_array()
            .unwrap()
            .iter()
            .find(|memory| memory["text"] == text);
        assert_eq!(memory.unwrap()["trusted"], json!(trusted), "{text}");
    }
}

#[tokio::test]
async fn she_reads_the_code_and_what_it_says_is_not_trusted() {
    let desk = Desk::new().await;
    let member = json!({ "project_id": desk.project });
    { desk.house.api.patch("/api/sessions/eternal", member).await }.expect(200);
    let call = |name: &str, arguments: Value| Call::new(name, &arguments);
    let here = |more: Value| {
        let mut all = json!({ "repository": null });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let head = desk.git(&["rev-parse", "HEAD"]);
    desk.house.sim.push(Plan::calls([
        call("list_files", here(json!({ "path": null, "ref": null }))),
        call(
            "read_file",
            here(json!({ "path": "notes.txt", "first_line": 2, "last_line": 2, "ref": null })),
        ),
        call("search_files", here(json!({ "query": "third" }))),
        call("git_log", here(json!({ "path": null, "ref": null, "limit": 1 }))),
        call("git_diff", here(json!({ "commit": head }))),
        call(
            "read_file",
            here(json!({ "path": "../../token", "first_line": null, "last_line": null, "ref": null })),
        ),
        call(
            "read_file",
            here(json!({ "path": ".git/config", "first_line": null, "last_line": null, "ref": null })),
        ),
    ]));
    desk.house.sim.push(Plan::calls([call(
        "forget",
        json!({ "memories": ["019b0000-0000-7000-8000-000000000000"] }),
    )]));
    desk.house.sim.push(Plan::reply("I have read it."));
    let mut line = desk.house.line().await;
    line.chat("Read it, then forget everything.").await;
    // Once she has read strangers' words, what cannot be undone is asked about.
    let mut frames = line.until("approval").await;
    let deny = json!({ "type": "deny", "approval_id": frames.last().unwrap()["approval_id"] });
    line.send(deny).await;
    frames.extend(line.until("done").await);
    let told = law(&frames);
    let status = |n: usize| {
        let same = |result: &&Value| result["tool_call_id"] == told.calls[n]["tool_call_id"];
        told.results.iter().find(same).unwrap()["status"].clone()
    };
    let statuses: Vec<Value> = (0..8).map(status).collect();
    assert_eq!(
        json!(statuses),
        json!(["ok", "ok", "ok", "ok", "ok", "failed", "failed", "denied"]),
        "{told:?}"
    );
    let read: Vec<String> = desk.house.prompts()[1].body["input"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["type"] == "function_call_output")
        .map(|item| item["output"].as_str().unwrap().to_owned())
        .collect();
    assert!(read[0].contains("notes.txt | file"), "{read:?}");
    assert_eq!(read[1], "notes.txt | lines 2 to 2 of 3\n2\tsecond\n");
    assert!(read[2].contains("notes.txt:3: third"), "{read:?}");
    assert!(read[3].contains(&head), "{read:?}");
    assert!(read[4].contains("+second"), "{read:?}");
}
