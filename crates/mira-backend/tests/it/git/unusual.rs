//! Repositories as they come: other encodings and line ends, names of every kind, no commit yet, no branch checked out,
//! pointers to what lies elsewhere, a branch that was rewritten, a login that no longer counts.

use super::{Desk, new_project};
use crate::support::{
    client::Answer,
    forge::{Forge, Manners, PASSWORD, git, put},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{fmt::Write as _, fs};

/// One part of a path or query, with nothing left that means something there.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for byte in text.bytes() {
        write!(quoted, "%{byte:02X}").unwrap();
    }
    quoted
}

impl Desk {
    async fn sync(&self, push: bool) -> Answer {
        self.house.api.post(&self.of("sync", ""), json!({ "push": push })).await
    }

    /// What is asked of the repository, which must be answered.
    async fn ask(&self, kind: &str, rest: &str) -> Value {
        self.house.api.get(&self.of(kind, rest)).await
    }

    async fn apply_the_open_one(&self) -> Value {
        let open = self.house.api.get(&self.below("proposals?state=open")).await;
        let id = open["proposals"][0]["id"].as_str().unwrap_or_else(|| panic!("{open}"));
        let path = self.below(&format!("proposals/{id}"));
        let shown = self.house.api.get(&path).await;
        self.house
            .api
            .post(&format!("{path}/apply"), json!({}))
            .await
            .expect(200);
        shown
    }
}

/// Models see neither carriage returns nor byte order marks, and write none: what they change keeps both.
#[tokio::test]
async fn line_ends_and_marks_survive_her_changes() {
    let desk = Desk::new().await;
    desk.write("notes.txt", "\u{feff}one\r\ntwo\r\nthree\r\n").await;
    let edits = json!({ "repository": null, "path": "notes.txt", "content": null, "message": null,
                        "edits": [{ "old": "one\ntwo", "new": "1\n1.5\n2" }] });
    let (result, _) = desk.writes(edits).await;
    assert_eq!(result["status"], "ok", "{result}");
    let shown = desk.apply_the_open_one().await;
    let lines = shown["diff"]["hunks"][0]["lines"].as_array().unwrap();
    let touched: Vec<&Value> = lines.iter().filter(|line| line["kind"] != "context").collect();
    assert_eq!(touched.len(), 5, "{shown}");
    let text = || fs::read_to_string(desk.clone_dir().join("notes.txt")).unwrap();
    assert_eq!(text(), "\u{feff}1\r\n1.5\r\n2\r\nthree\r\n");

    let whole =
        json!({ "repository": null, "path": "notes.txt", "content": "1\n2\nthree\n", "message": null, "edits": null });
    let (result, _) = desk.writes(whole).await;
    assert_eq!(result["status"], "ok", "{result}");
    desk.apply_the_open_one().await;
    assert_eq!(text(), "\u{feff}1\r\n2\r\nthree\r\n");
    desk.is_clean();
}

#[tokio::test]
async fn a_text_of_another_encoding_is_not_overwritten() {
    let desk = Desk::new().await;
    let utf_16: Vec<u8> = "\u{feff}first\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let body = json!({ "content": STANDARD.encode(&utf_16), "encoding": "base64" });
    desk.house.api.put(&desk.content("notes.txt"), body).await.expect(200);
    let head = desk.git(&["rev-parse", "HEAD"]);
    for change in [
        json!({ "edits": [{ "old": "first", "new": "1st" }], "content": null }),
        json!({ "edits": null, "content": "1st\n" }),
    ] {
        let mut arguments = json!({ "repository": null, "path": "notes.txt", "message": null });
        for (name, value) in change.as_object().unwrap() {
            arguments[name] = value.clone();
        }
        let (result, _) = desk.writes(arguments).await;
        assert_eq!(result["status"], "denied", "{result}");
    }
    assert_eq!(
        desk.house.api.get(&desk.below("proposals")).await["proposals"],
        json!([])
    );
    let read = desk.read("notes.txt").await;
    assert_eq!(
        (&read["encoding"], &read["content"]),
        (&json!("base64"), &json!(STANDARD.encode(utf_16)))
    );
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), head);
}

