//! The rules a request must keep, and the errors of those that do not.
//!
//! Lives here: which parameters exist, which values they take, and how they belong together. The source is the
//! official OpenAPI document (August 2026) and, for what it leaves out, experience with the live service. Not
//! here: what a request asks for (`asked`). Each rule has its violating request in `tests/rules.rs`.

mod chat;
mod embeddings;
mod family;
mod items;
mod responses;
mod schema;
mod shape;
mod tools;

use serde_json::Value;

use crate::Flavour;
use crate::asked::{Api, Asked};
use crate::error::ApiError;
use crate::tokens;

/// Accepted, or refused with this error.
pub(crate) type Verdict = Result<(), ApiError>;

/// The rules of one emulator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub models: &'a [String],
    pub flavour: Flavour,
    pub context_tokens: u64,
}

/// The error for a model that is not offered.
pub(crate) fn model_not_found(model: &str) -> ApiError {
    let message = format!("The model '{model}' does not exist or you do not have access to it.");
    ApiError::invalid("model", message).code("model_not_found").status(404)
}

impl Rules<'_> {
    /// What the emulated server cannot do at all.
    pub(crate) fn flavour(&self, body: &Value) -> Verdict {
        let refused: &[&str] = match self.flavour {
            Flavour::OpenAi | Flavour::CompatibleNoSchema => &[],
            Flavour::CompatibleNoTools => &["tools"],
            Flavour::CompatiblePlain => &["tools", "functions", "response_format"],
        };
        if let Some(key) = refused
            .iter()
            .find(|key| body.get(**key).is_some_and(|value| !value.is_null()))
        {
            return Err(ApiError::invalid(
                *key,
                format!("'{key}' is not supported by this server."),
            ));
        }
        let format = body.get("response_format").and_then(|format| format.get("type"));
        if self.flavour != Flavour::OpenAi && format.is_some_and(|kind| kind == "json_schema") {
            let message = "response_format of type 'json_schema' is not supported by this server.";
            return Err(ApiError::invalid("response_format", message));
        }
        Ok(())
    }

    fn offered(&self, body: &Value) -> Result<(), ApiError> {
        let model = shape::required_string(body, "model", "model")?;
        if self.models.iter().any(|offered| offered == model) {
            Ok(())
        } else {
            Err(model_not_found(model))
        }
    }

    /// Checks a request of a model endpoint whose body has so many bytes.
    pub(crate) fn model(&self, api: Api, body: &Value, bytes: usize) -> Verdict {
        match api {
            Api::Responses => {
                responses::known_parameters(body)?;
                self.offered(body)?;
                responses::check(body)?;
            }
            Api::Chat => {
                chat::known_parameters(body)?;
                self.offered(body)?;
                chat::check(body)?;
            }
        }
        // The prompt is shorter than the body, so only a long body needs counting.
        let long = tokens::estimate(bytes) > self.context_tokens;
        if long && Asked::read(api, body).prompt().tokens() > self.context_tokens {
            let param = if api == Api::Chat { "messages" } else { "input" };
            let message =
                "Your input exceeds the context window of this model. Please adjust your input and try again.";
            return Err(ApiError::invalid(param, message).code("context_length_exceeded"));
        }
        Ok(())
    }

    /// Checks an embeddings request.
    pub(crate) fn embeddings(&self, body: &Value) -> Verdict {
        embeddings::known_parameters(body)?;
        self.offered(body)?;
        embeddings::check(body)
    }
}
