//! Tools the server runs itself: what a plan says of their calls, and the items, events and annotations they become.
//!
//! Lives here: `web_search`, `code_interpreter`, `file_search`, `image_generation`, as the official OpenAPI document
//! (August 2026) has them. Not here: the files they make and search (`shelf`). A call of a tool that the request does not
//! offer is left out, and what `include` does not ask for is absent or null, as it is there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::asked::{Asked, field, items};
use crate::compose::Stamp;
use crate::shelf::Shelf;
use crate::tokens;

/// A small picture: a PNG of one pixel.
pub const PIXEL: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00,
    0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x06, 0x00, 0x00, 0x00, 0x1f, 0x15, 0xc4, 0x89, 0x00, 0x00, 0x00, 0x0d, 0x49,
    0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0x64, 0xf8, 0xcf, 0x50, 0x0f, 0x00, 0x03, 0x86, 0x01, 0x80, 0x5a, 0x34, 0x7d,
    0x6b, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
];

/// So much of a picture is shown while it is drawn, in bytes.
const MOST_SKETCH_BYTES: usize = 1024 * 1024;

/// One call of a tool the server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedCall {
    /// What it does.
    pub does: HostedWork,
    /// Whether it fails.
    pub fails: bool,
}

/// What such a call does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostedWork {
    /// Searches the web and finds these pages.
    Search {
        /// For what.
        query: String,
        /// The pages' addresses.
        urls: Vec<String>,
    },
    /// Runs code.
    Run {
        /// The code.
        code: String,
        /// What it writes.
        logs: String,
        /// Addresses of pictures it shows.
        pictures: Vec<String>,
        /// Files it leaves in its container.
        makes: Vec<MadeFile>,
    },
    /// Searches the vector stores of the request.
    Look {
        /// For what.
        query: String,
    },
    /// Draws.
    Draw {
        /// What.
        prompt: String,
        /// The picture.
        picture: Vec<u8>,
    },
}

/// A file that code leaves in its container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeFile {
    /// Its name.
    pub name: String,
    /// Its type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether its container has expired when it is asked for.
    pub gone: bool,
}

impl MadeFile {
    /// A file of this name and with these bytes.
    pub fn new(name: &str, media_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            bytes: bytes.into(),
            gone: false,
        }
    }
}

impl HostedCall {
    /// A web search.
    pub fn search(query: &str, urls: &[&str]) -> Self {
        Self::of(HostedWork::Search {
            query: query.to_owned(),
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
        })
    }

    /// Code that writes this and leaves these files.
    pub fn run(code: &str, logs: &str, makes: Vec<MadeFile>) -> Self {
        Self::of(HostedWork::Run {
            code: code.to_owned(),
            logs: logs.to_owned(),
            pictures: Vec::new(),
            makes,
        })
    }

    /// A search in the vector stores.
    pub fn look(query: &str) -> Self {
        Self::of(HostedWork::Look {
            query: query.to_owned(),
        })
    }

    /// A picture.
    pub fn draw(prompt: &str, picture: impl Into<Vec<u8>>) -> Self {
        Self::of(HostedWork::Draw {
            prompt: prompt.to_owned(),
            picture: picture.into(),
        })
    }

    fn of(does: HostedWork) -> Self {
        Self { does, fails: false }
    }

    /// The same call, failing.
    #[must_use]
    pub fn failing(mut self) -> Self {
        self.fails = true;
        self
    }

    /// Type of the tool.
    fn tool(&self) -> &'static str {
        match self.does {
            HostedWork::Search { .. } => "web_search",
            HostedWork::Run { .. } => "code_interpreter",
            HostedWork::Look { .. } => "file_search",
            HostedWork::Draw { .. } => "image_generation",
        }
    }
}

/// Words of the reply that point at something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cite {
    /// The words, as they stand in the reply.
    pub words: String,
    /// What is pointed at.
    pub of: Cited,
}

/// What words point at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cited {
    /// A page.
    Url {
        /// Its address.
        url: String,
        /// Its title.
        title: String,
    },
    /// A file of this name that this answer's code left.
    Made(String),
    /// A file of this name in the vector stores.
    Given(String),
}

impl Cite {
    /// Words that point at a page.
    pub fn url(words: &str, url: &str, title: &str) -> Self {
        let (url, title) = (url.to_owned(), title.to_owned());
        Self::of(words, Cited::Url { url, title })
    }

    /// Words that point at a file the code left.
    pub fn made(words: &str, name: &str) -> Self {
        Self::of(words, Cited::Made(name.to_owned()))
    }

    /// Words that point at a file in the vector stores.
    pub fn given(words: &str, name: &str) -> Self {
        Self::of(words, Cited::Given(name.to_owned()))
    }

    fn of(words: &str, of: Cited) -> Self {
        Self {
            words: words.to_owned(),
            of,
        }
    }
}

