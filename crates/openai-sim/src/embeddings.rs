//! `/v1/embeddings`: deterministic vectors in which texts that share words are near each other.
//!
//! Each word adds its own fixed directions, so the cosine of two texts grows with the words they share: enough
//! for tests of recall and for demos, no measure of a real model.

use base64::Engine as _;
use serde_json::Value;

use crate::error::ApiError;
use crate::json::{push, push_raw};
use crate::plan::HttpFault;
use crate::tokens;

/// How the endpoint behaves, until it is told otherwise. The default is OpenAI's way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EmbeddingsManner {
    /// Every request gets this: an outage.
    pub down: Option<HttpFault>,
    /// Vectors have this length whatever is asked: another model than the configured one.
    pub length: Option<usize>,
    /// What becomes of a wish for base64.
    pub base64: Base64,
    /// Refuses `dimensions`, as servers do whose models have one length only.
    pub fixed_dimensions: bool,
    /// Refuses more inputs than this in one request.
    pub most_inputs: Option<usize>,
    /// Refuses an input of more tokens than this.
    pub most_tokens: Option<u64>,
    /// Sends the vectors in the opposite order, each with its index.
    pub reversed: bool,
}

/// What becomes of a wish for base64.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Base64 {
    /// It is granted.
    #[default]
    Granted,
    /// It is passed over: numbers come.
    Ignored,
    /// The request is refused.
    Refused,
}

impl EmbeddingsManner {
    /// Whether a request that keeps OpenAI's rules is taken here.
    pub(crate) fn check(&self, body: &Value) -> Result<(), ApiError> {
        if self.fixed_dimensions && body.get("dimensions").is_some() {
            let message = "This model does not support matryoshka representation, changing its output dimensions.";
            return Err(ApiError::invalid("", message).no_param());
        }
        if self.base64 == Base64::Refused && wants_base64(body) {
            let message = "encoding_format: only 'float' is available";
            return Err(ApiError::invalid("", message).no_param().status(422));
        }
        let inputs = inputs(body);
        if let Some(most) = self.most_inputs.filter(|most| inputs.len() > *most) {
            let message = format!("batch size {} > maximum allowed batch size {most}", inputs.len());
            return Err(ApiError::invalid("", message).no_param().status(422));
        }
        let longest = inputs.iter().map(|text| tokens::estimate(text.len())).max();
        if let (Some(most), Some(longest)) = (self.most_tokens, longest)
            && longest > most
        {
            let message =
                format!("This model's maximum context length is {most} tokens. However, you requested {longest}.");
            return Err(ApiError::invalid("", message).no_param());
        }
        Ok(())
    }
}

fn wants_base64(body: &Value) -> bool {
    body.get("encoding_format").and_then(Value::as_str) == Some("base64")
}

/// Directions a word contributes.
const DIRECTIONS: u64 = 24;

/// Length of the vectors of a model.
pub(crate) fn dimensions_of(model: &str) -> usize {
    match model {
        "text-embedding-3-large" => 3072,
        name if name.starts_with("text-embedding") => 1536,
        _ => 768,
    }
}

/// The unit vector of a text, cut to `dimensions` and brought back to length 1 as the API does.
pub(crate) fn embed(text: &str, full: usize, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0_f32; full];
    let length = u64::try_from(full).unwrap_or(1).max(1);
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    for word in words {
        let seed = tokens::hash(word.to_lowercase().as_bytes());
        for step in 0..DIRECTIONS {
            add(&mut vector, tokens::mix(seed ^ step), length, 1.0);
        }
    }
    // A trace of the exact text keeps different texts apart, and those without words from being nothing.
    for step in 0..4 {
        add(
            &mut vector,
            tokens::mix(tokens::hash(text.as_bytes()) ^ step),
            length,
            0.05,
        );
    }
    vector.truncate(dimensions);
    let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if norm > 0.0 {
        for value in &mut vector {
            *value /= norm;
        }
    } else if let Some(first) = vector.first_mut() {
        *first = 1.0;
    }
    vector
}

