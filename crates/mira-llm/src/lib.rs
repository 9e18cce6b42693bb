//! Language models behind one trait. Here live the transport to a provider, its wire formats (the Responses API and
//! Chat Completions), how a structured reply is asked for where a model takes a schema and where it does not, and what
//! to do about faults; beside it texts as vectors ([`embeddings`]). Not here: what is asked (`mira_core::prompt`), how a
//! reply is read (`mira_core::reply`) and what a turn does with it.
//!
//! Invariants: provider JSON does not leave this crate; a stream ends with exactly one `Finished`, one
//! `Calls` or one error; nothing
//! is retried after the first forwarded event; what a model or server takes is learned from its answers, not from a
//! list of names; no error contains a key.

mod call;
mod calls;
mod chat_completions;
mod client;
mod dialect;
pub mod embeddings;
mod endpoint;
mod error;
mod fetch;
#[cfg(test)]
mod hearing_tests;
mod hosted_offers;
pub mod images;
mod models;
mod offers;
mod pictures;
mod prompt_items;
pub mod provider_files;
mod refusal;
mod responses;
mod speech;
pub mod sse;
mod think;
mod told_calls;
mod two_step;
mod wire;

use bytes::Bytes;
use dialect::Dialect;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use mira_core::{
    chat::Usage,
    model::{HostedFile, HostedKind, ModelEvent, ModelRequest},
    tool::ToolOffer,
};
use std::sync::Arc;

pub use client::{RetryPolicy, Transport};
pub use endpoint::{Api, Endpoint, ReplyFormat, Secret};
pub use error::LlmError;
pub use models::list_models;

/// A language model that answers with structured replies.
pub trait ChatModel: Send + Sync {
    /// Asks for one reply. Nothing is sent before the first poll; dropping the stream ends the call and closes its
    /// connection. The stream obeys the law of [`ModelEvent`] or ends with one error; text that came before an error
    /// stands.
    fn stream(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, LlmError>>;

    /// Asks beside the conversation, in plain words: `system` and `messages` of the request count, there is no schema.
    /// At most `most` tokens are written, reasoning included. Nothing is sent before the first poll.
    fn complete(&self, request: ModelRequest, most: u32) -> BoxFuture<'static, Result<SideReply, LlmError>>;

    /// The model's configured name.
    fn name(&self) -> String;

    /// Whether it calls tools, as far as is known: false once the server has refused them in every form. A model that
    /// stands before another one passes on what that one says.
    fn takes_tools(&self) -> bool {
        true
    }

    /// Whether it is shown pictures, as far as is known: false once the server has refused them all.
    fn shows_pictures(&self) -> bool {
        true
    }

    /// Whether its provider runs this tool itself, as far as is known: false once the server has refused it.
    fn takes_hosted(&self, _kind: HostedKind) -> bool {
        false
    }

    /// Whether the server has refused this very tool, which is left out therefore until it looks different.
    fn refuses(&self, _tool: &ToolOffer) -> bool {
        false
    }

    /// Waits until the server says that something it was given is gone there: a file, a vector store. What it said while
    /// nobody waited counts.
    fn found_gone(&self) -> BoxFuture<'static, ()> {
        std::future::pending().boxed()
    }

    /// Fetches a file that a tool of the provider's made and that lies with it ([`HostedFile::There`]). At most
    /// [`MOST_FILE_BYTES`] come. Nothing is sent before the first poll.
    fn fetch_file(&self, _file: HostedFile) -> BoxFuture<'static, Result<FetchedFile, LlmError>> {
        let why = "this endpoint keeps no files".to_owned();
        std::future::ready(Err(LlmError::Unsendable { why })).boxed()
    }

    /// What lies in a container of the provider's beside the files that were given: the newest first, at most
    /// [`MOST_LEFT_FILES`]. Nothing is sent before the first poll.
    fn list_left(&self, _container: String) -> BoxFuture<'static, Result<Vec<LeftFile>, LlmError>> {
        std::future::ready(Ok(Vec::new())).boxed()
    }
}

/// The largest file taken from a provider, in bytes.
pub const MOST_FILE_BYTES: usize = 32 * 1024 * 1024;
/// The most files of a container that are listed.
pub const MOST_LEFT_FILES: usize = 100;

/// A file that code left in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftFile {
    /// Where it is: a [`HostedFile::There`].
    pub file: HostedFile,
    /// Its size in bytes, where the provider says it.
    pub bytes: Option<u64>,
}

/// A file fetched from a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedFile {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its type, as the provider says; empty where it says nothing.
    pub media_type: String,
}

/// The answer to a question beside the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideReply {
    /// The words, not empty.
    pub text: String,
    /// Whether the model came to its own end.
    pub whole: bool,
    /// The model that answered, as it names itself.
    pub model: String,
    /// Tokens spent.
    pub usage: Usage,
}

/// A chat model at an endpoint. Sends nothing yet.
///
/// # Errors
/// [`LlmError::BadUrl`] and [`LlmError::BadKey`] for a configuration that cannot work, [`LlmError::Transport`] where
/// TLS cannot be set up.
pub fn connect(endpoint: Endpoint) -> Result<Arc<dyn ChatModel>, LlmError> {
    Ok(Arc::new(HttpModel(Arc::new(call::Model::new(endpoint)?))))
}

/// The one [`ChatModel`] that talks over HTTP; the API it speaks is in the endpoint.
struct HttpModel(Arc<call::Model>);

impl ChatModel for HttpModel {
    fn stream(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, LlmError>> {
        let call = Box::new(call::Call::new(Arc::clone(&self.0), request));
        futures_util::stream::unfold(call, |mut call| async move {
            let item = call.next().await?;
            Some((item, call))
        })
        .boxed()
    }

    fn complete(&self, request: ModelRequest, most: u32) -> BoxFuture<'static, Result<SideReply, LlmError>> {
        let model = Arc::clone(&self.0);
        async move { two_step::side(&model, &request, most).await }.boxed()
    }

    fn name(&self) -> String {
        self.0.endpoint.model.clone()
    }

    fn takes_tools(&self) -> bool {
        self.0.known(Dialect::takes_tools)
    }

    fn shows_pictures(&self) -> bool {
        self.0.known(|dialect| dialect.pictures)
    }

    fn takes_hosted(&self, kind: HostedKind) -> bool {
        self.0.known(|dialect| dialect.takes_hosted(kind))
    }

    fn refuses(&self, tool: &ToolOffer) -> bool {
        self.0.known(|dialect| dialect.refuses(tool))
    }

    fn found_gone(&self) -> BoxFuture<'static, ()> {
        let model = Arc::clone(&self.0);
        async move { model.gone.notified().await }.boxed()
    }

    fn fetch_file(&self, file: HostedFile) -> BoxFuture<'static, Result<FetchedFile, LlmError>> {
        let model = Arc::clone(&self.0);
        async move { fetch::hosted_file(&model, &file).await }.boxed()
    }

    fn list_left(&self, container: String) -> BoxFuture<'static, Result<Vec<LeftFile>, LlmError>> {
        let model = Arc::clone(&self.0);
        async move { fetch::left_files(&model, &container).await }.boxed()
    }
}
