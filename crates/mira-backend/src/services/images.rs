//! Pictures: drawn through an images endpoint (`MIRA_IMAGE_MODEL`), fetched where a server answers an address, and kept
//! among the files.
//!
//! Invariants: an address that a server names is fetched through the guarded client; what is kept is a picture by its
//! bytes, whatever a server says.

use crate::services::{
    files::{Files, FilesError, Made},
    hub::HubRef,
    tools::hub_of,
};
use bytes::Bytes;
use futures_util::FutureExt;
use mira_core::file::StoredFile;
use mira_llm::{
    Endpoint, LlmError, MOST_FILE_BYTES,
    images::{Drawing, Drawn, ImageMaker},
};
use mira_net::{Guard, GuardedClient, HostPort, Limits, NetError, StatusCode, Url};
use mira_tools::{
    CallContext, Doorway, ToolError,
    images::{ImageDoor, Picture, Shape},
};
use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// How long fetching a picture may take.
const FETCH: Duration = Duration::from_mins(1);

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The endpoint.
    #[error(transparent)]
    Model(#[from] LlmError),
    /// The address it named.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The same.
    #[error("the picture's address is no address of the web")]
    NoAddress,
    /// The server there.
    #[error("the picture's address answers {0}")]
    Status(StatusCode),
    /// Something else than a picture came.
    #[error("what came is no picture")]
    NoPicture,
    /// It could not be kept.
    #[error(transparent)]
    Files(#[from] FilesError),
}

/// Pictures. Cheap to clone.
#[derive(Clone)]
pub struct Images(Arc<Inner>);

struct Inner {
    enabled: bool,
    maker: Option<ImageMaker>,
    client: GuardedClient,
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Images")
            .field("maker", &self.0.maker)
            .finish_non_exhaustive()
    }
}

impl Images {
    /// What the configuration says: `model` draws at the conversation's endpoint. Nothing is asked yet.
    ///
    /// # Errors
    /// Where the endpoint's configuration cannot work.
    pub fn new(
        enabled: bool,
        model: Option<String>,
        endpoint: &Endpoint,
        private_hosts: Vec<HostPort>,
    ) -> Result<Self, LlmError> {
        let maker = model.map(|model| {
            ImageMaker::new(Endpoint {
                model,
                ..endpoint.clone()
            })
        });
        Ok(Self(Arc::new(Inner {
            enabled,
            maker: maker.transpose()?,
            client: GuardedClient::new(Guard::new(private_hosts)),
        })))
    }

    fn unavailable(&self) -> Option<String> {
        if !self.0.enabled {
            return Some("drawing is switched off: ENABLE_IMAGE_GENERATION=false".to_owned());
        }
        let unset = "no model that draws is set: MIRA_IMAGE_MODEL names one of the endpoint's";
        self.0.maker.is_none().then(|| unset.to_owned())
    }

    /// A picture by an address that somebody else chose.
    pub async fn fetch(&self, address: &str) -> Result<Bytes, ImageError> {
        let url = Url::parse(address).map_err(|_| ImageError::NoAddress)?;
        let limits = Limits {
            total: FETCH,
            body_bytes: MOST_FILE_BYTES as u64,
            ..Limits::default()
        };
        let answer = self.0.client.get(url).limits(limits).send().await?;
        if !answer.status.is_success() {
            return Err(ImageError::Status(answer.status));
        }
        Ok(answer.body.bytes().await?)
    }

    async fn draw(&self, prompt: &str, shape: Shape) -> Result<(Bytes, Drawing), ImageError> {
        let Some(maker) = &self.0.maker else {
            return Err(ImageError::NoPicture);
        };
        let drawing = maker.draw(prompt, Some(size_of(shape))).await?;
        let bytes = match &drawing.picture {
            Drawn::Bytes(bytes) => bytes.clone(),
            Drawn::At(url) => self.fetch(url).await?,
        };
        Ok((bytes, drawing))
    }
}

/// Sizes most servers know; another one is chosen where they do not.
fn size_of(shape: Shape) -> &'static str {
    match shape {
        Shape::Square => "1024x1024",
        Shape::Landscape => "1536x1024",
        Shape::Portrait => "1024x1536",
    }
}

/// The door her tool goes through.
#[derive(Debug)]
pub struct Door {
    images: Images,
    hub: Arc<OnceLock<HubRef>>,
}

impl Door {
    /// A door that works once the hub is there.
    pub fn new(images: Images, hub: Arc<OnceLock<HubRef>>) -> Self {
        Self { images, hub }
    }

    async fn draw_and_keep(&self, context: &CallContext, prompt: &str, shape: Shape) -> Result<Picture, ToolError> {
        let hub = hub_of(&self.hub)?;
        let told = |error: ImageError| {
            tracing::warn!(%error, "a picture could not be drawn");
            match &error {
                ImageError::Net(refused) if refused.is_refusal() => ToolError::Denied(error.to_string()),
                ImageError::Model(_)
                | ImageError::Net(_)
                | ImageError::NoAddress
                | ImageError::Status(_)
                | ImageError::NoPicture
                | ImageError::Files(_) => ToolError::Failed(error.to_string()),
            }
        };
        let (bytes, drawing) = self.images.draw(prompt, shape).await.map_err(told)?;
        let kept = keep(&hub.deps().files, context, bytes).await;
        Ok(Picture {
            file: kept.map_err(told)?,
            revised_prompt: drawing.revised_prompt,
            shaped: drawing.sized,
        })
    }
}

/// Keeps a picture; anything else goes again.
async fn keep(files: &Files, context: &CallContext, bytes: Bytes) -> Result<StoredFile, ImageError> {
    let kind = mira_docs::sniff("picture", bytes.get(..bytes.len().min(4096)).unwrap_or_default());
    let ending = match &*kind.media_type {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/webp" => "webp",
        "image/gif" => "gif",
        _ => return Err(ImageError::NoPicture),
    };
    let name = format!("picture.{ending}");
    let (account, project, reply) = (context.account, context.project, Some(context.reply));
    Ok(files
        .keep_made(account, project, reply, &name, Made::Bytes(bytes))
        .await?)
}

impl ImageDoor for Door {
    fn unavailable(&self) -> Option<String> {
        self.images.unavailable()
    }

    fn draw<'a>(&'a self, context: &'a CallContext, prompt: String, shape: Shape) -> Doorway<'a, Picture> {
        async move { self.draw_and_keep(context, &prompt, shape).await }.boxed()
    }
}
