//! Qdrant's side through the emulator: what is made there, what goes wrong there, and what is said of it.

use super::{corpus, memory};
use crate::support::ME;
use mira_memory::index::{
    Filter, IndexError, IndexStatus, VectorIndex,
    qdrant::{ApiKey, Ensured, QdrantConfig, QdrantIndex, RetryPolicy},
};
use qdrant_sim::{Captured, Fault, Sim, SimConfig};
use std::{sync::Arc, time::Duration};

const KEY: &str = "a-very-secret-key";

async fn sim() -> Sim {
    Sim::start(SimConfig {
        api_key: Some(KEY.to_owned()),
        ..SimConfig::default()
    })
    .await
    .unwrap()
}

fn config(sim: &Sim, model: &str, dimension: usize) -> QdrantConfig {
    QdrantConfig {
        key: ApiKey::new(KEY),
        retry: RetryPolicy {
            base: Duration::from_millis(1),
            ..QdrantConfig::RETRY
        },
        ..QdrantConfig::new(sim.url(), "mira-memory", model, dimension)
    }
}

fn open(sim: &Sim, model: &str, dimension: usize) -> QdrantIndex {
    QdrantIndex::open(config(sim, model, dimension)).unwrap()
}

async fn search(index: &QdrantIndex) -> Result<usize, IndexError> {
    let query = corpus(1, index.dimension(), 1).remove(0).vector;
    let found = index.search(ME, query, Filter::default(), 10).await;
    found.map(|hits| hits.len())
}

/// Requests since the last look, as `METHOD path`.
fn asked(sim: &Sim, seen: &mut usize) -> Vec<String> {
    let all = sim.requests();
    let new = all[*seen..]
        .iter()
        .map(|r: &Captured| format!("{} {}", r.method, r.path))
        .collect();
    *seen = all.len();
    new
}

#[tokio::test]
async fn what_is_missing_is_made_once() {
    let sim = sim().await;
    let index = open(&sim, "text-embedding-3-large", 4);
    assert!(matches!(index.status(), IndexStatus::Unavailable(_)));
    let collection = "mira-memory-text-embedding-3-large-4".to_owned();
    let made = |created| Ensured {
        collection: collection.clone(),
        created,
        active: true,
    };
    assert_eq!(index.ensure().await, Ok(made(true)));
    assert_eq!(index.status(), IndexStatus::Ready);
    assert_eq!(sim.alias("mira-memory"), Some(collection.clone()));
    let c = format!("/collections/{collection}");
    let mut seen = 0;
    let mut expect = vec![
        "GET /aliases".to_owned(),
        "GET /collections/mira-memory".to_owned(),
        format!("GET {c}"),
        format!("PUT {c}"),
        format!("GET {c}"),
    ];
    expect.extend(std::iter::repeat_n(format!("PUT {c}/index"), 5));
    expect.push("POST /collections/aliases".to_owned());
    assert_eq!(asked(&sim, &mut seen), expect);
    assert!(
        sim.requests()
            .iter()
            .all(|request| request.api_key.as_deref() == Some(KEY))
    );
    assert_eq!(index.ensure().await, Ok(made(false)));
    assert_eq!(asked(&sim, &mut seen), ["GET /aliases".to_owned(), format!("GET {c}")]);
}

