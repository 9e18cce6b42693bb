//! Behind the conversation: documents that wait are read and cut into pieces, and these embedded ([`Embedding`]). One at a
//! time, oldest first; what an interruption left undone is done again ([`tries`] counts how often). With nothing else to do,
//! what an older reader made of a document is made anew ([`renew`]).

use super::{
    FileChange, Files, disk,
    embedding::{Batch, Embedding},
    extract::{ExtractError, Extractor, Mode, Source},
    tries::{self, Unread},
};
use crate::services::memory::Memories;
use mira_core::file::StoredFile;
use mira_docs::{Chunk, ChunkSettings, Document, Kind, READER, chunks};
use mira_llm::embeddings::Embedder;
use mira_memory::{FileChunk, FilePage, StoreError, WaitingFile};
use std::time::Duration;

/// After a failure of the store or of the embedder.
const REST: Duration = Duration::from_secs(30);
/// Of a document that has more pages or more text than is read, or pages that make no sense.
const IN_PART: &str = "only a part of it could be read: it is too long, or some of its pages are damaged";

/// Reads what waits until the process ends.
pub async fn run(files: Files, extractor: Extractor, memories: Memories) {
    let soft = files.life().soft().clone();
    let work = async {
        let mut embedding = Embedding::new();
        loop {
            match turn(&files, &extractor, &mut embedding, &*memories.embedder()).await {
                Ok(true) => {}
                Ok(false) => tries::rest(&files).await,
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
async fn turn(
    files: &Files,
    extractor: &Extractor,
    embedding: &mut Embedding,
    embedder: &dyn Embedder,
) -> Result<bool, StoreError> {
    if let Some(waiting) = files.store().next_file_to_read(files.clock().now()).await? {
        tries::one(files, &waiting, read(files, extractor, &waiting)).await?;
        return Ok(true);
    }
    match embedding.batch(files.store(), embedder).await? {
        Batch::None => return renew(files, extractor).await,
        Batch::Done => {}
        // A new document does not wait for that.
        Batch::Failed => tokio::select! {
            () = tokio::time::sleep(REST) => {}
            () = files.woken() => {}
        },
    }
    Ok(true)
}

/// One step towards texts that are all of this reader, one file after the other. The old text is found until the new one
/// is whole and has its vectors, which it has when there is nothing to embed: so this is for then. Whether there was
/// anything to do.
async fn renew(files: &Files, extractor: &Extractor) -> Result<bool, StoreError> {
    let (store, now) = (files.store(), files.clock().now());
    if let Some((account, id)) = store.next_file_to_publish(READER).await? {
        if let Some(file) = store.publish_file_text(account, id, READER, None, now).await? {
            files.tell(FileChange::Updated(&file));
        }
        return Ok(true);
    }
    if store.clear_old_text(READER).await? {
        return Ok(true);
    }
    let Some(waiting) = store.next_file_to_renew(READER, now).await? else {
        return Ok(false);
    };
    tries::one(files, &waiting, read(files, extractor, &waiting)).await?;
    Ok(true)
}

/// Reads a document and stores its text; answers what is wrong with it. What becomes of a failure is for [`tries`].
async fn read(files: &Files, extractor: &Extractor, waiting: &WaitingFile) -> Result<Option<String>, Unread> {
    let (kind, document) = text_of(files, extractor, &waiting.file).await?;
    let note = document.truncated.then(|| IN_PART.to_owned());
    let (texts, pieces) = cut(files, kind, document).await?;
    let (account, id) = (waiting.account, waiting.file.id);
    // A file that is gone meanwhile has no text.
    files
        .store()
        .write_file_text(account, id, READER, texts, pieces)
        .await?;
    Ok(note)
}

async fn text_of(files: &Files, extractor: &Extractor, file: &StoredFile) -> Result<(Kind, Document), ExtractError> {
    let path = files.path(file);
    let (head, _) = disk::head(&path).await?;
    let kind = mira_docs::sniff(&file.name, &head).kind;
    let document = extractor.extract(kind, Source::Path(path), Mode::Read).await?;
    Ok((kind, document))
}

/// Pages and pieces of a document. Cutting a long one takes a while.
async fn cut(files: &Files, kind: Kind, document: Document) -> Result<(Vec<FilePage>, Vec<FileChunk>), ExtractError> {
    let work = files.life().spawn_blocking(move || {
        let pieces = chunks(kind, &document, &ChunkSettings::default());
        let pieces = pieces.into_iter().map(piece).collect();
        let pages = document.parts.into_iter().map(|part| FilePage {
            page: part.page,
            text: part.text,
        });
        (pages.collect(), pieces)
    });
    work.await.map_err(|_| ExtractError::Broke)
}

fn piece(chunk: Chunk) -> FileChunk {
    FileChunk {
        page: chunk.page,
        lines: chunk.lines,
        heading: chunk.heading.unwrap_or_default(),
        text: chunk.text,
    }
}