/// A call as it stands in the output.
#[derive(Debug, Clone)]
pub(crate) struct HostedItem {
    pub id: String,
    pub begun: Value,
    pub done: Value,
    /// The events between its beginning and its end: their types and what they say beside the item's place.
    pub events: Vec<(&'static str, Vec<(&'static str, Value)>)>,
}

/// An annotation, and where its words end, in characters of the part.
#[derive(Debug, Clone)]
pub(crate) struct Annotation {
    pub end: usize,
    pub value: Value,
}

/// What the calls of one answer have in common.
pub(crate) struct Maker<'a> {
    asked: &'a Asked<'a>,
    shelf: &'a Shelf,
    hex: &'a str,
    mark: &'a str,
}

impl<'a> Maker<'a> {
    pub(crate) fn new(asked: &'a Asked<'a>, shelf: &'a Shelf, stamp: &'a Stamp, mark: &'a str) -> Self {
        Self {
            asked,
            shelf,
            hex: &stamp.hex,
            mark,
        }
    }

    fn offers(&self, tool: &str) -> bool {
        let tools = items(self.asked.body, "tools");
        field(self.asked.body, "tool_choice") != "none" && tools.iter().any(|offered| field(offered, "type") == tool)
    }

    fn includes(&self, what: &str) -> bool {
        items(self.asked.body, "include").iter().any(|item| item == what)
    }

    /// The items of the calls that the request allows.
    pub(crate) fn calls(&self, calls: &[HostedCall]) -> Vec<HostedItem> {
        let offered = calls.iter().enumerate().filter(|(_, call)| self.offers(call.tool()));
        offered.map(|(index, call)| self.call(index, call)).collect()
    }

    fn call(&self, index: usize, call: &HostedCall) -> HostedItem {
        let id = |prefix: &str| format!("{prefix}_{}{}{index:02}", self.hex, self.mark);
        let status = if call.fails { "failed" } else { "completed" };
        let (id, begun, done, mut events) = match &call.does {
            HostedWork::Search { query, urls } => self.search(id("ws"), status, query, urls),
            HostedWork::Run {
                code,
                logs,
                pictures,
                makes,
            } => {
                self.ran(makes);
                self.run(id("ci"), status, (code, logs), pictures)
            }
            HostedWork::Look { query } => self.look(id("fs"), status, query),
            HostedWork::Draw { prompt, picture } => self.draw(id("ig"), (status, call.fails), prompt, picture),
        };
        if call.fails {
            events.retain(|(kind, _)| !kind.ends_with(".completed"));
        }
        HostedItem {
            id,
            begun,
            done,
            events,
        }
    }

    fn search(&self, id: String, status: &str, query: &str, urls: &[String]) -> Parts {
        let sources: Vec<Value> = urls.iter().map(|url| json!({ "type": "url", "url": url })).collect();
        let action = if self.includes("web_search_call.action.sources") {
            json!({ "type": "search", "query": query, "queries": [query], "sources": sources })
        } else {
            json!({ "type": "search", "query": query, "queries": [query] })
        };
        let begun =
            json!({ "id": id, "type": "web_search_call", "status": "in_progress", "action": { "type": "search" } });
        let done = json!({ "id": id, "type": "web_search_call", "status": status, "action": action });
        let events = vec![
            ("response.web_search_call.in_progress", Vec::new()),
            ("response.web_search_call.searching", Vec::new()),
            ("response.web_search_call.completed", Vec::new()),
        ];
        (id, begun, done, events)
    }

    fn container(&self) -> String {
        format!("cntr_{}", self.hex)
    }

    fn made_id(&self, name: &str) -> String {
        format!("cfile_{}{:016x}", self.hex, tokens::hash(name.as_bytes()))
    }

    /// What is in the container once code has run.
    fn ran(&self, makes: &[MadeFile]) {
        let tools = items(self.asked.body, "tools").iter();
        let given = tools.flat_map(|tool| items(field(tool, "container"), "file_ids"));
        let given: Vec<&str> = given.filter_map(Value::as_str).collect();
        let makes = makes.iter().map(|file| (self.made_id(&file.name), file.clone()));
        self.shelf.run(&self.container(), &given, makes.collect());
    }