/// Attributes that give a commit other line ends than the file: what was applied is known again after a crash.
#[tokio::test]
async fn what_was_applied_is_known_whatever_its_line_ends() {
    let desk = Desk::new().await;
    desk.write(".gitattributes", "*.txt text eol=crlf\n").await;
    desk.write("win.txt", "one\r\ntwo\r\n").await;
    let edits = json!({ "repository": null, "path": "win.txt", "content": null, "message": null,
                        "edits": [{ "old": "two", "new": "2" }] });
    let (result, _) = desk.writes(edits).await;
    assert_eq!(result["status"], "ok", "{result}");
    let shown = desk.apply_the_open_one().await;
    let head = desk.git(&["rev-parse", "HEAD"]);
    assert_eq!(desk.git(&["show", "HEAD:win.txt"]), "one\n2");
    assert_eq!(
        fs::read_to_string(desk.clone_dir().join("win.txt")).unwrap(),
        "one\r\n2\r\n"
    );
    desk.is_clean();
    // As if a crash had come between the commit and the row.
    desk.reopen(shown["id"].as_str().unwrap()).await;
    let path = desk.below(&format!("proposals/{}/apply", shown["id"].as_str().unwrap()));
    let again = desk.house.api.post(&path, json!({})).await.expect(200);
    assert_eq!((&again["state"], &again["commit"]), (&json!("applied"), &json!(head)));
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), head);
}

#[tokio::test]
async fn names_hold_every_letter() {
    let desk = Desk::new().await;
    let api = &desk.house.api;
    let name = "a b/50% \"off\" #1? [x] 'y' & ä.txt";
    let path = desk.content(&name.split('/').map(quoted).collect::<Vec<_>>().join("/"));
    api.post(&path, json!({ "content": "one\n" })).await.expect(201);
    assert_eq!(desk.git(&["show", &format!("HEAD:{name}")]), "one");
    let written = api.put(&path, json!({ "content": "two\n" })).await.expect(200);
    assert_eq!((&written["path"], &written["changed"]), (&json!(name), &json!(true)));
    assert_eq!(api.get(&path).await["content"], "two\n");
    let rest = path.split_once("/content/").unwrap().1;
    let old = desk.ask("file-at-commit", &format!("/HEAD~1/{rest}")).await;
    assert_eq!(old["content"], "one\n");
    assert_eq!(
        desk.ask("blame", &format!("/{rest}")).await["ranges"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    let about = desk.ask("commits", &format!("?path={}", quoted(name))).await;
    assert_eq!(about["commits"].as_array().map(Vec::len), Some(2));
    let diff = desk.ask("diff", "/HEAD").await;
    assert_eq!(diff["parents"][0]["files"][0]["new_path"], json!(name));
    assert_eq!(desk.ask("search", "?q=two").await["results"][0]["path"], json!(name));
    for (q, found) in [
        (".*", false),
        ("t[w]o", false),
        ("tw\\w", false),
        ("(", true),
        ("fn main()", true),
    ] {
        let results = desk.ask("search", &format!("?q={}", quoted(q))).await["results"].clone();
        assert_eq!(results != json!([]), found, "{q}: {results}");
    }

    // One that differs in case only is the same file under another name.
    let rename = json!({ "from": "README.md", "to": "ReadMe.md" });
    api.post(&desk.of("files", "/rename"), rename).await.expect(200);
    assert_eq!(
        desk.git(&["ls-tree", "--name-only", "HEAD", "README.md", "ReadMe.md"]),
        "ReadMe.md"
    );
    let twin = api.post(&desk.content("README.MD"), json!({ "content": "twin" })).await;
    assert_eq!(twin.problem(409, "conflict")["paths"], json!(["ReadMe.md"]));

    for branch in ["fix/größe/a#b%25+c", "日本/語", "v1.2/\"q\""] {
        let made = json!({ "branch_name": branch, "create": true });
        let repo = api.post(&desk.of("branch", ""), made).await.expect(200);
        assert_eq!(repo["branch"], branch);
        let text = format!("on {branch}\n");
        desk.write("notes.txt", &text).await;
        let back = json!({ "branch_name": "main" });
        api.post(&desk.of("branch", ""), back).await.expect(200);
        let at = format!("?ref={}", quoted(branch));
        assert_eq!(desk.read(&format!("notes.txt{at}")).await["content"], json!(text));
        let newest = desk.ask("commits", &format!("{at}&limit=1")).await["commits"][0]["sha"].clone();
        assert_eq!(newest, desk.git(&["rev-parse", branch]));
        let there = json!({ "branch_name": branch });
        api.post(&desk.of("branch", ""), there).await.expect(200);
        assert_eq!(desk.sync(true).await.expect(200)["pushed"], true);
        assert_eq!(desk.forge.git(&["rev-parse", branch]), desk.git(&["rev-parse", branch]));
        api.post(&desk.of("branch", ""), json!({ "branch_name": "main" }))
            .await
            .expect(200);
    }
    desk.is_clean();
}

#[tokio::test]
async fn what_is_no_text_has_a_history_too() {
    let desk = Desk::new().await;
    let api = &desk.house.api;
    for bytes in [&[0, 1, 2][..], &[0, 1, 3]] {
        let body = json!({ "content": STANDARD.encode(bytes), "encoding": "base64" });
        api.put(&desk.content("bytes.bin"), body).await.expect(200);
    }
    let file = desk.ask("diff", "/HEAD").await["parents"][0]["files"][0].clone();
    assert_eq!(
        (&file["binary"], &file["hunks"], &file["status"]),
        (&json!(true), &json!([]), &json!("modified"))
    );
    let blame = desk.ask("blame", "/bytes.bin").await;
    assert_eq!(blame["ranges"][0]["sha"], desk.git(&["rev-parse", "HEAD"]));

    // A pointer is what is there: nothing is fetched from where it points, and no program is asked.
    desk.write(".gitattributes", "*.psd filter=lfs diff=lfs merge=lfs -text\n")
        .await;
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 104857600\n",
        "0".repeat(64)
    );
    desk.write("art.psd", &pointer).await;
    assert_eq!(desk.read("art.psd").await["content"], json!(pointer));
    assert_eq!(desk.ask("status", "").await["entries"], json!([]));
    assert_eq!(desk.git(&["show", "HEAD:art.psd"]), pointer.trim_end());

    // Another repository in it is a name and a commit.
    let commit = "1".repeat(40);
    desk.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},lib")]);
    desk.git(&["commit", "-q", "-m", "a submodule"]);
    let tree = desk.ask("files", "/tree").await;
    let entry = { tree["entries"].as_array().unwrap().iter() }
        .find(|entry| entry["name"] == "lib")
        .unwrap();
    assert_eq!((&entry["type"], &entry["sha"]), (&json!("submodule"), &json!(commit)));
    api.try_get(&desk.content("lib")).await.problem(404, "not-found");
    api.put(&desk.content("lib"), json!({ "content": "x" }))
        .await
        .problem(409, "conflict");
    api.put(&desk.content("lib/x"), json!({ "content": "x" }))
        .await
        .problem(409, "conflict");
}

