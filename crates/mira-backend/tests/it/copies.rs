//! Copies of the owner's documents at the model's provider: given, taken back, and given anew where they are gone.

use crate::{
    file_care::{number, run},
    files::upload,
    hosted::{coding, told},
    support::{client::House, server::LIMIT},
};
use mira_core::clock::{Clock, SystemClock};
use openai_sim::{Cite, Gate, HostedCall, Plan, SimConfig, Target};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Instant;

/// Waits for a line in the log; the provider answers in this very thread meanwhile.
pub async fn logged(house: &House, part: &str) {
    logged_times(house, part, 1).await;
}

async fn logged_times(house: &House, part: &str, times: usize) {
    let deadline = Instant::now() + LIMIT;
    let found = |lines: &[String]| lines.iter().filter(|line| line.contains(part)).count();
    while found(&house.server.stderr.all()) < times {
        assert!(
            Instant::now() < deadline,
            "not {times} lines with {part:?}: {:#?}",
            house.server.stderr.all()
        );
        tokio::task::yield_now().await;
    }
}

const SEARCHABLE: &str = "can be searched at the provider";

/// Waits until a document can be searched where it lies.
async fn searchable(house: &House) {
    logged(house, SEARCHABLE).await;
    assert_eq!(house.sim.shelf(), (1, 1));
}

/// A house with a log to read.
async fn told_of() -> House {
    House::with(|setup| coding(setup).env("RUST_LOG", "info")).await
}

const TEA: &[u8] = b"Oolong is half green.\n\nPu-erh is dark and old.";