fn add(vector: &mut [f32], drawn: u64, length: u64, weight: f32) {
    let sign = if drawn >> 63 == 0 { weight } else { -weight };
    let slot = usize::try_from(drawn % length)
        .ok()
        .and_then(|index| vector.get_mut(index));
    if let Some(slot) = slot {
        *slot += sign;
    }
}

/// The inputs of a request as texts; token arrays become their numbers.
pub(crate) fn inputs(body: &Value) -> Vec<String> {
    let as_text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match body.get("input") {
        Some(Value::Array(many)) if many.iter().all(Value::is_number) => vec![Value::Array(many.clone()).to_string()],
        Some(Value::Array(many)) => many.iter().map(as_text).collect(),
        Some(one) => vec![as_text(one)],
        None => Vec::new(),
    }
}

/// Tokens of one input: a number per token, or the estimate of a text.
pub(crate) fn count(input: &Value) -> u64 {
    match input {
        Value::Array(numbers) => u64::try_from(numbers.len()).unwrap_or(u64::MAX),
        Value::String(text) => tokens::estimate(text.len()),
        _ => 0,
    }
}

/// The answer to a checked request.
pub(crate) fn answer(body: &Value, manner: &EmbeddingsManner) -> Vec<u8> {
    let model = body.get("model").and_then(Value::as_str).unwrap_or_default();
    let full = manner.length.unwrap_or_else(|| dimensions_of(model));
    let asked = body
        .get("dimensions")
        .and_then(Value::as_u64)
        .and_then(|count| usize::try_from(count).ok());
    let asked = asked.filter(|_| manner.length.is_none());
    let dimensions = asked.unwrap_or(full).min(full);
    let base64 = wants_base64(body) && manner.base64 == Base64::Granted;
    let mut inputs: Vec<(usize, String)> = inputs(body).into_iter().enumerate().collect();
    if manner.reversed {
        inputs.reverse();
    }
    let mut out = Vec::with_capacity(inputs.len() * dimensions * 12 + 256);
    let mut used = 0;
    push_raw(&mut out, "{\"object\":\"list\",\"data\":[");
    for (place, (index, input)) in inputs.iter().enumerate() {
        used += tokens::estimate(input.len());
        if place > 0 {
            out.push(b',');
        }
        push_raw(&mut out, "{\"object\":\"embedding\",\"index\":");
        push(&mut out, index);
        push_raw(&mut out, ",\"embedding\":");
        let vector = embed(input, full, dimensions);
        if base64 {
            let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
            push(&mut out, &base64::engine::general_purpose::STANDARD.encode(bytes));
        } else {
            push(&mut out, &vector);
        }
        out.push(b'}');
    }
    push_raw(&mut out, "],\"model\":");
    push(&mut out, model);
    push_raw(&mut out, ",\"usage\":{\"prompt_tokens\":");
    push(&mut out, &used);
    push_raw(&mut out, ",\"total_tokens\":");
    push(&mut out, &used);
    push_raw(&mut out, "}}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &str, b: &str, dimensions: usize) -> f32 {
        let (a, b) = (embed(a, 3072, dimensions), embed(b, 3072, dimensions));
        a.iter().zip(&b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_that_share_words_are_near() {
        for dimensions in [3072, 512] {
            let near = cosine("my golden retriever likes rain", "the golden retriever", dimensions);
            let far = cosine("my golden retriever likes rain", "tax forms are due", dimensions);
            assert!(near > 0.3 && far.abs() < 0.2, "{near} {far}");
            assert!((cosine("same", "same", dimensions) - 1.0).abs() < 1e-4);
        }
    }

    #[test]
    fn a_text_without_words_has_a_vector_too() {
        assert!((cosine("...", "...", 3072) - 1.0).abs() < 1e-4);
        assert!((cosine("...", "...", 2) - 1.0).abs() < 1e-4);
    }
}
