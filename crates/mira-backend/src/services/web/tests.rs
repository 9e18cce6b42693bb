//! Engines and pages over real sockets on loopback. What the tools make of it is tested through the real server.

use super::{Reader, Unreadable, Web, WebError};
use crate::config::{KeyedEngine, Secret, WebConfig};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use mira_core::ids::TurnId;
use mira_docs::{Document, Kind};
use mira_net::{Guard, GuardedClient, HostPort, NetError, Url};
use mira_tools::{ToolError, web::Page};
use peer::{Answer, Names, Server, ok, redirect};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

#[path = "../../../../mira-net/tests/it/support.rs"]
#[expect(dead_code, reason = "the tests of mira-net use all of it")]
mod peer;

const TURN: TurnId = TurnId(Uuid::nil());
const LATER: TurnId = TurnId(Uuid::max());

/// Reads in the test's own process.
struct InProcess;

impl Reader for InProcess {
    fn read(&self, kind: Kind, bytes: Bytes, base: Option<Url>) -> BoxFuture<'static, Result<Document, Unreadable>> {
        let limits = mira_docs::Limits::default();
        let read = match (kind, base) {
            (Kind::Html, Some(base)) => {
                let html = std::str::from_utf8(&bytes).unwrap().trim_start_matches('\u{feff}');
                Ok(mira_docs::readable(html, Some(&base), &limits))
            }
            (kind, _) => mira_docs::read(kind, &bytes, &limits).map_err(|error| Unreadable(error.to_string())),
        };
        async move { read }.boxed()
    }
}

fn config() -> WebConfig {
    WebConfig {
        enabled: true,
        searxng: None,
        brave: None,
        tavily: None,
    }
}

fn keyed(server: &Server, key: &str) -> KeyedEngine {
    KeyedEngine {
        url: server.url("/"),
        key: Secret::parse(key).unwrap(),
    }
}

/// A web that may reach all of 127.0.0.1.
fn web(config: &WebConfig) -> Web {
    guarded(Guard::new(HostPort::parse_list("127.0.0.1").unwrap()), config)
}

fn guarded(guard: Guard, config: &WebConfig) -> Web {
    Web::through(GuardedClient::new(guard), config, Arc::new(InProcess))
}

fn typed(media_type: &str, body: impl AsRef<[u8]>) -> Answer {
    ok(&format!("Content-Type: {media_type}\r\n"), body.as_ref())
}

