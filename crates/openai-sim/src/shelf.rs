//! What the server keeps of files: those given to it, the vector stores they are in, and those its own tools left in
//! containers; with the routes that reach them.
//!
//! Source: the official OpenAPI document (August 2026): `/files`, `/vector_stores`, `/containers/{id}/files` with
//! `/{id}/content`.
//! A file in a store is `in_progress` when it is first asked for and `completed` after, so that a client has to poll.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use crate::asked::{field, items};
use crate::error::ApiError;
use crate::hosted::MadeFile;
use crate::multipart;
use crate::tokens;

/// The longest text of a search result, in characters.
const HIT_CHARS: usize = 600;
/// The most search results.
const MOST_HITS: usize = 10;

/// A route to what is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    Upload,
    ListFiles,
    File(String),
    DeleteFile(String),
    NewStore,
    Store(String),
    DeleteStore(String),
    AddFile(String),
    StoreFile(String, String),
    RemoveFile(String, String),
    ListMade(String),
    Made(String, String),
}

impl Way {
    /// The route of a request, if it is one of these.
    pub(crate) fn of(method: &Method, path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let own = |part: &str| part.to_owned();
        Some(match (method.as_str(), parts.as_slice()) {
            ("POST", ["files"]) => Self::Upload,
            ("GET", ["files"]) => Self::ListFiles,
            ("GET", ["files", id]) => Self::File(own(id)),
            ("DELETE", ["files", id]) => Self::DeleteFile(own(id)),
            ("POST", ["vector_stores"]) => Self::NewStore,
            ("GET", ["vector_stores", id]) => Self::Store(own(id)),
            ("DELETE", ["vector_stores", id]) => Self::DeleteStore(own(id)),
            ("POST", ["vector_stores", id, "files"]) => Self::AddFile(own(id)),
            ("GET", ["vector_stores", id, "files", file]) => Self::StoreFile(own(id), own(file)),
            ("DELETE", ["vector_stores", id, "files", file]) => Self::RemoveFile(own(id), own(file)),
            ("GET", ["containers", id, "files"]) => Self::ListMade(own(id)),
            ("GET", ["containers", id, "files", file, "content"]) => Self::Made(own(id), own(file)),
            _ => return None,
        })
    }

    /// Whether its body is JSON.
    pub(crate) fn takes_json(&self) -> bool {
        matches!(self, Self::NewStore | Self::AddFile(_))
    }
}

/// An answer: JSON, or a file with its type.
pub(crate) enum Given {
    Json(Value),
    File { media_type: String, bytes: Bytes },
}

#[derive(Debug, Clone)]
struct Kept {
    name: String,
    bytes: Bytes,
    created_at: u64,
    /// Whether it cannot be deleted.
    stuck: bool,
}

/// A place where code ran.
#[derive(Debug, Default)]
struct Container {
    /// Copies of files given to the server, by their names.
    given: Vec<String>,
    /// What code left, oldest first.
    made: Vec<(String, MadeFile)>,
}

#[derive(Debug, Default)]
struct Store {
    name: String,
    /// Its files, and whether each was asked for before.
    files: Vec<(String, bool)>,
    expired: bool,
}

#[derive(Debug, Default)]
struct Inner {
    files: HashMap<String, Kept>,
    stores: HashMap<String, Store>,
    containers: HashMap<String, Container>,
    count: u64,
    /// When the server started, in seconds since 1970; each file is a second younger than the one before.
    epoch: u64,
}

/// Everything kept.
#[derive(Debug, Default)]
pub(crate) struct Shelf(Mutex<Inner>);

/// A result of a search.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hit {
    pub file_id: String,
    pub filename: String,
    pub text: String,
    pub score: f64,
}

