//! What an item of a hosted call says once it is over: its arguments, what came of it for the model and for clients, the
//! files it made. Lenient: what is missing or null is left out; what is there but odd is passed over.
//!
//! Invariants: texts that are told have caps; what the model has read there is untrusted, however the call ended: pages,
//! files, and what code wrote, which may have read either; a picture larger than [`MOST_FILE_BYTES`] is a failed call,
//! never half a file.

use crate::{MOST_FILE_BYTES, wire::Words};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use mira_core::{
    chat::one_line,
    model::{HostedFile, HostedKind},
    tool::{CallOutcome, CallStatus},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// The longest text of one field that is told, in characters.
const FIELD_CHARS: usize = 16 * 1024;
/// The longest text of one search result, in characters.
const SNIPPET_CHARS: usize = 1_000;
/// The longest line: a title, an address, a query, in characters.
const LINE_CHARS: usize = 2_000;
/// The most results of one search.
const MOST_RESULTS: usize = 50;
/// The largest picture that is shown while it is drawn, in bytes.
const MOST_SKETCH_BYTES: usize = 8 * 1024 * 1024;
/// The most files of one call.
const MOST_FILES: usize = 32;

#[derive(Default, Deserialize)]
struct Call<'a> {
    #[serde(borrow, default)]
    status: Words<'a>,
    #[serde(default)]
    action: Option<Value>,
    #[serde(borrow, default)]
    code: Words<'a>,
    #[serde(borrow, default)]
    container_id: Words<'a>,
    #[serde(default)]
    outputs: Option<Value>,
    #[serde(default)]
    queries: Option<Value>,
    #[serde(default)]
    results: Option<Value>,
    #[serde(borrow, default)]
    result: Words<'a>,
    #[serde(borrow, default)]
    revised_prompt: Words<'a>,
    #[serde(borrow, default)]
    output_format: Words<'a>,
}

/// The arguments of a call: JSON.
pub(super) fn arguments(kind: HostedKind, item: &str) -> String {
    let call: Call<'_> = serde_json::from_str(item).unwrap_or_default();
    let mut said = Map::new();
    match kind {
        HostedKind::WebSearch => {
            let query = query_of(call.action.as_ref());
            let text = |key: &str| call.action.as_ref().and_then(|action| line(action.get(key)));
            for (key, value) in [("query", query), ("url", text("url")), ("pattern", text("pattern"))] {
                if let Some(value) = value {
                    said.insert(key.to_owned(), value.into());
                }
            }
        }
        HostedKind::CodeInterpreter => {
            if let Some(code) = call.code.get() {
                said.insert("code".to_owned(), cut(code, FIELD_CHARS).into());
            }
        }
        HostedKind::FileSearch => {
            let queries = lines(call.queries.as_ref());
            if !queries.is_empty() {
                said.insert("queries".to_owned(), queries.into());
            }
        }
        HostedKind::ImageGeneration => {
            if let Some(prompt) = call.revised_prompt.get() {
                said.insert("prompt".to_owned(), cut(prompt, FIELD_CHARS).into());
            }
        }
    }
    Value::Object(said).to_string()
}

/// What is said of a call that is over.
pub(super) struct Over {
    /// What came of it.
    pub outcome: CallOutcome,
    /// The files it made, as far as they are named.
    pub files: Vec<HostedFile>,
    /// Where its code ran.
    pub container: Option<String>,
}

/// What came of a call.
pub(super) fn over(kind: HostedKind, item: &str) -> Over {
    let (mut outcome, files, container) = if let Ok(call) = serde_json::from_str::<Call<'_>>(item) {
        let (outcome, files) = outcome(kind, &call);
        let container = call.container_id.get().filter(|_| kind == HostedKind::CodeInterpreter);
        (outcome, files, container.map(str::to_owned))
    } else {
        let why = "the provider's account of it cannot be read";
        (CallOutcome::unsuccessful(CallStatus::Failed, why), Vec::new(), None)
    };
    // However it ended, the model may have read what it found.
    outcome.untrusted = kind != HostedKind::ImageGeneration;
    Over {
        outcome,
        files,
        container,
    }
}

