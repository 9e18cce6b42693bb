//! The model from its configuration: an endpoint, or the built-in rehearsal. Nothing here waits for a network at start.

use crate::{
    config::{LlmApi, LlmConfig, ModelChoice, OPENAI_URL, ReplyFormat},
    lifecycle::Lifecycle,
    services::{
        auth::random_secret,
        health::{Condition, ModelHealth},
        metrics::Metrics,
    },
};
use futures_util::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream, stream::BoxStream};
use mira_core::{
    clock::Clock,
    model::{HostedFile, HostedKind, ModelEvent, ModelRequest},
    tool::ToolOffer,
};
use mira_llm::{ChatModel, Endpoint, FetchedFile, LeftFile, LlmError, Secret, SideReply};
use openai_sim::{Sim, SimConfig};
use std::{io, sync::Arc};
use tokio::sync::SetOnce;

/// What replies of the rehearsal name as their model, so that nobody takes them for a model's.
pub const REHEARSAL_MODEL: &str = "mira-rehearsal";
/// Offered models named in a warning.
const NAMED_MODELS: usize = 12;

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The rehearsal could not listen.
    #[error("the rehearsal could not be started: {0}")]
    Rehearsal(#[from] io::Error),
    /// The endpoint's configuration cannot work.
    #[error("the model endpoint: {0}")]
    Endpoint(#[from] LlmError),
}

/// The model and what has to live as long as it.
pub struct OpenedModel {
    /// The model.
    pub model: Arc<dyn ChatModel>,
    /// The model for what is asked beside the conversation.
    pub side: Arc<dyn ChatModel>,
    /// How it did when last used.
    pub health: Arc<ModelHealth>,
    /// Where it is.
    pub endpoint: Endpoint,
    /// The rehearsal, where there is one; stops when dropped.
    pub rehearsal: Option<Sim>,
}

/// Makes the model. Sends nothing; starts the rehearsal where it is asked for.
pub async fn open(config: &LlmConfig, clock: &dyn Clock, metrics: Arc<Metrics>) -> Result<OpenedModel, ModelError> {
    let name = match &config.model {
        ModelChoice::Named(name) => Some(name.clone()),
        ModelChoice::FirstOffered => None,
    };
    let (endpoint, rehearsal) = if config.api == LlmApi::Rehearsal {
        let key = random_secret(clock);
        let sim = Sim::start(SimConfig::rehearsal(key.clone(), vec![REHEARSAL_MODEL.to_owned()])).await?;
        let mut endpoint = endpoint(config, sim.url(), REHEARSAL_MODEL.to_owned());
        endpoint.api_key = Some(Secret::new(key));
        (endpoint, Some(sim))
    } else {
        let url = config.base_url.as_ref().map_or(OPENAI_URL, |url| url.as_str());
        (endpoint(config, url.to_owned(), name.clone().unwrap_or_default()), None)
    };
    let detail = match config.api {
        LlmApi::Rehearsal => "rehearsal: the built-in emulator answers, no model is asked".to_owned(),
        LlmApi::Responses | LlmApi::Chat => format!("{} has not been asked yet", host(&endpoint)),
    };
    let inner: Arc<dyn ChatModel> = if endpoint.model.is_empty() {
        Arc::new(FirstOffered {
            endpoint: endpoint.clone(),
            found: Arc::default(),
        })
    } else {
        mira_llm::connect(endpoint.clone())?
    };
    let health = Arc::new(ModelHealth::new(detail));
    let model: Arc<dyn ChatModel> = if rehearsal.is_some() {
        inner
    } else {
        let (host, health) = (host(&endpoint).into(), Arc::clone(&health));
        Arc::new(Watched {
            inner,
            host,
            health,
            metrics,
        })
    };
    // Notes need no long thought, whichever model writes them.
    let side_model = config.intent_model.as_ref().unwrap_or(&endpoint.model);
    let side = if rehearsal.is_some() || side_model.is_empty() {
        Arc::clone(&model)
    } else {
        mira_llm::connect(Endpoint {
            model: side_model.clone(),
            reasoning_effort: Some("low".to_owned()),
            verbosity: Some("low".to_owned()),
            ..endpoint.clone()
        })?
    };
    Ok(OpenedModel {
        model,
        side,
        health,
        endpoint,
        rehearsal,
    })
}

fn endpoint(config: &LlmConfig, url: String, model: String) -> Endpoint {
    let api = match config.api {
        LlmApi::Responses | LlmApi::Rehearsal => mira_llm::Api::Responses,
        LlmApi::Chat => mira_llm::Api::Chat,
    };
    Endpoint {
        api_key: config.api_key.as_ref().map(|key| Secret::new(key.expose())),
        reply_format: match config.reply_format {
            ReplyFormat::Auto => mira_llm::ReplyFormat::Auto,
            ReplyFormat::JsonSchema => mira_llm::ReplyFormat::JsonSchema,
            ReplyFormat::Function => mira_llm::ReplyFormat::Function,
            ReplyFormat::TwoStep => mira_llm::ReplyFormat::TwoStep,
        },
        verbosity: Some(config.verbosity.clone()),
        reasoning_effort: Some(config.reasoning_effort.clone()),
        max_output_tokens: config.max_output_tokens,
        ..Endpoint::new(url, api, model)
    }
}

fn host(endpoint: &Endpoint) -> String {
    let url = reqwest::Url::parse(&endpoint.base_url).ok();
    url.and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Asks the endpoint what it offers, for the log and for `/health`. Ends with the soft token.
pub async fn check_offer(endpoint: Endpoint, health: Arc<ModelHealth>, life: Lifecycle) {
    let Some(answer) = life.soft().run_until_cancelled(mira_llm::list_models(&endpoint)).await else {
        return;
    };
    let (condition, detail) = judge_offer(&endpoint, answer);
    if condition != Condition::Ok {
        tracing::warn!(endpoint = %host(&endpoint), "{detail}");
    }
    health.note(condition, detail);
}

/// What an endpoint's list of models means for the configured one.
pub fn judge_offer(endpoint: &Endpoint, answer: Result<Vec<String>, LlmError>) -> (Condition, String) {
    let host = host(endpoint);
    match answer {
        Ok(offered) if endpoint.model.is_empty() => match offered.first() {
            Some(first) => (
                Condition::Ok,
                format!("{host} answers; using {first}, the first it offers"),
            ),
            None => (Condition::Degraded, format!("{host} offers no model")),
        },
        Ok(offered) if offered.contains(&endpoint.model) => {
            (Condition::Ok, format!("{host} answers and offers {}", endpoint.model))
        }
        Ok(offered) => {
            let more = if offered.len() > NAMED_MODELS { ", ..." } else { "" };
            let some: Vec<_> = offered.into_iter().take(NAMED_MODELS).collect();
            let detail = format!(
                "{host} does not offer {}; it offers {}{more}",
                endpoint.model,
                some.join(", ")
            );
            (Condition::Degraded, detail)
        }
        Err(e) => (Condition::Degraded, format!("{host} did not list its models: {e}")),
    }
}

/// A model whose calls are noted for `/health` and `/metrics`.
struct Watched {
    inner: Arc<dyn ChatModel>,
    host: Arc<str>,
    health: Arc<ModelHealth>,
    metrics: Arc<Metrics>,
}

impl ChatModel for Watched {
    fn stream(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, LlmError>> {
        let (host, health, metrics) = (
            Arc::clone(&self.host),
            Arc::clone(&self.health),
            Arc::clone(&self.metrics),
        );
        let note = move |event: &Result<ModelEvent, LlmError>| match event {
            Ok(ModelEvent::Finished(_) | ModelEvent::Calls(_)) => {
                health.note(Condition::Ok, format!("{host} answered when last asked"));
            }
            Ok(ModelEvent::Thinking | ModelEvent::Head(_) | ModelEvent::Text(_) | ModelEvent::Hosted(_)) => {}
            Err(e) => {
                metrics.model_errors.inc();
                health.note(Condition::Degraded, e.to_string());
            }
        };
        self.inner.stream(request).inspect(note).boxed()
    }

    fn complete(&self, request: ModelRequest, most: u32) -> BoxFuture<'static, Result<SideReply, LlmError>> {
        let metrics = Arc::clone(&self.metrics);
        let answer = self.inner.complete(request, most);
        async move {
            let answer = answer.await;
            if answer.is_err() {
                metrics.model_errors.inc();
            }
            answer
        }
        .boxed()
    }

    fn name(&self) -> String {
        self.inner.name()
    }

    fn takes_tools(&self) -> bool {
        self.inner.takes_tools()
    }

    fn shows_pictures(&self) -> bool {
        self.inner.shows_pictures()
    }

    fn takes_hosted(&self, kind: HostedKind) -> bool {
        self.inner.takes_hosted(kind)
    }

    fn refuses(&self, tool: &ToolOffer) -> bool {
        self.inner.refuses(tool)
    }

    fn found_gone(&self) -> BoxFuture<'static, ()> {
        self.inner.found_gone()
    }

    fn fetch_file(&self, file: HostedFile) -> BoxFuture<'static, Result<FetchedFile, LlmError>> {
        self.inner.fetch_file(file)
    }

    fn list_left(&self, container: String) -> BoxFuture<'static, Result<Vec<LeftFile>, LlmError>> {
        self.inner.list_left(container)
    }
}

