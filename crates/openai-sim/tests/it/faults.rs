//! What goes wrong on purpose, gates, pace, directives.

use openai_sim::{Brain, Fault, Gate, HttpFault, Plan, Script, Sim, SimConfig, Split, Target, Then};
use serde_json::json;

use crate::support::{answer, ask, ask_chat, client, events, joined, kinds, planned, post, sim, stream};

const DELTA: &str = "response.output_text.delta";
const WORDS: &str = "one two three four \u{2615}\u{1f642} five";

/// What arrives of a body, and whether it ended properly.
async fn drain(mut response: reqwest::Response) -> (Vec<Vec<u8>>, bool) {
    let mut chunks = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => chunks.push(chunk.to_vec()),
            Ok(None) => return (chunks, true),
            Err(_) => return (chunks, false),
        }
    }
}

#[tokio::test]
async fn http_errors_say_when_to_come_back() {
    let sim = sim().await;
    sim.push(Plan::status(429).retry_after("2").retry_after_ms(1500));
    let response = post(&sim, "/responses", &ask("hi")).await;
    assert_eq!(response.status().as_u16(), 429);
    assert_eq!(
        (
            &response.headers()["retry-after"],
            &response.headers()["retry-after-ms"]
        ),
        (&"2".parse().unwrap(), &"1500".parse().unwrap())
    );
    let body: serde_json::Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(body["error"]["code"], "rate_limit_exceeded");
    sim.push(Plan::status(502).html());
    let response = post(&sim, "/chat/completions", &ask_chat("hi")).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (502, &"text/html".parse().unwrap())
    );
    assert!(response.text().await.unwrap().starts_with("<html>"));
    let quota = HttpFault {
        code: Some("insufficient_quota".to_owned()),
        ..HttpFault::new(429)
    };
    sim.push(Plan::http(quota));
    let (_, body) = answer(&sim, "/responses", &ask("hi")).await;
    assert_eq!(body["error"]["code"], "insufficient_quota");
    sim.push(Plan::status(500).target(Target::Embeddings));
    let embed = json!({ "model": "text-embedding-3-small", "input": "x" });
    assert_eq!(answer(&sim, "/embeddings", &embed).await.0, 500);
    assert_eq!(answer(&sim, "/embeddings", &embed).await.0, 200);
}

#[tokio::test]
async fn connections_end_too_early() {
    let sim = sim().await;
    for (fault, whole_events, proper) in [
        (Fault::Close(5), 5, true),
        (Fault::Cut(5), 5, false),
        (Fault::CutInside(5), 5, false),
        (Fault::Cut(0), 0, false),
    ] {
        sim.push(Plan::reply(WORDS).fault(fault));
        let (chunks, ended) = drain(post(&sim, "/responses", &ask("hi")).await).await;
        let bytes = chunks.concat();
        assert_eq!((events(&bytes).len(), ended), (whole_events, proper), "{fault:?}");
        assert_eq!(
            bytes.ends_with(b"\n\n"),
            fault != Fault::CutInside(5) && whole_events > 0,
            "{fault:?}"
        );
    }
    let mut body = ask("hi");
    body["stream"] = json!(false);
    sim.push(Plan::reply(WORDS).fault(Fault::Cut(1)));
    let (chunks, ended) = drain(post(&sim, "/responses", &body).await).await;
    assert!(!ended && serde_json::from_slice::<serde_json::Value>(&chunks.concat()).is_err());
}

#[tokio::test]
async fn a_stalled_stream_ends_with_its_client_or_the_emulator() {
    let sim = sim().await;
    sim.push(Plan::reply(WORDS).fault(Fault::Stall(4)));
    let mut response = post(&sim, "/responses", &ask("hi")).await;
    let mut got = Vec::new();
    while events(&got).len() < 4 {
        got.extend(response.chunk().await.unwrap().unwrap());
    }
    assert_eq!(sim.counts().running, 1);
    drop(response);
    sim.wait_counts(|counts| counts.abandoned == 1 && counts.running == 0)
        .await;
    sim.push(Plan::reply(WORDS).fault(Fault::Stall(4)));
    let response = post(&sim, "/responses", &ask("hi")).await;
    sim.shutdown().await;
    assert!(!drain(response).await.1, "a shutdown waits for nobody");
}

#[tokio::test]
async fn garbage_is_neither_text_nor_json() {
    let sim = sim().await;
    sim.push(Plan::reply(WORDS).fault(Fault::Garbage(5)));
    let (chunks, ended) = drain(post(&sim, "/responses", &ask("hi")).await).await;
    let bytes = chunks.concat();
    assert!(ended && std::str::from_utf8(&bytes).is_err());
    assert!(
        String::from_utf8_lossy(&bytes).contains("response.completed"),
        "the stream goes on"
    );
}

