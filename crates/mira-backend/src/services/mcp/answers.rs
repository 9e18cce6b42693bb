//! What a server answered, as the model reads it, the owner sees it and rows keep it. Files in it become Mira's own: no
//! bytes of a stranger's stand in a conversation.
//!
//! Invariants: whatever a server answers is untrusted; a file is kept before the outcome that names it, or what became of
//! it is said.

use crate::services::files::{Files, Made};
use mira_core::{
    chat::shortened,
    file::StoredFile,
    tool::{CallStatus, UNCERTAIN},
};
use mira_mcp::{McpAnswer, McpError, McpFile, McpPart, McpTool};
use mira_tools::{CallContext, Output, Ran, images::file_object};
use serde_json::{Value, json};

/// The longest stretch of an answer that clients are shown, in characters.
const SHOWN_CHARS: usize = 4000;
/// The largest structured answer that is kept, in bytes.
const STRUCTURED_BYTES: usize = 32 * 1024;

/// A call that came to nothing.
pub(super) fn failed(error: &McpError) -> Ran {
    let status = match error {
        McpError::UnknownTool(_) | McpError::NotReady { .. } => CallStatus::Unavailable,
        McpError::Arguments(_)
        | McpError::Timeout { .. }
        | McpError::Refused { .. }
        | McpError::Nonsense { .. }
        | McpError::TooLarge { .. }
        | McpError::Broken { .. } => CallStatus::Failed,
    };
    let why = if error.is_uncertain() {
        format!("{error}; {UNCERTAIN}")
    } else {
        error.to_string()
    };
    let mut ran = Ran::unsuccessful(status, why);
    ran.outcome.untrusted = error.is_untrusted();
    ran
}

/// An answer, its files kept in the name of her reply.
pub(super) async fn answered(files: &Files, context: &CallContext, tool: &McpTool, answer: McpAnswer) -> Ran {
    let (mut words, mut lost, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    for part in answer.parts {
        match part {
            McpPart::Text(text) => words.push(text),
            McpPart::File(file) => {
                let claims_picture = file.media_type.starts_with("image/");
                match keep(files, context, file).await {
                    Ok(file) => {
                        words.push(named(&file, claims_picture));
                        kept.push(file);
                    }
                    Err(why) => lost.push(format!("({why})")),
                }
            }
        }
    }
    let text = words.join("\n");
    // First, as a long text is cut at its end.
    let said = |text: String| {
        let parts = lost.iter().chain([&text]).filter(|part| !part.is_empty());
        parts.map(String::as_str).collect::<Vec<_>>().join("\n")
    };
    let (shown, told) = (said(shortened(&text, SHOWN_CHARS)), said(text));
    let structured = answer
        .structured
        .filter(|value| value.to_string().len() <= STRUCTURED_BYTES);
    let mut data = json!({
        "server": tool.server,
        "tool": tool.name,
        "text": shown,
        "structured": structured,
        "files": kept.iter().map(file_object).collect::<Vec<_>>(),
    });
    let mut ran = if answer.is_error {
        if let Value::Object(fields) = &mut data {
            fields.insert("error".to_owned(), Value::String(shown));
        }
        let mut ran = Ran::unsuccessful(CallStatus::Failed, told);
        ran.outcome.data = data;
        ran
    } else {
        Ran::answered(Output::new(told, data))
    };
    ran.outcome.untrusted = true;
    ran.pictures = kept.into_iter().filter(StoredFile::is_picture).collect();
    ran
}

/// Takes a file into Mira's own; else why not, in words for the owner and the model.
async fn keep(files: &Files, context: &CallContext, file: McpFile) -> Result<StoredFile, String> {
    let McpFile { name, bytes, .. } = file;
    let (account, project, reply) = (context.account, context.project, Some(context.reply));
    let kept = files.keep_made(account, project, reply, &name, Made::Bytes(bytes));
    kept.await.map_err(|error| {
        tracing::warn!(%error, "a file of an MCP server's answer could not be kept");
        format!("{name:?} could not be kept: {error}")
    })
}

/// What the model is told of a file.
fn named(file: &StoredFile, claims_picture: bool) -> String {
    let StoredFile {
        id,
        name,
        media_type,
        size,
        ..
    } = file;
    let what = match (file.is_picture(), claims_picture) {
        (true, _) => "a picture, shown to the owner",
        (false, true) => "said to be a picture, but none that can be shown",
        (false, false) => "for the owner",
    };
    format!("(file {id}: {name:?}, {media_type}, {size} bytes; {what})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mira_core::{file::FileStatus, ids::FileId, project::Author};

    #[test]
    fn a_file_is_told_for_what_it_is() {
        let check = |media_type: &str, claims_picture: bool, expect: &str| {
            let file = StoredFile {
                id: FileId(uuid::Uuid::nil()),
                project_id: None,
                name: "a\u{202e}b.png".to_owned(),
                media_type: media_type.to_owned(),
                size: 7,
                sha256: [0; 32],
                status: FileStatus::Ready,
                error: None,
                pages: None,
                author: Author::Mira,
                message_id: None,
                created_at: jiff::Timestamp::UNIX_EPOCH,
            };
            let told = named(&file, claims_picture);
            let begin = format!("(file {}: \"a\\u{{202e}}b.png\", {media_type}, 7 bytes; ", file.id);
            assert_eq!(told.strip_prefix(&begin), Some(expect), "{told}");
        };
        check("image/png", true, "a picture, shown to the owner)");
        check("image/png", false, "a picture, shown to the owner)");
        check("text/plain", true, "said to be a picture, but none that can be shown)");
        check("audio/wav", false, "for the owner)");
    }
}
