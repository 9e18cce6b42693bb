//! `files`: how fast a folder of documents is taken up, how fast it is searched, and how often the right page is among the
//! first five, for the questions of `files/questions.tsv`. The documents are not ours to carry: `files/fetch.sh DIR` gets
//! them from Debian.

use crate::{
    Bench, Outcome,
    client::{Socket, http, order, request},
    process::{Mira, Setup, cpu_ms, rss_kib},
    report::Samples,
    sim::Model,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

const NAME: &str = "files";
/// `set`, `document`, `pages` (from 1, joined by commas; `-` where the document has none), `question`, and the same as two
/// language models would call `file_search` for it, each with the query first and then the other wordings, joined by ` ¦ `:
/// `plain` by one that rephrased and used no name the question does not have, `knowing` by one that used what it knows of
/// such manuals. Questions were written before anything was searched, from two random samples of pages, wordings without
/// a view of them; none of them has four words in a row of the page (a query that had is the question itself). Ideas are
/// tried on set 1.
const QUESTIONS: &str = include_str!("files/questions.tsv");
/// So many results a person looks at.
const FIRST: usize = 5;
/// So many are asked for.
const DEPTH: usize = 20;
/// The server rests when it used less than this share of one core for this long.
const REST_SHARE: f64 = 0.04;
const REST: Duration = Duration::from_millis(500);
/// The longest that documents are waited for.
const PATIENCE: Duration = Duration::from_mins(10);
const BOUNDARY: &str = "a-boundary-no-document-holds-7f3c1d";

struct Question {
    set: &'static str,
    document: &'static str,
    /// Empty where the document has none.
    pages: Vec<u64>,
    text: &'static str,
    plain: Vec<&'static str>,
    knowing: Vec<&'static str>,
}

impl Question {
    fn parse(line: &'static str) -> Outcome<Self> {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[set, document, pages, text, plain, knowing] = fields.as_slice() else {
            return Err(format!("not six fields: {line}").into());
        };
        let pages = match pages {
            "-" => Vec::new(),
            pages => pages.split(',').map(str::parse).collect::<Result<_, _>>()?,
        };
        Ok(Self {
            set,
            document,
            pages,
            text,
            plain: plain.split(" ¦ ").collect(),
            knowing: knowing.split(" ¦ ").collect(),
        })
    }

    fn is_answered_by(&self, hit: &Value) -> bool {
        let page = hit.get("page").and_then(Value::as_u64);
        hit.get("name").and_then(Value::as_str) == Some(self.document)
            && (self.pages.is_empty() || page.is_some_and(|page| self.pages.contains(&page)))
    }
}

/// Text as a query of an address takes it.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

async fn upload(mira: &Mira, path: &Path) -> Outcome<()> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or("a document whose name is no text")?;
    let mut body = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         content-type: application/octet-stream\r\n\r\n"
    )
    .into_bytes();
    body.extend(fs::read(path)?);
    body.extend(format!("\r\n--{BOUNDARY}--\r\n").bytes());
    let form = format!("multipart/form-data; boundary={BOUNDARY}");
    request(mira.addr, "POST", "/api/files", &form, &body).await?;
    Ok(())
}

/// Waits until everything is read and embedded: until the server rests. How long that took, without the rest.
async fn taken_up(mira: &Mira, begun: Instant) -> Outcome<Duration> {
    let mut used = cpu_ms(mira.pid())?;
    while begun.elapsed() < PATIENCE {
        let rested = begun.elapsed();
        tokio::time::sleep(REST).await;
        let now = cpu_ms(mira.pid())?;
        if now - used < REST_SHARE * REST.as_secs_f64() * 1e3 {
            let body = http(mira.addr, "GET", "/api/files?limit=200", "").await?;
            if !body.contains("\"status\":\"processing\"") {
                return Ok(rested);
            }
        }
        used = now;
    }
    Err("the documents are never done".into())
}