#[tokio::test]
async fn every_split_carries_the_same_bytes() {
    let whole = planned(Plan::reply(WORDS).reasoning("Hm."), "/responses", &ask("hi")).await;
    assert_eq!(joined(&whole, DELTA), WORDS);
    for split in [
        Split::Every(1),
        Split::Every(7),
        Split::Every(4096),
        Split::Random(1),
        Split::Random(2),
    ] {
        let sim = sim().await;
        sim.push(Plan::reply(WORDS).reasoning("Hm.").split(split));
        let (chunks, ended) = drain(post(&sim, "/responses", &ask("hi")).await).await;
        assert!(ended && events(&chunks.concat()) == whole, "{split:?}");
        // The client's side may join writes, never cut them.
        if split == Split::Every(4096) {
            assert!(chunks.len() < whole.len(), "writes span events");
        }
    }
    let sim = sim().await;
    let mut body = ask("hi");
    body["stream"] = json!(false);
    sim.push(Plan::reply(WORDS).split(Split::Every(3)));
    assert_eq!(
        answer(&sim, "/responses", &body).await.1["output"][0]["content"][0]["text"],
        WORDS
    );
}

#[tokio::test]
async fn a_gate_lets_events_pass_one_by_one() {
    let sim = sim().await;
    let gate = Gate::closed();
    sim.push(Plan::reply(WORDS).gated(&gate));
    let mut response = post(&sim, "/responses", &ask("hi")).await;
    gate.wait_waiting().await;
    assert_eq!(gate.passed(), 0);
    let mut got = Vec::new();
    for released in [1_usize, 2, 4, 5] {
        gate.release(u64::try_from(released - events(&got).len()).unwrap());
        while events(&got).len() < released {
            got.extend(response.chunk().await.unwrap().unwrap());
        }
        gate.wait_waiting().await;
        assert_eq!(
            (events(&got).len(), gate.passed()),
            (released, u64::try_from(released).unwrap())
        );
    }
    gate.open();
    let (rest, ended) = drain(response).await;
    got.extend(rest.concat());
    assert!(ended && joined(&events(&got), DELTA) == WORDS);
}

#[tokio::test]
async fn the_emulators_own_gate_holds_everything() {
    let sim = sim().await;
    let gate = sim.gate();
    gate.close();
    let mut body = ask("hi");
    body["stream"] = json!(false);
    sim.push(Plan::reply("one"));
    let url = format!("{}/responses", sim.url());
    let request = client()
        .post(url)
        .header("content-type", "application/json")
        .body(body.to_string());
    let mut asking = tokio::task::JoinSet::new();
    asking.spawn(request.send());
    sim.wait_requests(1).await;
    gate.wait_waiting().await;
    assert!(asking.try_join_next().is_none());
    gate.release(1);
    let response = asking.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(sim.counts().finished, 1);
}

#[tokio::test]
async fn directives_work_only_where_they_are_switched_on() {
    let words = "hi [[sim:echo split=5 times=1 status=503]]";
    let config = SimConfig {
        directives: true,
        ..SimConfig::default()
    };
    let sim = Sim::start(config).await.unwrap();
    assert_eq!(post(&sim, "/responses", &ask(words)).await.status().as_u16(), 503);
    let again = stream(&sim, "/responses", &ask(words)).await;
    assert_eq!(joined(&again, DELTA), "hi", "once, as ordered");
    for (directive, last) in [
        ("incomplete", "response.incomplete"),
        ("failed", "response.failed"),
        ("error=nested", "error"),
        ("close=4", "response.content_part.added"),
    ] {
        let events = stream(&sim, "/responses", &ask(&format!("[[sim:tokens=8 {directive}]]"))).await;
        assert_eq!(kinds(&events).last().unwrap(), last, "{directive}");
    }
    let off = Sim::start(SimConfig::default()).await.unwrap();
    let events = stream(&off, "/responses", &ask(words)).await;
    assert_eq!(kinds(&events).last().unwrap(), "response.completed");
    assert_ne!(joined(&events, DELTA), "hi");
}

#[tokio::test]
async fn scripts_run_out_loudly_or_go_on() {
    let sim = Sim::start(SimConfig::with_brain(Brain::Script(Script::new([Plan::reply("one")]))))
        .await
        .unwrap();
    assert_eq!(joined(&stream(&sim, "/responses", &ask("hi")).await, DELTA), "one");
    let (status, body) = answer(&sim, "/responses", &ask("hi")).await;
    assert_eq!((status, &body["error"]["code"]), (500, &json!("script_exhausted")));
    sim.push(Plan::reply("for Bob").only_for("Bob"));
    assert_eq!(answer(&sim, "/responses", &ask("I am Al")).await.0, 500);
    assert_eq!(
        joined(&stream(&sim, "/responses", &ask("I am Bob")).await, DELTA),
        "for Bob"
    );
    assert_eq!(sim.planned(), 0);
    let script = Script {
        plans: Vec::new(),
        then: Then::Repeat(Box::new(Plan::reply("again"))),
    };
    let sim = Sim::start(SimConfig::with_brain(Brain::Script(script))).await.unwrap();
    for _ in 0..2 {
        assert_eq!(joined(&stream(&sim, "/responses", &ask("hi")).await, DELTA), "again");
    }
}
