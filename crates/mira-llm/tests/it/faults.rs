//! What goes wrong, and what becomes of it.

use crate::support::{KEY, WORDS, endpoint, hear, openai, reply, request, say, sim};
use futures_util::StreamExt;
use mira_core::model::{Ending, ModelEvent};
use mira_llm::{Api, Endpoint, LlmError, ReplyFormat, RetryPolicy, Secret, connect};
use openai_sim::{Ending as SimEnding, Fault, Flavour, Gate, HttpFault, Plan};
use std::time::Duration;

const APIS: [Api; 2] = [Api::Responses, Api::Chat];

#[tokio::test]
async fn passing_faults_are_repeated() {
    for api in APIS {
        for fault in [
            Plan::status(429),
            Plan::status(429).retry_after("0"),
            Plan::status(429).retry_after_ms(5),
            Plan::status(500),
            Plan::status(503).html(),
            Plan::reply("x").fault(Fault::Cut(0)),
            Plan::reply("x").fault(Fault::CutInside(0)),
            Plan::reply("x").fault(Fault::Close(0)),
        ] {
            let sim = sim(Flavour::OpenAi).await;
            sim.push(fault.clone());
            sim.push(fault.clone());
            let heard = say(&sim, openai(&sim.url(), api), Plan::structured(reply())).await;
            assert_eq!(heard.text, WORDS, "{api:?} {fault:?}");
            assert_eq!(sim.requests().len(), 3);
        }
    }
}

#[tokio::test]
async fn repeating_ends() {
    let sim = sim(Flavour::OpenAi).await;
    for _ in 0..3 {
        sim.push(Plan::status(503));
    }
    let heard = say(&sim, openai(&sim.url(), Api::Responses), Plan::reply("never asked for")).await;
    assert!(
        matches!(heard.error, Some(LlmError::Server { status: Some(503), .. })),
        "{heard:?}"
    );
    assert_eq!((sim.requests().len(), sim.planned()), (3, 1));
}

#[tokio::test]
async fn a_long_wait_is_told_not_waited() {
    let sim = sim(Flavour::OpenAi).await;
    let heard = say(
        &sim,
        openai(&sim.url(), Api::Chat),
        Plan::status(429).retry_after("3600"),
    )
    .await;
    assert_eq!(
        heard.error,
        Some(LlmError::RateLimited {
            retry_after: Some(Duration::from_hours(1))
        })
    );
    assert_eq!(sim.requests().len(), 1);
}

#[tokio::test]
async fn lasting_faults_are_not_repeated() {
    let quota = HttpFault {
        code: Some("insufficient_quota".into()),
        kind: "insufficient_quota".into(),
        ..HttpFault::new(429)
    };
    let refused = |status, code: Option<&str>| LlmError::BadRequest {
        status,
        code: code.map(str::to_owned),
        param: None,
        message: "The request was refused.".into(),
    };
    for (fault, expect) in [
        (quota, LlmError::Quota),
        (HttpFault::new(401), LlmError::Auth { status: 401 }),
        (
            HttpFault::new(403),
            LlmError::Forbidden {
                message: "The request was refused.".into(),
            },
        ),
        (HttpFault::new(400), refused(400, Some("invalid_request_error"))),
        (
            HttpFault {
                code: Some("context_length_exceeded".into()),
                ..HttpFault::new(413)
            },
            LlmError::ContextTooLong {
                message: "The request was refused.".into(),
            },
        ),
    ] {
        let sim = sim(Flavour::OpenAi).await;
        sim.push(Plan::http(fault.clone()));
        // Where the context is too long it is tried once without an output limit.
        let heard = say(&sim, openai(&sim.url(), Api::Responses), Plan::http(fault)).await;
        assert_eq!(heard.error.as_ref(), Some(&expect));
        let tries = if matches!(expect, LlmError::ContextTooLong { .. }) {
            2
        } else {
            1
        };
        assert_eq!(sim.requests().len(), tries, "{expect:?}");
    }
}

#[tokio::test]
async fn a_wrong_key_is_told_without_the_key() {
    let sim = sim(Flavour::OpenAi).await;
    let at = Endpoint {
        api_key: Some(Secret::new("sk-wrong")),
        ..openai(&sim.url(), Api::Responses)
    };
    let heard = hear(&connect(at).unwrap(), request()).await;
    assert_eq!(heard.error, Some(LlmError::Auth { status: 401 }));
    assert!(!heard.error.unwrap().to_string().contains("sk-"));

    let sim = crate::support::sim(Flavour::OpenAi).await;
    let fault = HttpFault {
        message: format!("no {KEY} here"),
        ..HttpFault::new(422)
    };
    let heard = say(&sim, openai(&sim.url(), Api::Responses), Plan::http(fault)).await;
    assert!(heard.error.unwrap().to_string().ends_with("no [key] here"));
}