fn status(code: u16) -> Answer {
    Answer::Whole(format!("HTTP/1.1 {code} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes())
}

fn found(title: &str) -> serde_json::Value {
    json!({ "url": format!("https://example.org/{title}"), "title": title, "content": "words", "description": "words" })
}

async fn page_of(answer: Answer) -> Result<Arc<Page>, WebError> {
    let server = Server::start("127.0.0.1", 0, move |_| answer.clone()).await;
    web(&config()).fetch(TURN, server.url("/page").as_str()).await
}

async fn text_of(answer: Answer) -> String {
    page_of(answer).await.unwrap().text.clone().unwrap()
}

#[tokio::test]
async fn each_engine_is_asked_in_its_own_way() {
    let searxng = Server::start("127.0.0.1", 0, |_| {
        let dated = json!({ "url": "https://example.org/s", "title": "S", "content": null, "publishedDate": "2026-03-01T00:00:00" });
        typed("application/json", json!({ "results": [dated, {"url": "javascript:x"}, found("b"), found("c")] }).to_string())
    })
    .await;
    let brave = Server::start("127.0.0.1", 0, |_| {
        typed(
            "application/json",
            json!({ "web": { "results": [found("brave")] } }).to_string(),
        )
    })
    .await;
    let tavily = Server::start("127.0.0.1", 0, |_| {
        typed("application/json", json!({ "results": [found("tavily")] }).to_string())
    })
    .await;
    let titles = async |config: WebConfig| {
        let found = web(&config).search(TURN, "Ada & co", 2).await.unwrap();
        let titles: Vec<String> = found.hits.iter().map(|hit| hit.title.clone()).collect();
        (found.engine, titles.join(" "), found.hits[0].date.clone())
    };
    let own = WebConfig {
        searxng: Some(searxng.url("/searx/")),
        ..config()
    };
    assert_eq!(
        titles(own).await,
        ("searxng", "S b".to_owned(), Some("2026-03-01".to_owned()))
    );
    let asked = &searxng.seen()[0];
    assert!(
        asked.starts_with("get /searx/search?q=ada+%26+co&format=json http"),
        "{asked}"
    );

    let keyed_brave = WebConfig {
        brave: Some(keyed(&brave, "k-brave")),
        ..config()
    };
    assert_eq!(titles(keyed_brave).await, ("brave", "brave".to_owned(), None));
    let asked = &brave.seen()[0];
    assert!(
        asked.starts_with("get /res/v1/web/search?q=ada+%26+co&count=2"),
        "{asked}"
    );
    assert!(asked.contains("x-subscription-token: k-brave"), "{asked}");

    let keyed_tavily = WebConfig {
        tavily: Some(keyed(&tavily, "k-tavily")),
        ..config()
    };
    assert_eq!(titles(keyed_tavily).await, ("tavily", "tavily".to_owned(), None));
    let asked = &tavily.seen()[0];
    assert!(
        asked.starts_with("post /search http") && asked.contains("authorization: bearer k-tavily"),
        "{asked}"
    );
    assert!(asked.contains(r#"{"query":"ada & co","max_results":2,"#), "{asked}");
}

#[tokio::test]
async fn where_one_engine_fails_the_next_is_asked() {
    let unwilling = Server::start("127.0.0.1", 0, |_| status(403)).await;
    let spent = Server::start("127.0.0.1", 0, |_| status(429)).await;
    let working = Server::start("127.0.0.1", 0, |_| {
        typed("application/json", json!({ "results": [found("here")] }).to_string())
    })
    .await;
    let all = WebConfig {
        searxng: Some(unwilling.url("/")),
        brave: Some(keyed(&spent, "hunter2")),
        tavily: Some(keyed(&working, "hunter2")),
        ..config()
    };
    assert_eq!(web(&all).search(TURN, "x", 3).await.unwrap().engine, "tavily");
    assert_eq!(
        (unwilling.seen().len(), spent.seen().len(), working.seen().len()),
        (1, 1, 1)
    );

    let wrong_key = Server::start("127.0.0.1", 0, |_| status(401)).await;
    let none = WebConfig {
        tavily: Some(keyed(&wrong_key, "hunter2")),
        ..all
    };
    let Err(ToolError::Failed(said)) = web(&none).search(TURN, "x", 3).await else {
        panic!("it was found all the same");
    };
    for part in [
        "searxng",
        "`json`",
        "brave",
        "limit is reached",
        "tavily",
        "TAVILY_API_KEY is not a key",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn answers_that_are_none_are_failures() {
    for answer in [
        typed("application/json", "[1"),
        typed("text/html", "<html>log in</html>"),
        typed(
            "application/json",
            r#"{"results": [], "unresponsive_engines": [["wikipedia", "timeout"]]}"#,
        ),
        Answer::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'['; 4096]),
        redirect(302, "http://169.254.169.254/"),
    ] {
        let server = Server::start("127.0.0.1", 0, move |_| answer.clone()).await;
        let own = WebConfig {
            searxng: Some(server.url("/")),
            ..config()
        };
        let failed = web(&own).search(TURN, "x", 3).await;
        assert!(
            matches!(&failed, Err(ToolError::Failed(said)) if said.contains("searxng: ")),
            "{failed:?}"
        );
    }
    let nothing = Server::start("127.0.0.1", 0, |_| typed("application/json", "{}")).await;
    let own = WebConfig {
        searxng: Some(nothing.url("/")),
        ..config()
    };
    assert_eq!(web(&own).search(TURN, "x", 3).await.unwrap().hits, []);
}

#[test]
fn what_cannot_work_says_why() {
    let why = |config: &WebConfig, allowed: &str| {
        guarded(Guard::new(HostPort::parse_list(allowed).unwrap()), config).search_unavailable()
    };
    let none = why(&config(), "").unwrap();
    for name in ["MIRA_SEARXNG_URL", "BRAVE_API_KEY", "TAVILY_API_KEY"] {
        assert!(none.contains(name), "{none}");
    }
    let own = WebConfig {
        searxng: "http://127.0.0.1:8888/".parse().ok(),
        ..config()
    };
    assert!(why(&own, "").unwrap().contains("MIRA_ALLOW_PRIVATE_HOSTS"));
    assert_eq!(why(&own, "127.0.0.1:8888"), None);
    let off = WebConfig { enabled: false, ..own };
    assert!(why(&off, "127.0.0.1").unwrap().contains("ENABLE_WEB_SEARCH"));
    assert!(web(&off).switched_off().is_some() && web(&config()).switched_off().is_none());
}

#[tokio::test]
async fn a_page_is_read_once_a_turn_and_leads_on() {
    let article = "<html><head><title>A page</title><meta name=date content=2026-03-01></head><body><nav>menu</nav>\
        <article><h1>Heading</h1><p>Words that say something worth reading, and more of them.</p>\
        <p><a href='/next?x=1'>the next one</a></p></article></body></html>";
    let server = Server::start("127.0.0.1", 0, move |_| typed("text/html; charset=utf-8", article)).await;
    let web = web(&config());
    let place = server.url("/page");
    let asked = format!("{place}#part");
    let (page, again) = tokio::join!(web.fetch(TURN, &asked), web.fetch(TURN, place.as_str()));
    let page = page.unwrap();
    assert!(Arc::ptr_eq(&page, &again.unwrap()));
    assert_eq!(
        (page.title.as_deref(), page.date.as_deref()),
        (Some("A page"), Some("2026-03-01"))
    );
    assert_eq!(
        (page.url.as_str(), page.media_type.as_str()),
        (place.as_str(), "text/html")
    );
    let text = page.text.as_deref().unwrap();
    assert!(text.contains("Words that say something"), "{text}");
    assert_eq!(server.seen().len(), 1);

    let next = server.url("/next?x=1");
    assert!(text.contains(&format!("({next})")), "{text}");
    assert!(web.knows(TURN, next.as_str()) && web.knows(TURN, place.as_str()));
    assert!(!web.knows(TURN, &format!("{next}&secret=1")) && !web.knows(LATER, next.as_str()));
    web.fetch(LATER, place.as_str()).await.unwrap();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn results_may_be_read() {
    let server = Server::start("127.0.0.1", 0, |_| {
        typed("application/json", json!({ "results": [found("one")] }).to_string())
    })
    .await;
    let web = web(&WebConfig {
        searxng: Some(server.url("/")),
        ..config()
    });
    web.search(TURN, "x", 3).await.unwrap();
    assert!(web.knows(TURN, "https://example.org/one") && web.knows(TURN, "example.org/one#there"));
    assert!(!web.knows(TURN, "https://example.org/two"));
}

#[tokio::test]
async fn what_is_declared_wrongly_is_read_all_the_same() {
    let latin = b"<title>x</title><p>Gr\xfc\xdfe aus K\xf6ln, und noch ein paar W\xf6rter dazu.</p>";
    for media_type in [
        "text/html; charset=utf-8",
        "text/html",
        "text/html; charset=\"iso-8859-1\"",
        "text/html; charset=klingon",
    ] {
        let text = text_of(typed(media_type, latin)).await;
        assert!(text.contains("Grüße aus Köln"), "{media_type}: {text}");
    }
    let meta = "<meta charset=iso-8859-1><p>Grüße aus Köln, und noch ein paar Wörter dazu.</p>";
    assert!(text_of(typed("text/html", meta)).await.contains("Grüße aus Köln"));
    // What it begins with says what it is.
    let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
    picture.resize(2_000, 0);
    let page = page_of(typed("text/html", &picture)).await.unwrap();
    assert_eq!((page.media_type.as_str(), page.text.as_deref()), ("image/png", None));
    assert_eq!(page.notes, ["It is a picture of 2 kB; it cannot be read as text."]);
    let page = page_of(typed("text/plain", [b'x', 0, b'y'].repeat(100))).await.unwrap();
    assert_eq!(page.text, None);
    let json = r#"{"a": ["<b>", 1]}"#;
    assert_eq!(text_of(typed("application/json", json)).await, json);
    assert_eq!(text_of(ok("", b"just words")).await, "just words");
    let manual = "N\x08NA\x08AM\x08ME\x08E\n  a _\x08f_\x08i_\x08l_\x08e\x07";
    assert_eq!(text_of(typed("text/plain", manual)).await, "NAME\n  a file\x07");
    // A file in a page's clothes, and pages in a file's.
    let noise: Vec<u8> = b"PK\x03\x04"
        .iter()
        .copied()
        .chain((0..=255).cycle().take(4000))
        .collect();
    let page = page_of(typed("text/html", &noise)).await.unwrap();
    assert_eq!(page.notes, ["It is a file of 4 kB; it cannot be read as text."]);
    let excuse = "<!doctype html><title>Sorry</title><p>The file %PDF-1.7 is gone, and so are all the others.</p>";
    for media_type in ["application/pdf", "image/png", "text/html"] {
        let text = text_of(typed(media_type, excuse)).await;
        assert!(text.contains("so are all the others"), "{media_type}: {text}");
    }
    assert_eq!(text_of(typed("application/x-unheard-of", "key = 1")).await, "key = 1");
    assert_eq!(
        text_of(typed("text/plain; charset='koi8-r'", b"\xf0\xd2\xc9")).await,
        "При"
    );
}

#[tokio::test]
async fn a_page_without_text_says_so_and_where_it_leads() {
    let page = page_of(typed(
        "text/html",
        "<html><title>x</title><body><img src=a.png></body></html>",
    ))
    .await
    .unwrap();
    assert_eq!(
        (page.text.as_deref(), &*page.notes),
        (None, &["There is no text in it.".to_owned()][..])
    );
    let page = page_of(typed("text/plain", " \n")).await.unwrap();
    assert_eq!(page.text, None);
    let onward = "<html><head><meta http-equiv=refresh content='0; url=/new'></head><body></body></html>";
    let server = Server::start("127.0.0.1", 0, move |_| typed("text/html", onward)).await;
    let web = web(&config());
    let page = web.fetch(TURN, server.url("/old").as_str()).await.unwrap();
    let next = server.url("/new");
    assert!(page.text.as_deref().unwrap().ends_with(next.as_str()), "{page:?}");
    assert!(web.knows(TURN, next.as_str()));
}

#[tokio::test]
async fn a_place_has_one_address() {
    let server = Server::start("127.0.0.1", 0, |request| {
        if request.starts_with("get /there") {
            typed("text/plain", "words")
        } else if request.starts_with("get /far") {
            redirect(302, &format!("/there?{}", "x".repeat(5000)))
        } else {
            redirect(302, "/there#part")
        }
    })
    .await;
    let web = web(&config());
    let page = web.fetch(TURN, server.url("/here").as_str()).await.unwrap();
    assert_eq!(page.url, server.url("/there").as_str());
    let far = web.fetch(TURN, server.url("/far").as_str()).await;
    assert!(matches!(far, Err(WebError::LongAddress)), "{far:?}");
}

#[tokio::test]
async fn a_page_of_scripts_alone_says_so() {
    let html = format!(
        "<html><title>App</title><body><div id=root></div><script>{}</script>",
        "x();".repeat(1000)
    );
    let page = page_of(typed("text/html", html)).await.unwrap();
    assert!(page.notes.iter().any(|note| note.contains("scripts")), "{page:?}");
}

#[tokio::test]
async fn more_than_the_cap_is_refused_by_name() {
    let bomb = {
        use flate2::{Compression, write::GzEncoder};
        use std::io::Write;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![b' '; 64 * 1024 * 1024]).unwrap();
        encoder.finish().unwrap()
    };
    for answer in [
        typed("text/html", vec![b'x'; 10 * 1024 * 1024]),
        ok("Content-Type: text/html\r\nContent-Encoding: gzip\r\n", &bomb),
        Answer::Endless(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n".to_vec(),
            vec![b'x'; 65_536],
        ),
        Answer::Hang(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_vec()),
    ] {
        let error = page_of(answer).await.unwrap_err();
        assert!(matches!(error, WebError::Net(NetError::TooLarge { .. })), "{error}");
        assert!(
            error.told("x").to_string().contains("larger than 5242880 bytes"),
            "{error}"
        );
    }
    // Large, but within: its beginning is read.
    let page = page_of(typed("text/plain", "word ".repeat(900_000))).await.unwrap();
    assert!(
        page.text.as_deref().unwrap().len() <= 1024 * 1024 && page.notes[0].contains("beginning"),
        "{:?}",
        page.notes
    );
}

#[tokio::test]
async fn private_places_are_refused_however_they_are_written() {
    let web = guarded(Guard::new(Vec::new()), &config());
    for address in [
        "http://127.0.0.1/",
        "127.0.0.1:8080/x",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://0/",
        "https://１２７.0.0.1/",
        "https://①②⑦.0.0.1/",
        "https://%31%32%37.0.0.1/",
        "https://[::]/",
        "https://[::ffff:7f00:1]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[fc00::1]/",
        "http://169.254.169.254/latest/meta-data/",
        "https://100.64.0.1/",
        "https://localhost/",
        "localhost:11434/api/tags",
    ] {
        let error = web.fetch(TURN, address).await.unwrap_err();
        assert!(
            matches!(error, WebError::Net(NetError::BlockedAddress { .. })),
            "{address}: {error}"
        );
        assert!(matches!(error.told(address), ToolError::Denied(_)));
    }
    for address in [
        "https://example.org@127.0.0.1/",
        "https://me:pw@example.org/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "data:text/plain,x",
    ] {
        let error = web.fetch(TURN, address).await.unwrap_err();
        assert!(
            matches!(error.told(address), ToolError::Denied(_)),
            "{address}: {error}"
        );
    }
    for address in ["https://[fe80::1%25eth0]/", "http://", "https://a b/", "not an address"] {
        let error = web.fetch(TURN, address).await.unwrap_err();
        assert!(matches!(error, WebError::NoAddress), "{address}: {error}");
    }
}

#[tokio::test]
async fn no_redirect_and_no_name_leads_to_a_private_place() {
    let inner = Server::start("127.0.0.1", 0, |_| typed("text/plain", "secret")).await;
    for to in [
        inner.url("/").as_str(),
        "https://localhost/",
        "http://169.254.169.254/",
        "//[::1]/",
    ] {
        let to = to.to_owned();
        let outer = Server::start("127.0.0.1", 0, move |_| redirect(302, &to)).await;
        let listed = HostPort::parse_list(&outer.address.to_string()).unwrap();
        let web = guarded(Guard::new(listed), &config());
        let error = web.fetch(TURN, outer.url("/").as_str()).await.unwrap_err();
        assert!(
            matches!(error, WebError::Net(NetError::BlockedAddress { .. })),
            "{error}"
        );
    }
    // A name that means a private place beside a public one.
    let names = Names::answering(&[&["8.8.8.8", "127.0.0.1"]]);
    let web = guarded(Guard::new(Vec::new()).with_resolver(names), &config());
    let error = web.fetch(TURN, "https://rebind.test/").await.unwrap_err();
    assert!(
        matches!(error, WebError::Net(NetError::BlockedAddress { .. })),
        "{error}"
    );
    assert!(inner.seen().is_empty());
}

#[test]
fn addresses_are_secure_unless_they_are_listed() {
    let web = guarded(Guard::new(HostPort::parse_list("127.0.0.1:8888").unwrap()), &config());
    let check = |text: &str, expect: &str| assert_eq!(web.address(text).unwrap().as_str(), expect, "{text}");
    check("http://example.org/x#y", "https://example.org/x");
    check(" <https://example.org/x> ", "https://example.org/x");
    check("example.org/x", "https://example.org/x");
    check("example.org:8443/x", "https://example.org:8443/x");
    check("http://127.0.0.1:8888/x", "http://127.0.0.1:8888/x");
}

#[tokio::test]
async fn refusals_and_failures_are_said() {
    let error = page_of(status(404)).await.unwrap_err();
    assert!(error.told("https://x/").to_string().contains("404"), "{error}");
    // Only its own header says what it is, and it is no PDF.
    let error = page_of(typed("application/pdf", b"%PDF-1.7\nnothing"))
        .await
        .unwrap_err();
    assert!(matches!(error, WebError::Unreadable(_)), "{error}");
}
