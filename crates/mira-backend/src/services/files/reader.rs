//! Behind the conversation: documents that wait are read, cut into pieces, and embedded. One at a time, oldest first; what
//! an interruption left undone is done again.

use super::{
    FileChange, Files,
    extract::{ExtractError, Extractor, Mode, Source},
};
use crate::services::memory::Memories;
use mira_core::{
    file::{FileStatus, StoredFile},
    ids::AccountId,
};
use mira_docs::{Chunk, ChunkSettings, Document, Kind, chunks};
use mira_llm::embeddings::Embedder;
use mira_memory::{FileChunk, FilePage, StoreError};
use std::time::Duration;
use tokio::{fs::File, io::AsyncReadExt};

/// Pieces embedded and stored at a time.
const BATCH: u32 = 64;
/// After a failure of the store or of the embedder.
const REST: Duration = Duration::from_secs(30);
/// How much of a file tells what it is.
const HEAD_BYTES: u64 = 16 * 1024;

/// Reads what waits until the process ends.
pub async fn run(files: Files, extractor: Extractor, memories: Memories) {
    let soft = files.life().soft().clone();
    let work = async {
        loop {
            match turn(&files, &extractor, &*memories.embedder()).await {
                Ok(true) => {}
                Ok(false) => files.woken().await,
                Err(error) => {
                    tracing::warn!(%error, "files cannot be read now");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    };
    soft.run_until_cancelled(work).await;
}

/// What makes vectors comparable: the model and how many numbers it gives.
pub(super) fn space(embedder: &dyn Embedder) -> String {
    format!("{}#{}", embedder.model(), embedder.dimension())
}

/// One document, or one batch of vectors. Whether there was anything to do.
async fn turn(files: &Files, extractor: &Extractor, embedder: &dyn Embedder) -> Result<bool, StoreError> {
    if let Some((account, file)) = files.store().next_file_to_read().await? {
        read(files, extractor, account, &file).await?;
        return Ok(true);
    }
    let waiting = files.store().chunks_to_embed(&space(embedder), BATCH).await?;
    if waiting.is_empty() {
        return Ok(false);
    }
    let (keys, texts): (Vec<i64>, Vec<String>) = waiting.into_iter().unzip();
    match embedder.embed(texts).await {
        Ok(vectors) => {
            let vectors = keys.into_iter().zip(vectors.into_iter().map(|vector| vector.to_vec()));
            files
                .store()
                .write_chunk_vectors(&space(embedder), vectors.collect())
                .await?;
        }
        Err(error) => {
            // Words find what vectors do not yet.
            tracing::warn!(%error, "pieces of files could not be embedded; they are tried again");
            // A new document does not wait for that.
            tokio::select! {
                () = tokio::time::sleep(REST) => {}
                () = files.woken() => {}
            }
        }
    }
    Ok(true)
}

async fn read(files: &Files, extractor: &Extractor, account: AccountId, file: &StoredFile) -> Result<(), StoreError> {
    let read = text_of(files, extractor, file).await;
    let (status, error, pages) = match read {
        Ok((kind, document)) => {
            let pages = document.parts.iter().filter_map(|part| part.page).max();
            let (texts, pieces) = cut(files, kind, document).await?;
            if !files.store().write_file_text(account, file.id, texts, pieces).await? {
                return Ok(());
            }
            (FileStatus::Ready, None, pages)
        }
        Err(error) => {
            tracing::info!(%error, file.id = %file.id, "a file has no text to search");
            (FileStatus::Failed, Some(error.to_string()), None)
        }
    };
    let now = files.clock().now();
    let changed = files
        .store()
        .set_file_status(account, file.id, status, error, pages, now)
        .await?;
    if let Some(file) = changed {
        files.tell(FileChange::Updated(&file));
    }
    Ok(())
}

async fn text_of(files: &Files, extractor: &Extractor, file: &StoredFile) -> Result<(Kind, Document), ExtractError> {
    let path = files.path(file);
    let mut head = Vec::new();
    let opened = File::open(&path).await?;
    opened.take(HEAD_BYTES).read_to_end(&mut head).await?;
    let kind = mira_docs::sniff(&file.name, &head).kind;
    let document = extractor.extract(kind, Source::Path(path), Mode::Read).await?;
    Ok((kind, document))
}

/// Pages and pieces of a document. Cutting a long one takes a while.
async fn cut(files: &Files, kind: Kind, document: Document) -> Result<(Vec<FilePage>, Vec<FileChunk>), StoreError> {
    let work = files.life().spawn_blocking(move || {
        let pieces = chunks(kind, &document, &ChunkSettings::default());
        let pieces = pieces.into_iter().map(piece).collect();
        let pages = document.parts.into_iter().map(|part| FilePage {
            page: part.page,
            text: part.text,
        });
        (pages.collect(), pieces)
    });
    work.await.map_err(|_| StoreError::Closed)
}

fn piece(chunk: Chunk) -> FileChunk {
    FileChunk {
        page: chunk.page,
        lines: chunk.lines,
        heading: chunk.heading.unwrap_or_default(),
        text: chunk.text,
    }
}
