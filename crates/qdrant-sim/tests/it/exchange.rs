//! An exchange of `recorded/qdrant.json`, asked of a server: of a real one to be recorded, of the emulator to be compared.

use reqwest::{Client, Method};
use serde_json::{Map, Value};
use std::error::Error;

/// Asks what the exchange asks of the server at `url` whose key is `key`; the status, and the answer without what is
/// different each time (how long it took, what it cost).
pub async fn ask(
    client: &Client,
    url: &str,
    key: &str,
    exchange: &Map<String, Value>,
) -> Result<(u16, Value), Box<dyn Error>> {
    let text = |name: &str| exchange.get(name).and_then(Value::as_str);
    let method = Method::from_bytes(text("method").ok_or("no method")?.as_bytes())?;
    let path = text("path").ok_or("no path")?;
    let mut request = client.request(method, format!("{url}{path}"));
    match text("key") {
        Some("right") => request = request.header("api-key", key),
        Some("wrong") => request = request.header("api-key", "not-the-key"),
        _ => {}
    }
    if let Some(kind) = text("content_type") {
        request = request.header("content-type", kind);
    }
    if let Some(raw) = text("raw") {
        request = request.body(raw.to_owned());
    } else if let Some(body) = exchange.get("body") {
        request = request
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    let response = request.send().await?;
    let status = response.status().as_u16();
    let said = response.text().await?;
    let mut answer = serde_json::from_str(&said).unwrap_or(Value::String(said));
    if let Some(answer) = answer.as_object_mut() {
        answer.retain(|name, _| name != "time" && name != "usage");
    }
    Ok((status, answer))
}