fn not_found(what: &str, id: &str) -> ApiError {
    ApiError::invalid("", format!("No such {what} object: {id}"))
        .no_param()
        .status(404)
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while holding this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that began at this second.
    pub(crate) fn new(epoch: u64) -> Self {
        let inner = Inner {
            epoch,
            ..Inner::default()
        };
        Self(Mutex::new(inner))
    }

    /// The files of this name cannot be deleted any more, or can again.
    pub(crate) fn stick(&self, name: &str, stuck: bool) {
        for kept in self.lock().files.values_mut().filter(|kept| kept.name == name) {
            kept.stuck = stuck;
        }
    }

    /// The files of this name are gone.
    pub(crate) fn lose(&self, name: &str) {
        let mut inner = self.lock();
        inner.files.retain(|_, kept| kept.name != name);
        inner.tidy_stores();
    }

    /// Code runs in a container with these files in it and leaves those.
    pub(crate) fn run(&self, container: &str, given: &[&str], makes: Vec<(String, MadeFile)>) {
        let mut inner = self.lock();
        let names = given.iter().filter_map(|id| Some(inner.files.get(*id)?.name.clone()));
        let given = names.collect();
        let container = inner.containers.entry(container.to_owned()).or_default();
        container.given = given;
        for (id, file) in makes {
            container.made.retain(|(known, _)| *known != id);
            container.made.push((id, file));
        }
    }

    /// Lets every vector store expire.
    pub(crate) fn expire(&self) {
        for store in self.lock().stores.values_mut() {
            store.expired = true;
        }
    }

    /// How many files and living stores there are.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        let inner = self.lock();
        (
            inner.files.len(),
            inner.stores.values().filter(|store| !store.expired).count(),
        )
    }

    /// Refuses a request whose tools name files or stores that are not here.
    pub(crate) fn check(&self, body: &Value) -> Result<(), ApiError> {
        let inner = self.lock();
        for (index, tool) in items(body, "tools").iter().enumerate() {
            for store in items(tool, "vector_store_ids").iter().filter_map(Value::as_str) {
                if inner.stores.get(store).is_none_or(|store| store.expired) {
                    let message = format!("Vector store with id ['{store}'] not found.");
                    return Err(ApiError::invalid(format!("tools[{index}].vector_store_ids"), message).status(404));
                }
            }
            for file in items(field(tool, "container"), "file_ids")
                .iter()
                .filter_map(Value::as_str)
            {
                if !inner.files.contains_key(file) {
                    let message = format!("File with id '{file}' not found.");
                    return Err(ApiError::invalid(format!("tools[{index}].container.file_ids"), message).status(404));
                }
            }
        }
        Ok(())
    }

    /// The best paragraph of each file of these stores.
    pub(crate) fn search(&self, stores: &[&str], query: &str) -> Vec<Hit> {
        let words = words_of(query);
        let inner = self.lock();
        let mut hits = Vec::new();
        for (id, kept) in inner.files_of(stores) {
            let text = String::from_utf8_lossy(&kept.bytes).into_owned();
            let scored = text.split("\n\n").map(|paragraph| {
                let there = words_of(paragraph);
                let found = words.iter().filter(|word| there.contains(word)).count();
                (found, paragraph)
            });
            if let Some((found, paragraph)) = scored.max_by_key(|(found, _)| *found).filter(|(found, _)| *found > 0) {
                #[expect(clippy::cast_precision_loss, reason = "counts of a few words")]
                let score = found as f64 / words.len().max(1) as f64;
                hits.push(Hit {
                    file_id: id.clone(),
                    filename: kept.name.clone(),
                    text: paragraph.chars().take(HIT_CHARS).collect(),
                    score,
                });
            }
        }
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.file_id.cmp(&b.file_id)));
        hits.truncate(MOST_HITS);
        hits
    }

    /// The id of the file of this name in these stores.
    pub(crate) fn id_of(&self, stores: &[&str], name: &str) -> Option<String> {
        let inner = self.lock();
        inner
            .files_of(stores)
            .find(|(_, kept)| kept.name == name)
            .map(|(id, _)| id.clone())
    }

    /// Answers a request.
    pub(crate) fn answer(&self, way: &Way, query: &str, sent: (&str, &Bytes, &Value)) -> Result<Given, ApiError> {
        let (content_type, raw, body) = sent;
        let mut inner = self.lock();
        match way {
            Way::Upload => inner.upload(content_type, raw),
            Way::ListFiles => inner.list_files(query),
            Way::File(id) => match inner.files.get(id) {
                Some(kept) => Ok(Given::Json(file_object(id, kept))),
                None => Err(not_found("File", id)),
            },
            Way::DeleteFile(id) => {
                if inner.files.get(id).is_some_and(|kept| kept.stuck) {
                    return Err(ApiError::invalid("", "The file is in use.").no_param().status(409));
                }
                inner.files.remove(id).ok_or_else(|| not_found("File", id))?;
                inner.tidy_stores();
                Ok(Given::Json(json!({ "id": id, "object": "file", "deleted": true })))
            }
            Way::NewStore => inner.new_store(body),
            Way::Store(id) => match inner.stores.get(id) {
                Some(store) => Ok(Given::Json(store_object(id, store))),
                None => Err(not_found("VectorStore", id)),
            },
            Way::DeleteStore(id) => {
                inner.stores.remove(id).ok_or_else(|| not_found("VectorStore", id))?;
                Ok(Given::Json(
                    json!({ "id": id, "object": "vector_store.deleted", "deleted": true }),
                ))
            }
            Way::AddFile(id) => inner.add(id, body),
            Way::StoreFile(id, file) => inner.store_file(id, file),
            Way::RemoveFile(id, file) => {
                let store = inner.stores.get_mut(id).ok_or_else(|| not_found("VectorStore", id))?;
                store.files.retain(|(known, _)| known != file);
                Ok(Given::Json(
                    json!({ "id": file, "object": "vector_store.file.deleted", "deleted": true }),
                ))
            }
            Way::ListMade(container) => inner.list_made(container, query),
            Way::Made(container, file) => match inner.made(container, file) {
                Some(made) if !made.gone => Ok(Given::File {
                    media_type: made.media_type.clone(),
                    bytes: made.bytes.clone().into(),
                }),
                Some(_) => Err(ApiError::invalid("", "Container is expired.").no_param().status(404)),
                None => Err(not_found("container file", file)),
            },
        }
    }
}

