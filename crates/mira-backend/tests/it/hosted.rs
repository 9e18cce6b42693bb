//! Tools the model's provider runs itself: seen, kept and pointed at like any other, on every door; what goes wrong with
//! them; copies of the owner's documents at the provider.

use crate::{
    files::upload,
    support::{
        client::{House, Told, law},
        server::{LIMIT, Setup},
    },
};
use openai_sim::{Call, Cite, Fault, HostedCall, MadeFile, PIXEL, Plan, SimConfig};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Instant;

const WORDS: &str = "Zoë's \"tea\" page \u{1f375} says so; here is the plot.";

/// Tests have no box for code unless they say so, and what is switched off is off at the provider too.
fn coding(setup: Setup) -> Setup {
    setup.env("ENABLE_CODE_INTERPRETER", "true")
}

async fn house() -> House {
    House::with(coding).await
}

fn recall(question: &str) -> Call {
    Call::new("recall", &json!({ "question": question, "limit": null }))
}

fn plot(gone: bool) -> MadeFile {
    let mut plot = MadeFile::new("plot.png", "image/png", PIXEL);
    plot.gone = gone;
    plot
}

/// Three rounds: hosted calls beside a function's, between words, and before the last words.
fn push(house: &House) {
    let search = HostedCall::search("tea", &["https://example.org/tea"]);
    let draw = HostedCall::draw("a cup", PIXEL);
    let run = HostedCall::run("plot()", "done\n", vec![plot(false)]);
    house
        .sim
        .push(Plan::calls([recall("tea")]).hosted([search, draw]).reasoning("Hm."));
    house.sim.push(Plan::reply("Let me plot.").then_calls([recall("cup")]));
    house.sim.push(Plan::reply(WORDS).hosted([run]).cites([
        Cite::url("\"tea\" page \u{1f375}", "https://example.org/tea", "All of tea"),
        Cite::made("the plot", "plot.png"),
    ]));
}

fn words_at(text: &str, citation: &Value) -> String {
    let place = |key: &str| usize::try_from(citation[key].as_u64().unwrap()).unwrap();
    text.chars().take(place("end")).skip(place("start")).collect()
}

fn result<'a>(results: &'a [Value], tool: &str) -> &'a Value {
    results.iter().find(|result| result["tool_type"] == tool).unwrap()
}

async fn content(house: &House, id: &Value) -> Vec<u8> {
    let path = format!("/api/files/{}/content", id.as_str().unwrap());
    let response = house.api.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.bytes().await.unwrap().to_vec()
}

async fn check(house: &House, text: &str, results: &[Value], citations: &[Value]) {
    assert_eq!(text, format!("Let me plot.\n\n{WORDS}"));
    assert_eq!(results.len(), 5);
    assert!(results.iter().all(|result| result["status"] == "ok"), "{results:#?}");
    let found = &result(results, "web_search")["data"];
    assert_eq!(
        (&found["query"], &found["results"][0]["url"]),
        (&json!("tea"), &json!("https://example.org/tea"))
    );
    let ran = &result(results, "code_interpreter")["data"];
    assert_eq!((&ran["code"], &ran["stdout"]), (&json!("plot()"), &json!("done\n")));
    let drawn = &result(results, "image_generation")["data"];
    assert_eq!(
        (&drawn["prompt"], &drawn["files"][0]["media_type"]),
        (&json!("a cup"), &json!("image/png"))
    );
    assert_eq!(content(house, &drawn["files"][0]["id"]).await, PIXEL);
    assert_eq!(citations.len(), 2, "{citations:#?}");
    assert_eq!(words_at(text, &citations[0]), "\"tea\" page \u{1f375}");
    assert_eq!(
        (&citations[0]["url"], &citations[0]["title"]),
        (&json!("https://example.org/tea"), &json!("All of tea"))
    );
    assert_eq!(words_at(text, &citations[1]), "the plot");
    assert_eq!(content(house, &citations[1]["file_id"]).await, PIXEL);
}