fn outcome(kind: HostedKind, call: &Call<'_>) -> (CallOutcome, Vec<HostedFile>) {
    let (mut outcome, files) = match kind {
        HostedKind::WebSearch => (searched(call), Vec::new()),
        HostedKind::CodeInterpreter => ran(call),
        HostedKind::FileSearch => (found(call), Vec::new()),
        HostedKind::ImageGeneration => drew(call),
    };
    let status = call.status.get().unwrap_or("completed");
    if status != "completed" && outcome.status == CallStatus::Ok {
        outcome.status = CallStatus::Failed;
        let why = format!("the provider says that it is {}", one_line(status, 60));
        if let Value::Object(data) = &mut outcome.data {
            data.insert("error".to_owned(), why.clone().into());
        }
        outcome.output = format!("{why}\n{}", outcome.output);
    }
    (outcome, files)
}

fn searched(call: &Call<'_>) -> CallOutcome {
    let action = call.action.as_ref();
    let mut results = Vec::new();
    let mut output = String::from("searched the web");
    let query = query_of(action);
    let mut data = Map::new();
    if let Some(query) = &query {
        data.insert("query".to_owned(), query.clone().into());
    }
    for key in ["url", "pattern"] {
        if let Some(value) = action.and_then(|action| line(action.get(key))) {
            data.insert(key.to_owned(), value.into());
        }
    }
    let sources = list(action.and_then(|action| action.get("sources")));
    for source in sources.iter().chain(list(call.results.as_ref())).take(MOST_RESULTS) {
        let Some(url) = line(source.get("url")).filter(|url| is_web(url)) else {
            continue;
        };
        let title = line(source.get("title")).unwrap_or_else(|| url.clone());
        let snippet = source
            .get("snippet")
            .or_else(|| source.get("text"))
            .and_then(Value::as_str);
        // Writing to a string does not fail.
        write!(output, "\n{url}").unwrap_or_default();
        results.push(json!({ "title": title, "url": url, "snippet": cut(snippet.unwrap_or_default(), SNIPPET_CHARS) }));
    }
    data.insert("results".to_owned(), results.into());
    told(&output, data)
}

fn found(call: &Call<'_>) -> CallOutcome {
    let mut output = String::from("searched the files");
    let mut results = Vec::new();
    for result in list(call.results.as_ref()).iter().take(MOST_RESULTS) {
        let name = line(result.get("filename")).unwrap_or_default();
        let text = result.get("text").and_then(Value::as_str).unwrap_or_default();
        let snippet = cut(text, SNIPPET_CHARS);
        write!(output, "\n{name}: {snippet}").unwrap_or_default();
        let mut shown = json!({ "name": name, "snippet": snippet, "score": result.get("score") });
        if let (Some(id), Some(object)) = (line(result.get("file_id")), shown.as_object_mut()) {
            object.insert("provider_file_id".to_owned(), id.into());
        }
        results.push(shown);
    }
    let mut data = Map::new();
    data.insert("queries".to_owned(), lines(call.queries.as_ref()).into());
    data.insert("results".to_owned(), results.into());
    told(&output, data)
}

fn ran(call: &Call<'_>) -> (CallOutcome, Vec<HostedFile>) {
    let mut stdout = String::new();
    let mut files = Vec::new();
    let mut too_large = 0_u32;
    for output in list(call.outputs.as_ref()) {
        match output.get("type").and_then(Value::as_str) {
            Some("logs") => stdout.push_str(output.get("logs").and_then(Value::as_str).unwrap_or_default()),
            Some("image") if files.len() < MOST_FILES => {
                let url = output.get("url").and_then(Value::as_str).unwrap_or_default();
                let name = format!("plot-{}", files.len() + 1);
                match picture_at(url, name) {
                    Ok(file) => files.extend(file),
                    Err(TooLarge) => too_large += 1,
                }
            }
            _ => {}
        }
    }
    let stdout = cut(&stdout, FIELD_CHARS);
    let mut output = format!("ran code:\n{stdout}").trim_end().to_owned();
    let mut data = Map::new();
    data.insert("stdout".to_owned(), stdout.into());
    data.insert("stderr".to_owned(), "".into());
    data.insert(
        "code".to_owned(),
        cut(call.code.get().unwrap_or_default(), FIELD_CHARS).into(),
    );
    if too_large > 0 {
        let note = format!("{too_large} pictures were larger than {MOST_FILE_BYTES} bytes and are not kept");
        write!(output, "\n({note})").unwrap_or_default();
        data.insert("note".to_owned(), note.into());
    }
    (told(&output, data), files)
}

