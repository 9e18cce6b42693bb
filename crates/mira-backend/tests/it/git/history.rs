//! Branches, log, differences, blame, status, search: what the `git` command says of the same clone.

use super::Desk;
use serde_json::{Value, json};

fn column(list: &Value, field: &str) -> Vec<String> {
    { list.as_array().unwrap().iter() }
        .map(|item| item[field].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn branches_are_listed_made_and_switched() {
    let desk = Desk::new().await;
    let api = &desk.house.api;
    let mut line = desk.house.line().await;
    let switch = async |name: &str, create: bool| {
        let body = json!({ "branch_name": name, "create": create });
        api.post(&desk.of("branch", ""), body).await
    };
    let repo = switch("fix/typo", true).await.expect(200);
    assert_eq!(repo["branch"], "fix/typo");
    assert_eq!(line.wait("git").await["object"]["branch"], "fix/typo");
    desk.write("README.md", "# Fixed\n").await;
    let branches = api.get(&desk.of("branches", "")).await;
    assert_eq!(branches["current"], "fix/typo");
    let names = column(&branches["branches"], "name");
    assert!(
        names.contains(&"main".to_owned()) && names.contains(&"origin/main".to_owned()),
        "{names:?}"
    );
    let main = { branches["branches"].as_array().unwrap().iter() }
        .find(|one| one["name"] == "main")
        .unwrap();
    assert_eq!(
        (&main["upstream"], &main["ahead"], &main["behind"]),
        (&json!("origin/main"), &json!(0), &json!(0))
    );

    // An edit that is in the way stays, and so does the branch.
    std::fs::write(desk.clone_dir().join("README.md"), "by hand").unwrap();
    let problem = switch("main", false).await.problem(409, "conflict");
    assert_eq!(problem["paths"], json!(["README.md"]));
    assert_eq!(desk.git(&["branch", "--show-current"]), "fix/typo");
    desk.git(&["checkout", "-q", "--", "README.md"]);
    switch("main", false).await.expect(200);
    assert_eq!(desk.read("README.md").await["content"], "# It\n");
    switch("main", true).await.problem(409, "conflict");
    switch("nowhere", false).await.problem(404, "not-found");
    for name in ["", "-f", "a..b", "a b", "HEAD", "a.lock", "refs/../x"] {
        switch(name, true).await.problem(422, "invalid");
    }
    // What the owner does by hand is noticed.
    desk.git(&["checkout", "-q", "fix/typo"]);
    assert_eq!(api.get(&desk.of("status", "")).await["branch"], "fix/typo");
    assert_eq!(desk.repo().await["branch"], "fix/typo");
}

#[tokio::test]
async fn history_is_told_as_git_has_it() {
    let desk = Desk::new().await;
    let api = &desk.house.api;
    for n in 0..5 {
        desk.write("src/main.rs", &format!("fn main() {{\n    println!(\"{n}\");\n}}\n"))
            .await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&desk.of("commits", &format!("?limit=3{cursor}"))).await;
        seen.extend(column(&page["commits"], "sha"));
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    let all = desk.git(&["log", "--format=%H"]);
    assert_eq!(seen, all.lines().collect::<Vec<_>>());
    let about = api.get(&desk.of("commits", "?path=notes.txt")).await;
    assert_eq!(column(&about["commits"], "summary"), ["notes"]);

    let head = &seen[0];
    let diff = api.get(&desk.of("diff", &format!("/{head}"))).await;
    assert_eq!(diff["parents"][0]["sha"], seen[1]);
    let file = &diff["parents"][0]["files"][0];
    assert_eq!(
        (&file["new_path"], &file["status"]),
        (&json!("src/main.rs"), &json!("modified"))
    );
    let lines: Vec<(&str, &str)> = { file["hunks"][0]["lines"].as_array().unwrap().iter() }
        .map(|line| (line["kind"].as_str().unwrap(), line["text"].as_str().unwrap()))
        .collect();
    assert_eq!(
        lines,
        [
            ("context", "fn main() {"),
            ("removed", "    println!(\"3\");"),
            ("added", "    println!(\"4\");"),
            ("context", "}"),
        ]
    );
    let old = api
        .get(&desk.of("file-at-commit", &format!("/{}/src/main.rs", seen[1])))
        .await;
    assert!(old["content"].as_str().unwrap().contains("\"3\""), "{old}");
    let blame = api.get(&desk.of("blame", "/src/main.rs")).await;
    let ranges: Vec<(u64, u64)> = { blame["ranges"].as_array().unwrap().iter() }
        .map(|range| (range["start_line"].as_u64().unwrap(), range["lines"].as_u64().unwrap()))
        .collect();
    assert_eq!(ranges, [(1, 1), (2, 1), (3, 1)]);
    assert_eq!(blame["ranges"][1]["sha"], *head);
    for path in [
        desk.of("diff", "/0000000000000000000000000000000000000000"),
        desk.of("file-at-commit", &format!("/{head}/none")),
        desk.of("blame", "/none"),
    ] {
        api.try_get(&path).await.problem(404, "not-found");
    }
    api.try_get(&desk.of("diff", "/HEAD@%7B1%7D"))
        .await
        .problem(422, "invalid");
    for (query, field) in [
        ("cursor=nonsense", "cursor"),
        ("cursor=", "cursor"),
        ("limit=0", "limit"),
        ("path=..", "path"),
    ] {
        let problem = api.try_get(&desk.of("commits", &format!("?{query}"))).await;
        assert_eq!(problem.problem(422, "invalid")["errors"][0]["field"], field, "{query}");
    }
    // Whatever names no commit is answered as such, never as a fault of ours.
    let many = format!("HEAD{}", "~1".repeat(120));
    for name in [
        "v1",
        "HEAD~99999999999",
        "HEAD^99",
        "HEAD^0~7",
        "@",
        "HEAD@",
        "a@b",
        "-",
        "abcd",
        "0",
        &many,
        "HEAD~0~",
    ] {
        let status = api.try_get(&desk.of("commits", &format!("?ref={name}"))).await.status;
        assert!(matches!(status, 200 | 404 | 422), "{name}: {status}");
    }
}

#[tokio::test]
async fn state_and_search() {
    let desk = Desk::new().await;
    let api = &desk.house.api;
    let clean = api.get(&desk.of("status", "")).await;
    assert_eq!(
        (&clean["entries"], &clean["upstream"]),
        (&json!([]), &json!("origin/main"))
    );
    std::fs::write(desk.clone_dir().join("notes.txt"), "other\n").unwrap();
    std::fs::write(desk.clone_dir().join("fresh.txt"), "fresh\n").unwrap();
    let status = api.get(&desk.of("status", "")).await;
    let entries: Vec<(&str, &str)> = { status["entries"].as_array().unwrap().iter() }
        .map(|entry| (entry["path"].as_str().unwrap(), entry["unstaged"].as_str().unwrap()))
        .collect();
    assert_eq!(entries, [("fresh.txt", "untracked"), ("notes.txt", "modified")]);
    let below = api.get(&desk.of("status", "?path=src")).await;
    assert_eq!(below["entries"], json!([]));

    let found = api.get(&desk.of("search", "?q=PRINTLN!(")).await;
    assert_eq!(found["results"], json!([]), "capitals count");
    let found = api.get(&desk.of("search", "?q=println!(")).await;
    assert_eq!(
        found["results"],
        json!([{ "path": "src/main.rs", "line": 2, "text": "    println!(\"one\");" }])
    );
    for q in ["(", "%25", "'%20OR%201", "%00", "a".repeat(1000).as_str()] {
        api.get(&desk.of("search", &format!("?q={q}"))).await;
    }
    api.try_get(&desk.of("search", "?q=")).await.problem(422, "invalid");
    api.try_get(&desk.of("search", "")).await.problem(422, "invalid");
}