#[tokio::test]
async fn they_work_on_every_door_beside_other_calls_and_over_rounds() {
    let house = house().await;
    push(&house);
    let mut line = house.line().await;
    line.chat("Plot it.").await;
    let told = law(&line.until("done").await);
    check(&house, &told.text, &told.results, &told.citations).await;
    let call = told
        .calls
        .iter()
        .find(|call| call["tool"] == "code_interpreter")
        .unwrap();
    assert_eq!(call["effect"], "read");
    // Stored with their whole arguments, and told again on reload.
    let stored = house.api.history().await[1].clone();
    let kept = stored["tool_calls"].as_array().unwrap().clone();
    let code = kept.iter().find(|call| call["tool"] == "code_interpreter").unwrap();
    assert_eq!(code["arguments"]["code"], "plot()");
    assert_eq!(stored["citations"].as_array().unwrap().len(), 2);
    // What the provider did in an earlier round goes back to it as it came.
    let sent = house.prompts()[1].body.to_string();
    assert!(
        sent.contains("web_search_call") && sent.contains("image_generation_call"),
        "{sent}"
    );

    push(&house);
    let mut events = house.api.stream(json!({ "content": "Plot it again." })).await;
    let told = law(&events.rest().await);
    check(&house, &told.text, &told.results, &told.citations).await;

    push(&house);
    let said = json!({ "message": "And again.", "session_id": "eternal" });
    let answer = house.api.post("/chat", said).await.expect(200);
    let (results, citations) = (
        answer["tool_results"].as_array().unwrap(),
        answer["citations"].as_array().unwrap(),
    );
    check(&house, answer["output"].as_str().unwrap(), results, citations).await;
    // Each reply keeps what was made for it, once.
    let files = house.api.get("/api/files").await["files"].as_array().unwrap().len();
    assert_eq!(files, 3 * 2);
}

async fn told(house: &House, plan: Plan) -> Told {
    house.sim.push(plan);
    house.line().await.turn("Go on.").await
}

#[tokio::test]
async fn what_goes_wrong_is_said_and_ends_well() {
    let house = house().await;
    let run = || HostedCall::run("1", "", vec![plot(true)]);
    let failed = told(
        &house,
        Plan::reply("No luck.").hosted([HostedCall::search("q", &[]).failing(), run().failing()]),
    )
    .await;
    assert_eq!(failed.outcome, "complete");
    assert!(
        failed.results.iter().all(|result| result["status"] == "failed"),
        "{failed:?}"
    );

    // The container is gone before its file is fetched: the words stay, and point at no file.
    let plan = Plan::reply("Here is the plot.")
        .hosted([run()])
        .cites([Cite::made("the plot", "plot.png")]);
    let gone = told(&house, plan).await;
    assert_eq!(gone.outcome, "complete");
    assert_eq!(gone.citations[0].get("file_id").filter(|id| !id.is_null()), None);
    assert_eq!(words_at(&gone.text, &gone.citations[0]), "the plot");

    // The stream breaks off inside a call: it gets its result, the turn its end.
    let cut = told(&house, Plan::reply("Never said.").hosted([run()]).fault(Fault::Cut(4))).await;
    assert_eq!((cut.outcome.as_str(), cut.slug()), ("failed", "model-cut-off"));
    assert_eq!(cut.results[0]["status"], "failed");
    assert_eq!(told(&house, Plan::reply("Still here.")).await.outcome, "complete");
}

#[tokio::test]
async fn stopped_while_the_provider_works() {
    let house = house().await;
    let gate = house.gated(Plan::reply("Never said.").hosted([HostedCall::search("q", &[])]));
    gate.release(4);
    let mut line = house.line().await;
    line.chat("Search.").await;
    let mut frames = line.until("tool_call").await;
    line.send(json!({ "type": "stop" })).await;
    frames.extend(line.until("done").await);
    let told = law(&frames);
    assert_eq!(
        (told.outcome.as_str(), &told.results[0]["status"]),
        ("stopped", &json!("failed"))
    );
}

#[tokio::test]
async fn a_refused_tool_is_offered_no_longer_and_the_rest_is() {
    let config = SimConfig {
        refused_tools: vec!["code_interpreter".to_owned()],
        ..SimConfig::default()
    };
    let house = House::of(config, |setup| coding(setup).env("ENABLE_IMAGE_GENERATION", "false")).await;
    let mut line = house.line().await;
    for _ in 0..2 {
        assert_eq!(line.turn("Hello.").await.outcome, "complete");
    }
    let tools = house.prompts().pop().unwrap().body["tools"].as_array().unwrap().clone();
    let kinds: Vec<&str> = tools
        .iter()
        .map(|tool| tool["type"].as_str().unwrap())
        .filter(|kind| *kind != "function")
        .collect();
    assert_eq!(kinds, ["web_search"]);
    assert!(
        house
            .server
            .stderr
            .all()
            .iter()
            .any(|line| line.contains("WARN") && line.contains("code_interpreter"))
    );
    let refused = house
        .sim
        .requests()
        .iter()
        .filter(|request| request.verdict.is_err())
        .count();
    assert_eq!(refused, 1, "asked for once");
}