fn drew(call: &Call<'_>) -> (CallOutcome, Vec<HostedFile>) {
    let failed = |why: String| (CallOutcome::unsuccessful(CallStatus::Failed, why), Vec::new());
    let Some(picture) = call.result.get() else {
        return failed("the provider made no picture".to_owned());
    };
    let format = call
        .output_format
        .get()
        .filter(|format| is_word(format))
        .unwrap_or("png");
    let bytes = match decoded(picture) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return failed("the provider's picture cannot be read".to_owned()),
        Err(TooLarge) => return failed(format!("the picture is larger than {MOST_FILE_BYTES} bytes")),
    };
    let mut data = Map::new();
    if let Some(prompt) = call.revised_prompt.get() {
        data.insert("prompt".to_owned(), cut(prompt, FIELD_CHARS).into());
    }
    let file = HostedFile::Here {
        name: format!("picture.{format}"),
        media_type: format!("image/{format}"),
        bytes: bytes.into(),
    };
    (told("drew a picture", data), vec![file])
}

fn told(output: &str, data: Map<String, Value>) -> CallOutcome {
    CallOutcome {
        status: CallStatus::Ok,
        output: cut(output, FIELD_CHARS),
        data: Value::Object(data),
        untrusted: false,
    }
}

/// More than is taken.
struct TooLarge;

/// A picture by its address, which may hold the picture itself.
fn picture_at(url: &str, name: String) -> Result<Option<HostedFile>, TooLarge> {
    let Some(inline) = url.strip_prefix("data:") else {
        let at = is_web(url).then(|| HostedFile::At {
            url: url.to_owned(),
            name,
        });
        return Ok(at);
    };
    let Some((media_type, data)) = inline.split_once(";base64,") else {
        return Ok(None);
    };
    let kind = media_type.strip_prefix("image/").filter(|kind| is_word(kind));
    Ok(decoded(data)?.map(|bytes| HostedFile::Here {
        name: kind.map_or_else(|| name.clone(), |kind| format!("{name}.{kind}")),
        media_type: one_line(media_type, 100),
        bytes: bytes.into(),
    }))
}

/// A picture that is not whole yet, if it is not too large to be shown.
pub(super) fn sketch(text: &str) -> Option<Vec<u8>> {
    let bytes = decoded(text).ok().flatten();
    bytes.filter(|bytes| bytes.len() <= MOST_SKETCH_BYTES)
}

fn decoded(text: &str) -> Result<Option<Vec<u8>>, TooLarge> {
    if text.len() / 4 > MOST_FILE_BYTES / 3 {
        return Err(TooLarge);
    }
    Ok(STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty()))
}

