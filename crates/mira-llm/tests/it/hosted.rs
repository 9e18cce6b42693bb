//! Tools the provider runs, over sockets, against an emulator that refuses what the live API would.

use crate::support::{Heard, KEY, body, endpoint, hear, message, openai, request, sim};
use crate::{tool_bodies::second_round, tools::with_tools};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use mira_core::{
    chat::Role,
    model::{HostedEvent, HostedFile, HostedKind, HostedTool, ModelRequest, Picture},
    tool::{CallStatus, Round},
};
use mira_llm::{Api, Endpoint, LlmError, ReplyFormat, connect, images, provider_files};
use openai_sim::{Brain, Call, Cite, Fault, Flavour, HostedCall, MadeFile, PIXEL, Plan, Reply, Sim, SimConfig, Split};
use serde_json::{Value, json};
use std::sync::Arc;

const WORDS: &str = "Zoë said \"yes\" \u{1f375}\nand drew a plot: see the page.";

fn hosted(tools: &[HostedTool]) -> ModelRequest {
    ModelRequest {
        hosted: tools.to_vec().into(),
        ..request()
    }
}

fn every() -> Vec<HostedTool> {
    vec![
        HostedTool::WebSearch,
        HostedTool::CodeInterpreter { files: Vec::new() },
        HostedTool::ImageGeneration,
    ]
}

fn calls() -> [HostedCall; 3] {
    [
        HostedCall::search("tea", &["https://example.org/tea", "https://example.org/cup"]),
        HostedCall::run("print(1)", "1\n", vec![MadeFile::new("plot.png", "image/png", PIXEL)]),
        HostedCall::draw("a cup", PIXEL),
    ]
}

fn plan() -> Plan {
    Plan::structured(Reply::new(WORDS)).hosted(calls()).cites([
        Cite::url("\"yes\" \u{1f375}", "https://example.org/tea", "Tea"),
        Cite::made("a plot", "plot.png"),
        Cite::url("the page", "https://example.org/cup", "Cups"),
    ])
}

/// Begun and ended calls in their order; each begins and ends once.
fn outcomes(heard: &Heard) -> Vec<(String, CallStatus, Value, Vec<HostedFile>)> {
    let mut open: Vec<(String, String)> = Vec::new();
    let mut ended = Vec::new();
    for event in &heard.hosted {
        match event {
            HostedEvent::Begun { key, tool, .. } => {
                assert!(!open.iter().any(|(known, _)| known == key), "{key} begins twice");
                open.push((key.clone(), tool.clone()));
            }
            HostedEvent::Progress { key, .. } | HostedEvent::Sketched { key, .. } => {
                assert!(open.iter().any(|(known, _)| known == key));
            }
            HostedEvent::Ended {
                key, outcome, files, ..
            } => {
                let at = open.iter().position(|(known, _)| known == key).unwrap();
                let (_, tool) = open.remove(at);
                ended.push((tool, outcome.status, outcome.data.clone(), files.clone()));
            }
            HostedEvent::Cited { .. } => {}
        }
    }
    assert!(open.is_empty(), "without an end: {open:?}");
    ended
}

/// The words of the reply that each citation points at, with its address or file.
fn cited(heard: &Heard) -> Vec<(Option<String>, String)> {
    let words = |(start, end): (u32, u32)| {
        let count = (end - start) as usize;
        heard.text.chars().skip(start as usize).take(count).collect::<String>()
    };
    heard
        .hosted
        .iter()
        .filter_map(|event| match event {
            HostedEvent::Cited { source, file, place } => {
                let of = match file {
                    Some(HostedFile::There { name, .. } | HostedFile::Given { name, .. }) => name.clone(),
                    _ => source.url.clone().unwrap(),
                };
                Some((place.map(words), of))
            }
            _ => None,
        })
        .collect()
}