/// Waits for a line in the log; the provider answers in this very thread meanwhile.
async fn logged(house: &House, part: &str) {
    let deadline = Instant::now() + LIMIT;
    while !house.server.stderr.all().iter().any(|line| line.contains(part)) {
        assert!(
            Instant::now() < deadline,
            "no line with {part:?}: {:#?}",
            house.server.stderr.all()
        );
        tokio::task::yield_now().await;
    }
}

/// Waits until a document can be searched where it lies.
async fn searchable(house: &House) {
    logged(house, "can be searched at the provider").await;
    assert_eq!(house.sim.shelf(), (1, 1));
}

const TEA: &[u8] = b"Oolong is half green.\n\nPu-erh is dark and old.";

#[tokio::test]
async fn documents_are_given_to_the_provider_and_taken_back() {
    let house = House::with(|setup| coding(setup).env("RUST_LOG", "info")).await;
    let file = upload(&house, "tea.md", TEA).await;
    searchable(&house).await;
    let search = || Plan::reply("It is dark and old.").hosted([HostedCall::look("Which tea is dark?")]);
    let answer = told(&house, search().cites([Cite::given("dark and old", "tea.md")])).await;
    let found = &answer.results[0]["data"];
    assert_eq!(found["queries"], json!(["Which tea is dark?"]));
    let hit = &found["results"][0];
    assert_eq!(
        (&hit["file_id"], &hit["name"]),
        (&file["id"], &json!("tea.md")),
        "{found}"
    );
    assert!(hit["snippet"].as_str().unwrap().contains("Pu-erh"), "{hit}");
    assert_eq!(answer.citations[0]["file_id"], file["id"]);
    let sent = house.prompts().pop().unwrap().body;
    let offered = sent["tools"].as_array().unwrap();
    assert!(offered.iter().any(|tool| tool["type"] == "file_search"), "{sent}");
    let container = &offered.iter().find(|tool| tool["type"] == "code_interpreter").unwrap()["container"];
    assert_eq!(
        container["file_ids"].as_array().unwrap().len(),
        1,
        "code can read it too"
    );
    // Deleted here, deleted there, the empty store too.
    house
        .api
        .delete(&format!("/api/files/{}", file["id"].as_str().unwrap()))
        .await
        .expect(204);
    logged(&house, "is deleted at the provider too").await;
    assert_eq!(house.sim.shelf(), (0, 0));
    let last = told(&house, search()).await;
    assert!(last.results.is_empty(), "nothing is left to search: {last:?}");
}

#[tokio::test]
async fn a_store_that_expired_is_made_anew() {
    let mut house = House::with(|setup| coding(setup).env("RUST_LOG", "info")).await;
    upload(&house, "tea.md", TEA).await;
    searchable(&house).await;
    house.sim.expire_stores();
    // The turn goes on without it.
    assert_eq!(told(&house, Plan::reply("Hm.")).await.outcome, "complete");
    house.server.signal("TERM");
    assert!(house.server.wait().success());
    house.restart().await;
    searchable(&house).await;
    let found = told(
        &house,
        Plan::reply("Dark.").hosted([HostedCall::look("Which tea is dark?")]),
    )
    .await;
    assert_eq!(found.results[0]["data"]["results"][0]["name"], "tea.md");
}

#[tokio::test]
async fn pictures_are_drawn_where_the_provider_draws_none() {
    let house = House::with(|setup| {
        let setup = setup.env("MIRA_LLM_API", "chat").env("MIRA_IMAGE_MODEL", "dall-e-3");
        setup.env("MIRA_ALLOW_PRIVATE_HOSTS", "127.0.0.1")
    })
    .await;
    let draw = |prompt: &str| Call::new("image_generation", &json!({ "prompt": prompt, "shape": "square" }));
    house.sim.push(Plan::calls([draw("a cup"), draw(" ")]));
    let drawn = told(&house, Plan::reply("There.")).await;
    let mut results = drawn.results.clone();
    results.sort_by_key(|result| result["status"] == "ok");
    assert_eq!(
        (&results[0]["status"], &results[1]["status"]),
        (&json!("failed"), &json!("ok"))
    );
    assert_eq!(results[1]["data"]["prompt"], "A picture: a cup");
    assert_eq!(content(&house, &results[1]["data"]["files"][0]["id"]).await, PIXEL);
}
