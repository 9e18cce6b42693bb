//! What the web sends, read as the owner's documents are: in a process of its own.

use super::extract::{Extractor, Mode, Source};
use crate::services::web::{Reader, Unreadable};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use mira_docs::{Document, Kind};
use reqwest::Url;

impl Reader for Extractor {
    fn read(&self, kind: Kind, bytes: Bytes, base: Option<Url>) -> BoxFuture<'static, Result<Document, Unreadable>> {
        let extractor = self.clone();
        let mode = if kind == Kind::Html {
            Mode::Readable { base }
        } else {
            Mode::Read
        };
        async move {
            let read = extractor.extract(kind, Source::Bytes(bytes), mode).await;
            read.map_err(|error| Unreadable(error.to_string()))
        }
        .boxed()
    }
}
