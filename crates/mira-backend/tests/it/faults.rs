//! A model that fails: what the owner is told, what is kept, and that the next turn works.

use crate::{
    support::client::{House, Line, Told, long},
    web::peer::{Answer, Server, ok},
};
use openai_sim::{Ending, Fault, HttpFault, Plan, SimConfig};
use serde_json::{Value, json};

async fn house(api: &str) -> House {
    House::with(|setup| setup.env("MIRA_LLM_API", api)).await
}

/// Runs a turn with this plan, and one without.
async fn survive(house: &House, line: &mut Line, plan: Plan) -> Told {
    house.sim.push(plan);
    let before = house.api.history().await.len();
    let told = line.turn("please").await;
    let history = house.api.history().await;
    let kept = usize::from(told.outcome != "failed");
    assert_eq!(
        history.len(),
        before + 1 + kept,
        "the message stays, a reply only where there are words"
    );
    for message in &history {
        let words = message["content"].as_str().unwrap();
        assert!(
            !words.contains("HTTP") && !words.contains("quota"),
            "an error is never her words: {words}"
        );
    }
    assert_eq!(house.sim.planned(), 0);
    assert_eq!(line.turn("next").await.text, "to: next");
    told
}

fn http(status: u16, code: &str, message: &str) -> Plan {
    let mut fault = HttpFault::new(status);
    fault.code = Some(code.to_owned());
    message.clone_into(&mut fault.message);
    Plan::http(fault)
}

async fn failures_without_a_word(api: &str) {
    let house = house(api).await;
    let mut line = house.line().await;
    let cases = [
        ("401", Plan::status(401), "model-auth", 502, false),
        (
            "404",
            http(
                404,
                "model_not_found",
                "The model `gpt-5` does not exist or you do not have access to it.",
            ),
            "model-not-found",
            502,
            false,
        ),
        (
            "quota",
            http(429, "insufficient_quota", "You exceeded your current quota."),
            "model-quota",
            502,
            false,
        ),
        (
            "too long to wait",
            Plan::status(429).retry_after("3600"),
            "model-rate-limited",
            503,
            true,
        ),
        (
            "refusal",
            Plan::refusal("I will not say that."),
            "model-refused",
            502,
            false,
        ),
        ("nothing", Plan::text(""), "model-nonsense", 502, true),
        ("blank", Plan::reply("  \n "), "model-nonsense", 502, true),
    ];
    for (name, plan, slug, status, retryable) in cases {
        let told = survive(&house, &mut line, plan).await;
        assert_eq!((told.outcome.as_str(), told.slug()), ("failed", slug), "{name}");
        let error = told.error.unwrap();
        assert_eq!(
            (&error["error"]["status"], &error["retryable"]),
            (&json!(status), &json!(retryable)),
            "{name}"
        );
        assert!(error.get("message").is_none(), "{name}");
        let text = error.to_string();
        assert!(!text.contains("sk-test"), "{name}: {text}");
        // What the model said in refusing is the owner's to read, and no log's.
        assert_eq!(text.contains("I will not say that."), name == "refusal", "{text}");
    }
    house.server.stderr.wait_for("the model declined to answer");
    let log = house.server.stderr.all().join("\n");
    assert!(!log.contains("I will not say that."), "{log}");
}

#[tokio::test]
async fn failures_without_a_word_responses() {
    failures_without_a_word("responses").await;
}

#[tokio::test]
async fn failures_without_a_word_chat() {
    failures_without_a_word("chat").await;
}

async fn failures_in_the_middle(api: &str) {
    let house = house(api).await;
    let mut line = house.line().await;
    let words = long("w");
    let cases = [
        ("cut", Plan::reply(&words).fault(Fault::Cut(90)), "model-cut-off", true),
        (
            "cut inside",
            Plan::reply(&words).fault(Fault::CutInside(90)),
            "model-cut-off",
            true,
        ),
        (
            "closed",
            Plan::reply(&words).fault(Fault::Close(90)),
            "model-cut-off",
            true,
        ),
        (
            "garbage",
            Plan::reply(&words).fault(Fault::Garbage(90)),
            "model-nonsense",
            true,
        ),
    ];
    for (name, plan, slug, retryable) in cases {
        let told = survive(&house, &mut line, plan).await;
        assert_eq!((told.outcome.as_str(), told.slug()), ("interrupted", slug), "{name}");
        assert!(
            !told.text.is_empty() && words.starts_with(&told.text),
            "{name}: {}",
            told.text
        );
        let error = told.error.unwrap();
        assert_eq!(error["retryable"], retryable, "{name}");
        assert_eq!(error["message"]["status"], "interrupted", "{name}");
    }
    // Over REST the same is a problem, and the words are kept all the same.
    for path in ["/chat", "/api/chat"] {
        house.sim.push(Plan::reply(&words).fault(Fault::Cut(90)));
        let body = json!({ "content": "please", "session_id": "eternal" });
        house.api.post(path, body).await.problem(502, "model-cut-off");
        assert_eq!(house.api.history().await.last().unwrap()["status"], "interrupted");
    }
}

#[tokio::test]
async fn failures_in_the_middle_responses() {
    failures_in_the_middle("responses").await;
}

#[tokio::test]
async fn failures_in_the_middle_chat() {
    failures_in_the_middle("chat").await;
}

