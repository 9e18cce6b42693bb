//! Files given to a provider so that its own tools can use them: `/files` and `/vector_stores`. Not here: which files
//! those are, and what is remembered of them.
//!
//! Source: the official OpenAPI document (August 2026). What is gone already counts as deleted.

use crate::{
    client::Upstream,
    endpoint::Endpoint,
    error::LlmError,
    fetch::{parse, repeated, segment},
    wire,
};
use bytes::{BufMut, Bytes, BytesMut};
use reqwest::{Method, header::HeaderValue};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{fmt, time::Duration};

/// How long a small call may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long sending a file may take.
const UPLOAD_DEADLINE: Duration = Duration::from_mins(5);
/// The largest file that is sent, in bytes.
pub const MOST_UPLOAD_BYTES: u64 = 32 * 1024 * 1024;
/// A store that nobody used for so long goes by itself: one whose making was cut off, too, and nothing is in it then.
const STORE_DAYS: u32 = 30;
/// Files on one page of a listing, and the most pages that are read.
const PAGE: u32 = 1_000;
const MOST_PAGES: u32 = 50;
/// What the files are for, as the provider sorts them.
const PURPOSE: &str = "user_data";

/// The files of one account at a provider.
pub struct ProviderFiles {
    endpoint: Endpoint,
    upstream: Upstream,
}

impl fmt::Debug for ProviderFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderFiles").finish_non_exhaustive()
    }
}

/// Where something at the provider stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is being made ready.
    InProgress,
    /// It can be used.
    Completed,
    /// It will never be usable; the reason, where there is one.
    Failed(String),
    /// It is not there any more.
    Gone,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// A file that was given, as the provider lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct GivenFile {
    /// The provider's id.
    pub id: String,
    /// Its name.
    pub filename: String,
    /// Its size.
    pub bytes: u64,
    /// When it came, in seconds since 1970 by the provider's clock.
    pub created_at: i64,
}

impl GivenFile {
    /// Whether it was sent under this name: some providers keep it as the form carries it.
    pub fn is_called(&self, name: &str) -> bool {
        self.filename == name || self.filename == quoted(name)
    }
}

#[derive(Deserialize)]
struct Page {
    data: Vec<GivenFile>,
    #[serde(default)]
    has_more: bool,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    status: String,
    #[serde(default)]
    last_error: Option<Value>,
}

impl ProviderFiles {
    /// At this endpoint. Sends nothing yet.
    ///
    /// # Errors
    /// As [`crate::connect`].
    pub fn new(endpoint: Endpoint) -> Result<Self, LlmError> {
        Ok(Self {
            upstream: Upstream::new(&endpoint)?,
            endpoint,
        })
    }

    /// Sends a file, once: where the answer is lost, the file may be there all the same, and [`Self::given_since`] knows.
    /// Answers the provider's id of it.
    ///
    /// # Errors
    /// As for a call of a model.
    pub async fn upload(&self, name: &str, media_type: &str, bytes: Bytes) -> Result<String, LlmError> {
        let sent = Some(multipart(name, media_type, &bytes)?);
        let upstream = &self.upstream;
        let answer = upstream
            .send_as(Method::POST, "files", sent, "application/json", "", UPLOAD_DEADLINE)
            .await?;
        let named: Named = parse(&upstream.read_whole(answer, DEADLINE).await?)?;
        Ok(named.id)
    }

    /// The files that came since then, the newest first, whoever gave them.
    ///
    /// # Errors
    /// As for a call of a model.
    pub async fn given_since(&self, seconds: i64) -> Result<Vec<GivenFile>, LlmError> {
        let mut given = Vec::new();
        let mut after = String::new();
        for _ in 0..MOST_PAGES {
            let path = format!("files?purpose={PURPOSE}&limit={PAGE}&order=desc{after}");
            let page: Page = self.call(Method::GET, &path, None).await?;
            let Some(last) = page.data.last().filter(|_| page.has_more) else {
                given.extend(page.data);
                break;
            };
            let over = last.created_at < seconds;
            after = format!("&after={}", segment(&last.id)?);
            given.extend(page.data);
            if over {
                break;
            }
        }
        given.retain(|file| file.created_at >= seconds);
        Ok(given)
    }