    fn run(&self, id: String, status: &str, (code, logs): (&str, &str), pictures: &[String]) -> Parts {
        let outputs = if self.includes("code_interpreter_call.outputs") {
            let logs = (!logs.is_empty()).then(|| json!({ "type": "logs", "logs": logs }));
            let pictures = pictures.iter().map(|url| json!({ "type": "image", "url": url }));
            logs.into_iter().chain(pictures).collect()
        } else {
            Value::Null
        };
        let item = |status: &str, code: &str, outputs: Value| {
            json!({ "id": id, "type": "code_interpreter_call", "status": status, "container_id": self.container(),
                    "code": code, "outputs": outputs })
        };
        let (begun, done) = (item("in_progress", "", Value::Null), item(status, code, outputs));
        let mut events = vec![("response.code_interpreter_call.in_progress", Vec::new())];
        let mut start = 0;
        for piece in tokens::pieces(code, None) {
            let delta = code.get(start..piece.end).unwrap_or_default();
            start = piece.end;
            events.push((
                "response.code_interpreter_call_code.delta",
                vec![("delta", delta.into())],
            ));
        }
        events.push(("response.code_interpreter_call_code.done", vec![("code", code.into())]));
        events.push(("response.code_interpreter_call.interpreting", Vec::new()));
        events.push(("response.code_interpreter_call.completed", Vec::new()));
        (id, begun, done, events)
    }

    /// The stores of the request.
    fn stores(&self) -> Vec<&str> {
        let tools = items(self.asked.body, "tools").iter();
        let ids = tools.filter(|tool| field(tool, "type") == "file_search");
        ids.flat_map(|tool| items(tool, "vector_store_ids"))
            .filter_map(Value::as_str)
            .collect()
    }

    fn look(&self, id: String, status: &str, query: &str) -> Parts {
        let results = if self.includes("file_search_call.results") {
            let found = self.shelf.search(&self.stores(), query);
            let result = |hit: crate::shelf::Hit| {
                json!({ "file_id": hit.file_id, "filename": hit.filename, "text": hit.text, "score": hit.score,
                        "attributes": {} })
            };
            found.into_iter().map(result).collect()
        } else {
            Value::Null
        };
        let begun =
            json!({ "id": id, "type": "file_search_call", "status": "in_progress", "queries": [], "results": null });
        let done =
            json!({ "id": id, "type": "file_search_call", "status": status, "queries": [query], "results": results });
        let events = vec![
            ("response.file_search_call.in_progress", Vec::new()),
            ("response.file_search_call.searching", Vec::new()),
            ("response.file_search_call.completed", Vec::new()),
        ];
        (id, begun, done, events)
    }

    fn draw(&self, id: String, (status, fails): (&str, bool), prompt: &str, picture: &[u8]) -> Parts {
        let result = if fails {
            Value::Null
        } else {
            STANDARD.encode(picture).into()
        };
        let begun = json!({ "id": id, "type": "image_generation_call", "status": "in_progress", "result": null });
        let done = json!({ "id": id, "type": "image_generation_call", "status": status, "background": "opaque",
                           "output_format": "png", "quality": "high", "result": result, "revised_prompt": prompt,
                           "size": "1024x1024" });
        let mut events = vec![
            ("response.image_generation_call.in_progress", Vec::new()),
            ("response.image_generation_call.generating", Vec::new()),
        ];
        let tools = items(self.asked.body, "tools").iter();
        let partials = tools.filter_map(|tool| tool.get("partial_images")?.as_u64()).max();
        let sketch = STANDARD.encode(picture.get(..MOST_SKETCH_BYTES).unwrap_or(picture));
        for index in 0..partials.unwrap_or(0) {
            let tail = vec![
                ("partial_image_index", index.into()),
                ("partial_image_b64", sketch.as_str().into()),
            ];
            events.push(("response.image_generation_call.partial_image", tail));
        }
        events.push(("response.image_generation_call.completed", Vec::new()));
        (id, begun, done, events)
    }

    /// The annotations of a part whose text is `text`; JSON if `quoted`. Words that do not stand in it point nowhere.
    pub(crate) fn annotations(&self, cites: &[Cite], text: &str, quoted: bool) -> Vec<Annotation> {
        let mut found: Vec<Annotation> = cites
            .iter()
            .filter_map(|cite| self.annotation(cite, text, quoted))
            .collect();
        found.sort_by_key(|annotation| annotation.end);
        found
    }

    fn annotation(&self, cite: &Cite, text: &str, quoted: bool) -> Option<Annotation> {
        let written = Value::from(cite.words.as_str()).to_string();
        let written = if quoted {
            written.strip_prefix('"')?.strip_suffix('"')?
        } else {
            cite.words.as_str()
        };
        let start = text.get(..text.find(written)?)?.chars().count();
        let end = start + written.chars().count();
        let value = match &cite.of {
            Cited::Url { url, title } => json!({ "type": "url_citation", "start_index": start, "end_index": end,
                "url": url, "title": title }),
            Cited::Made(name) => json!({ "type": "container_file_citation", "container_id": self.container(),
                "file_id": self.made_id(name), "filename": name, "start_index": start, "end_index": end }),
            Cited::Given(name) => json!({ "type": "file_citation", "index": end, "filename": name,
                "file_id": self.shelf.id_of(&self.stores(), name)? }),
        };
        Some(Annotation { end, value })
    }
}

/// Id, the item as it begins, the item as it ends, the events between.
type Parts = (String, Value, Value, Vec<(&'static str, Vec<(&'static str, Value)>)>);
