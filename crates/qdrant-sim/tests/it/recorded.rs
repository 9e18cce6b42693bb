//! What a real server answered (`examples/record.rs`), asked of the emulator again in the same order: the status, the
//! form and, but for what is each server's own, the values must be the same.

use super::{client, exchange::ask};
use qdrant_sim::{Sim, SimConfig};
use serde_json::Value;

const RECORDED: &str = include_str!("../../recorded/qdrant.json");
const KEY: &str = "the-key";
/// Numbers and names that a server gives as it likes.
const ITS_OWN: [&str; 6] = [
    "operation_id",
    "version",
    "indexed_vectors_count",
    "segments_count",
    "optimizer_status",
    "status",
];
/// Where the JSON library of each server has words of its own for what is wrong with a body.
const IN_ITS_WORDS: [&str; 3] = ["Format error in JSON body", "Validation error", "Deserialize error"];

/// What the emulator may leave unsaid.
const UNSAID: [&str; 7] = [
    "max_segment_size",
    "memmap_threshold",
    "indexing_threshold",
    "max_optimization_threads",
    "prevent_unoptimized",
    "wal_retain_closed",
    "update_queue",
];

/// What differs, by path.
fn differences(at: &str, real: &Value, emulated: &Value, found: &mut Vec<String>) {
    match (real, emulated) {
        (Value::Object(real), Value::Object(emulated)) => {
            let unsaid = real.keys().filter(|name| !emulated.contains_key(*name));
            for name in unsaid.filter(|name| !UNSAID.contains(&name.as_str())) {
                found.push(format!("{at}.{name}: the emulator does not say it"));
            }
            for (name, value) in emulated {
                let at = format!("{at}.{name}");
                match real.get(name) {
                    None => found.push(format!("{at}: a real server does not say it")),
                    Some(real) if ITS_OWN.contains(&name.as_str()) && kind(real) == kind(value) => {
                        if value.is_object() {
                            differences(&at, real, value, found);
                        }
                    }
                    Some(real) => differences(&at, real, value, found),
                }
            }
        }
        (Value::Array(real), Value::Array(emulated)) if real.len() == emulated.len() => {
            for (n, (real, emulated)) in real.iter().zip(emulated).enumerate() {
                differences(&format!("{at}[{n}]"), real, emulated, found);
            }
        }
        (Value::String(real), Value::String(emulated)) if in_its_words(real, emulated) => {}
        (Value::Number(a), Value::Number(b)) if close(a.as_f64(), b.as_f64()) => {}
        _ if real == emulated => {}
        _ => found.push(format!("{at}: {real}, emulated {emulated}")),
    }
}

fn kind(value: &Value) -> std::mem::Discriminant<Value> {
    std::mem::discriminant(value)
}

fn in_its_words(real: &str, emulated: &str) -> bool {
    let begins = |begin: &&str| real.starts_with(*begin) && emulated.starts_with(*begin);
    IN_ITS_WORDS.iter().any(begins)
}

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if (a - b).abs() < 1e-5)
}

#[tokio::test]
async fn the_emulator_answers_as_a_real_server_did() {
    let recorded: Value = serde_json::from_str(RECORDED).unwrap();
    let start = |api_key: Option<&str>| {
        Sim::start(SimConfig {
            api_key: api_key.map(str::to_owned),
            strict_mode: false,
            ..SimConfig::default()
        })
    };
    let (open, locked) = (start(None).await.unwrap(), start(Some(KEY)).await.unwrap());
    let mut found = Vec::new();
    for exchange in recorded["exchanges"].as_array().unwrap() {
        let exchange = exchange.as_object().unwrap();
        let sim = if exchange.contains_key("key") { &locked } else { &open };
        let (status, answer) = ask(&client(), &sim.url(), KEY, exchange).await.unwrap();
        let what = exchange["what"].as_str().unwrap();
        differences(
            &format!("{what}: status"),
            &exchange["status"],
            &status.into(),
            &mut found,
        );
        differences(what, &exchange["answer"], &answer, &mut found);
    }
    assert!(found.is_empty(), "{found:#?}");
}