impl Inner {
    /// A file that is gone is in no store.
    fn tidy_stores(&mut self) {
        let Self { files, stores, .. } = self;
        for store in stores.values_mut() {
            store.files.retain(|(file, _)| files.contains_key(file));
        }
    }

    fn next(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}{:016x}", tokens::mix(self.count))
    }

    fn made(&self, container: &str, file: &str) -> Option<&MadeFile> {
        let made = &self.containers.get(container)?.made;
        made.iter().find(|(id, _)| id == file).map(|(_, made)| made)
    }

    fn list_files(&self, query: &str) -> Result<Given, ApiError> {
        let wanted = Wanted::of(query, 10_000, &["purpose"])?;
        let mut files: Vec<(&String, &Kept)> = self.files.iter().collect();
        files.sort_by_key(|(_, kept)| kept.created_at);
        let objects = files.into_iter().map(|(id, kept)| file_object(id, kept));
        Ok(wanted.page(objects.collect()))
    }

    fn list_made(&self, id: &str, query: &str) -> Result<Given, ApiError> {
        let wanted = Wanted::of(query, 100, &[])?;
        let container = self.containers.get(id).ok_or_else(|| not_found("Container", id))?;
        let object = |file: &str, name: &str, bytes: Option<usize>, source: &str| {
            json!({ "id": file, "object": "container.file", "created_at": self.epoch, "bytes": bytes, "container_id": id,
                    "path": format!("/mnt/data/{name}"), "source": source })
        };
        let given = container.given.iter().enumerate();
        let given = given.map(|(n, name)| object(&format!("cfile_given{n}"), name, None, "user"));
        let made = container.made.iter();
        let made = made.map(|(file, made)| object(file, &made.name, Some(made.bytes.len()), "assistant"));
        Ok(wanted.page(given.chain(made).collect()))
    }

    fn files_of<'a>(&'a self, stores: &'a [&str]) -> impl Iterator<Item = (&'a String, &'a Kept)> {
        let stores = stores
            .iter()
            .filter_map(|id| self.stores.get(*id))
            .filter(|store| !store.expired);
        let ids = stores.flat_map(|store| store.files.iter().map(|(id, _)| id));
        ids.filter_map(|id| Some((id, self.files.get(id)?)))
    }

    fn upload(&mut self, content_type: &str, raw: &Bytes) -> Result<Given, ApiError> {
        let fields = multipart::fields(content_type, raw)?;
        let missing = |name: &str| ApiError::invalid(name, format!("'{name}' is a required property"));
        let purpose = fields
            .iter()
            .find(|field| field.name == "purpose")
            .ok_or_else(|| missing("purpose"))?;
        if !matches!(
            &*purpose.bytes,
            b"assistants" | b"user_data" | b"vision" | b"batch" | b"fine-tune" | b"evals"
        ) {
            return Err(ApiError::invalid("purpose", "Invalid value for 'purpose'."));
        }
        let file = fields
            .iter()
            .find(|field| field.name == "file")
            .ok_or_else(|| missing("file"))?;
        if file.bytes.is_empty() {
            return Err(ApiError::invalid("file", "File is empty."));
        }
        let kept = Kept {
            name: file.filename.clone().ok_or_else(|| missing("file"))?,
            bytes: file.bytes.clone(),
            created_at: self.epoch + self.count,
            stuck: false,
        };
        let id = self.next("file-");
        let object = file_object(&id, &kept);
        self.files.insert(id, kept);
        Ok(Given::Json(object))
    }

    fn new_store(&mut self, body: &Value) -> Result<Given, ApiError> {
        let known = [
            "file_ids",
            "name",
            "expires_after",
            "chunking_strategy",
            "metadata",
            "description",
        ];
        if let Some(key) = body
            .as_object()
            .into_iter()
            .flat_map(|object| object.keys())
            .find(|key| !known.contains(&key.as_str()))
        {
            return Err(
                ApiError::invalid(key.as_str(), format!("Unknown parameter: '{key}'.")).code("unknown_parameter")
            );
        }
        let expiry = field(body, "expires_after");
        if !expiry.is_null()
            && (field(expiry, "anchor") != "last_active_at"
                || !field(expiry, "days")
                    .as_u64()
                    .is_some_and(|days| (1..=365).contains(&days)))
        {
            return Err(ApiError::invalid("expires_after", "Invalid 'expires_after'."));
        }
        let id = self.next("vs_");
        let files = items(body, "file_ids").iter().filter_map(Value::as_str);
        let store = Store {
            name: field(body, "name").as_str().unwrap_or_default().to_owned(),
            files: files.map(|file| (file.to_owned(), false)).collect(),
            expired: false,
        };
        let object = store_object(&id, &store);
        self.stores.insert(id, store);
        Ok(Given::Json(object))
    }

    fn add(&mut self, id: &str, body: &Value) -> Result<Given, ApiError> {
        let file = field(body, "file_id").as_str().ok_or_else(|| {
            ApiError::invalid("file_id", "Missing required parameter: 'file_id'.").code("missing_required_parameter")
        })?;
        if !self.files.contains_key(file) {
            return Err(not_found("File", file));
        }
        let store = self.stores.get_mut(id).filter(|store| !store.expired);
        let store = store.ok_or_else(|| not_found("VectorStore", id))?;
        if !store.files.iter().any(|(known, _)| known == file) {
            store.files.push((file.to_owned(), false));
        }
        Ok(Given::Json(store_file_object(id, file, "in_progress")))
    }

    fn store_file(&mut self, id: &str, file: &str) -> Result<Given, ApiError> {
        let store = self.stores.get_mut(id).filter(|store| !store.expired);
        let store = store.ok_or_else(|| not_found("VectorStore", id))?;
        let entry = store.files.iter_mut().find(|(known, _)| known == file);
        let (_, asked) = entry.ok_or_else(|| not_found("VectorStoreFile", file))?;
        let status = if std::mem::replace(asked, true) {
            "completed"
        } else {
            "in_progress"
        };
        Ok(Given::Json(store_file_object(id, file, status)))
    }
}

