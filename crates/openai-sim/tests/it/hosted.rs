//! Hosted tools, files, vector stores, images.

use openai_sim::{Cite, HostedCall, MadeFile, PIXEL, Plan, Sim, SimConfig};
use serde_json::{Value, json};

use crate::support::{answer, ask, client, kinds, planned, sim, stream};

fn with_tools(include: &Value) -> Value {
    let mut body = ask("hi");
    body["tools"] = json!([
        { "type": "web_search" },
        { "type": "code_interpreter", "container": { "type": "auto" } },
        { "type": "image_generation", "partial_images": 2 },
    ]);
    body["include"] = include.clone();
    body
}

fn plan() -> Plan {
    Plan::reply("As the page says.")
        .hosted([
            HostedCall::search("q", &["https://example.org/"]),
            HostedCall::run("x = 1", "1", vec![MadeFile::new("a.png", "image/png", PIXEL)]),
            HostedCall::draw("a cat", PIXEL),
        ])
        .cites([
            Cite::url("the page", "https://example.org/", "Page"),
            Cite::made("says", "a.png"),
        ])
}

#[tokio::test]
async fn events_come_in_their_order() {
    let include = json!(["web_search_call.action.sources", "code_interpreter_call.outputs"]);
    let events = planned(plan(), "/responses", &with_tools(&include)).await;
    let mut kinds = kinds(&events);
    kinds.dedup();
    let expect = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.web_search_call.in_progress",
        "response.web_search_call.searching",
        "response.web_search_call.completed",
        "response.output_item.done",
        "response.output_item.added",
        "response.code_interpreter_call.in_progress",
        "response.code_interpreter_call_code.delta",
        "response.code_interpreter_call_code.done",
        "response.code_interpreter_call.interpreting",
        "response.code_interpreter_call.completed",
        "response.output_item.done",
        "response.output_item.added",
        "response.image_generation_call.in_progress",
        "response.image_generation_call.generating",
        "response.image_generation_call.partial_image",
        "response.image_generation_call.completed",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
    ];
    assert_eq!(kinds[..expect.len()], expect);
    assert_eq!(
        kinds.iter().filter(|kind| kind.ends_with("annotation.added")).count(),
        2
    );
    let response = &events.last().unwrap().json()["response"];
    let output = &response["output"];
    assert_eq!(output[0]["action"]["sources"][0]["url"], "https://example.org/");
    assert_eq!(output[1]["outputs"], json!([{ "type": "logs", "logs": "1" }]));
    let annotation = &output[3]["content"][0]["annotations"][0];
    let text = output[3]["content"][0]["text"].as_str().unwrap();
    let place = |key: &str| usize::try_from(annotation[key].as_u64().unwrap()).unwrap();
    let cited: String = text
        .chars()
        .take(place("end_index"))
        .skip(place("start_index"))
        .collect();
    assert_eq!(cited, "the page");
}

