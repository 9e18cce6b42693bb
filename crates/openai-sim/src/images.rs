//! `POST /images/generations`: which requests are wrong, and the answer. What a model takes is told by its family's name,
//! as the live API's own refusals have it; any other name takes both forms of the answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::asked::field;
use crate::error::ApiError;
use crate::hosted::PIXEL;

/// Where pictures lie that are answered by their address.
pub(crate) const PICTURE_PATH: &str = "/pictures/drawn.png";

const KEYS: [&str; 13] = [
    "prompt",
    "model",
    "n",
    "quality",
    "response_format",
    "output_format",
    "output_compression",
    "stream",
    "partial_images",
    "size",
    "moderation",
    "background",
    "style",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Gpt,
    DallE,
    Other,
}

fn family(model: &str) -> Family {
    if model.starts_with("gpt-image") {
        Family::Gpt
    } else if model.starts_with("dall-e") {
        Family::DallE
    } else {
        Family::Other
    }
}

/// Checks a request.
pub(crate) fn check(body: &Value) -> Result<(), ApiError> {
    let keys = body.as_object().into_iter().flat_map(serde_json::Map::keys);
    let unknown = |key: &str| ApiError::invalid(key, format!("Unknown parameter: '{key}'.")).code("unknown_parameter");
    if let Some(key) = keys.into_iter().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(unknown(key));
    }
    if field(body, "prompt").as_str().is_none_or(str::is_empty) {
        let message = "Missing required parameter: 'prompt'.";
        return Err(ApiError::invalid("prompt", message).code("missing_required_parameter"));
    }
    let family = family(field(body, "model").as_str().unwrap_or_default());
    let format = field(body, "response_format");
    if family == Family::Gpt && !format.is_null() {
        return Err(unknown("response_format"));
    }
    if !format.is_null() && format != "url" && format != "b64_json" {
        return Err(ApiError::invalid("response_format", "Invalid value for 'response_format'.").code("invalid_value"));
    }
    let sizes: &[&str] = match family {
        Family::Gpt => &["auto", "1024x1024", "1536x1024", "1024x1536"],
        Family::DallE => &["1024x1024", "1792x1024", "1024x1792"],
        Family::Other => return Ok(()),
    };
    match field(body, "size").as_str() {
        Some(size) if !sizes.contains(&size) => {
            let message = format!("Invalid value: '{size}'. Supported values are: {}.", sizes.join(", "));
            Err(ApiError::invalid("size", message).code("invalid_value"))
        }
        Some(_) | None => Ok(()),
    }
}

/// The answer; `base` is the server's own address.
pub(crate) fn answer(body: &Value, base: &str) -> Value {
    let family = family(field(body, "model").as_str().unwrap_or_default());
    let inline = family == Family::Gpt || field(body, "response_format") == "b64_json";
    let prompt = field(body, "prompt").as_str().unwrap_or_default();
    let (key, picture) = if inline {
        ("b64_json", STANDARD.encode(PIXEL))
    } else {
        ("url", format!("{base}{PICTURE_PATH}"))
    };
    let image = json!({ "revised_prompt": format!("A picture: {prompt}"), key: picture });
    json!({ "created": 1_790_000_000, "data": [image] })
}
