//! What holds for every request: hosts, origins, headers, request ids, problems, limits.

use crate::support::server::{LIMIT, Server, Setup, problem};
use reqwest::{Method, Response};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

const HEADERS: [(&str, &str); 6] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("content-security-policy", "default-src 'none'; script-src 'self'; "),
    ("x-request-id", ""),
];

/// Sends bytes as they are and reads until the server closes.
fn raw(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn raw_get(server: &Server, path: &str, headers: &str) -> String {
    raw(
        server,
        format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n").as_bytes(),
    )
}

async fn send(server: &Server, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Server::client()
        .request(method, server.url(path))
        .bearer_auth(server.token());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn every_answer_has_the_headers() {
    let server = Setup::new().start();
    for (method, path, status) in [
        (Method::GET, "/", 200),
        (Method::GET, "/css/base.css", 200),
        (Method::GET, "/health", 200),
        (Method::GET, "/no/such/path", 404),
        (Method::POST, "/health", 405),
        (Method::GET, "/api/logins", 200),
        (Method::GET, "/ws/chat", 400),
    ] {
        let response = send(&server, method, path, &[]).await;
        assert!(
            response.status() == status || path == "/ws/chat",
            "{path}: {}",
            response.status()
        );
        for (name, value) in HEADERS {
            let found = response
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap())
                .unwrap_or_default();
            assert!(found.starts_with(value), "{path}: {name}: {found}");
        }
    }
}

/// The head of the next answer on a connection, its body read and dropped.
fn answer_head(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "closed after {head:?}");
    }
    let head = head.to_ascii_lowercase();
    let length = head
        .split("content-length: ")
        .nth(1)
        .unwrap()
        .split("\r\n")
        .next()
        .unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    head
}