/// What was searched for; several queries in one line.
fn query_of(action: Option<&Value>) -> Option<String> {
    let action = action?;
    let queries = lines(action.get("queries"));
    if queries.is_empty() {
        line(action.get("query"))
    } else {
        Some(queries.join(" · "))
    }
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn lines(value: Option<&Value>) -> Vec<String> {
    let texts = list(value).iter();
    texts.take(MOST_RESULTS).filter_map(|text| line(Some(text))).collect()
}

fn line(value: Option<&Value>) -> Option<String> {
    let text = one_line(value?.as_str()?, LINE_CHARS);
    (!text.is_empty()).then_some(text)
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

fn is_word(text: &str) -> bool {
    (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{} (cut)", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        kind: HostedKind,
        item: &Value,
        arguments_expected: &Value,
        data: &Value,
        status: CallStatus,
    ) -> Vec<HostedFile> {
        let item = item.to_string();
        let said: Value = serde_json::from_str(&arguments(kind, &item)).unwrap();
        assert_eq!(&said, arguments_expected);
        let Over { outcome, files, .. } = over(kind, &item);
        assert_eq!((&outcome.data, outcome.status), (data, status), "{outcome:?}");
        assert_eq!(outcome.untrusted, kind != HostedKind::ImageGeneration);
        files
    }

    #[test]
    fn searches() {
        check(
            HostedKind::WebSearch,
            &json!({ "status": "completed", "action": { "type": "search", "query": "old", "queries": ["a", "b"],
                "sources": [{ "type": "url", "url": "https://e.org/1" }, { "type": "api", "name": "x" }, { "type": "url", "url": "javascript:1" }] } }),
            &json!({ "query": "a · b" }),
            &json!({ "query": "a · b", "results": [{ "title": "https://e.org/1", "url": "https://e.org/1", "snippet": "" }] }),
            CallStatus::Ok,
        );
        check(
            HostedKind::WebSearch,
            &json!({ "status": "failed", "action": { "type": "open_page", "url": "https://e.org/" } }),
            &json!({ "url": "https://e.org/" }),
            &json!({ "url": "https://e.org/", "results": [], "error": "the provider says that it is failed" }),
            CallStatus::Failed,
        );
        check(
            HostedKind::FileSearch,
            &json!({ "status": "completed", "queries": ["tea"], "results": [{ "file_id": "file-1", "filename": "a.md", "text": "Tea.", "score": 0.5 }] }),
            &json!({ "queries": ["tea"] }),
            &json!({ "queries": ["tea"], "results": [{ "name": "a.md", "snippet": "Tea.", "score": 0.5, "provider_file_id": "file-1" }] }),
            CallStatus::Ok,
        );
        check(
            HostedKind::FileSearch,
            &json!({ "status": "completed", "queries": null, "results": null }),
            &json!({}),
            &json!({ "queries": [], "results": [] }),
            CallStatus::Ok,
        );
    }

    #[test]
    fn code_and_pictures() {
        let files = check(
            HostedKind::CodeInterpreter,
            &json!({ "status": "completed", "code": "1", "outputs": [{ "type": "logs", "logs": "a\n" }, { "type": "logs", "logs": "b" },
                { "type": "image", "url": "data:image/png;base64,aGk=" }, { "type": "image", "url": "https://e.org/p.png" }, { "type": "image", "url": "file:///etc" }] }),
            &json!({ "code": "1" }),
            &json!({ "stdout": "a\nb", "stderr": "", "code": "1" }),
            CallStatus::Ok,
        );
        assert!(
            matches!(&files[0], HostedFile::Here { bytes, name, .. } if &bytes[..] == b"hi" && name == "plot-1.png"),
            "{files:?}"
        );
        assert!(
            matches!(&files[1], HostedFile::At { url, .. } if url == "https://e.org/p.png"),
            "{files:?}"
        );
        assert_eq!(files.len(), 2);
        let files = check(
            HostedKind::ImageGeneration,
            &json!({ "status": "completed", "result": "aGk=", "output_format": "webp", "revised_prompt": "a cat" }),
            &json!({ "prompt": "a cat" }),
            &json!({ "prompt": "a cat" }),
            CallStatus::Ok,
        );
        assert!(
            matches!(&files[0], HostedFile::Here { name, .. } if name == "picture.webp"),
            "{files:?}"
        );
        for (result, why) in [(json!(null), "no picture"), (json!("%"), "cannot be read")] {
            let item = json!({ "status": "completed", "result": result }).to_string();
            let Over { outcome, files, .. } = over(HostedKind::ImageGeneration, &item);
            assert!(outcome.output.contains(why) && files.is_empty(), "{outcome:?}");
        }
        let huge = "A".repeat(MOST_FILE_BYTES / 3 * 4 + 8);
        let Over { outcome, .. } = over(HostedKind::ImageGeneration, &json!({ "result": huge }).to_string());
        assert!(outcome.output.contains("larger"), "{}", outcome.output);
        assert_eq!(outcome.status, CallStatus::Failed);
    }

    #[test]
    fn what_was_read_is_untrusted_however_it_ended() {
        for (item, container) in [
            (
                r#"{"status":"failed","container_id":"cntr_1","outputs":null}"#,
                Some("cntr_1"),
            ),
            (r#"{"status":"completed","code":"1"}"#, None),
            ("no JSON", None),
        ] {
            let over = over(HostedKind::CodeInterpreter, item);
            assert!(over.outcome.untrusted, "{item}");
            assert_eq!(over.container.as_deref(), container, "{item}");
        }
    }
}