/// What a listing is asked for.
struct Wanted<'a> {
    limit: usize,
    newest_first: bool,
    after: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    /// Reads a query; `most` is the longest page, `others` are further names it may hold.
    fn of(query: &'a str, most: usize, others: &[&str]) -> Result<Self, ApiError> {
        let mut wanted = Self {
            limit: most.min(20),
            newest_first: true,
            after: None,
        };
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let wrong = || ApiError::invalid(name, format!("Invalid value for '{name}'."));
            match (name, value) {
                ("limit", _) => {
                    let limit = value.parse().ok().filter(|limit| (1..=most).contains(limit));
                    wanted.limit = limit.ok_or_else(wrong)?;
                }
                ("order", "asc" | "desc") => wanted.newest_first = value == "desc",
                ("after", _) => wanted.after = Some(value),
                _ if others.contains(&name) => {}
                _ => return Err(wrong()),
            }
        }
        Ok(wanted)
    }

    /// A page of these objects, which come oldest first.
    fn page(&self, mut objects: Vec<Value>) -> Given {
        if self.newest_first {
            objects.reverse();
        }
        let after = objects
            .iter()
            .position(|object| Some(field(object, "id")) == self.after.map(Value::from).as_ref());
        let mut data: Vec<Value> = objects.into_iter().skip(after.map_or(0, |at| at + 1)).collect();
        let has_more = data.len() > self.limit;
        data.truncate(self.limit);
        let id = |object: Option<&Value>| object.map(|object| field(object, "id").clone());
        let (first, last) = (id(data.first()), id(data.last()));
        Given::Json(json!({ "object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more }))
    }
}

fn words_of(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words.filter(|word| word.len() > 2).map(str::to_lowercase).collect()
}

fn file_object(id: &str, kept: &Kept) -> Value {
    json!({ "id": id, "object": "file", "bytes": kept.bytes.len(), "created_at": kept.created_at, "expires_at": null,
            "filename": kept.name, "purpose": "user_data", "status": "processed" })
}

fn store_object(id: &str, store: &Store) -> Value {
    let files = store.files.len();
    json!({ "id": id, "object": "vector_store", "created_at": 1_790_000_000, "name": store.name, "usage_bytes": 0,
            "file_counts": { "in_progress": 0, "completed": files, "failed": 0, "cancelled": 0, "total": files },
            "status": if store.expired { "expired" } else { "completed" }, "expires_after": null, "expires_at": null,
            "last_active_at": 1_790_000_000, "metadata": {} })
}

fn store_file_object(store: &str, file: &str, status: &str) -> Value {
    json!({ "id": file, "object": "vector_store.file", "usage_bytes": 0, "created_at": 1_790_000_000,
            "vector_store_id": store, "status": status, "last_error": null })
}