#[tokio::test]
async fn a_refusal_leaves_the_connection_usable() {
    let server = Setup::new().start();
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let (mut reader, mut writer) = (BufReader::new(&stream), &stream);
    for (head, status) in [
        ("POST /chat HTTP/1.1\r\nHost: localhost\r\n", 401),
        ("POST /chat HTTP/1.1\r\nHost: evil.example\r\n", 421),
        ("POST /api/login HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n", 403),
        ("POST /api/login HTTP/1.1\r\nHost: localhost\r\n", 415),
        ("DELETE /no/such/path HTTP/1.1\r\nHost: localhost\r\n", 404),
        ("PUT /health HTTP/1.1\r\nHost: localhost\r\n", 405),
    ] {
        // The refusal is known before the body is there.
        writer
            .write_all(format!("{head}Content-Length: 100000\r\n\r\n").as_bytes())
            .unwrap();
        writer.write_all(&b"x".repeat(100_000)).unwrap();
        let answer = answer_head(&mut reader);
        assert!(answer.starts_with(&format!("http/1.1 {status} ")), "{head}: {answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
    // Whoever asks for leave first is told that there is none, and need not send.
    let asks = "POST /chat HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
    writer.write_all(asks.as_bytes()).unwrap();
    let answer = answer_head(&mut reader);
    assert!(
        answer.starts_with("http/1.1 401 ") && answer.contains("connection: close"),
        "{answer}"
    );
}

#[tokio::test]
async fn unknown_hosts_are_refused_on_every_route() {
    let setup = Setup::new().env("MIRA_ALLOWED_HOSTS", "mira.lan, other.lan:99");
    let server = setup.start();
    let port = server.address.port();
    let status = |path: &str, host: &str| {
        let answer = raw_get(&server, path, &format!("Host: {host}\r\n"));
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    for path in [
        "/",
        "/health",
        "/js/main.js",
        "/api/sessions",
        "/no/such/path",
        "/ws/chat",
    ] {
        assert_eq!(status(path, "evil.example"), "421", "{path}");
    }
    for host in [
        "evil.example:80",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "10.1.2.3",
        "other.lan",
        "",
        "a b",
    ] {
        assert_eq!(status("/health", host), "421", "{host:?}");
    }
    for host in [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1",
        "[::1]:5",
        "app.localhost",
        "mira.lan:7",
        "other.lan:99",
    ] {
        assert_eq!(status("/health", host), "200", "{host:?}");
    }
    assert_eq!(status("/health", &format!("127.0.0.1:{port}")), "200");
    assert!(raw_get(&server, "/health", "").starts_with("HTTP/1.1 400"));
    assert!(raw_get(&server, "/health", "Host: localhost\r\nHost: evil.example\r\n").starts_with("HTTP/1.1 400"));
    assert!(raw_get(&server, "http://evil.example/health", "Host: localhost\r\n").starts_with("HTTP/1.1 421"));
    let answer = raw_get(&server, "/health", "Host: evil.example\r\n");
    assert!(
        answer.contains("urn:mira:problem:unknown-host") && answer.contains("MIRA_ALLOWED_HOSTS"),
        "{answer}"
    );
}

#[tokio::test]
async fn foreign_origins_change_nothing() {
    let server = Setup::new().start();
    let own = server.base.clone();
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost",
        "https://127.0.0.1",
        "x",
        "",
        "http://127.0.0.1:1",
    ] {
        let response = send(&server, Method::POST, "/api/logout", &[("origin", origin)]).await;
        problem(response, 403, "forbidden").await;
        let upgrade = [("origin", origin), ("connection", "upgrade"), ("upgrade", "websocket")];
        problem(send(&server, Method::GET, "/ws/chat", &upgrade).await, 403, "forbidden").await;
        let read = send(&server, Method::GET, "/api/logins", &[("origin", origin)]).await;
        assert_eq!(read.status(), 200);
        assert!(!read.headers().contains_key("access-control-allow-origin"));
    }
    let cross = send(
        &server,
        Method::POST,
        "/api/logout",
        &[("sec-fetch-site", "cross-site")],
    )
    .await;
    problem(cross, 403, "forbidden").await;
    for headers in [
        &[("origin", own.as_str())][..],
        &[("sec-fetch-site", "same-origin")],
        &[],
    ] {
        assert_eq!(
            send(&server, Method::POST, "/api/logout", headers).await.status(),
            204,
            "{headers:?}"
        );
    }
}

#[tokio::test]
async fn named_origins_may() {
    let server = Setup::new()
        .env("MIRA_ALLOWED_ORIGINS", "https://front.example")
        .start();
    let origin = ("origin", "https://front.example");
    let asked = [
        origin,
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    let preflight = Server::client().request(Method::OPTIONS, server.url("/api/chat"));
    let preflight = asked
        .iter()
        .fold(preflight, |request, (name, value)| request.header(*name, *value));
    let preflight = preflight.send().await.unwrap();
    assert_eq!(preflight.status(), 204);
    let posted = send(
        &server,
        Method::POST,
        "/api/logout",
        &[origin, ("sec-fetch-site", "cross-site")],
    )
    .await;
    assert_eq!(posted.status(), 204);
    for response in [&preflight, &posted] {
        assert_eq!(response.headers()["access-control-allow-origin"], origin.1);
        assert_eq!(response.headers()["access-control-allow-credentials"], "true");
        assert_eq!(response.headers()["vary"], "origin");
    }
    assert!(
        preflight.headers()["access-control-allow-methods"]
            .to_str()
            .unwrap()
            .contains("PATCH")
    );
    let foreign = Server::client()
        .request(Method::OPTIONS, server.url("/api/chat"))
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST");
    problem(foreign.send().await.unwrap(), 403, "forbidden").await;
}

#[tokio::test]
async fn behind_a_proxy_with_a_sub_path() {
    let setup = Setup::new()
        .env("MIRA_PUBLIC_URL", "https://home.example/mira")
        .env("MIRA_TRUSTED_PROXIES", "127.0.0.1");
    let server = setup.start();
    let printed = server.stderr.wait_for("log in: ");
    assert!(printed.contains("https://home.example/mira/#login="), "{printed}");
    for path in ["/health", "/mira/health", "/mira/", "/mira/css/base.css"] {
        assert_eq!(send(&server, Method::GET, path, &[]).await.status(), 200, "{path}");
    }
    let redirect = send(&server, Method::GET, "/mira", &[]).await;
    assert_eq!(
        (
            redirect.status().as_u16(),
            redirect.headers()["location"].to_str().unwrap()
        ),
        (308, "/mira/")
    );
    assert_eq!(send(&server, Method::GET, "/mirage", &[]).await.status(), 404);
    let forwarded = [
        ("x-forwarded-host", "home.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "203.0.113.9"),
        ("origin", "https://home.example"),
        ("content-type", "application/json"),
    ];
    let request = Server::client().post(server.url("/mira/api/login"));
    let request = forwarded
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value));
    let body = serde_json::json!({"token": server.token()}).to_string();
    let response = request.body(body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers()["set-cookie"].to_str().unwrap().ends_with("; Secure"));
    server.stderr.wait_for("203.0.113.9");
    let made = server
        .post("/mira/api/sessions", serde_json::json!({"id": "here"}))
        .await;
    assert_eq!(made.headers()["location"], "/mira/api/sessions/here");
    let foreign = send(&server, Method::GET, "/health", &[("x-forwarded-host", "evil.example")]).await;
    problem(foreign, 421, "unknown-host").await;
}

#[tokio::test]
async fn forwarded_headers_of_strangers_do_not_count() {
    let server = Setup::new().start();
    let headers = [("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "https")];
    assert_eq!(send(&server, Method::GET, "/health", &headers).await.status(), 200);
    let own = server.base.replace("http:", "https:");
    let headers = [("x-forwarded-proto", "https"), ("origin", own.as_str())];
    problem(
        send(&server, Method::POST, "/api/logout", &headers).await,
        403,
        "forbidden",
    )
    .await;
}

#[tokio::test]
async fn request_ids_are_ours_unless_harmless() {
    let server = Setup::new().start();
    let id = |response: &Response| response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let kept = send(&server, Method::GET, "/health?secret=1", &[("x-request-id", "my-id_7")]).await;
    assert_eq!(id(&kept), "my-id_7");
    let line = server.stderr.wait_for("my-id_7");
    for part in ["GET", "/health", "200", "duration_ms"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    for bad in ["", "a b", "x\"y", "é", &"a".repeat(65)] {
        let fresh = id(&send(&server, Method::GET, "/health", &[("x-request-id", bad)]).await);
        assert_eq!(uuid::Uuid::parse_str(&fresh).unwrap().get_version_num(), 7, "{bad:?}");
    }
    assert!(
        !server.stderr.all().iter().any(|line| line.contains("secret")),
        "queries are not logged"
    );
}

#[tokio::test]
async fn problems_have_their_shape() {
    let server = Setup::new().start();
    problem(send(&server, Method::GET, "/no/such/path", &[]).await, 404, "not-found").await;
    problem(
        send(&server, Method::DELETE, "/health", &[]).await,
        405,
        "method-not-allowed",
    )
    .await;
    problem(
        send(&server, Method::GET, "/api/logins?limit=x", &[]).await,
        422,
        "invalid",
    )
    .await;
    problem(
        send(&server, Method::DELETE, "/api/logins/nonsense", &[]).await,
        404,
        "not-found",
    )
    .await;
    let post = async |body: Vec<u8>| {
        let request = Server::client()
            .post(server.url("/api/login"))
            .header("content-type", "application/json");
        request.body(body).send().await.unwrap()
    };
    problem(post(b"{\"token\": ".to_vec()).await, 400, "malformed").await;
    problem(post(b"{\"token\": \"\xff\"}".to_vec()).await, 400, "malformed").await;
    problem(
        post([b"[".repeat(100_000), b"]".repeat(100_000)].concat()).await,
        422,
        "invalid",
    )
    .await;
    problem(post(vec![b' '; 2 * 1024 * 1024]).await, 413, "too-large").await;
    let huge = raw(
        &server,
        format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(100_000)).as_bytes(),
    );
    assert!(
        huge.starts_with("HTTP/1.1 431") || huge.starts_with("HTTP/1.1 414"),
        "{huge:.100}"
    );
    let many = "x-many: y\r\n".repeat(200);
    assert!(raw_get(&server, "/health", &format!("Host: localhost\r\n{many}")).starts_with("HTTP/1.1 431"));
    assert!(raw(&server, b"nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
    assert_eq!(server.get("/health").await.status(), 200, "and she is well");
}

#[tokio::test]
async fn silent_connections_are_closed() {
    let server = Setup::new().start();
    let read = |bytes: &'static [u8]| {
        let address = server.address;
        std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            stream.write_all(bytes).unwrap();
            let mut answer = Vec::new();
            stream
                .read_to_end(&mut answer)
                .map(|_| String::from_utf8_lossy(&answer).into_owned())
                .unwrap()
        })
    };
    let half = read(b"GET /health HTTP/1.1\r\nHost: local");
    let silent = read(b"");
    let idle = read(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (name, thread) in [("half a head", half), ("nothing", silent), ("kept alive", idle)] {
        let answer = thread.join().unwrap();
        assert_eq!(
            answer.starts_with("HTTP/1.1 200"),
            name == "kept alive",
            "{name}: {answer}"
        );
    }
}

#[tokio::test]
async fn the_page_is_cached_by_its_tag() {
    let server = Setup::new().start();
    let client = Server::client();
    let first = client.get(server.url("/")).send().await.unwrap();
    assert_eq!(first.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(first.headers()["cache-control"], "no-cache");
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    let again = client
        .get(server.url("/"))
        .header("if-none-match", &tag)
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), 304);
    assert_eq!(client.head(server.url("/")).send().await.unwrap().status(), 200);
    assert_eq!(client.get(server.url("/index.htm")).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn the_served_document_is_the_printed_one() {
    let setup = Setup::new();
    let server = setup.start();
    let served = server.get("/api/openapi.json").await.text().await.unwrap();
    assert_eq!(served.trim_end(), setup.say(&["openapi"]));
    insta::assert_snapshot!("openapi", served);
    let document: serde_json::Value = serde_json::from_str(&served).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let page = server.get("/api/docs").await.text().await.unwrap();
    assert!(page.contains("/api/logins/{id}") && !page.contains("<script"), "{page}");
}

#[tokio::test]
async fn metrics_tell_what_happened() {
    let server = Setup::new().start();
    problem(send(&server, Method::GET, "/no/such/path", &[]).await, 404, "not-found").await;
    let open = send(
        &server,
        Method::GET,
        "/metrics",
        &[("accept", "application/openmetrics-text")],
    )
    .await;
    assert!(
        open.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    assert!(open.text().await.unwrap().ends_with("# EOF\n"));
    let plain = server.get("/metrics").await;
    assert_eq!(
        plain.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let text = plain.text().await.unwrap();
    assert!(text.contains("mira_http_requests_total{status=\"4xx\"} 1\n"), "{text}");
    for name in [
        "mira_resident_memory_bytes",
        "mira_wal_bytes",
        "mira_turns_running",
        "mira_connections",
        "# TYPE mira_http_requests_total counter",
    ] {
        assert!(text.contains(name), "{name} in {text}");
    }
}
