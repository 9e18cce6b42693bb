//! Her own tools that search, read, run and draw: all of them side by side in two rounds, on every door. Those of the
//! provider are in `hosted`.

use crate::{
    file_care::settled,
    files::upload,
    support::{
        client::{House, law},
        server::LIMIT,
    },
    web::peer::{Server, ok},
};
use openai_sim::{Call, Plan};
use serde_json::{Value, json};
use std::time::Instant;

const BREAD: &[u8] = b"# Bread\n\n## Baking\n\nBake at 250 degrees until the crust is brown.\n";

/// A SearXNG, and the page it finds.
async fn little_web() -> Server {
    Server::start("127.0.0.1", 0, |head| {
        if head.starts_with("get /search") {
            let hit = json!({ "url": "https://otter.example/", "title": "The otter", "content": "It holds hands." });
            let found = json!({ "results": [hit] }).to_string();
            ok("Content-Type: application/json\r\n", found.as_bytes())
        } else {
            let page = "<html><head><title>The otter</title></head><body><article><h1>The otter</h1><p>It sleeps on \
                        its back and holds hands, so that the river does not carry it away.</p></article></body></html>";
            ok("Content-Type: text/html\r\n", page.as_bytes())
        }
    })
    .await
}

async fn house(web: &Server) -> House {
    let base = web.url("/").to_string();
    House::with(|setup| {
        // There the provider brings no tools of its own.
        setup
            .env("MIRA_LLM_API", "chat")
            .env("MIRA_SEARXNG_URL", base)
            .env("MIRA_IMAGE_MODEL", "dall-e-3")
            .env("MIRA_ALLOW_PRIVATE_HOSTS", "127.0.0.1")
            .env("ENABLE_CODE_INTERPRETER", "true")
    })
    .await
}

/// Whether nothing may go unproven here.
#[expect(clippy::disallowed_methods, reason = "tests: what the gate says to them")]
fn must_prove() -> bool {
    std::env::var_os("CI").is_some()
}

/// Whether there is a box for code on this machine.
async fn has_box(house: &House) -> bool {
    let deadline = Instant::now() + LIMIT;
    loop {
        let listed = house.api.get("/api/tools").await;
        let mut tools = listed["tools"].as_array().unwrap().iter();
        let code = tools.find(|tool| tool["name"] == "code_interpreter").unwrap();
        let why = code["reason"].as_str().unwrap_or_default();
        if !why.contains("is being tested") {
            let there = code["available"] == true;
            assert!(
                there || !must_prove(),
                "the gate proves the box, and here is none: {why}"
            );
            return there;
        }
        assert!(Instant::now() < deadline, "it is never proven: {code}");
    }
}

fn call(name: &str, arguments: &Value) -> Call {
    Call::new(name, arguments)
}

fn result<'a>(results: &'a [Value], tool: &str) -> &'a Value {
    let found = results.iter().find(|result| result["tool_type"] == tool);
    found.unwrap_or_else(|| panic!("no result of {tool} in {results:#?}"))
}

fn check(results: &[Value], has_box: bool) {
    assert_eq!(results.len(), 7, "{results:#?}");
    let ok = |tool: &str| {
        let result = result(results, tool);
        assert_eq!(result["status"], "ok", "{result}");
        &result["data"]
    };
    assert!(ok("recall")["memories"].is_array());
    assert_eq!(ok("web_search")["results"][0]["url"], "https://otter.example/");
    assert_eq!(ok("fetch_url")["title"], "The otter");
    assert_eq!(ok("file_search")["results"][0]["name"], "bread.md");
    assert_eq!(ok("read_document")["name"], "bread.md");
    assert_eq!(ok("image_generation")["files"][0]["media_type"], "image/png");
    if has_box {
        let ran = ok("code_interpreter");
        assert_eq!(ran["stdout"].as_str().unwrap().trim(), "6", "{ran}");
        assert_eq!(ran["files"][0]["name"], "sum.txt", "{ran}");
    } else {
        assert_eq!(result(results, "code_interpreter")["status"], "unavailable");
    }
}

#[tokio::test]
async fn all_of_them_work_on_every_door() {
    let web = little_web().await;
    let house = house(&web).await;
    let mut line = house.line().await;
    let bread = upload(&house, "bread.md", BREAD).await;
    let sums = upload(&house, "sums.csv", b"n\n1\n2\n3\n").await;
    for file in [&bread, &sums] {
        assert_eq!(settled(&house, &mut line, file).await["status"], "ready");
    }
    let has_box = has_box(&house).await;
    let page = web.url("/otter").to_string();
    let code = "import csv\ntotal = sum(int(row['n']) for row in csv.DictReader(open('sums.csv')))\nprint(total)\n\
                open('sum.txt', 'w').write(str(total))\nNone";
    let push = || {
        house.sim.push(Plan::calls([
            call("recall", &json!({ "question": "otters", "limit": null })),
            call("web_search", &json!({ "query": "otters", "count": null })),
            call("fetch_url", &json!({ "url": page, "from": null })),
            call(
                "file_search",
                &json!({
                    "query": "How hot does it bake?",
                    "others": ["oven temperature of a loaf", " ", "word ".repeat(9999), "NEAR(\"", "crust", "one too many"],
                    "file_ids": null,
                    "count": null
                }),
            ),
            call("image_generation", &json!({ "prompt": "an otter", "shape": "square" })),
        ]));
        house.sim.push(Plan::calls([
            call(
                "read_document",
                &json!({ "file_id": bread["id"], "page": null, "from": null }),
            ),
            call("code_interpreter", &json!({ "code": code, "files": [sums["id"]] })),
        ]));
        house.sim.push(Plan::reply("All of it."));
    };
    // What the owner names may be read, whatever was read before.
    let words = format!("Read {page}, and do the rest.");

    push();
    line.chat(&words).await;
    let told = law(&line.until("done").await);
    assert_eq!((told.outcome.as_str(), told.text.as_str()), ("complete", "All of it."));
    check(&told.results, has_box);

    push();
    let told = law(&house.api.stream(json!({ "content": words })).await.rest().await);
    check(&told.results, has_box);

    push();
    let said = json!({ "message": words, "session_id": "eternal" });
    let answer = house.api.post("/chat", said).await.expect(200);
    assert_eq!(answer["output"], "All of it.", "{answer}");
    check(answer["tool_results"].as_array().unwrap(), has_box);

    // What they told is handed back as the API wants it.
    let wrong = house.refused();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let last = house.prompts().pop().unwrap().body.to_string();
    for part in ["holds hands", "250 degrees", "The otter"] {
        assert!(last.contains(part), "{part} in {last}");
    }
}