#[tokio::test]
async fn an_unknown_model_is_told_with_what_there_is() {
    for api in APIS {
        let sim = sim(Flavour::OpenAi).await;
        let heard = hear(
            &connect(Endpoint {
                model: "gpt-0".into(),
                ..openai(&sim.url(), api)
            })
            .unwrap(),
            request(),
        )
        .await;
        let Some(LlmError::ModelNotFound { model, offered }) = heard.error else {
            panic!("{heard:?}")
        };
        assert_eq!(model, "gpt-0");
        assert!(offered.contains(&"gpt-5".to_owned()), "{offered:?}");
    }
}

#[tokio::test]
async fn nobody_there() {
    let sim = sim(Flavour::OpenAi).await;
    let url = sim.url();
    sim.shutdown().await;
    let heard = hear(&connect(openai(&url, Api::Responses)).unwrap(), request()).await;
    let error = heard.error.unwrap();
    assert!(
        matches!(&error, LlmError::Connect { host, .. } if url.contains(host)),
        "{error:?}"
    );
    assert!(error.retryable());

    // Over TLS, where a system without certificates cannot even begin.
    let at = openai(&url.replace("http://", "https://"), Api::Responses);
    let error = match connect(at) {
        Ok(model) => hear(&model, request()).await.error.unwrap(),
        Err(error) => error,
    };
    assert!(
        matches!(error, LlmError::Connect { .. } | LlmError::Transport { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn text_before_a_fault_stands() {
    for api in APIS {
        for format in [ReplyFormat::JsonSchema, ReplyFormat::Function, ReplyFormat::TwoStep] {
            for fault in [
                Fault::Cut(60),
                Fault::CutInside(60),
                Fault::Close(60),
                Fault::Garbage(60),
            ] {
                let sim = sim(Flavour::OpenAi).await;
                let long = "one two three ".repeat(40);
                let at = Endpoint {
                    reply_format: format,
                    ..openai(&sim.url(), api)
                };
                let heard = say(&sim, at, Plan::reply(&long).fault(fault)).await;
                assert!(
                    !heard.text.is_empty() && long.starts_with(&heard.text),
                    "{api:?} {format:?} {fault:?} {heard:?}"
                );
                match fault {
                    Fault::Garbage(_) => assert!(matches!(heard.error, Some(LlmError::Garbage { .. })), "{heard:?}"),
                    _ => assert_eq!(heard.error, Some(LlmError::CutOff)),
                }
                assert_eq!(sim.requests().len(), 1, "nothing is asked twice once she speaks");
            }
        }
    }
}

#[tokio::test]
async fn silence_ends() {
    let short = Duration::from_millis(400);
    for api in APIS {
        // Before the first word the other limit holds.
        for (events, idle, thinking) in [
            (60, short, Duration::from_secs(20)),
            (1, Duration::from_secs(20), short),
        ] {
            let sim = sim(Flavour::OpenAi).await;
            let at = Endpoint {
                idle_timeout: idle,
                thinking_timeout: if events == 1 { short } else { thinking },
                retry: RetryPolicy {
                    attempts: 1,
                    ..RetryPolicy::default()
                },
                ..openai(&sim.url(), api)
            };
            let at = if events == 1 {
                Endpoint {
                    idle_timeout: short,
                    ..at
                }
            } else {
                at
            };
            let heard = say(
                &sim,
                at,
                Plan::reply("one two three ".repeat(40)).fault(Fault::Stall(events)),
            )
            .await;
            assert!(
                matches!(heard.error, Some(LlmError::IdleTimeout { after }) if after >= short),
                "{api:?} {heard:?}"
            );
            assert_eq!(heard.text.is_empty(), events == 1);
            sim.wait_counts(|counts| counts.running == 0).await;
        }
    }
}

#[tokio::test]
async fn headers_that_never_come() {
    let sim = sim(Flavour::OpenAi).await;
    let at = Endpoint {
        thinking_timeout: Duration::from_millis(30),
        retry: RetryPolicy {
            attempts: 1,
            ..RetryPolicy::default()
        },
        ..openai(&sim.url(), Api::Chat)
    };
    let heard = say(&sim, at, Plan::reply("late").headers_after(Duration::from_hours(1))).await;
    assert_eq!(
        heard.error,
        Some(LlmError::IdleTimeout {
            after: Duration::from_millis(30)
        })
    );
}

#[tokio::test]
async fn a_refusal_is_not_her_words() {
    for api in APIS {
        for format in [ReplyFormat::JsonSchema, ReplyFormat::TwoStep] {
            let sim = sim(Flavour::OpenAi).await;
            let at = Endpoint {
                reply_format: format,
                ..openai(&sim.url(), api)
            };
            let heard = say(&sim, at, Plan::refusal("I can't help with that.")).await;
            assert_eq!(
                heard.error,
                Some(LlmError::Refused {
                    text: "I can't help with that.".into()
                }),
                "{api:?}"
            );
            assert_eq!((heard.text.as_str(), heard.head), ("", None));
        }
    }
}

#[tokio::test]
async fn a_reply_cut_short_says_why() {
    for api in APIS {
        for reason in ["max_output_tokens", "content_filter"] {
            let sim = sim(Flavour::OpenAi).await;
            let long = "one two three ".repeat(40);
            let heard = say(&sim, openai(&sim.url(), api), Plan::reply(&long).incomplete(reason)).await;
            assert!(!heard.text.is_empty() && long.starts_with(&heard.text), "{heard:?}");
            assert_eq!(heard.finished.unwrap().ending, Ending::CutShort(reason.into()));

            let none = Plan::reply(&long).ending(SimEnding::Incomplete(reason.into()), Some(0));
            let heard = say(&sim, openai(&sim.url(), api), none).await;
            assert_eq!(
                heard.error,
                Some(LlmError::Empty {
                    reason: Some(reason.into())
                }),
                "{api:?}"
            );
        }
    }
}

#[tokio::test]
async fn nothing_said_is_an_error() {
    for api in APIS {
        let sim = sim(Flavour::OpenAi).await;
        for empty in [Plan::reply(""), Plan::text("")] {
            let heard = say(&sim, openai(&sim.url(), api), empty).await;
            assert_eq!(heard.error, Some(LlmError::Empty { reason: None }), "{api:?}");
        }
    }
}

#[tokio::test]
async fn failures_inside_a_stream() {
    let failed = |code: &str| SimEnding::Failed {
        code: code.into(),
        message: "It broke.".into(),
    };
    for (ending, server) in [
        (failed("server_error"), true),
        (SimEnding::ErrorFlat, true),
        (SimEnding::ErrorNested, true),
        (failed("rate_limit_exceeded"), false),
    ] {
        let sim = sim(Flavour::OpenAi).await;
        // Before a word: repeated.
        sim.push(Plan::reply("x").ending(ending.clone(), Some(0)));
        let heard = say(&sim, openai(&sim.url(), Api::Responses), Plan::structured(reply())).await;
        assert_eq!(heard.text, WORDS, "{ending:?}");
        // After it: an error.
        let long = "one two three ".repeat(40);
        let heard = say(
            &sim,
            openai(&sim.url(), Api::Responses),
            Plan::reply(&long).ending(ending.clone(), None),
        )
        .await;
        assert!(!heard.text.is_empty());
        match heard.error {
            Some(LlmError::Server { status: None, .. }) => assert!(server),
            Some(LlmError::RateLimited { .. }) => assert!(!server),
            other => panic!("{ending:?} {other:?}"),
        }
    }
}

#[tokio::test]
async fn text_comes_as_soon_as_it_is_there_and_dropping_ends_the_call() {
    for api in APIS {
        let sim = sim(Flavour::OpenAi).await;
        let gate = Gate::closed();
        sim.push(Plan::reply("one two three ".repeat(40)).gated(&gate));
        let model = connect(openai(&sim.url(), api)).unwrap();
        let mut stream = model.stream(request());
        // Some events carry the keys before `output`, then a word per event.
        let first = async {
            while let Some(item) = stream.next().await {
                if let ModelEvent::Text(text) = item.unwrap() {
                    return text;
                }
            }
            panic!("no text");
        };
        tokio::pin!(first);
        let mut released = 0;
        let text = loop {
            gate.release(1);
            released += 1;
            // A released event is on its way; the word is out long before the reply's 120.
            match tokio::time::timeout(Duration::from_millis(20), &mut first).await {
                Ok(text) => break text,
                Err(_) => assert!(released < 40, "the first word is held back"),
            }
        };
        assert!("one two three ".starts_with(&text), "{text:?}");
        assert_eq!(sim.counts().running, 1);
        drop(stream);
        gate.release(5);
        sim.wait_counts(|counts| counts.running == 0 && counts.abandoned == 1)
            .await;
    }
}

#[tokio::test]
async fn configurations_that_cannot_work() {
    for (url, key) in [("nonsense", "k"), ("http://h", "bad\nkey")] {
        let at = Endpoint {
            api_key: Some(Secret::new(key)),
            ..endpoint(url, Api::Chat)
        };
        let error = connect(at).err().unwrap();
        assert!(matches!(error, LlmError::BadUrl { .. } | LlmError::BadKey), "{error:?}");
    }
}