fn check(heard: &Heard) {
    assert!(heard.finished.is_some(), "{heard:?}");
    let ended = outcomes(heard);
    let kinds: Vec<_> = ended
        .iter()
        .map(|(tool, status, ..)| (tool.as_str(), *status))
        .collect();
    let ok = CallStatus::Ok;
    assert_eq!(
        kinds,
        [("web_search", ok), ("code_interpreter", ok), ("image_generation", ok)]
    );
    assert_eq!(ended[0].2["query"], "tea");
    assert_eq!(ended[0].2["results"][1]["url"], "https://example.org/cup");
    assert_eq!(ended[1].2, json!({ "stdout": "1\n", "stderr": "", "code": "print(1)" }));
    assert!(matches!(&ended[2].3[0], HostedFile::Here { bytes, .. } if &bytes[..] == PIXEL));
    let sketches: Vec<_> = { heard.hosted.iter() }
        .filter_map(|event| match event {
            HostedEvent::Sketched { n, bytes, .. } => Some((*n, &bytes[..])),
            _ => None,
        })
        .collect();
    assert_eq!(sketches, [(1, PIXEL), (2, PIXEL)]);
}

#[tokio::test]
async fn calls_are_heard_and_citations_find_their_words() {
    for split in [Split::Events, Split::Every(1), Split::Random(7)] {
        let sim = sim(Flavour::OpenAi).await;
        sim.push(plan().split(split).unknown());
        let heard = hear(&connect(openai(&sim.url(), Api::Responses)).unwrap(), hosted(&every())).await;
        check(&heard);
        assert_eq!(heard.text, WORDS);
        let words = |text: &str, of: &str| (Some(text.to_owned()), of.to_owned());
        assert_eq!(
            cited(&heard),
            [
                words("\"yes\" \u{1f375}", "https://example.org/tea"),
                words("a plot", "plot.png"),
                words("the page", "https://example.org/cup"),
            ]
        );
    }
}

#[tokio::test]
async fn every_form_of_the_reply_has_them() {
    for format in [ReplyFormat::Function, ReplyFormat::TwoStep] {
        let sim = sim(Flavour::OpenAi).await;
        sim.push(plan());
        sim.push(plan());
        let at = Endpoint {
            reply_format: format,
            ..openai(&sim.url(), Api::Responses)
        };
        let heard = hear(&connect(at).unwrap(), hosted(&every())).await;
        check(&heard);
        assert_eq!(heard.text, WORDS);
        if format == ReplyFormat::TwoStep {
            assert_eq!(cited(&heard)[1].0.as_deref(), Some("a plot"));
        }
    }
}

#[tokio::test]
async fn the_request_says_what_may_be_used() {
    let sim = sim(Flavour::OpenAi).await;
    sim.push(plan());
    let model = connect(openai(&sim.url(), Api::Responses)).unwrap();
    let mut request = with_tools();
    request.hosted = every().into();
    hear(&model, request.clone()).await;
    let sent = body(&sim, 0);
    assert_eq!(sent["tools"][0], json!({ "type": "web_search" }));
    assert_eq!(
        sent["tools"][1],
        json!({ "type": "code_interpreter", "container": { "type": "auto" } })
    );
    assert_eq!(
        sent["tools"][2],
        json!({ "type": "image_generation", "partial_images": 2 })
    );
    assert_eq!(sent["tools"][3]["type"], "function");
    assert_eq!(
        sent["include"],
        json!([
            "reasoning.encrypted_content",
            "web_search_call.action.sources",
            "code_interpreter_call.outputs"
        ])
    );
    assert!(sent["max_tool_calls"].is_u64());
    // Chat Completions has none of it.
    sim.push(plan());
    hear(&connect(openai(&sim.url(), Api::Chat)).unwrap(), request).await;
    assert!(!body(&sim, 1).to_string().contains("web_search"));
}

#[tokio::test]
async fn what_was_called_goes_back_unchanged() {
    let sim = sim(Flavour::OpenAi).await;
    let model = connect(openai(&sim.url(), Api::Responses)).unwrap();
    let recall = Call::new("recall", &json!({ "question": "q", "limit": null }));
    sim.push(Plan::calls([recall]).hosted(calls()).reasoning("Let me see."));
    sim.push(plan());
    let mut request = with_tools();
    request.hosted = every().into();
    let heard = hear(&model, request.clone()).await;
    assert_eq!(outcomes(&heard).len(), 3);
    request.rounds.push(Round {
        said: String::new(),
        asked: heard.calls.unwrap(),
        outputs: vec!["nothing".into()],
        pictures: Vec::new(),
    });
    let second = hear(&model, request).await;
    check(&second);
    let sent = body(&sim, 1);
    let kinds: Vec<&str> = sent["input"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|item| item["type"].as_str())
        .collect();
    let carried = [
        "reasoning",
        "web_search_call",
        "code_interpreter_call",
        "image_generation_call",
        "function_call",
        "function_call_output",
    ];
    assert!(kinds.ends_with(&carried), "{kinds:?}");
}