/// More than is read or written travels all the same, and stands in nobody's way.
#[tokio::test]
async fn a_file_of_a_hundred_megabytes_is_only_not_shown() {
    let desk = Desk::new().await;
    let seed = desk.forge.seed();
    // Elsewhere, for it takes a while: a connection that the server ends meanwhile has to be noticed.
    let pushing = tokio::task::spawn_blocking(move || {
        let large = fs::File::create(seed.join("large.bin")).unwrap();
        large.set_len(100 * 1024 * 1024).unwrap();
        put(&seed, "beside.txt", "beside\n");
        git(&seed, &["add", "-A"]);
        git(&seed, &["commit", "-q", "-m", "large"]);
        git(&seed, &["push", "-q", "origin", "main"]);
    });
    pushing.await.unwrap();
    assert_eq!(desk.sync(false).await.expect(200)["result"], "fast_forwarded");
    let tree = desk.ask("files", "/tree").await;
    let entry = { tree["entries"].as_array().unwrap().iter() }
        .find(|entry| entry["name"] == "large.bin")
        .unwrap();
    assert_eq!(entry["size"], json!(104_857_600));
    for path in [
        desk.content("large.bin"),
        desk.of("file-at-commit", "/HEAD/large.bin"),
        desk.of("blame", "/large.bin"),
    ] {
        desk.house.api.try_get(&path).await.problem(413, "too-large");
    }
    let diff = desk.ask("diff", "/HEAD").await;
    let shown = { diff["parents"][0]["files"].as_array().unwrap().iter() }.find(|file| file["new_path"] == "large.bin");
    assert_eq!(shown.unwrap()["binary"], true, "{diff}");
    assert_eq!(
        desk.ask("search", "?q=beside").await["results"][0]["path"],
        "beside.txt"
    );
    desk.write("beside.txt", "changed\n").await;
    assert_eq!(desk.ask("status", "").await["entries"], json!([]));
    assert_eq!(desk.sync(true).await.expect(200)["pushed"], true);
    desk.is_clean();
}

