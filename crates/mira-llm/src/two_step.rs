//! The two-step form: the reply as plain text, then its metadata in a second call that is strict where the server can be.
//! A second call that fails costs the metadata, never the text.

use crate::{
    call::Model,
    client::random_share,
    dialect::{Dialect, Stage},
    error::LlmError,
    speech::Speech,
    wire::WireEnd,
};
use mira_core::{
    chat::{ReplyMeta, Usage},
    model::ModelRequest,
    reply,
};
use std::time::Duration;

/// What the forced function is for, as the model reads it.
pub(crate) const FUNCTION_DESCRIPTION: &str =
    "Your answer. Always call this, exactly once, and say nothing outside of it.";

/// How long the second call may take in all: the text is already there and waits for its end.
const DEADLINE: Duration = Duration::from_mins(1);
/// The most tokens of metadata, with room for some reasoning.
const METADATA_TOKENS: u32 = 8_192;

/// The schema of one call's answer, as the bytes to send.
pub(crate) fn schema(request: &ModelRequest, stage: Stage<'_>) -> String {
    match stage {
        Stage::Reply => reply::schema(&request.personas),
        Stage::Metadata { .. } => reply::metadata_schema(&request.personas),
    }
}

/// The output limit of one call.
pub(crate) fn limit(dialect: &Dialect, stage: Stage<'_>) -> Option<u32> {
    match stage {
        Stage::Reply => dialect.max_tokens,
        Stage::Metadata { .. } => dialect.max_tokens.map(|most| most.min(METADATA_TOKENS)),
    }
}

/// Asks for the metadata of `said`; the fallback's where that fails.
pub(crate) async fn metadata(model: &Model, request: &ModelRequest, said: &str) -> (ReplyMeta, Usage) {
    match tokio::time::timeout(DEADLINE, ask(model, request, said)).await {
        Ok(Ok(answer)) => return answer,
        Ok(Err(error)) => tracing::warn!(model = %model.endpoint.model, %error, "no metadata for this reply"),
        Err(_) => tracing::warn!(model = %model.endpoint.model, "no metadata for this reply within {DEADLINE:?}"),
    }
    (request.fallback.clone(), Usage::default())
}

async fn ask(model: &Model, request: &ModelRequest, said: &str) -> Result<(ReplyMeta, Usage), LlmError> {
    let stage = Stage::Metadata { said };
    let mut dialect = model.dialect();
    let mut tried = 0;
    loop {
        tried += 1;
        let error = match attempt(model, request, stage, &dialect).await {
            Ok((end, json)) => {
                model.learn(dialect);
                return Ok((
                    reply::read_metadata(&json, &request.personas, &request.fallback),
                    end.usage,
                ));
            }
            Err(error) => error,
        };
        if dialect.adapt(stage, &error) {
            tried -= 1;
            continue;
        }
        let Some(wait) = model.endpoint.retry.wait(&error, tried, random_share()) else {
            return Err(error);
        };
        tokio::time::sleep(wait).await;
    }
}

async fn attempt(
    model: &Model,
    request: &ModelRequest,
    stage: Stage<'_>,
    dialect: &Dialect,
) -> Result<(WireEnd, String), LlmError> {
    let body = model.body(dialect, request, stage)?;
    let response = model.post(body, "application/json").await?;
    let body = model
        .upstream
        .read_whole(response, model.endpoint.thinking_timeout)
        .await?;
    let mut heard = Speech::verbatim(dialect.metadata_ask, request);
    let end = model.whole(&body, &mut heard)?;
    Ok((end, heard.into_verbatim()))
}