    /// Whether a file is there.
    ///
    /// # Errors
    /// As for a call of a model.
    pub async fn has(&self, id: &str) -> Result<bool, LlmError> {
        let path = format!("files/{}", segment(id)?);
        match self.call::<Value>(Method::GET, &path, None).await {
            Err(error) if is_gone(&error) => Ok(false),
            there => there.map(|_| true),
        }
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// As for a call of a model.
    pub async fn delete(&self, id: &str) -> Result<(), LlmError> {
        let path = format!("files/{}", segment(id)?);
        gone_is_fine(self.call::<Value>(Method::DELETE, &path, None).await)
    }

    /// Makes a vector store; its id.
    ///
    /// # Errors
    /// As for a call of a model.
    pub async fn create_store(&self, name: &str) -> Result<String, LlmError> {
        let expiry = json!({ "anchor": "last_active_at", "days": STORE_DAYS });
        let body = json!({ "name": name, "expires_after": expiry });
        let named: Named = self.call(Method::POST, "vector_stores", Some(&body)).await?;
        Ok(named.id)
    }

    /// Where a vector store stands.
    ///
    /// # Errors
    /// As for a call of a model.
    pub async fn store_standing(&self, store: &str) -> Result<Standing, LlmError> {
        let path = format!("vector_stores/{}", segment(store)?);
        self.standing(&path).await
    }

    /// Deletes a vector store; its files stay.
    ///
    /// # Errors
    /// As for a call of a model.
    pub async fn delete_store(&self, store: &str) -> Result<(), LlmError> {
        let path = format!("vector_stores/{}", segment(store)?);
        gone_is_fine(self.call::<Value>(Method::DELETE, &path, None).await)
    }

    /// Puts a file into a vector store.
    ///
    /// # Errors
    /// As for a call of a model.
    pub async fn add(&self, store: &str, file: &str) -> Result<(), LlmError> {
        let path = format!("vector_stores/{}/files", segment(store)?);
        let body = json!({ "file_id": file });
        self.call::<Value>(Method::POST, &path, Some(&body)).await.map(drop)
    }

    /// Where a file of a vector store stands.
    ///
    /// # Errors
    /// As for a call of a model.
    pub async fn file_standing(&self, store: &str, file: &str) -> Result<Standing, LlmError> {
        let path = format!("vector_stores/{}/files/{}", segment(store)?, segment(file)?);
        self.standing(&path).await
    }

    async fn standing(&self, path: &str) -> Result<Standing, LlmError> {
        let status: Status = match self.call(Method::GET, path, None).await {
            Ok(status) => status,
            Err(error) if is_gone(&error) => return Ok(Standing::Gone),
            Err(error) => return Err(error),
        };
        let why = || {
            let told = status.last_error.as_ref().and_then(|error| error.get("message"));
            told.and_then(Value::as_str).unwrap_or(&status.status).to_owned()
        };
        Ok(match &*status.status {
            "in_progress" => Standing::InProgress,
            "completed" => Standing::Completed,
            "expired" => Standing::Gone,
            _ => Standing::Failed(why()),
        })
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Value>) -> Result<T, LlmError> {
        let body = body.map(wire::encode).transpose()?;
        repeated(&self.endpoint, || async {
            let (method, body) = (method.clone(), body.clone());
            let answer = self
                .upstream
                .send(method, path, body, "application/json", "", DEADLINE)
                .await?;
            parse(&self.upstream.read_whole(answer, DEADLINE).await?)
        })
        .await
    }
}

fn is_gone(error: &LlmError) -> bool {
    matches!(error, LlmError::BadRequest { status: 404, .. })
}

fn gone_is_fine(answer: Result<Value, LlmError>) -> Result<(), LlmError> {
    match answer {
        Err(error) if !is_gone(&error) => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The form with one file in it, and its type. Source: RFC 7578.
fn multipart(name: &str, media_type: &str, bytes: &[u8]) -> Result<(HeaderValue, Bytes), LlmError> {
    let mut boundary = String::from("mira-part");
    let mut n = 0_u32;
    // One that does not stand in the file.
    while memchr::memmem::find(bytes, boundary.as_bytes()).is_some() {
        n += 1;
        boundary = format!("mira-part-{n:08x}");
    }
    let mut body = BytesMut::with_capacity(bytes.len() + 512);
    let purpose = format!("--{boundary}\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\n{PURPOSE}\r\n");
    body.put_slice(purpose.as_bytes());
    let (name, kind) = (quoted(name), header_safe(media_type));
    let head = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\ncontent-type: {kind}\r\n\r\n"
    );
    body.put_slice(head.as_bytes());
    body.put_slice(bytes);
    body.put_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let kind = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"));
    let kind = kind.map_err(|error| LlmError::Unsendable { why: error.to_string() })?;
    Ok((kind, body.freeze()))
}

/// A name between quotation marks, as browsers write it.
fn quoted(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '"' => out.push_str("%22"),
            '\r' => out.push_str("%0D"),
            '\n' => out.push_str("%0A"),
            c => out.push(c),
        }
    }
    out
}

fn header_safe(media_type: &str) -> &str {
    let legal = |c: char| c.is_ascii_graphic() || c == ' ';
    if !media_type.is_empty() && media_type.chars().all(legal) {
        media_type
    } else {
        "application/octet-stream"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_cannot_leave_its_part() {
        let evil = b"a\r\n--mira-part--\r\nmira-part-00000001";
        let (kind, body) = multipart("x\"\r\ny: z.txt", "text/plain\r\nx: y", evil).unwrap();
        assert_eq!(kind, "multipart/form-data; boundary=mira-part-00000002");
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(
            text.contains("filename=\"x%22%0D%0Ay: z.txt\"\r\ncontent-type: application/octet-stream\r\n\r\na\r\n"),
            "{text}"
        );
        assert!(text.ends_with("\r\n--mira-part-00000002--\r\n"), "{text}");
        assert_eq!(text.matches("--mira-part-00000002").count(), 3);
    }
}