#[tokio::test]
async fn a_repository_begins_without_a_commit() {
    let mut desk = Desk::bare(Forge::new()).await;
    let url = desk.forge.another("empty.git", &["init", "-q", "--bare", "-b", "main"]);
    let (repo, _) = desk.attach(json!({ "repo_url": url })).await;
    assert_eq!(
        (&repo["status"], &repo["branch"]),
        (&json!("ready"), &json!("main")),
        "{repo}"
    );
    let tree = desk.ask("files", "/tree").await;
    assert_eq!((&tree["entries"], &tree["commit"]), (&json!([]), &Value::Null));
    assert_eq!(desk.ask("commits", "").await["commits"], json!([]));
    assert_eq!(desk.ask("search", "?q=x").await["results"], json!([]));
    let status = desk.ask("status", "").await;
    assert_eq!(
        (&status["branch"], &status["commit"], &status["entries"]),
        (&json!("main"), &Value::Null, &json!([]))
    );
    assert_eq!(desk.ask("branches", "").await["current"], "main");
    for path in [
        desk.content("a"),
        desk.of("blame", "/a"),
        desk.of("diff", "/HEAD"),
        desk.of("commits", "?ref=main"),
    ] {
        desk.house.api.try_get(&path).await.problem(404, "not-found");
    }
    let idle = desk.sync(true).await.expect(200);
    assert_eq!(
        (&idle["result"], &idle["pushed"], &idle["head"]),
        (&json!("up_to_date"), &json!(false), &Value::Null)
    );
    // Her own change may be the first one.
    let first =
        json!({ "repository": null, "path": "README.md", "content": "# New\n", "edits": null, "message": "Begin" });
    let (result, _) = desk.writes(first).await;
    assert_eq!(result["status"], "ok", "{result}");
    desk.apply_the_open_one().await;
    let pushed = desk.sync(true).await.expect(200);
    assert_eq!(pushed["pushed"], true);
    let there = desk.house.setup.dir().join("there");
    fs::create_dir(&there).unwrap();
    git(&there, &["clone", "-q", &url, "."]);
    assert_eq!(git(&there, &["log", "--format=%s"]), "Begin");
    desk.is_clean();
}

#[tokio::test]
async fn without_a_branch_it_is_read_and_not_written() {
    let desk = Desk::new().await;
    desk.git(&["checkout", "-q", "--detach", "HEAD~1"]);
    let head = desk.git(&["rev-parse", "HEAD"]);
    let status = desk.ask("status", "").await;
    assert_eq!((&status["branch"], &status["commit"]), (&Value::Null, &json!(head)));
    assert_eq!(desk.repo().await["branch"], Value::Null);
    assert_eq!(desk.ask("branches", "").await["current"], Value::Null);
    assert_eq!(
        desk.ask("commits", "").await["commits"].as_array().map(Vec::len),
        Some(1)
    );
    let body = json!({ "content": "x" });
    let write = desk.house.api.put(&desk.content("a.txt"), body).await;
    for refused in [write, desk.sync(true).await] {
        let problem = refused.problem(409, "conflict");
        assert!(
            problem["detail"].as_str().unwrap().contains("no branch is checked out"),
            "{problem}"
        );
    }
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), head);
    let back = json!({ "branch_name": "main" });
    desk.house.api.post(&desk.of("branch", ""), back).await.expect(200);
    desk.write("a.txt", "x").await;
    desk.is_clean();
}

/// Somebody has put another commit in the place of one that was fetched: it is merged like any other history, and where
/// that cannot be, nothing is touched.
#[tokio::test]
async fn a_branch_that_was_rewritten_there_takes_nothing_away() {
    let desk = Desk::new().await;
    let seed = desk.forge.seed();
    let rewrite = |path: &str, text: &str| {
        put(&seed, path, text);
        git(&seed, &["add", "-A"]);
        git(&seed, &["commit", "-q", "--amend", "-m", "rewritten"]);
        git(&seed, &["push", "-q", "--force", "origin", "main"]);
    };
    desk.write("mine.txt", "mine\n").await;
    rewrite("theirs.txt", "theirs\n");
    let synced = desk.sync(false).await.expect(200);
    assert_eq!(
        (&synced["result"], &synced["fetched"]),
        (&json!("merged"), &json!(true))
    );
    for (path, text) in [
        ("mine.txt", "mine\n"),
        ("theirs.txt", "theirs\n"),
        ("notes.txt", "first\nsecond\nthird\n"),
    ] {
        assert_eq!(desk.read(path).await["content"], json!(text));
    }
    desk.is_clean();
    desk.write("theirs.txt", "mine\n").await;
    let head = desk.git(&["rev-parse", "HEAD"]);
    rewrite("theirs.txt", "theirs again\n");
    let problem = desk.sync(true).await.problem(409, "conflict");
    assert_eq!(problem["paths"], json!(["theirs.txt"]));
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), head);
    assert_eq!(desk.forge.git(&["log", "-1", "--format=%s", "main"]), "rewritten");
    desk.is_clean();
}

