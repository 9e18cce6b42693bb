//! Rules of `/v1/embeddings`.

use serde_json::Value;

use super::Verdict;
use super::shape::{integer, known, missing, one_of, required_string, string, wrong_type};
use crate::embeddings::{count, dimensions_of};
use crate::error::ApiError;

const MOST_INPUTS: usize = 2048;
const MOST_TOKENS_EACH: u64 = 8192;
const MOST_TOKENS: u64 = 300_000;

pub(super) fn known_parameters(body: &Value) -> Verdict {
    known(body, "", &["input", "model", "encoding_format", "dimensions", "user"])
}

pub(super) fn check(body: &Value) -> Verdict {
    let model = required_string(body, "model", "model")?;
    one_of(body, "", "encoding_format", &["float", "base64"])?;
    string(body, "", "user")?;
    let full = i64::try_from(dimensions_of(model)).unwrap_or(i64::MAX);
    integer(body, "", "dimensions", 1, full)?;
    if model == "text-embedding-ada-002" && body.get("dimensions").is_some() {
        let message = "This model does not support specifying dimensions.";
        return Err(ApiError::invalid("dimensions", message));
    }
    inputs(body)
}

fn inputs(body: &Value) -> Verdict {
    let input = body.get("input").ok_or_else(|| missing("input"))?;
    let single = std::slice::from_ref(input);
    let many = match input {
        Value::String(_) => single,
        Value::Array(items) if items.is_empty() => {
            let message = "Invalid 'input': empty array. Expected an array with minimum length 1.";
            return Err(ApiError::invalid("input", message).code("empty_array"));
        }
        Value::Array(items) if items.iter().all(Value::is_number) => single,
        Value::Array(items) => items,
        other => return Err(wrong_type("input", "a string or an array", other)),
    };
    if many.len() > MOST_INPUTS {
        let message = format!(
            "Invalid 'input': array too long. Expected an array with maximum length {MOST_INPUTS}, but got an array \
             with length {} instead.",
            many.len()
        );
        return Err(ApiError::invalid("input", message).code("array_above_max_length"));
    }
    let mut total = 0;
    for (index, one) in many.iter().enumerate() {
        let tokens = single_input(index, one)?;
        total += tokens;
    }
    if total > MOST_TOKENS {
        let message = format!("Requested {total} tokens, max {MOST_TOKENS} tokens per request");
        let error = ApiError::invalid("input", message).kind("max_tokens_per_request");
        return Err(error.code("max_tokens_per_request").no_param());
    }
    Ok(())
}

fn single_input(index: usize, input: &Value) -> Result<u64, ApiError> {
    let empty = match input {
        Value::String(text) => text.is_empty(),
        Value::Array(numbers) => numbers.is_empty() || !numbers.iter().all(Value::is_u64),
        _ => true,
    };
    if empty {
        let message = format!("Invalid 'input[{index}]': input cannot be an empty string.");
        return Err(ApiError::invalid("input", message).code("invalid_value"));
    }
    let tokens = count(input);
    if tokens > MOST_TOKENS_EACH {
        let message = format!(
            "This model's maximum context length is {MOST_TOKENS_EACH} tokens, however you requested {tokens} tokens \
             ({tokens} in your prompt; 0 for the completion). Please reduce your prompt; or completion length."
        );
        return Err(ApiError::invalid("input", message).code("context_length_exceeded"));
    }
    Ok(tokens)
}
