//! The embedder of an endpoint against the emulator: what is sent, what is learned, what is repeated, what is refused.

use crate::support::{KEY, answer, scripted, sim};
use mira_llm::{
    LlmError, RetryPolicy, Secret,
    embeddings::{EmbedError, EmbedUsage, Embedder, EmbeddingEndpoint, RemoteEmbedder, Vector, embed_within},
};
use openai_sim::{Base64, EmbeddingsManner, Flavour, Gate, HttpFault, Plan, Sim, Target};
use serde_json::{Value, json};
use std::time::Duration;

const MODEL: &str = "text-embedding-3-small";

fn endpoint(url: &str, model: &str, dimension: usize) -> EmbeddingEndpoint {
    EmbeddingEndpoint {
        api_key: Some(Secret::new(KEY)),
        timeout: Duration::from_secs(20),
        retry: RetryPolicy {
            attempts: 3,
            base: Duration::from_millis(2),
            cap: Duration::from_millis(4),
            retry_after_cap: Duration::from_secs(1),
        },
        ..EmbeddingEndpoint::new(url, model, dimension)
    }
}

fn embedder(sim: &Sim, model: &str, dimension: usize) -> RemoteEmbedder {
    RemoteEmbedder::new(endpoint(&sim.url(), model, dimension)).unwrap()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn cosine(a: &Vector, b: &Vector) -> f32 {
    a.iter().zip(b.iter()).map(|(a, b)| a * b).sum()
}

async fn openai() -> Sim {
    sim(Flavour::OpenAi).await
}

#[tokio::test]
async fn texts_become_unit_vectors_in_their_order() {
    let sim = openai().await;
    sim.set_embeddings(EmbeddingsManner {
        reversed: true,
        ..EmbeddingsManner::default()
    });
    let embedder = embedder(&sim, MODEL, 512);
    let three = texts(&["a golden retriever", "tax forms", "my golden retriever likes rain"]);
    let vectors = embedder.embed(three).await.unwrap();
    assert!(
        vectors
            .iter()
            .all(|vector| vector.len() == 512 && (cosine(vector, vector) - 1.0).abs() < 1e-4)
    );
    assert!(cosine(&vectors[0], &vectors[2]) > 0.3 && cosine(&vectors[0], &vectors[1]) < 0.2);
    let request = &sim.requests()[0];
    let expect = json!({
        "model": MODEL,
        "input": ["a golden retriever", "tax forms", "my golden retriever likes rain"],
        "encoding_format": "base64",
        "dimensions": 512,
    });
    assert_eq!((request.path.as_str(), &request.body), ("/v1/embeddings", &expect));
    assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(
        embedder.usage(),
        EmbedUsage {
            requests: 1,
            tokens: 16
        }
    );
    assert_eq!(
        (embedder.model(), embedder.dimension(), embedder.is_local()),
        (MODEL, 512, false)
    );
}

#[tokio::test]
async fn nothing_to_say_is_not_asked() {
    let sim = openai().await;
    let embedder = embedder(&sim, MODEL, 8);
    assert_eq!(embedder.embed(vec![]).await.unwrap(), Vec::<Vector>::new());
    let vectors = embedder.embed(texts(&["", "word", " \n\t"])).await.unwrap();
    assert_eq!((&vectors[0][..], &vectors[2][..]), (&[0.0; 8][..], &[0.0; 8][..]));
    assert!((cosine(&vectors[1], &vectors[1]) - 1.0).abs() < 1e-4);
    assert_eq!(sim.requests().len(), 1);
    assert_eq!(sim.requests()[0].body["input"], json!(["word"]));
}

#[tokio::test]
async fn a_server_is_asked_as_it_wants_to_be() {
    let sim = openai().await;
    sim.set_embeddings(EmbeddingsManner {
        base64: Base64::Refused,
        fixed_dimensions: true,
        ..EmbeddingsManner::default()
    });
    let embedder = embedder(&sim, MODEL, 1_536);
    let keys = |sim: &Sim, index: usize| -> Vec<String> {
        let requests = sim.requests();
        requests[index]
            .body
            .as_object()
            .unwrap()
            .keys()
            .skip(2)
            .cloned()
            .collect()
    };
    embedder.embed(texts(&["one"])).await.unwrap();
    embedder.embed(texts(&["two"])).await.unwrap();
    assert_eq!(sim.requests().len(), 4, "learned once, remembered");
    assert_eq!(keys(&sim, 0), ["encoding_format", "dimensions"]);
    assert_eq!(keys(&sim, 1), ["encoding_format"]);
    assert_eq!((keys(&sim, 2), keys(&sim, 3)), (vec![], vec![]));
}

#[tokio::test]
async fn numbers_instead_of_bytes_are_read_too() {
    let sim = openai().await;
    let embedder = embedder(&sim, MODEL, 64);
    let bytes = embedder.embed(texts(&["the same"])).await.unwrap();
    sim.set_embeddings(EmbeddingsManner {
        base64: Base64::Ignored,
        ..EmbeddingsManner::default()
    });
    let numbers = embedder.embed(texts(&["the same"])).await.unwrap();
    assert!((cosine(&bytes[0], &numbers[0]) - 1.0).abs() < 1e-5);
}

#[tokio::test]
async fn another_length_is_an_error_with_both_numbers() {
    let sim = openai().await;
    sim.set_embeddings(EmbeddingsManner {
        length: Some(768),
        ..EmbeddingsManner::default()
    });
    let error = embedder(&sim, MODEL, 1_024).embed(texts(&["one"])).await.unwrap_err();
    let expect = EmbedError::Dimension {
        model: MODEL.into(),
        expected: 1_024,
        got: 768,
    };
    assert_eq!(error, expect);
    assert!(!error.retryable());
    assert_eq!(
        error.to_string(),
        "the embedding model \"text-embedding-3-small\" gives vectors of 768 numbers where 1024 are configured; set \
         QDRANT_EMBEDDING_DIM to 768 or choose another model"
    );
    assert_eq!(sim.requests().len(), 1);
}

#[tokio::test]
async fn many_texts_go_in_requests_within_the_limits() {
    let sim = openai().await;
    let embedder = embedder(&sim, MODEL, 4);
    let many: Vec<String> = (0..2_100).map(|number| format!("text {number}")).collect();
    let vectors = embedder.embed(many.clone()).await.unwrap();
    assert_eq!(vectors.len(), 2_100);
    assert_eq!(sim.requests().len(), 2);
    let again = embedder.embed(vec![many[2_099].clone()]).await.unwrap();
    assert_eq!(again[0], vectors[2_099]);
}

#[tokio::test]
async fn long_texts_are_cut_not_refused() {
    let sim = openai().await;
    let embedder = embedder(&sim, MODEL, 4);
    let page = "so many words ".repeat(20_000);
    let other = "日本語の長い文章".repeat(20_000);
    let vectors = embedder.embed(vec![page, other, "short".into()]).await.unwrap();
    assert_eq!(vectors.len(), 3);
    assert!(sim.requests().iter().all(|request| request.verdict.is_ok()));
}

#[tokio::test]
async fn smaller_limits_are_learned() {
    let sim = openai().await;
    sim.set_embeddings(EmbeddingsManner {
        most_inputs: Some(10),
        most_tokens: Some(512),
        ..EmbeddingsManner::default()
    });
    let embedder = embedder(&sim, MODEL, 4);
    let mut many: Vec<String> = (0..30).map(|number| format!("text {number}")).collect();
    many.push("long ".repeat(5_000));
    assert_eq!(embedder.embed(many.clone()).await.unwrap().len(), 31);
    let before = sim.requests().len();
    assert_eq!(embedder.embed(many).await.unwrap().len(), 31);
    let again = sim.requests().split_off(before);
    assert!(again.len() <= 6, "{} requests", again.len());
    let longest = |body: &Value| {
        body["input"]
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap().len())
            .max()
    };
    assert!(again.iter().all(|request| longest(&request.body) <= Some(2_048)));
}

