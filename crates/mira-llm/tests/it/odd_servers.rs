//! Servers that follow the API loosely, and those that do not follow it.

use crate::support::{Heard, answer, endpoint, events, fallback, hear, request, scripted};
use mira_core::model::Ending;
use mira_llm::{Api, Endpoint, LlmError, RetryPolicy, connect, list_models};
use std::time::Duration;

async fn ask(api: Api, answers: &[String]) -> Heard {
    let url = scripted(answers.to_vec()).await;
    let retry = RetryPolicy {
        attempts: u32::try_from(answers.len()).unwrap(),
        ..endpoint(&url, api).retry
    };
    hear(
        &connect(Endpoint {
            retry,
            ..endpoint(&url, api)
        })
        .unwrap(),
        request(),
    )
    .await
}

const JSON: &str = r#"{\"persona\":\"default\",\"mood\":\"sly\",\"mood_cause\":null,\"output\":\"Hi.\",\"intent\":\"\",\"owner_mood\":\"\",\"tags\":[],\"salience\":0.5}"#;

#[tokio::test]
async fn servers_that_do_not_stream() {
    let chat = format!(
        r#"{{"model":"local","choices":[{{"index":0,"message":{{"role":"assistant","content":"{JSON}"}},"finish_reason":"stop"}}],"usage":null}}"#
    );
    let responses = format!(
        r#"{{"model":"local","status":"completed","error":null,"output":[{{"type":"reasoning"}},{{"type":"message","phase":"commentary","content":[{{"type":"output_text","text":"hm"}}]}},{{"type":"message","content":[{{"type":"output_text","text":"{JSON}"}}]}}]}}"#
    );
    for (api, body) in [(Api::Chat, chat), (Api::Responses, responses)] {
        let heard = ask(api, &[answer("200 OK", "application/json; charset=utf-8", &body)]).await;
        assert_eq!(heard.text, "Hi.", "{heard:?}");
        let finished = heard.finished.unwrap();
        assert_eq!((finished.model.as_str(), finished.meta.mood.as_str()), ("local", "sly"));
    }
}

#[tokio::test]
async fn a_final_output_without_deltas_is_read() {
    let completed = format!(
        r#"{{"type":"response.completed","response":{{"model":"m","usage":null,"output":[{{"type":"message","content":[{{"type":"output_text","text":"{JSON}"}}]}}]}}}}"#
    );
    assert_eq!(ask(Api::Responses, &[events(&[&completed])]).await.text, "Hi.");
}

