//! Pictures from a compatible images endpoint: `POST /images/generations`. Not here: which model draws, and what becomes
//! of the picture.
//!
//! Source: the official OpenAPI document (August 2026). `response_format` is sent until the server refuses it: the models
//! that always answer with the bytes know no such parameter. A refused size is left out, and the answer says so.

use crate::{
    MOST_FILE_BYTES, client::Upstream, endpoint::Endpoint, error::LlmError, fetch::repeated, refusal::Refusal, wire,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

/// The largest answer: a picture of [`MOST_FILE_BYTES`] in base64, and what stands around it.
const MOST_ANSWER_BYTES: usize = MOST_FILE_BYTES / 3 * 4 + 64 * 1024;

/// A model that draws, at an endpoint.
pub struct ImageMaker {
    endpoint: Endpoint,
    upstream: Upstream,
    /// `response_format` is sent.
    format: AtomicBool,
}

impl fmt::Debug for ImageMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageMaker")
            .field("model", &self.endpoint.model)
            .finish_non_exhaustive()
    }
}

/// A picture as the server gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drawn {
    /// Its bytes.
    Bytes(Bytes),
    /// Where it lies for a while; nobody has checked where that leads.
    At(String),
}

/// What was drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    /// The picture.
    pub picture: Drawn,
    /// The words it was drawn from in the end, where the server changed them.
    pub revised_prompt: Option<String>,
    /// Whether it has the size that was asked for.
    pub sized: bool,
}

#[derive(Clone, Copy, Serialize)]
struct Body<'a> {
    model: &'a str,
    prompt: &'a str,
    n: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<&'static str>,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    #[serde(default)]
    b64_json: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    revised_prompt: Option<String>,
}

impl ImageMaker {
    /// The endpoint's model draws. Sends nothing yet.
    ///
    /// # Errors
    /// As [`crate::connect`].
    pub fn new(endpoint: Endpoint) -> Result<Self, LlmError> {
        Ok(Self {
            upstream: Upstream::new(&endpoint)?,
            endpoint,
            format: AtomicBool::new(true),
        })
    }

    /// The model's name.
    pub fn model(&self) -> &str {
        &self.endpoint.model
    }

    /// Draws one picture. `size` is `WIDTHxHEIGHT`.
    ///
    /// # Errors
    /// As for a call of a model.
    pub async fn draw(&self, prompt: &str, size: Option<&str>) -> Result<Drawing, LlmError> {
        let mut body = Body {
            model: &self.endpoint.model,
            prompt,
            n: 1,
            size,
            response_format: self.format.load(Ordering::Relaxed).then_some("b64_json"),
        };
        let answer = loop {
            let error = match repeated(&self.endpoint, || self.post(body)).await {
                Ok(answer) => break answer,
                Err(error) => error,
            };
            if !self.adapt(&mut body, &error) {
                return Err(error);
            }
        };
        let sized = size.is_some() && body.size.is_some();
        let image = answer.data.into_iter().next();
        let image = image.ok_or_else(|| LlmError::garbage("an answer without a picture"))?;
        let picture = match (image.b64_json, image.url) {
            (Some(text), _) => {
                let bytes = STANDARD.decode(text.trim());
                let bytes = bytes.map_err(|_| LlmError::garbage("a picture that is not base64"))?;
                if bytes.is_empty() {
                    return Err(LlmError::garbage("an empty picture"));
                }
                Drawn::Bytes(bytes.into())
            }
            (None, Some(url)) => Drawn::At(url),
            (None, None) => return Err(LlmError::garbage("an answer without a picture")),
        };
        Ok(Drawing {
            picture,
            revised_prompt: image.revised_prompt.filter(|prompt| !prompt.trim().is_empty()),
            sized,
        })
    }

    async fn post(&self, body: Body<'_>) -> Result<Answer, LlmError> {
        let patience = self.endpoint.thinking_timeout;
        let (path, model) = ("images/generations", self.endpoint.model.as_str());
        let sent = Some(wire::encode(&body)?);
        let answer = self
            .upstream
            .send(Method::POST, path, sent, "application/json", model, patience)
            .await?;
        let bytes = self.upstream.read_within(answer, MOST_ANSWER_BYTES, patience).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| LlmError::garbage(format!("no picture in the answer ({})", wire::place(&error))))
    }

    /// Leaves out what the server refuses; false if there is nothing to leave out.
    fn adapt(&self, body: &mut Body<'_>, error: &LlmError) -> bool {
        let LlmError::BadRequest {
            status,
            code,
            param,
            message,
        } = error
        else {
            return false;
        };
        let refusal = Refusal::new(*status, code.as_deref(), param.as_deref(), message);
        if body.response_format.is_some() && refusal.names("response_format") {
            self.format.store(false, Ordering::Relaxed);
            body.response_format = None;
            return true;
        }
        body.size.is_some() && (refusal.names("size") || refusal.lower.contains("size")) && body.size.take().is_some()
    }
}
