//! Why a document could not be read. The sentences are shown to the person who uploaded it.

/// A document that could not be read, by reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocError {
    /// It opens only with a password.
    #[error("the document is protected with a password")]
    Encrypted,
    /// It is not what it says it is, or only a part of it.
    #[error("the document is damaged: {0}")]
    Damaged(String),
    /// There are pages, but no letters on them: scanned paper, or pictures.
    #[error("the document has no text in it: it may be made of scanned pages or pictures")]
    NoText,
    /// Nothing here reads this kind.
    #[error("text cannot be read out of this kind of file")]
    Unsupported,
    /// It unpacks to more than is allowed.
    #[error("the document unpacks to more than is allowed")]
    TooLarge,
}