#[tokio::test]
async fn points_travel_in_batches_that_are_waited_for() {
    let sim = sim().await;
    let index = open(&sim, "m", 4);
    index.ensure().await.unwrap();
    let mut seen = sim.requests().len();
    index.upsert(ME, corpus(300, 4, 1)).await.unwrap();
    let requests = sim.requests();
    let sizes: Vec<usize> = requests[seen..]
        .iter()
        .map(|request| request.body["points"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [128, 128, 44]);
    assert!(
        requests[seen..]
            .iter()
            .all(|request| request.query.as_deref() == Some("wait=true"))
    );
    seen = requests.len();
    // 33 KB a point: 8 MB are fewer than 128 of them where the numbers are long.
    let wide = open(&sim, "wide", 8192);
    wide.ensure().await.unwrap();
    wide.upsert(ME, corpus(128, 8192, 1)).await.unwrap();
    let sizes: Vec<usize> = sim.requests()[seen..]
        .iter()
        .filter(|request| request.path.ends_with("/points"))
        .map(|request| request.bytes)
        .collect();
    assert!(
        sizes.len() > 1 && sizes.iter().all(|&bytes| bytes <= 8 << 20),
        "{sizes:?}"
    );
    assert_eq!(wide.count(ME).await, Ok(128));
}

#[tokio::test]
async fn a_new_model_swaps_in_one_step() {
    let sim = sim().await;
    let old = open(&sim, "old", 4);
    old.ensure().await.unwrap();
    old.upsert(ME, corpus(5, 4, 1)).await.unwrap();
    let new = open(&sim, "new", 8);
    let made = new.ensure().await.unwrap();
    assert!(made.created && !made.active);
    new.upsert(ME, corpus(5, 8, 1)).await.unwrap();
    assert_eq!((search(&old).await, search(&new).await), (Ok(5), Ok(5)));
    assert_eq!(new.swap_alias().await, Ok(Some("mira-memory-old-4".to_owned())));
    assert_eq!(sim.alias("mira-memory").as_deref(), Some("mira-memory-new-8"));
    assert_eq!(new.swap_alias().await, Ok(None));
    assert_eq!(new.delete_model("new", 8).await, Ok(false));
    assert_eq!(new.delete_model("old", 8).await, Ok(false));
    assert_eq!(new.delete_model("old", 4).await, Ok(true));
    assert_eq!(sim.collection_names(), ["mira-memory-new-8"]);
}

/// Two databases on one server, one an import of the other: the ids are the same, and neither touches what the other has.
#[tokio::test]
async fn databases_do_not_touch_each_other() {
    let sim = sim().await;
    let of = |instance: &str, model: &str, dimension| {
        QdrantIndex::open(QdrantConfig {
            instance: instance.to_owned(),
            ..config(&sim, model, dimension)
        })
        .unwrap()
    };
    let (ours, theirs) = (of("0a", "m", 4), of("0b", "m", 4));
    assert_eq!(ours.collection(), "mira-memory-0a-m-4");
    assert!(ours.ensure().await.unwrap().active);
    let made = theirs.ensure().await.unwrap();
    assert!(made.created && !made.active);
    ours.upsert(ME, corpus(5, 4, 1)).await.unwrap();
    theirs.upsert(ME, corpus(9, 4, 1)).await.unwrap();
    theirs.remove(ME, vec![corpus(1, 4, 1)[0].id]).await.unwrap();
    assert_eq!((ours.count(ME).await, theirs.count(ME).await), (Ok(5), Ok(8)));
    assert_eq!((search(&ours).await, search(&theirs).await), (Ok(5), Ok(8)));
    let next = of("0b", "next", 8);
    next.ensure().await.unwrap();
    assert_eq!(next.swap_alias().await, Ok(Some("mira-memory-0a-m-4".to_owned())));
    assert_eq!(next.delete_model("m", 4).await, Ok(true));
    assert_eq!(search(&ours).await, Ok(5));
    let bad = QdrantConfig {
        instance: "a-b".to_owned(),
        ..config(&sim, "m", 4)
    };
    assert!(matches!(QdrantIndex::open(bad), Err(IndexError::Refused(_))));
}

#[tokio::test]
async fn an_owners_plain_collection_is_used_if_it_fits() {
    let sim = sim().await;
    // By another name, then taken as if an owner had made it: the emulator has no other door.
    let maker = |dimension| {
        let body = format!(r#"{{"vectors":{{"size":{dimension},"distance":"Cosine"}}}}"#);
        reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .put(format!("{}/collections/mira-memory", sim.url()))
            .header("api-key", KEY)
            .header("content-type", "application/json")
            .body(body)
            .send()
    };
    let index = open(&sim, "m", 4);
    assert_eq!(maker(4).await.unwrap().status().as_u16(), 200);
    let ensured = index.ensure().await.unwrap();
    assert_eq!(
        ensured,
        Ensured {
            collection: "mira-memory".to_owned(),
            created: false,
            active: true
        }
    );
    index.upsert(ME, corpus(5, 4, 1)).await.unwrap();
    assert_eq!(sim.points("mira-memory"), Some(5));
    assert_eq!(index.swap_alias().await, Ok(None));
    let other = open(&sim, "m", 8);
    let refused = other.ensure().await.unwrap_err();
    assert_eq!(refused, IndexError::Dimension { expected: 8, found: 4 });
    assert_eq!(
        other.status(),
        IndexStatus::Unavailable("the index holds vectors of 4 numbers, the embedder makes 8".to_owned())
    );
}

#[tokio::test]
async fn a_killed_server_is_met_again() {
    let mut sim = sim().await;
    let index = open(&sim, "m", 4);
    index.ensure().await.unwrap();
    index.upsert(ME, corpus(5, 4, 1)).await.unwrap();
    sim.go_down().await;
    let gone = search(&index).await.unwrap_err();
    assert!(matches!(gone, IndexError::Unreachable(_)), "{gone:?}");
    let write = index.upsert(ME, corpus(1, 4, 1)).await.unwrap_err();
    assert!(matches!(write, IndexError::Unreachable(_)), "{write:?}");
    assert!(matches!(index.status(), IndexStatus::Unavailable(_)));
    sim.come_back().await.unwrap();
    assert_eq!(search(&index).await, Ok(5));
    assert_eq!(index.status(), IndexStatus::Ready);
}

#[tokio::test]
async fn writes_are_repeated_and_searches_are_not() {
    let sim = sim().await;
    let index = open(&sim, "m", 4);
    index.ensure().await.unwrap();
    let mut seen = sim.requests().len();
    for fault in [
        Fault::Internal,
        Fault::Unavailable,
        Fault::TooMany {
            retry_after_seconds: Some(0),
        },
        Fault::Cut,
        Fault::CutBody,
    ] {
        sim.fault(fault.clone(), 3);
        index.upsert(ME, corpus(5, 4, 1)).await.unwrap();
        assert_eq!(asked(&sim, &mut seen).len(), 4, "{fault:?}");
        sim.fault(fault.clone(), 1);
        let error = search(&index).await.unwrap_err();
        assert!(
            matches!(error, IndexError::Busy(_) | IndexError::Unreachable(_)),
            "{fault:?}: {error:?}"
        );
        assert_eq!(asked(&sim, &mut seen).len(), 1, "{fault:?}");
        assert_eq!(search(&index).await, Ok(5), "{fault:?}");
        asked(&sim, &mut seen);
    }
    sim.fault(Fault::Internal, 100);
    let error = index.upsert(ME, corpus(5, 4, 1)).await.unwrap_err();
    assert_eq!(
        error,
        IndexError::Busy("500 (Service internal error: task panicked)".to_owned())
    );
    assert_eq!(asked(&sim, &mut seen).len(), 4);
    sim.heal();
    // A server that asks for more patience than a batch has.
    sim.fault(
        Fault::TooMany {
            retry_after_seconds: Some(3600),
        },
        1,
    );
    let error = index.remove(ME, vec![memory(1)]).await.unwrap_err();
    assert!(matches!(error, IndexError::Busy(_)), "{error:?}");
}

#[tokio::test]
async fn a_slow_server_costs_no_more_than_its_deadline() {
    let sim = sim().await;
    let index = QdrantIndex::open(QdrantConfig {
        read_timeout: Duration::from_millis(200),
        ..config(&sim, "m", 4)
    })
    .unwrap();
    index.ensure().await.unwrap();
    sim.fault(Fault::Slow(Duration::from_hours(1)), 1);
    let error = search(&index).await.unwrap_err();
    let IndexError::Unreachable(why) = &error else {
        panic!("{error:?}")
    };
    assert!(why.ends_with("did not answer within 200 ms"), "{why}");
    assert_eq!(search(&index).await, Ok(0));
}

#[tokio::test]
async fn a_full_disk_is_said_and_not_hammered() {
    let sim = sim().await;
    let index = open(&sim, "m", 4);
    index.ensure().await.unwrap();
    sim.set_full(true);
    let mut seen = sim.requests().len();
    let error = index.upsert(ME, corpus(5, 4, 1)).await.unwrap_err();
    assert!(
        matches!(&error, IndexError::Busy(why) if why.contains("No space left")),
        "{error:?}"
    );
    assert_eq!(asked(&sim, &mut seen).len(), 1);
    // It still answers what it has.
    assert_eq!(search(&index).await, Ok(0));
    sim.set_full(false);
    index.upsert(ME, corpus(5, 4, 1)).await.unwrap();
}

#[tokio::test]
async fn a_wiped_server_is_filled_anew() {
    let sim = sim().await;
    let index = open(&sim, "m", 4);
    index.ensure().await.unwrap();
    index.upsert(ME, corpus(5, 4, 1)).await.unwrap();
    sim.wipe();
    let missing = Err(IndexError::Missing("mira-memory-m-4".to_owned()));
    assert_eq!(search(&index).await, missing);
    assert_eq!(index.upsert(ME, corpus(5, 4, 1)).await, missing.clone().map(drop));
    assert_eq!(index.remove(ME, vec![memory(1)]).await, missing.clone().map(drop));
    assert_eq!(index.count(ME).await, missing.map(|_| 0));
    assert!(index.ensure().await.unwrap().created);
    assert_eq!(index.count(ME).await, Ok(0));
}

#[tokio::test]
async fn a_wrong_key_is_denied_and_shown_nowhere() {
    let sim = sim().await;
    let index = open(&sim, "m", 4);
    index.ensure().await.unwrap();
    sim.set_key(Some("another"));
    assert_eq!(search(&index).await, Err(IndexError::Denied));
    assert_eq!(index.upsert(ME, corpus(1, 4, 1)).await, Err(IndexError::Denied));
    let keyless = QdrantIndex::open(QdrantConfig {
        key: None,
        ..config(&sim, "m", 4)
    })
    .unwrap();
    assert_eq!(keyless.ensure().await, Err(IndexError::Denied));
    assert!(!format!("{index:?}{:?}", config(&sim, "m", 4)).contains(KEY));
}

#[tokio::test]
async fn nonsense_is_called_nonsense() {
    let sim = sim().await;
    let index = open(&sim, "m", 4);
    index.ensure().await.unwrap();
    for fault in [Fault::Garbage, Fault::Nonsense] {
        for write in [false, true] {
            sim.fault(fault.clone(), 1);
            let error = if write {
                index.upsert(ME, corpus(1, 4, 1)).await.unwrap_err()
            } else {
                search(&index).await.unwrap_err()
            };
            assert!(matches!(error, IndexError::Garbage(_)), "{fault:?}: {error:?}");
        }
    }
}

/// The model's collection was made for vectors of another length, behind Mira's back.
#[tokio::test]
async fn another_dimension_is_said() {
    let sim = sim().await;
    let index = open(&sim, "m", 4);
    index.ensure().await.unwrap();
    sim.wipe();
    let made = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .put(format!("{}/collections/mira-memory-m-4", sim.url()))
        .header("api-key", KEY)
        .header("content-type", "application/json")
        .body(r#"{"vectors":{"size":8,"distance":"Cosine"}}"#)
        .send()
        .await
        .unwrap();
    assert_eq!(made.status().as_u16(), 200);
    let wrong = IndexError::Dimension { expected: 4, found: 8 };
    assert_eq!(index.upsert(ME, corpus(1, 4, 1)).await, Err(wrong.clone()));
    assert_eq!(search(&index).await, Err(wrong.clone()));
    assert_eq!(index.ensure().await, Err(wrong));
}

#[tokio::test]
async fn many_callers_share_it() {
    let sim = sim().await;
    let index = Arc::new(open(&sim, "m", 4));
    index.ensure().await.unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..20 {
        let index = Arc::clone(&index);
        calls.spawn(async move {
            let mut point = corpus(1, 4, n).remove(0);
            point.id = memory(n);
            index.upsert(ME, vec![point]).await
        });
    }
    assert!(calls.join_all().await.iter().all(Result::is_ok));
    assert_eq!(search(&index).await, Ok(10));
    assert_eq!(index.count(ME).await, Ok(20));
}
