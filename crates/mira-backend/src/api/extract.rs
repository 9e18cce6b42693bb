//! Extractors whose refusals are problems: JSON bodies, query strings, path parts, and who is calling.

use super::error::{ApiError, FieldError};
use crate::services::auth::Identity;
use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::time::Duration;

/// The largest JSON body; as large as the largest WebSocket message.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The largest JSON body with an artifact's content in it: a picture in base64, or a text whose every sign is escaped.
pub const MAX_ARTIFACT_BODY_BYTES: usize = 12 * 1024 * 1024 + 64 * 1024;

/// The largest JSON body with a file of a repository in it.
pub const MAX_FILE_BODY_BYTES: usize = 8 * 1024 * 1024;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A JSON body: 415 for another type, 413 when larger than `MOST`, 400 when malformed, 422 for invalid values.
#[derive(Debug)]
pub struct Json<T, const MOST: usize = MAX_BODY_BYTES>(pub T);

/// A JSON body that may hold an artifact's content.
pub type ArtifactJson<T> = Json<T, MAX_ARTIFACT_BODY_BYTES>;

/// A JSON body that may hold a file of a repository.
pub type FileJson<T> = Json<T, MAX_FILE_BODY_BYTES>;

impl<T: DeserializeOwned, S: Send + Sync, const MOST: usize> FromRequest<S> for Json<T, MOST> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        check_type(request.headers())?;
        let body = read_body(request.into_body(), MOST).await?;
        parse_json(&body).map(Self)
    }
}

/// A JSON body as it came, for what may be an object or a list: 415 and 413 as of [`Json`].
#[derive(Debug)]
pub struct RawJson(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawJson {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        check_type(request.headers())?;
        read_body(request.into_body(), MAX_BODY_BYTES).await.map(Self)
    }
}

/// A JSON body that may be left out: an empty one is the default, any other is read as [`Json`] reads it.
#[derive(Debug)]
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let declared = check_type(request.headers());
        // Whether there is one is not always told by the head.
        let body = read_body(request.into_body(), MAX_BODY_BYTES).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        declared?;
        parse_json(&body).map(Self)
    }
}

/// Parses JSON as the [`Json`] extractor does; sockets use it for their frames.
pub fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if body.trim_ascii_start().starts_with(b"[") {
        // serde would take a list for the fields of an object in their order.
        let list = serde_json::from_slice::<IgnoredAny>(body).map_err(|e| json_error(&e, String::new()));
        return list.and(Err(ApiError::field("", "must be an object, not a list")));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|e| {
        let field = e.path().to_string();
        json_error(e.inner(), if field == "." { String::new() } else { field })
    })?;
    reader.end().map_err(|e| json_error(&e, String::new()))?;
    Ok(value)
}

fn json_error(error: &serde_json::Error, field: String) -> ApiError {
    match error.classify() {
        serde_json::error::Category::Data => {
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default().to_owned();
            let field = match named_field(&message) {
                Some(name) if field.is_empty() => name.to_owned(),
                Some(name) => format!("{field}.{name}"),
                None => field,
            };
            ApiError::Invalid(vec![FieldError { field, message }])
        }
        serde_json::error::Category::Syntax | serde_json::error::Category::Eof | serde_json::error::Category::Io => {
            ApiError::Malformed(format!("the body is not valid JSON: {error}"))
        }
    }
}

/// The name in serde's complaint about a field that is not there, or there twice: its path ends at the object.
fn named_field(message: &str) -> Option<&str> {
    let named = message.strip_prefix("missing field `");
    named
        .or_else(|| message.strip_prefix("duplicate field `"))?
        .strip_suffix('`')
}

/// What a body is said to be, without parameters, in lower case; empty where nothing readable is said.
pub fn media_type(headers: &HeaderMap) -> String {
    let said = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = said.and_then(|said| said.split(';').next()).unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// Whether a body is said to be JSON as it is.
fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = media_type(headers);
    if kind != "application/json" && !(kind.starts_with("application/") && kind.ends_with("+json")) {
        return Err(ApiError::UnsupportedMedia("application/json"));
    }
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    if codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        Ok(())
    } else {
        Err(ApiError::UnsupportedMedia(
            "application/json without a Content-Encoding",
        ))
    }
}

