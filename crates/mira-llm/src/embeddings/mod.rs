//! Texts as vectors. Here live the trait every embedder has, the table in the binary ([`LocalEmbedder`]), and OpenAI's
//! API with the servers that speak it ([`RemoteEmbedder`]). Not here: where vectors are kept and how they are searched.
//!
//! Invariants: one vector per text, in their order, of exactly [`Embedder::dimension`] numbers and of length 1, or all
//! zeros for a text that says nothing; a text is cut before it is too long, never refused for it; no error contains a
//! key; dropping the future ends the work.

mod local;
mod openai;
mod table;

use crate::error::LlmError;
use futures_util::future::BoxFuture;
use std::{fmt, sync::Arc, time::Duration};

pub use local::LocalEmbedder;
pub use openai::{EmbeddingEndpoint, RemoteEmbedder};
pub use table::TableError;

/// The vector of a text. Shared, because the turn that asked for it and the indexer that keeps it both need it.
pub type Vector = Arc<[f32]>;

/// Makes vectors of texts.
pub trait Embedder: Send + Sync + fmt::Debug {
    /// The model with its version: vectors of different models cannot be compared, so this and [`Self::dimension`] are
    /// the identity of an index.
    fn model(&self) -> &str;

    /// How many numbers a vector has.
    fn dimension(&self) -> usize;

    /// Whether it works inside this process, without a network and in microseconds.
    fn is_local(&self) -> bool;

    /// What has been used of an endpoint since the start.
    fn usage(&self) -> EmbedUsage {
        EmbedUsage::default()
    }

    /// The vectors of texts. Give a few hundred at once: an error is one for all of them. Waits as long as its retries
    /// take; who has less time uses [`embed_within`].
    fn embed(&self, texts: Vec<String>) -> BoxFuture<'static, Result<Vec<Vector>, EmbedError>>;
}

/// What has been used of an endpoint.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct EmbedUsage {
    /// Answered requests.
    pub requests: u64,
    /// Tokens, as the server counts them.
    pub tokens: u64,
}

/// Embeds under a deadline: for the path of a turn, where a late vector is worth nothing.
///
/// # Errors
/// [`EmbedError::Late`] once `deadline` has passed, else what the embedder says.
pub async fn embed_within(
    embedder: &dyn Embedder,
    texts: Vec<String>,
    deadline: Duration,
) -> Result<Vec<Vector>, EmbedError> {
    match tokio::time::timeout(deadline, embedder.embed(texts)).await {
        Ok(result) => result,
        Err(_) => Err(EmbedError::Late { after: deadline }),
    }
}

/// Texts that could not be embedded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    /// The key is missing, wrong or revoked.
    #[error(
        "the embeddings endpoint refused the API key (HTTP {status}); check MIRA_EMBEDDINGS_KEY, or OPENAI_API_KEY \
         where it is not set"
    )]
    Auth {
        /// The HTTP status.
        status: u16,
    },
    /// The endpoint did not answer, or not as it should.
    #[error("embeddings: {0}")]
    Endpoint(LlmError),
    /// The model's vectors have another length than the configured one.
    #[error(
        "the embedding model \"{model}\" gives vectors of {got} numbers where {expected} are configured; set \
         QDRANT_EMBEDDING_DIM to {got} or choose another model"
    )]
    Dimension {
        /// The model asked.
        model: String,
        /// The configured length.
        expected: usize,
        /// The length that came.
        got: usize,
    },
    /// The deadline of [`embed_within`] has passed.
    #[error("the embeddings took longer than {} ms", .after.as_millis())]
    Late {
        /// The deadline.
        after: Duration,
    },
    /// The table in the binary cannot be read.
    #[error("the embedding table is damaged: {0}")]
    Table(#[from] TableError),
    /// The work was ended by the runtime.
    #[error("the embedding work was stopped: {why}")]
    Stopped {
        /// The runtime's words.
        why: String,
    },
}

impl From<LlmError> for EmbedError {
    fn from(error: LlmError) -> Self {
        match error {
            LlmError::Auth { status } => Self::Auth { status },
            other => Self::Endpoint(other),
        }
    }
}

impl EmbedError {
    /// Whether the same texts may succeed later without anybody changing the configuration.
    pub fn retryable(&self) -> bool {
        match self {
            // Credit is bought again without telling Mira.
            Self::Endpoint(error) => error.retryable() || matches!(error, LlmError::Quota),
            Self::Late { .. } | Self::Stopped { .. } => true,
            Self::Auth { .. } | Self::Dimension { .. } | Self::Table(_) => false,
        }
    }

    /// What the server asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Endpoint(error) => error.retry_after(),
            Self::Auth { .. } | Self::Dimension { .. } | Self::Late { .. } | Self::Table(_) | Self::Stopped { .. } => {
                None
            }
        }
    }
}

/// Brings a vector to length 1; one of zeros stays as it is.
fn normalise(vector: &mut [f32]) {
    /// Shorter than this and its direction is noise.
    const NOTHING: f64 = 1e-9;
    let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if length < NOTHING {
        vector.fill(0.0);
        return;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a factor needs no more digits than what it scales"
    )]
    let factor = (1.0 / length) as f32;
    for value in vector {
        *value *= factor;
    }
}