#[tokio::test]
async fn documents_are_given_to_the_provider_and_taken_back() {
    let house = told_of().await;
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

/// A house whose provider's clock goes right.
async fn dated() -> House {
    let config = SimConfig {
        epoch_seconds: SystemClock.now().as_second().unsigned_abs(),
        ..SimConfig::default()
    };
    House::of(config, |setup| coding(setup).env("RUST_LOG", "info")).await
}

/// Uploads a document whose copy reaches the provider while its answer does not reach Mira.
async fn cut_off(house: &mut House) -> Value {
    let gate = Gate::closed();
    house.sim.push(Plan::reply("").target(Target::Files).gated(&gate));
    let file = upload(house, "tea.md", TEA).await;
    let deadline = Instant::now() + LIMIT;
    while house.sim.shelf() != (1, 0) {
        assert!(Instant::now() < deadline, "nothing was sent: {:?}", house.sim.shelf());
        tokio::task::yield_now().await;
    }
    file
}

async fn restarted(house: &mut House) {
    house.server.signal("TERM");
    assert!(house.server.wait().success());
    house.restart().await;
}

#[tokio::test]
async fn a_sending_that_was_cut_off_leaves_nothing_unknown() {
    let mut house = dated().await;
    cut_off(&mut house).await;
    restarted(&mut house).await;
    logged(&house, "is found at the provider").await;
    searchable(&house).await;
    // The same, and the file goes before anybody knows of its copy.
    let mut house = dated().await;
    let file = cut_off(&mut house).await;
    let path = format!("/api/files/{}", file["id"].as_str().unwrap());
    house.api.delete(&path).await.expect(204);
    restarted(&mut house).await;
    logged(&house, "whose sending was cut off is deleted").await;
    logged(&house, "is deleted at the provider too").await;
    assert_eq!(house.sim.shelf(), (0, 0));
}

#[tokio::test]
async fn a_copy_that_cannot_be_removed_holds_up_no_other() {
    let house = told_of().await;
    let mut paths = Vec::new();
    for name in ["stuck.md", "free.md"] {
        let file = upload(&house, name, TEA).await;
        paths.push(format!("/api/files/{}", file["id"].as_str().unwrap()));
    }
    let deadline = Instant::now() + LIMIT;
    while house.sim.shelf() != (2, 1) {
        assert!(Instant::now() < deadline, "{:?}", house.sim.shelf());
        tokio::task::yield_now().await;
    }
    house.sim.stick_file("stuck.md", true);
    for path in &paths {
        house.api.delete(path).await.expect(204);
    }
    logged(&house, "is deleted at the provider too").await;
    assert_eq!(house.sim.shelf(), (1, 1));
    let figure = async || {
        let figures = house.api.request(Method::GET, "/metrics").send().await.unwrap();
        let figures = figures.text().await.unwrap();
        figures.lines().any(|line| line == "mira_stuck_copies 1")
    };
    while !figure().await {
        assert!(Instant::now() < deadline, "nobody is told");
    }
    // Documents are given on.
    upload(&house, "new.md", TEA).await;
    while house.sim.shelf() != (2, 1) {
        assert!(Instant::now() < deadline, "{:?}", house.sim.shelf());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_store_that_expired_is_made_anew() {
    let mut house = told_of().await;
    upload(&house, "tea.md", TEA).await;
    searchable(&house).await;
    house.sim.expire_stores();
    // The turn goes on without it.
    assert_eq!(told(&house, Plan::reply("Hm.")).await.outcome, "complete");
    restarted(&mut house).await;
    searchable(&house).await;
    let found = told(
        &house,
        Plan::reply("Dark.").hosted([HostedCall::look("Which tea is dark?")]),
    )
    .await;
    assert_eq!(found.results[0]["data"]["results"][0]["name"], "tea.md");
}

/// The ids of the files that the code of the last request may read.
fn readable(house: &House) -> Vec<Value> {
    let sent = house.prompts().pop().unwrap().body;
    let tools = sent["tools"].as_array().unwrap();
    let code = tools.iter().find(|tool| tool["type"] == "code_interpreter").unwrap();
    code["container"]["file_ids"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_copy_that_is_gone_costs_no_tool_and_is_given_anew() {
    let house = told_of().await;
    upload(&house, "tea.md", TEA).await;
    upload(&house, "milk.md", b"Milk goes in last.").await;
    logged_times(&house, SEARCHABLE, 2).await;
    let turn = async || {
        let run = HostedCall::run("1", "one\n", Vec::new());
        let told = told(&house, Plan::reply("Done.").hosted([run])).await;
        let ran = &told.results[0];
        assert_eq!(
            (&ran["tool_type"], &ran["status"]),
            (&json!("code_interpreter"), &json!("ok"))
        );
        readable(&house)
    };
    let before = turn().await;
    assert_eq!(before.len(), 2);
    house.sim.lose_file("tea.md");
    let left = turn().await;
    assert_eq!(left.len(), 1, "{left:?}");
    logged(&house, "a copy is gone at the provider").await;
    logged_times(&house, SEARCHABLE, 3).await;
    assert_eq!(house.sim.shelf(), (2, 1));
    let again = turn().await;
    assert_eq!(again.len(), 2, "{again:?}");
    assert!(again.contains(&left[0]) && again != before, "{again:?}");
    let of_model = house.sim.requests().into_iter();
    let refused = of_model.filter(|request| request.path.ends_with("/responses") && request.verdict.is_err());
    assert_eq!(refused.count(), 1, "asked for once");
    let log = house.server.stderr.all();
    assert!(
        !log.iter().any(|line| line.contains("does not run these tools")),
        "{log:#?}"
    );
}

#[tokio::test]
async fn search_that_is_switched_on_later_finds_what_was_sent_before() {
    let mut house = House::with(|setup| {
        let setup = coding(setup).env("RUST_LOG", "info");
        setup.env("ENABLE_FILE_SEARCH", "false")
    })
    .await;
    upload(&house, "tea.md", TEA).await;
    let deadline = Instant::now() + LIMIT;
    let sent = "SELECT count(*) FROM provider_files WHERE remote_id IS NOT NULL AND state = 'failed'";
    while number(&house, sent).await == 0 {
        assert!(Instant::now() < deadline, "{:?}", house.sim.shelf());
    }
    assert_eq!(house.sim.shelf(), (1, 0));
    house.setup.set("ENABLE_FILE_SEARCH", "true");
    restarted(&mut house).await;
    searchable(&house).await;
}

#[tokio::test]
async fn an_older_database_finds_out_what_the_provider_has() {
    let mut house = dated().await;
    let old = upload(&house, "old.md", TEA).await;
    searchable(&house).await;
    let backup = house.setup.dir().join("backup.db").to_str().unwrap().to_owned();
    assert!(run(&house.setup, &["backup", &backup]).await.status.success());
    // Since then one document went and another came.
    let path = format!("/api/files/{}", old["id"].as_str().unwrap());
    house.api.delete(&path).await.expect(204);
    logged(&house, "is deleted at the provider too").await;
    upload(&house, "new.md", b"Coffee is not tea.").await;
    logged_times(&house, SEARCHABLE, 2).await;
    house.server.signal("TERM");
    assert!(house.server.wait().success());
    let restored = run(&house.setup, &["restore", &backup]).await;
    assert!(restored.status.success(), "{restored:?}");
    house.restart().await;
    logged(&house, "is deleted at the provider too").await;
    logged(&house, "a copy is gone at the provider").await;
    searchable(&house).await;
    let look = HostedCall::look("Which tea is dark?");
    let found = told(&house, Plan::reply("Dark.").hosted([look])).await;
    assert_eq!(found.results[0]["data"]["results"][0]["name"], "old.md", "{found:?}");
}