async fn read_body(mut body: Body, limit_bytes: usize) -> Result<Bytes, ApiError> {
    let mut taken = BytesMut::new();
    let reading = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| ApiError::Malformed("the body broke off".to_owned()))?;
            let Ok(data) = frame.into_data() else { continue };
            if taken.len() + data.len() > limit_bytes {
                return Err(ApiError::TooLarge { limit_bytes });
            }
            taken.extend_from_slice(&data);
        }
        Ok(())
    };
    let outcome = tokio::time::timeout(BODY_TIMEOUT, reading)
        .await
        .unwrap_or(Err(ApiError::Timeout));
    outcome.map(|()| taken.freeze())
}

/// A query string; 422 with the parameter's name where a value is not valid.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(query) => Ok(Self(query.0)),
            Err(e) => {
                let text = e.body_text();
                let reason = text
                    .strip_prefix("Failed to deserialize query string: ")
                    .unwrap_or(&text);
                let (field, message) = match named_field(reason) {
                    Some(field) => (field, reason),
                    None => reason.split_once(": ").unwrap_or(("", reason)),
                };
                Err(ApiError::field(field, message))
            }
        }
    }
}

/// Path parts; what does not parse as the wanted id names nothing that exists, so it is 404.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(path) => Ok(Self(path.0)),
            Err(_) => Err(ApiError::NotFound("thing")),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Identity {
    type Rejection = ApiError;

    /// The caller the login layer let in. Only on routes behind it.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or(ApiError::Internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        line: u32,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Outer {
        inner: Inner,
    }

    fn check(body: &str, expect: Result<Outer, (u16, &str)>) {
        let found = parse_json::<Outer>(body.as_bytes()).map_err(|e| {
            let field = e
                .problem(None)
                .errors
                .first()
                .map(|e| e.field.clone())
                .unwrap_or_default();
            (e.status().as_u16(), field)
        });
        assert_eq!(
            found,
            expect.map_err(|(status, field)| (status, field.to_owned())),
            "{body}"
        );
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    struct Maybe {
        #[serde(default)]
        line: u32,
    }

    async fn optional(kind: Option<&str>, body: &'static str) -> Result<u32, u16> {
        let mut request = Request::builder();
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let request = request.body(Body::from(body)).unwrap();
        let found = OptionalJson::<Maybe>::from_request(request, &()).await;
        found.map(|found| found.0.line).map_err(|e| e.status().as_u16())
    }

    #[tokio::test]
    async fn a_body_may_be_left_out_but_is_json() {
        for kind in [None, Some("text/plain"), Some("application/json")] {
            assert_eq!(optional(kind, "").await, Ok(0), "{kind:?}");
        }
        let body = r#"{"line": 3}"#;
        assert_eq!(optional(Some("application/json"), body).await, Ok(3));
        assert_eq!(optional(Some("application/json; charset=utf-8"), body).await, Ok(3));
        for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
            assert_eq!(optional(kind, body).await, Err(415), "{kind:?}");
        }
        assert_eq!(optional(Some("application/json"), "[3]").await, Err(422));
        assert_eq!(
            optional(Some("application/json"), r#"{"line": 3, "line": 3}"#).await,
            Err(422)
        );
        assert_eq!(optional(Some("application/json"), "{").await, Err(400));
    }

    #[test]
    fn bodies() {
        check(
            r#"{"inner": {"line": 3}}"#,
            Ok(Outer {
                inner: Inner { line: 3 },
            }),
        );
        check(r#"{"inner": {"line": -3}}"#, Err((422, "inner.line")));
        check(r#"{"inner": {}}"#, Err((422, "inner.line")));
        check(r#"{"inner": {"line": 3, "line": 3}}"#, Err((422, "inner.line")));
        check("\u{feff}{}", Err((400, "")));
        check("{}", Err((422, "inner")));
        check("[]", Err((422, "")));
        check(r#"{"inner": {"line": 3}"#, Err((400, "")));
        check(r#"{"inner": {"line": 3}} x"#, Err((400, "")));
        check("", Err((400, "")));
        check(r#"[{"line": 3}]"#, Err((422, "")));
        check(&"[".repeat(100_000), Err((400, "")));
        check(&format!("{{\"x\": {}}}", "[".repeat(100_000)), Err((400, "")));
    }
}