/// Which wordings of a question are asked.
type Wordings = fn(&Question) -> &[&'static str];
/// What a search found, and how long it took.
type Found = (Vec<Value>, Duration);

fn results(answer: &Value) -> Outcome<Vec<Value>> {
    let results = answer.get("results").and_then(Value::as_array);
    Ok(results.ok_or_else(|| format!("no results: {answer}"))?.clone())
}

/// As a person searches: the question as it is, over REST.
async fn search(mira: &Mira, question: &Question) -> Outcome<Found> {
    let path = format!("/api/files/search?limit={DEPTH}&q={}", encoded(question.text));
    let begun = Instant::now();
    let answer = http(mira.addr, "GET", &path, "").await?;
    let took = begun.elapsed();
    Ok((results(&serde_json::from_str(&answer)?)?, took))
}

/// As a model searches: a call of the tool in a turn.
async fn call(socket: &mut Socket, wordings: &[&str]) -> Outcome<Found> {
    let (query, others) = wordings.split_first().ok_or("no wording")?;
    let arguments = json!({ "query": query, "others": others, "file_ids": null, "count": DEPTH });
    socket.say(&order("file_search", &arguments)?).await?;
    socket.wait("tool_call").await?;
    let begun = Instant::now();
    let frame = socket.wait("tool_result").await?;
    let took = begun.elapsed();
    // The emulated model calls on until it is cut off.
    socket.stop().await?;
    socket.wait("done").await?;
    let frame: Value = serde_json::from_str(&frame)?;
    Ok((results(frame.get("data").unwrap_or(&frame))?, took))
}

/// How often the right page was found, and how fast.
fn tell(bench: &mut Bench, case: &str, questions: &[&Question], found: Vec<Found>) -> Outcome<()> {
    let mut times = Samples::default();
    let mut places = Vec::with_capacity(found.len());
    for (question, (hits, took)) in questions.iter().zip(found) {
        times.push(took);
        places.extend(hits.iter().position(|hit| question.is_answered_by(hit)));
    }
    bench.report.row(NAME, case, "a search", &times.summary())?;
    let of = questions.len() as f64;
    let among = |first: usize| places.iter().filter(|place| **place < first).count() as f64 / of;
    let reciprocal = places.iter().map(|place| 1.0 / (*place as f64 + 1.0));
    let figures = [
        ("first", among(1), ""),
        ("among five", among(FIRST), ""),
        ("among ten", among(2 * FIRST), ""),
        ("MRR at 20", reciprocal.sum::<f64>() / of, ""),
        ("questions", of, ""),
    ];
    bench.report.row(NAME, case, "the right page", &figures)
}

/// Runs the scenario.
pub async fn run(bench: &mut Bench) -> Outcome<()> {
    let folder = bench.documents.as_ref().ok_or("it needs --documents DIR")?;
    let mut documents: Vec<_> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Outcome<_>>()?;
    documents.retain(|path| path.extension().is_some_and(|kind| kind == "pdf" || kind == "html"));
    documents.sort();
    let questions: Vec<Question> = QUESTIONS.lines().skip(1).map(Question::parse).collect::<Outcome<_>>()?;
    let lacks = |question: &&Question| !documents.iter().any(|path| path.ends_with(question.document));
    if let Some(question) = questions.iter().find(lacks) {
        return Err(format!("{} is not in {}", question.document, folder.display()).into());
    }
    let model = Model::start()?;
    let directory = tempfile::tempdir()?;
    let setup = Setup {
        data_dir: directory.path(),
        model: model.addr,
        durability: "normal",
    };
    let mira = Mira::start(&setup)?;
    let begun = Instant::now();
    for document in &documents {
        upload(&mira, document).await?;
    }
    let took = taken_up(&mira, begun).await?.as_secs_f64();
    let case = format!("{} documents", documents.len());
    let figures = [
        ("took", took, "s"),
        ("processor time", cpu_ms(mira.pid())? / 1e3, "s"),
        ("RSS", rss_kib(mira.pid())? / 1024.0, "MiB"),
    ];
    let what = "from the first upload until all is read and embedded";
    bench.report.row(NAME, &case, what, &figures)?;
    let body = format!(r#"{{"id":"{NAME}","memory":"off"}}"#);
    http(mira.addr, "POST", "/api/sessions", &body).await?;
    let mut socket = Socket::connect(mira.addr, Some(NAME)).await?;
    for set in ["1", "2"] {
        let asked: Vec<&Question> = questions.iter().filter(|question| question.set == set).collect();
        let mut found = Vec::new();
        for question in &asked {
            found.push(search(&mira, question).await?);
        }
        tell(bench, &format!("set {set}, the question as it is"), &asked, found)?;
        let ways: [(&str, Wordings); 4] = [
            ("plain query", |question| question.plain.get(..1).unwrap_or_default()),
            ("plain query and others", |question| &question.plain),
            ("knowing query", |question| {
                question.knowing.get(..1).unwrap_or_default()
            }),
            ("knowing query and others", |question| &question.knowing),
        ];
        for (way, wordings) in ways {
            let mut found = Vec::new();
            for question in &asked {
                found.push(call(&mut socket, wordings(question)).await?);
            }
            tell(bench, &format!("set {set}, {way}"), &asked, found)?;
        }
    }
    socket.leave();
    mira.stop().await
}