/// A local server without `MIRA_MODEL`: the first model it offers, asked for when first needed.
struct FirstOffered {
    endpoint: Endpoint,
    found: Arc<SetOnce<Arc<dyn ChatModel>>>,
}

impl ChatModel for FirstOffered {
    fn stream(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, LlmError>> {
        if let Some(model) = self.found.get() {
            return model.stream(request);
        }
        let finding = find_first(self.endpoint.clone(), Arc::clone(&self.found));
        stream::once(async move { Ok(finding.await?.stream(request)) })
            .try_flatten()
            .boxed()
    }

    fn complete(&self, request: ModelRequest, most: u32) -> BoxFuture<'static, Result<SideReply, LlmError>> {
        if let Some(model) = self.found.get() {
            return model.complete(request, most);
        }
        let finding = find_first(self.endpoint.clone(), Arc::clone(&self.found));
        async move { finding.await?.complete(request, most).await }.boxed()
    }

    fn takes_tools(&self) -> bool {
        self.found.get().is_none_or(|model| model.takes_tools())
    }

    fn shows_pictures(&self) -> bool {
        self.found.get().is_none_or(|model| model.shows_pictures())
    }

    fn takes_hosted(&self, kind: HostedKind) -> bool {
        // Whichever it is, nobody has refused anything yet.
        let first = self.endpoint.api == mira_llm::Api::Responses;
        self.found.get().map_or(first, |model| model.takes_hosted(kind))
    }

