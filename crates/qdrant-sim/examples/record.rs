//! Asks a real Qdrant what `recorded/qdrant.json` asks and writes its answers into the file; the emulator is held to
//! them (`tests/it/recorded.rs`).
//!
//! `cargo run -p qdrant-sim --example record -- http://127.0.0.1:6333 [KEY]`, with a server that holds nothing. Exchanges
//! about keys are asked only where a key is given, which is then the server's; the others only where none is. So it takes
//! two runs, and two servers. A new case is an exchange without `status` and `answer`.

#![expect(clippy::print_stdout, reason = "a tool for the terminal")]

#[path = "../tests/it/exchange.rs"]
mod exchange;

use serde_json::Value;
use std::{error::Error, fs, path::Path};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("the address of a Qdrant server is missing")?;
    let server_key = arguments.next();
    // It fails only if it is there already, which is what is wanted.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().no_proxy().build()?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded/qdrant.json");
    let mut recorded: Value = serde_json::from_slice(&fs::read(&file)?)?;
    let version: Value = serde_json::from_str(&client.get(&url).send().await?.text().await?)?;
    let version = version.get("version").cloned().unwrap_or_default();
    let exchanges = recorded.get_mut("exchanges").and_then(Value::as_array_mut);
    let mut asked = 0;
    for exchange in exchanges
        .ok_or("no exchanges")?
        .iter_mut()
        .filter_map(Value::as_object_mut)
    {
        if exchange.contains_key("key") == server_key.is_some() {
            let key = server_key.as_deref().unwrap_or_default();
            let (status, answer) = exchange::ask(&client, &url, key, exchange).await?;
            exchange.insert("status".to_owned(), status.into());
            exchange.insert("answer".to_owned(), answer);
            asked += 1;
        }
    }
    if let Some(recorded) = recorded.as_object_mut() {
        recorded.insert("server".to_owned(), version);
    }
    fs::write(&file, serde_json::to_string_pretty(&recorded)? + "\n")?;
    println!("{asked} answers written");
    Ok(())
}