#[tokio::test]
async fn what_may_pass_is_repeated() {
    let sim = openai().await;
    let embedder = embedder(&sim, MODEL, 4);
    for plan in [
        Plan::status(429).retry_after_ms(1),
        Plan::status(500),
        Plan::status(503).html(),
    ] {
        sim.push(plan.target(Target::Embeddings));
    }
    // Three tries, three faults.
    let error = embedder.embed(texts(&["one"])).await.unwrap_err();
    assert!(
        matches!(error, EmbedError::Endpoint(LlmError::Server { status: Some(503), .. })),
        "{error}"
    );
    assert!(error.retryable());
    sim.push(Plan::status(500).target(Target::Embeddings));
    sim.push(Plan::status(429).target(Target::Embeddings));
    embedder.embed(texts(&["one"])).await.unwrap();
    assert_eq!(sim.requests().len(), 6);
}

#[tokio::test]
async fn what_cannot_pass_is_not_repeated() {
    let sim = openai().await;
    let mut quota = HttpFault::new(429);
    quota.code = Some("insufficient_quota".into());
    sim.push(Plan::http(quota).target(Target::Embeddings));
    let error = embedder(&sim, MODEL, 4).embed(texts(&["one"])).await.unwrap_err();
    assert_eq!(error, EmbedError::Endpoint(LlmError::Quota));
    assert!(error.retryable(), "by the indexer, later");

    let wrong = EmbeddingEndpoint {
        api_key: Some(Secret::new("sk-somebody-elses")),
        ..endpoint(&sim.url(), MODEL, 4)
    };
    let error = RemoteEmbedder::new(wrong)
        .unwrap()
        .embed(texts(&["one"]))
        .await
        .unwrap_err();
    assert_eq!(error, EmbedError::Auth { status: 401 });
    assert!(!error.to_string().contains("somebody") && !error.retryable());

    let error = embedder(&sim, "no-such-model", 4)
        .embed(texts(&["one"]))
        .await
        .unwrap_err();
    assert!(
        matches!(error, EmbedError::Endpoint(LlmError::ModelNotFound { .. })),
        "{error}"
    );
    assert_eq!(sim.requests().len(), 3);
}