    fn refuses(&self, tool: &ToolOffer) -> bool {
        self.found.get().is_some_and(|model| model.refuses(tool))
    }

    fn found_gone(&self) -> BoxFuture<'static, ()> {
        let found = Arc::clone(&self.found);
        async move { found.wait().await.found_gone().await }.boxed()
    }

    fn fetch_file(&self, file: HostedFile) -> BoxFuture<'static, Result<FetchedFile, LlmError>> {
        if let Some(model) = self.found.get() {
            return model.fetch_file(file);
        }
        let finding = find_first(self.endpoint.clone(), Arc::clone(&self.found));
        async move { finding.await?.fetch_file(file).await }.boxed()
    }

    fn list_left(&self, container: String) -> BoxFuture<'static, Result<Vec<LeftFile>, LlmError>> {
        if let Some(model) = self.found.get() {
            return model.list_left(container);
        }
        let finding = find_first(self.endpoint.clone(), Arc::clone(&self.found));
        async move { finding.await?.list_left(container).await }.boxed()
    }

    fn name(&self) -> String {
        self.found
            .get()
            .map_or_else(|| "the first one offered".to_owned(), |model| model.name())
    }
}

async fn find_first(
    endpoint: Endpoint,
    found: Arc<SetOnce<Arc<dyn ChatModel>>>,
) -> Result<Arc<dyn ChatModel>, LlmError> {
    let offered = mira_llm::list_models(&endpoint).await?;
    let Some(model) = offered.into_iter().next() else {
        return Err(LlmError::ModelNotFound {
            model: "any".to_owned(),
            offered: Vec::new(),
        });
    };
    let model = mira_llm::connect(Endpoint { model, ..endpoint })?;
    // Another call may have found it meanwhile.
    drop(found.set(model));
    Ok(Arc::clone(found.wait().await))
}