#[tokio::test]
async fn nothing_is_called_that_is_not_offered_and_nothing_told_that_is_not_asked_for() {
    let events = planned(plan(), "/responses", &ask("hi")).await;
    assert_eq!(
        events.last().unwrap().json()["response"]["output"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let events = planned(plan(), "/responses", &with_tools(&json!([]))).await;
    let output = events.last().unwrap().json()["response"]["output"].clone();
    assert!(output[0]["action"].get("sources").is_none());
    assert_eq!(output[1]["outputs"], Value::Null);
    let mut body = with_tools(&json!([]));
    body["tool_choice"] = json!("none");
    let events = planned(plan(), "/responses", &body).await;
    assert_eq!(
        events.last().unwrap().json()["response"]["output"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn hosted_items_come_back_whole() {
    let sim = sim().await;
    sim.push(plan());
    let events = stream(&sim, "/responses", &with_tools(&json!([]))).await;
    let output = events.last().unwrap().json()["response"]["output"].clone();
    let mut again = with_tools(&json!([]));
    again["input"]
        .as_array_mut()
        .unwrap()
        .extend(output.as_array().unwrap().clone());
    sim.push(plan());
    again["stream"] = json!(false);
    assert_eq!(answer(&sim, "/responses", &again).await.0, 200);
    for (index, key) in [(1, "id"), (1, "action"), (2, "outputs"), (3, "result"), (2, "status")] {
        let mut broken = again.clone();
        broken["input"][index].as_object_mut().unwrap().shift_remove(key);
        let (status, refused) = answer(&sim, "/responses", &broken).await;
        assert_eq!(status, 400, "{key}");
        assert_eq!(refused["error"]["param"], format!("input[{index}].{key}"));
    }
}

#[tokio::test]
async fn files_live_until_their_container_expires() {
    let sim = sim().await;
    let mut gone = MadeFile::new("b.txt", "text/plain", "b");
    gone.gone = true;
    let run = HostedCall::run("1", "", vec![MadeFile::new("a.txt", "text/plain", "a"), gone]);
    sim.push(
        Plan::reply("a b")
            .hosted([run])
            .cites([Cite::made("a", "a.txt"), Cite::made("b", "b.txt")]),
    );
    let events = stream(&sim, "/responses", &with_tools(&json!([]))).await;
    let output = events.last().unwrap().json()["response"]["output"].clone();
    let annotations = output[1]["content"][0]["annotations"].clone();
    let get = async |index: usize| {
        let (container, file) = (&annotations[index]["container_id"], &annotations[index]["file_id"]);
        let (container, file) = (container.as_str().unwrap(), file.as_str().unwrap());
        let url = format!("{}/containers/{container}/files/{file}/content", sim.url());
        let response = client().get(url).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(get(0).await, (200, "a".to_owned()));
    assert_eq!(get(1).await.0, 404);
    let list = async |query: &str| {
        let container = annotations[0]["container_id"].as_str().unwrap();
        let url = format!("{}/containers/{container}/files{query}", sim.url());
        let response = client().get(url).send().await.unwrap();
        let status = response.status().as_u16();
        (
            status,
            serde_json::from_str::<Value>(&response.text().await.unwrap()).unwrap(),
        )
    };
    let (_, listed) = list("?limit=1").await;
    assert_eq!(
        (
            &listed["data"][0]["path"],
            &listed["data"][0]["bytes"],
            &listed["has_more"]
        ),
        (&json!("/mnt/data/b.txt"), &json!(1), &json!(true)),
        "the newest first"
    );
    let after = format!("?after={}", listed["last_id"].as_str().unwrap());
    let (_, rest) = list(&after).await;
    assert_eq!(
        (&rest["data"][0]["path"], rest["data"].as_array().unwrap().len()),
        (&json!("/mnt/data/a.txt"), 1)
    );
    assert_eq!(rest["data"][0]["source"], "assistant");
    assert_eq!(list("?limit=101").await.0, 400);
    assert_eq!(list("?page=2").await.0, 400);
}

#[tokio::test]
async fn what_is_not_there_or_not_supported_is_refused() {
    let config = SimConfig {
        refused_tools: vec!["web_search".to_owned()],
        blind: true,
        ..SimConfig::default()
    };
    let sim = Sim::start(config).await.unwrap();
    let mut body = with_tools(&json!([]));
    let (status, refused) = answer(&sim, "/responses", &body).await;
    assert_eq!(
        (status, &refused["error"]["message"]),
        (400, &json!("Hosted tool 'web_search' is not supported with gpt-5."))
    );
    body["tools"] = json!([{ "type": "file_search", "vector_store_ids": ["vs_1"] }]);
    let (status, refused) = answer(&sim, "/responses", &body).await;
    assert_eq!(
        (status, &refused["error"]["param"]),
        (404, &json!("tools[0].vector_store_ids"))
    );
    body["tools"] = json!([{ "type": "code_interpreter", "container": { "type": "auto", "file_ids": ["file-1"] } }]);
    assert_eq!(answer(&sim, "/responses", &body).await.0, 404);
    body["tools"] = json!([]);
    body["input"][0]["content"] =
        json!([{ "type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "auto" }]);
    assert_eq!(answer(&sim, "/responses", &body).await.0, 400);
}

#[tokio::test]
async fn images_are_drawn_as_each_family_does() {
    let sim = sim().await;
    let draw = async |body: Value| answer(&sim, "/images/generations", &body).await;
    let (status, image) = draw(json!({ "model": "gpt-image-1", "prompt": "a cat", "n": 1 })).await;
    assert!(status == 200 && image["data"][0]["b64_json"].is_string(), "{image}");
    let (status, refused) = draw(json!({ "model": "gpt-image-1", "prompt": "x", "response_format": "b64_json" })).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!("unknown_parameter")));
    let (_, image) = draw(json!({ "model": "dall-e-3", "prompt": "a cat" })).await;
    let url = image["data"][0]["url"].as_str().unwrap();
    assert_eq!(client().get(url).send().await.unwrap().bytes().await.unwrap(), PIXEL);
    for (body, param) in [
        (json!({ "model": "dall-e-3", "prompt": "x", "size": "1x1" }), "size"),
        (json!({ "model": "m" }), "prompt"),
        (json!({ "model": "m", "prompt": "x", "shape": "round" }), "shape"),
    ] {
        let (status, refused) = draw(body).await;
        assert_eq!((status, &refused["error"]["param"]), (400, &json!(param)));
    }
}

#[tokio::test]
async fn directives_call_hosted_tools() {
    let sim = Sim::start(SimConfig {
        directives: true,
        ..SimConfig::default()
    })
    .await
    .unwrap();
    let mut body = with_tools(&json!([]));
    body["input"][0]["content"] = json!(
        "Go. [[sim: web=\"tea\" url=https://example.org/t run=\"1\" logs=one makes=p.png draw=\"a cup\" output=\"Look at it.\" cite=\"at it\"]]"
    );
    let events = stream(&sim, "/responses", &body).await;
    let output = events.last().unwrap().json()["response"]["output"].clone();
    let types: Vec<&str> = output
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        [
            "web_search_call",
            "code_interpreter_call",
            "image_generation_call",
            "message"
        ]
    );
    assert_eq!(output[3]["content"][0]["annotations"][0]["filename"], "p.png");
}