#[tokio::test]
async fn only_the_final_answer_is_shown() {
    let delta = |index: u32, text: &str| {
        format!(r#"{{"type":"response.output_text.delta","output_index":{index},"delta":"{text}"}}"#)
    };
    let item = |index: u32, item: &str| {
        format!(r#"{{"type":"response.output_item.added","output_index":{index},"item":{item}}}"#)
    };
    let stream = events(&[
        &item(0, r#"{"type":"reasoning","content":null}"#),
        &item(1, r#"{"type":"message","phase":"commentary"}"#),
        &delta(1, "Let me think."),
        &item(2, r#"{"type":"brand_new","delta":[1],"phase":{}}"#),
        r#"{"type":"response.brand_new.delta","delta":{"a":1},"output_index":2}"#,
        &item(3, r#"{"type":"message","phase":"final_answer"}"#),
        &delta(3, JSON),
        r#"{"type":"response.completed","response":{"usage":{"input_tokens":null}}}"#,
    ]);
    let heard = ask(Api::Responses, &[stream]).await;
    assert_eq!((heard.text.as_str(), heard.thought), ("Hi.", true));
}

#[tokio::test]
async fn chat_dialects() {
    let chunk = |delta: &str, reason: &str| {
        format!(r#"{{"model":"local","choices":[{{"delta":{delta},"finish_reason":{reason}}}]}}"#)
    };
    let words = chunk(r#"{"role":"assistant","content":"Hi there."}"#, "null");
    let stop = chunk("{}", r#""stop""#);
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#;
    for (stream, text, error) in [
        // With and without `[DONE]`, with usage between, with nulls and keep-alives, with thinking apart.
        (vec![words.as_str(), &stop, usage, "[DONE]"], "Hi there.", None),
        (vec![&words, &stop], "Hi there.", None),
        (vec![&words, "[DONE]"], "Hi there.", None),
        (
            vec![r#"{"choices":null,"usage":null,"error":null}"#, &words, &stop, "[DONE]"],
            "Hi there.",
            None,
        ),
        (
            vec![
                &chunk(r#"{"reasoning_content":"hm","content":null}"#, "null"),
                &words,
                &stop,
            ],
            "Hi there.",
            None,
        ),
        (
            vec![
                &chunk(r#"{"content":[{"type":"thinking","thinking":[]}]}"#, "null"),
                &words,
                &stop,
            ],
            "Hi there.",
            None,
        ),
        // No end, a fault inside, nonsense.
        (vec![&words], "Hi there.", Some(LlmError::CutOff)),
        (
            vec![&words, r#"{"error":{"message":"Provider gone","code":502}}"#],
            "Hi there.",
            Some(LlmError::Server {
                status: Some(502),
                message: "Provider gone".into(),
                retry_after: None,
            }),
        ),
        (vec![&stop], "", Some(LlmError::Empty { reason: None })),
    ] {
        let heard = ask(Api::Chat, &[events(&stream)]).await;
        assert_eq!(
            (heard.text.as_str(), heard.error.as_ref()),
            (text, error.as_ref()),
            "{stream:?}"
        );
        if let Some(finished) = heard.finished {
            assert_eq!((finished.meta, finished.ending), (fallback(), Ending::Whole));
        }
    }
    let heard = ask(Api::Chat, &[events(&[&words, &chunk("{}", r#""length""#), "[DONE]"])]).await;
    assert_eq!(
        heard.finished.unwrap().ending,
        Ending::CutShort("max_output_tokens".into())
    );
}

#[tokio::test]
async fn pages_redirects_and_nonsense() {
    let page = answer("200 OK", "text/html", "<html>welcome</html>");
    for api in [Api::Responses, Api::Chat] {
        assert!(matches!(
            ask(api, std::slice::from_ref(&page)).await.error,
            Some(LlmError::Garbage { .. })
        ));
        let heard = ask(api, &[events(&["certainly not JSON"])]).await;
        assert!(matches!(heard.error, Some(LlmError::Garbage { .. })), "{heard:?}");
        let elsewhere =
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let error = ask(api, &[elsewhere.to_owned()]).await.error.unwrap();
        assert!(error.to_string().contains("redirects"), "{error}");
        let heard = ask(api, &[answer("200 OK", "application/json", "{}")]).await;
        assert!(matches!(heard.error, Some(LlmError::Garbage { .. })), "{heard:?}");
    }
    let url = scripted(vec![page]).await;
    assert!(matches!(
        list_models(&endpoint(&url, Api::Chat)).await,
        Err(LlmError::Garbage { .. })
    ));
}

#[tokio::test]
async fn keep_alives_are_life_for_a_while() {
    // Comments every 20 ms for 800 ms: longer than the idle timeout, shorter than the other one.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = vec![0; 65_536];
                assert!(socket.read(&mut head).await.unwrap() > 0);
                let start = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
                    data: {\"choices\":[{\"delta\":{\"content\":\"Hi \"}}]}\n\n";
                socket.write_all(start.as_bytes()).await.unwrap();
                for _ in 0..40 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    if socket.write_all(b": still here\n\n").await.is_err() {
                        return;
                    }
                }
                let end = "data: {\"choices\":[{\"delta\":{\"content\":\"there.\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
                // The client may have given up, which is one of the two cases.
                drop(socket.write_all(end.as_bytes()).await);
            });
        }
    });
    let at = |idle, thinking| Endpoint {
        idle_timeout: Duration::from_millis(idle),
        thinking_timeout: Duration::from_millis(thinking),
        ..endpoint(&url, Api::Chat)
    };
    let heard = hear(&connect(at(300, 20_000)).unwrap(), request()).await;
    assert_eq!((heard.text.as_str(), heard.error), ("Hi there.", None));
    let heard = hear(&connect(at(300, 300)).unwrap(), request()).await;
    assert_eq!(heard.text, "Hi ");
    assert!(matches!(heard.error, Some(LlmError::IdleTimeout { .. })));
}
