//! The two-step form: the reply as plain text, then its metadata in a second call that is strict where the server can be.
//! A second call that fails costs the metadata, never the text.

use crate::{
    SideReply,
    call::Model,
    client::wait_before_next,
    dialect::{Asked, Dialect, Stage},
    error::LlmError,
    speech::Speech,
    wire::WireEnd,
};
use mira_core::{
    chat::{ReplyMeta, Usage},
    clock::random_share,
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
        // A side question has none; the text is not sent.
        Stage::Metadata { .. } | Stage::Side { .. } => reply::metadata_schema(&request.personas),
    }
}

/// The output limit of one call.
pub(crate) fn limit(dialect: &Dialect, stage: Stage<'_>) -> Option<u32> {
    match stage {
        Stage::Reply => dialect.max_tokens,
        Stage::Metadata { .. } => dialect.max_tokens.map(|most| most.min(METADATA_TOKENS)),
        Stage::Side { most } => dialect.max_tokens.map(|limit| limit.min(most)),
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
    let (end, json) = whole(model, request, Stage::Metadata { said }).await?;
    Ok((
        reply::read_metadata(&json, &request.personas, &request.fallback),
        end.usage,
    ))
}

/// One whole answer as it is, adapting to the server and repeating what may pass.
async fn whole(model: &Model, request: &ModelRequest, stage: Stage<'_>) -> Result<(WireEnd, String), LlmError> {
    let mut dialect = model.dialect();
    let mut tried = 0;
    loop {
        tried += 1;
        let error = match attempt(model, request, stage, &dialect).await {
            Ok(answer) => {
                model.learn(dialect, request);
                return Ok(answer);
            }
            Err(error) => error,
        };
        if dialect.adapt(&Asked::new(stage, request), &error) {
            tried -= 1;
            continue;
        }
        let Some(wait) = wait_before_next(&model.endpoint.retry, &error, tried, random_share()) else {
            return Err(error);
        };
        tokio::time::sleep(wait).await;
    }
}

/// Asks beside the conversation, in plain words. Nothing of it is passed on before it is whole.
pub(crate) async fn side(model: &Model, request: &ModelRequest, most: u32) -> Result<SideReply, LlmError> {
    let (end, text) = whole(model, request, Stage::Side { most }).await?;
    let text = text.trim();
    if text.is_empty() {
        return Err(LlmError::Empty { reason: end.cut });
    }
    Ok(SideReply {
        text: text.to_owned(),
        whole: end.cut.is_none(),
        model: end.model.unwrap_or_else(|| model.endpoint.model.clone()),
        usage: end.usage,
    })
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
    let mut heard = Speech::verbatim(dialect.ask(stage), request);
    let end = model.whole(&body, &mut heard)?;
    Ok((end, heard.into_verbatim()))
}