async fn refusing(refused: &[&str], blind: bool) -> Sim {
    Sim::start(SimConfig {
        api_key: Some(KEY.into()),
        refused_tools: refused.iter().map(|kind| (*kind).to_owned()).collect(),
        blind,
        brain: Brain::Respond(Arc::new(|_| plan())),
        ..SimConfig::default()
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_refused_tool_is_dropped_and_remembered() {
    let sim = refusing(&["web_search", "image_generation"], false).await;
    let model = connect(openai(&sim.url(), Api::Responses)).unwrap();
    assert!(model.takes_hosted(HostedKind::WebSearch));
    let heard = hear(&model, hosted(&every())).await;
    let tools: Vec<_> = outcomes(&heard).into_iter().map(|(tool, ..)| tool).collect();
    assert_eq!(tools, ["code_interpreter"]);
    let asked = sim.requests().len();
    assert_eq!(asked, 3, "each refusal once");
    hear(&model, hosted(&every())).await;
    assert_eq!(sim.requests().len(), asked + 1, "and never again");
    for (kind, taken) in [
        (HostedKind::WebSearch, false),
        (HostedKind::CodeInterpreter, true),
        (HostedKind::ImageGeneration, false),
    ] {
        assert_eq!(model.takes_hosted(kind), taken, "{kind:?}");
    }
}

#[tokio::test]
async fn lost_stores_cost_one_call_its_search() {
    let sim = refusing(&[], false).await;
    let model = connect(openai(&sim.url(), Api::Responses)).unwrap();
    let search = HostedTool::FileSearch {
        stores: vec!["vs_gone".into()],
    };
    let heard = hear(&model, hosted(&[HostedTool::WebSearch, search])).await;
    assert!(heard.finished.is_some(), "{heard:?}");
    assert_eq!(outcomes(&heard)[0].0, "web_search");
    assert!(model.takes_hosted(HostedKind::FileSearch), "another store may be there");
}

#[tokio::test]
async fn what_goes_wrong_ends_well() {
    // A call that fails.
    let sim = sim(Flavour::OpenAi).await;
    let model = connect(openai(&sim.url(), Api::Responses)).unwrap();
    sim.push(Plan::reply("So be it.").hosted(calls().map(HostedCall::failing)));
    let heard = hear(&model, hosted(&every())).await;
    assert!(heard.finished.is_some());
    assert!(
        outcomes(&heard)
            .iter()
            .all(|(_, status, ..)| *status == CallStatus::Failed),
        "{heard:?}"
    );
    // A stream cut inside a call: the call stays open, the stream has one error, nothing is repeated.
    sim.push(plan().fault(Fault::Cut(4)));
    let before = sim.requests().len();
    let heard = hear(&model, hosted(&every())).await;
    assert_eq!(heard.error, Some(LlmError::CutOff));
    assert!(matches!(&heard.hosted[0], HostedEvent::Begun { tool, .. } if tool == "web_search"));
    assert_eq!(sim.requests().len(), before + 1);
    // A picture that is too large.
    sim.push(Plan::reply("Too big.").hosted([HostedCall::draw("all", vec![7; mira_llm::MOST_FILE_BYTES + 1])]));
    let heard = hear(&model, hosted(&every())).await;
    let ended = outcomes(&heard);
    assert_eq!((ended[0].1, ended[0].3.len()), (CallStatus::Failed, 0));
    assert!(ended[0].2["error"].as_str().unwrap().contains("larger"), "{ended:?}");
    assert!(heard.finished.is_some());
}

#[tokio::test]
async fn files_of_containers_are_fetched() {
    let sim = sim(Flavour::OpenAi).await;
    let model = connect(openai(&sim.url(), Api::Responses)).unwrap();
    let mut gone = MadeFile::new("gone.csv", "text/csv", "a,b");
    gone.gone = true;
    let there = MadeFile::new("there.csv", "text/csv", "a,b");
    let run = HostedCall::run("1", "", vec![there, gone]);
    let cites = [Cite::made("Here", "there.csv"), Cite::made("there", "gone.csv")];
    sim.push(Plan::reply("Here and there.").hosted([run]).cites(cites));
    let heard = hear(&model, hosted(&every())).await;
    let files: Vec<HostedFile> = heard
        .hosted
        .iter()
        .filter_map(|event| match event {
            HostedEvent::Cited { file, .. } => file.clone(),
            _ => None,
        })
        .collect();
    let fetched = model.fetch_file(files[0].clone()).await.unwrap();
    assert_eq!((&fetched.bytes[..], &*fetched.media_type), (&b"a,b"[..], "text/csv"));
    let error = model.fetch_file(files[1].clone()).await.unwrap_err();
    assert!(matches!(error, LlmError::BadRequest { status: 404, .. }), "{error:?}");
    // What the reply does not point at is found in the container.
    let container = heard.hosted.iter().find_map(|event| match event {
        HostedEvent::Ended { container, .. } => container.clone(),
        _ => None,
    });
    let left = model.list_left(container.unwrap()).await.unwrap();
    let named: Vec<_> = left.iter().map(|left| (left.file.clone(), left.bytes)).collect();
    assert_eq!(named, [(files[1].clone(), Some(3)), (files[0].clone(), Some(3))]);
    assert!(matches!(
        model.list_left("../models".into()).await,
        Err(LlmError::Unsendable { .. })
    ));
    let outside = HostedFile::There {
        container: "../models".into(),
        id: "x".into(),
        name: "x".into(),
    };
    assert!(matches!(
        model.fetch_file(outside).await,
        Err(LlmError::Unsendable { .. })
    ));
}

fn pictured() -> ModelRequest {
    let mut request = request();
    let mut owner = message(Role::User, "What is this?");
    owner.pictures = vec![Picture {
        media_type: "image/png".into(),
        sha256: [1; 32],
        base64: Some(STANDARD.encode(PIXEL).into()),
    }];
    *request.messages.last_mut().unwrap() = owner;
    request
}

#[tokio::test]
async fn pictures_are_shown_or_said() {
    for api in [Api::Responses, Api::Chat] {
        let sim = refusing(&[], false).await;
        let model = connect(openai(&sim.url(), api)).unwrap();
        assert!(hear(&model, pictured()).await.finished.is_some());
        let sent = body(&sim, 0);
        let list = sent
            .get("input")
            .or_else(|| sent.get("messages"))
            .unwrap()
            .as_array()
            .unwrap();
        let parts = list.iter().rev().find(|item| item["role"] == "user").unwrap()["content"].clone();
        let (kind, url) = match api {
            Api::Responses => ("input_image", &parts[1]["image_url"]),
            Api::Chat => ("image_url", &parts[1]["image_url"]["url"]),
        };
        assert_eq!(parts[1]["type"], kind);
        assert!(
            url.as_str().unwrap().starts_with("data:image/png;base64,iVBOR"),
            "{parts}"
        );

        // A model that does not see is told so, and the next call knows.
        let blind = refusing(&[], true).await;
        let model = connect(endpoint(&blind.url(), api)).unwrap();
        assert!(hear(&model, pictured()).await.finished.is_some());
        let asked = blind.requests().len();
        assert!(
            blind.requests()[asked - 1]
                .body
                .to_string()
                .contains("that you cannot be shown")
        );
        assert!(hear(&model, pictured()).await.finished.is_some());
        assert_eq!(blind.requests().len(), asked + 1);
    }
}

#[tokio::test]
async fn pictures_that_calls_brought_follow_them() {
    for api in [Api::Responses, Api::Chat] {
        let sent = async |blind: bool| {
            let sim = refusing(&[], blind).await;
            let model = connect(openai(&sim.url(), api)).unwrap();
            let mut request = second_round(&[]);
            request.rounds[0].pictures = pictured().messages.pop().unwrap().pictures;
            assert!(hear(&model, request).await.finished.is_some());
            let sent = body(&sim, sim.requests().len() - 1);
            let list = sent.get("input").or_else(|| sent.get("messages")).unwrap();
            list.as_array().unwrap().last().unwrap().clone()
        };
        let last = sent(false).await;
        let words = last["content"][0]["text"].as_str().unwrap();
        assert!(
            last["role"] == "user" && words.contains("data, not the owner's words"),
            "{last}"
        );
        let url = match api {
            Api::Responses => &last["content"][1]["image_url"],
            Api::Chat => &last["content"][1]["image_url"]["url"],
        };
        assert!(
            url.as_str().unwrap().starts_with("data:image/png;base64,iVBOR"),
            "{last}"
        );
        // Where nothing can be shown, nothing is said of it: the outputs tell of the files.
        let last = sent(true).await;
        assert!(
            last["role"] == "tool" || last["type"] == "function_call_output",
            "{last}"
        );
    }
}

#[tokio::test]
async fn pictures_are_drawn() {
    let draw = async |model: &str, size: Option<&str>| {
        let sim = refusing(&[], false).await;
        let at = Endpoint {
            model: model.to_owned(),
            ..endpoint(&sim.url(), Api::Responses)
        };
        let maker = images::ImageMaker::new(at).unwrap();
        let drawing = maker.draw("a cup", size).await.unwrap();
        maker.draw("a cup", size).await.unwrap();
        (drawing, sim.requests().len())
    };
    let (drawing, asked) = draw("gpt-image-1", Some("1024x1024")).await;
    assert_eq!(drawing.picture, images::Drawn::Bytes(PIXEL.into()));
    assert_eq!((drawing.sized, asked), (true, 3), "what is refused is sent once");
    let (drawing, _) = draw("dall-e-3", Some("1536x1024")).await;
    assert!(!drawing.sized && matches!(drawing.picture, images::Drawn::Bytes(_)));
    let (drawing, asked) = draw("local", Some("1536x1024")).await;
    assert_eq!(
        (drawing.sized, asked, drawing.revised_prompt.as_deref()),
        (true, 2, Some("A picture: a cup"))
    );
}

#[tokio::test]
async fn files_are_given_searched_and_taken_back() {
    let sim = sim(Flavour::OpenAi).await;
    let at = openai(&sim.url(), Api::Responses);
    let files = provider_files::ProviderFiles::new(at.clone()).unwrap();
    let text = "Oolong is half green.\n\nPu-erh is dark.";
    let id = files
        .upload("tea \"1\".md", "text/markdown", text.into())
        .await
        .unwrap();
    let store = files.create_store("mira").await.unwrap();
    files.add(&store, &id).await.unwrap();
    assert_eq!(
        files.file_standing(&store, &id).await.unwrap(),
        provider_files::Standing::InProgress
    );
    assert_eq!(
        files.file_standing(&store, &id).await.unwrap(),
        provider_files::Standing::Completed
    );
    let model = connect(at).unwrap();
    let cite = Cite::given("dark", "tea %221%22.md");
    sim.push(
        Plan::reply("It is dark.")
            .hosted([HostedCall::look("What is dark?")])
            .cites([cite]),
    );
    let search = HostedTool::FileSearch {
        stores: vec![store.clone()],
    };
    let heard = hear(&model, hosted(&[search])).await;
    let ended = outcomes(&heard);
    assert_eq!(ended[0].2["results"][0]["snippet"], "Pu-erh is dark.", "{ended:?}");
    assert_eq!(ended[0].2["results"][0]["provider_file_id"], json!(id));
    assert_eq!(cited(&heard), [(None, "tea %221%22.md".to_owned())]);
    sim.expire_stores();
    assert_eq!(
        files.store_standing(&store).await.unwrap(),
        provider_files::Standing::Gone
    );
    // What was given can be found again, by whoever does not know its id.
    let given = files.given_since(0).await.unwrap();
    assert_eq!((given.len(), &given[0].id, given[0].bytes), (1, &id, text.len() as u64));
    assert!(given[0].is_called("tea \"1\".md") && !given[0].is_called("tea.md"));
    assert_eq!(files.given_since(given[0].created_at + 1).await.unwrap(), []);
    files.delete(&id).await.unwrap();
    files.delete(&id).await.unwrap();
    files.delete_store(&store).await.unwrap();
    assert_eq!(sim.shelf(), (0, 0));
}