#[tokio::test]
async fn an_outage_ends_and_is_forgotten() {
    let sim = openai().await;
    let embedder = embedder(&sim, MODEL, 4);
    sim.set_embeddings(EmbeddingsManner {
        down: Some(HttpFault::new(503)),
        ..EmbeddingsManner::default()
    });
    let error = embedder.embed(texts(&["one"])).await.unwrap_err();
    assert!(error.retryable());
    sim.set_embeddings(EmbeddingsManner::default());
    assert_eq!(embedder.embed(texts(&["one"])).await.unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_there_is_an_error_that_may_pass() {
    let sim = openai().await;
    let embedder = embedder(&sim, MODEL, 4);
    sim.shutdown().await;
    let error = embedder.embed(texts(&["one"])).await.unwrap_err();
    assert!(
        matches!(error, EmbedError::Endpoint(LlmError::Connect { .. })) && error.retryable(),
        "{error}"
    );
}

#[tokio::test]
async fn a_deadline_ends_the_call() {
    let sim = openai().await;
    let gate = Gate::closed();
    sim.push(Plan::reply("").target(Target::Embeddings).gated(&gate));
    let embedder = embedder(&sim, MODEL, 4);
    let after = Duration::from_millis(50);
    let error = embed_within(&embedder, texts(&["one"]), after).await.unwrap_err();
    assert_eq!(error, EmbedError::Late { after });
    sim.wait_counts(|counts| counts.abandoned >= 1).await;
    embed_within(&embedder, texts(&["two"]), Duration::from_secs(20))
        .await
        .unwrap();
}

#[tokio::test]
async fn odd_answers_are_told_apart() {
    let check = |status: &'static str, kind: &'static str, body: &'static str| async move {
        let url = scripted(vec![answer(status, kind, body)]).await;
        let mut endpoint = endpoint(&url, MODEL, 2);
        endpoint.retry.attempts = 1;
        RemoteEmbedder::new(endpoint).unwrap().embed(texts(&["one"])).await
    };
    let error = check("200 OK", "text/html", "<html>It works!</html>")
        .await
        .unwrap_err();
    assert!(
        matches!(error, EmbedError::Endpoint(LlmError::Garbage { .. })),
        "{error}"
    );
    let told = r#"{"error":{"message":"upstream busy","code":503}}"#;
    let error = check("200 OK", "application/json", told).await.unwrap_err();
    assert!(
        matches!(error, EmbedError::Endpoint(LlmError::Server { status: Some(503), .. })),
        "{error}"
    );
    let two = r#"{"data":[{"index":0,"embedding":[1,0]},{"index":1,"embedding":[1,0]}]}"#;
    let error = check("200 OK", "application/json", two).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "embeddings: the model endpoint sent something unreadable: 2 vectors, not one for each of 1 texts"
    );
    let fine = r#"{"data":[{"embedding":[3,4],"index":0,"object":"embedding"}],"model":"x"}"#;
    let vectors = check("200 OK", "application/json", fine).await.unwrap();
    assert_eq!(&vectors[0][..], [0.6, 0.8]);
}

#[test]
fn a_configuration_that_cannot_work_is_refused_at_once() {
    let error = RemoteEmbedder::new(endpoint("ftp://example.org", MODEL, 4)).unwrap_err();
    assert!(matches!(error, EmbedError::Endpoint(LlmError::BadUrl { .. })));
    let shown = format!(
        "{:?}",
        RemoteEmbedder::new(endpoint("http://localhost", MODEL, 4)).unwrap()
    );
    assert!(shown.contains(MODEL) && !shown.contains(KEY));
}