/// Of a history whose beginning nobody has, no half is kept.
#[tokio::test]
async fn a_remote_without_its_beginning_is_refused() {
    let mut desk = Desk::bare(Forge::new()).await;
    let whole = format!("file://{}", desk.forge.seed().display());
    let url = desk
        .forge
        .another("shallow.git", &["clone", "-q", "--bare", "--depth", "1", &whole]);
    let (repo, _) = desk.attach(json!({ "repo_url": url })).await;
    assert_eq!(repo["status"], "failed", "{repo}");
    assert!(repo["error"].as_str().unwrap().contains("shallow clone"), "{repo}");
    super::nothing_is_left(&desk.house);
}

#[tokio::test]
async fn two_projects_may_have_one_address() {
    let mut desk = Desk::new().await;
    let (project, att) = (desk.project.clone(), desk.att.clone());
    desk.project = new_project(&desk.house, "Other").await;
    let (repo, _) = desk.attach(json!({ "repo_url": desk.forge.url() })).await;
    assert_eq!(repo["status"], "ready");
    desk.write("notes.txt", "the other's\n").await;
    assert_eq!(desk.sync(true).await.expect(200)["pushed"], true);
    let other = std::mem::replace(&mut desk.project, project);
    let other_att = std::mem::replace(&mut desk.att, att);
    assert_eq!(desk.read("notes.txt").await["content"], "first\nsecond\nthird\n");
    assert_eq!(desk.sync(false).await.expect(200)["result"], "fast_forwarded");
    assert_eq!(desk.read("notes.txt").await["content"], "the other's\n");
    let crossed = format!("/api/projects/{other}/git/repos/{}", desk.att);
    desk.house.api.try_get(&crossed).await.problem(404, "not-found");
    let path = format!("/api/projects/{other}/git/repos/{other_att}");
    assert_eq!(desk.house.api.delete(&path).await.status, 204);
    desk.write("notes.txt", "mine\n").await;
    desk.is_clean();
}

#[tokio::test]
async fn a_login_that_no_longer_counts_is_replaced() {
    let mut desk = Desk::bare(Forge::with(Manners::guarded())).await;
    let login = |password: &str| json!({ "type": "password", "username": "me", "password": password });
    desk.attach(json!({ "repo_url": desk.forge.url(), "auth": login(PASSWORD) }))
        .await;
    desk.write("notes.txt", "mine\n").await;
    let api = &desk.house.api;
    let renew = async |auth: Value| api.patch(&desk.of("repos", ""), json!({ "auth": auth })).await;
    for (auth, known) in [(login("0ld-s3cret"), true), (json!({ "type": "none" }), false)] {
        renew(auth).await.expect(200);
        let problem = desk.sync(true).await.problem(422, "remote-credentials");
        let why = if known {
            "does not accept these credentials"
        } else {
            "wants credentials"
        };
        assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
        assert_eq!(desk.repo().await["status"], "ready");
    }
    let nonsense = [
        (json!({ "type": "ssh_key", "private_key": "x" }), "auth.type"),
        (json!({ "type": "password", "username": "me" }), "auth.password"),
        (json!({ "type": "cookie" }), "auth.type"),
    ];
    for (auth, field) in nonsense {
        let problem = renew(auth).await.problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field);
    }
    renew(Value::Null).await.problem(422, "invalid");
    renew(json!({})).await.problem(422, "invalid");
    let renewed = renew(json!({ "username": "me", "password": PASSWORD }))
        .await
        .expect(200);
    assert!(!renewed.to_string().contains(PASSWORD), "{renewed}");
    assert_eq!(desk.sync(true).await.expect(200)["pushed"], true);
    assert_eq!(desk.repo().await["error"], Value::Null);
    let secrets = desk.house.setup.data_dir().join("secrets/git").join(&desk.att);
    assert!(secrets.exists());
    assert_eq!(api.delete(&desk.of("repos", "")).await.status, 204);
    assert!(!secrets.exists());
    // Where nothing is cloned nothing is kept.
    let (repo, _) = desk.attach(json!({ "repo_url": desk.forge.url() })).await;
    assert_eq!(repo["status"], "failed");
    let path = desk.of("repos", "");
    let late = desk.house.api.patch(&path, json!({ "auth": login(PASSWORD) })).await;
    late.problem(409, "conflict");
    super::nothing_is_left(&desk.house);
}