#[tokio::test]
async fn events_that_tell_of_a_failure() {
    let house = house("responses").await;
    let mut line = house.line().await;
    let words = long("e");
    for plan in [
        Plan::reply(&words).failed("server_error", "The model broke."),
        Plan::reply(&words).ending(Ending::ErrorFlat, None),
        Plan::reply(&words).ending(Ending::ErrorNested, None),
    ] {
        let told = survive(&house, &mut line, plan).await;
        assert_eq!(
            (told.outcome.as_str(), told.slug()),
            ("interrupted", "model-unavailable")
        );
    }
}

#[tokio::test]
async fn cut_before_the_first_word() {
    let house = house("responses").await;
    let mut line = house.line().await;
    // Reasoning was passed on, so the call is not repeated.
    let told = survive(
        &house,
        &mut line,
        Plan::reply("never heard").reasoning("hm").fault(Fault::Cut(8)),
    )
    .await;
    assert_eq!((told.outcome.as_str(), told.slug()), ("failed", "model-cut-off"));
}

#[tokio::test]
async fn a_passing_fault_is_not_seen() {
    for api in ["responses", "chat"] {
        let house = house(api).await;
        let mut line = house.line().await;
        for status in [429, 500, 503] {
            house.sim.push(Plan::status(status).retry_after_ms(1));
            house.sim.push(Plan::status(status).retry_after_ms(1));
            let told = line.turn("again").await;
            assert_eq!((told.text.as_str(), told.outcome.as_str()), ("to: again", "complete"));
        }
        assert_eq!(house.prompts().len(), 9);
    }
}

#[tokio::test]
async fn a_reply_cut_short_is_kept() {
    for api in ["responses", "chat"] {
        let house = house(api).await;
        let mut line = house.line().await;
        let words = long("i");
        let told = survive(&house, &mut line, Plan::reply(&words).incomplete("max_output_tokens")).await;
        assert!(!told.text.is_empty() && words.starts_with(&told.text));
        assert_eq!(told.outcome, "interrupted");
    }
}

#[tokio::test]
async fn plain_words_instead_of_an_object_are_the_reply() {
    for api in ["responses", "chat"] {
        let house = house(api).await;
        let mut line = house.line().await;
        let words = "Just words, {not} an \"object\".\n\nReally.";
        let told = survive(&house, &mut line, Plan::text(words)).await;
        assert_eq!(told.text, words);
        let reply = told.reply();
        assert_eq!(
            (&reply["persona"], &reply["content"]),
            (&json!("default"), &json!(words))
        );
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_there() {
    let house = house("responses").await;
    let mut line = house.line().await;
    let House { sim, api, .. } = house;
    sim.shutdown().await;
    let told = line.turn("anybody?").await;
    assert_eq!((told.outcome.as_str(), told.slug()), ("failed", "model-unavailable"));
    assert_eq!(told.error.unwrap()["retryable"], true);
    assert_eq!(api.history().await.len(), 1);
    assert!(api.get("/health").await["status"].is_string());
}

#[tokio::test]
async fn a_reply_that_never_ends_is_cut_and_kept() {
    let words = "and then ".repeat(7_000);
    let delta = json!({ "choices": [{ "index": 0, "delta": { "content": words } }] });
    let piece = format!("data: {delta}\n\n").into_bytes();
    let model = Server::start("127.0.0.1", 0, move |request| {
        if request.starts_with("get ") {
            return ok("Content-Type: application/json\r\n", br#"{"data":[{"id":"endless"}]}"#);
        }
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
        Answer::Endless(head.to_vec(), piece.clone())
    })
    .await;
    let house = House::with(|setup| {
        setup
            .env("MIRA_LLM_API", "chat")
            .env("OPENAI_BASE_URL", model.url("/v1").to_string())
    })
    .await;
    // Not over a socket, which so many words may be too fast for.
    let body = json!({ "content": "Tell me everything.", "session_id": "eternal" });
    house.api.post("/chat", body).await.problem(502, "model-nonsense");
    let reply = house.api.history().await.pop().unwrap();
    assert_eq!(reply["status"], "interrupted");
    let kept = reply["content"].as_str().unwrap();
    assert!(
        (2 << 20..3 << 20).contains(&kept.len()) && kept.starts_with("and then"),
        "{}",
        kept.len()
    );
}

#[tokio::test]
async fn odd_streams_are_read_all_the_same() {
    for api in ["responses", "chat"] {
        let house = house(api).await;
        let mut line = house.line().await;
        for directive in ["unknown", "split=1", "seed=7", "reasoning"] {
            let told = line
                .turn(&format!(
                    "x [[sim: output=\"añ \\\"quoted\\\" 🦊 \\\\ end\" {directive}]]"
                ))
                .await;
            assert_eq!(told.text, "añ \"quoted\" 🦊 \\ end", "{api} {directive}");
            assert_eq!(told.outcome, "complete");
        }
    }
}

#[tokio::test]
async fn a_wrong_key_is_said_so_and_not_shown() {
    let config = SimConfig::default();
    let house = House::of(config, |setup| setup.env("OPENAI_API_KEY", "sk-wrong-and-secret")).await;
    let answer = house.api.post("/api/chat", json!({ "content": "hi" })).await;
    let problem = answer.problem(502, "model-auth");
    assert!(
        problem["detail"].as_str().unwrap().contains("OPENAI_API_KEY"),
        "{problem}"
    );
    assert!(!problem.to_string().contains("wrong-and-secret"));
    let logged = house.server.stderr.all().join("\n");
    assert!(
        !logged.contains("wrong-and-secret") && !logged.contains("\"hi\""),
        "{logged}"
    );
    assert_eq!(house.api.history().await.len(), 1);
    assert_eq!(house.api.history().await[0]["parent_id"], Value::Null);
}
