//! Token, logins, one-time links, and what guessing costs.

use crate::support::server::{LIMIT, Server, Setup, json, problem};
use reqwest::{Response, StatusCode, header};
use serde_json::{Value, json as value};

async fn login(server: &Server, body: Value) -> Response {
    let request = Server::client()
        .post(server.url("/api/login"))
        .header("content-type", "application/json");
    request.body(body.to_string()).send().await.unwrap()
}

fn cookie(response: &Response) -> String {
    let text = response.headers()[header::SET_COOKIE].to_str().unwrap();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=2592000"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("Secure"), "plain http");
    text.split(';').next().unwrap().to_owned()
}

async fn logins(server: &Server, cookie: &str) -> Response {
    Server::client()
        .get(server.url("/api/logins"))
        .header("cookie", cookie)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn everything_private_needs_a_login_and_says_how() {
    let server = Setup::new().start();
    let client = Server::client();
    for path in [
        "/metrics",
        "/api/openapi.json",
        "/api/docs",
        "/api/logins",
        "/api/sessions",
        "/api/search?q=x",
    ] {
        let response = client.get(server.url(path)).send().await.unwrap();
        assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"mira\"");
        let body = problem(response, 401, "unauthorized").await;
        assert!(
            body["detail"].as_str().unwrap().contains("mira-backend token"),
            "{body}"
        );
        assert_eq!(server.get(path).await.status(), 200, "{path}");
    }
    for path in ["/health", "/api/health", "/ready", "/", "/js/main.js"] {
        assert_eq!(
            client.get(server.url(path)).send().await.unwrap().status(),
            200,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_login_lasts_until_it_is_ended() {
    let server = Setup::new().start();
    let first = login(&server, value!({"token": server.token()})).await;
    assert_eq!(first.status(), 200);
    let (first_cookie, first_id) = (cookie(&first), json(first).await["id"].clone());
    let second = login(&server, value!({"token": server.token()})).await;
    let second_cookie = cookie(&second);

    let list = json(logins(&server, &first_cookie).await).await;
    assert_eq!(list["logins"].as_array().unwrap().len(), 2);
    assert_eq!(list["next_cursor"], Value::Null);
    let current: Vec<_> = list["logins"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|l| l["current"] == true)
        .collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0]["id"], first_id);

    let path = format!("/api/logins/{}", first_id.as_str().unwrap());
    let ended = Server::client()
        .delete(server.url(&path))
        .header("cookie", &second_cookie)
        .send()
        .await
        .unwrap();
    assert_eq!(ended.status(), StatusCode::NO_CONTENT);
    problem(logins(&server, &first_cookie).await, 401, "unauthorized").await;
    let again = Server::client()
        .delete(server.url(&path))
        .header("cookie", &second_cookie)
        .send()
        .await
        .unwrap();
    problem(again, 404, "not-found").await;

    let out = Server::client()
        .post(server.url("/api/logout"))
        .header("cookie", &second_cookie)
        .send()
        .await
        .unwrap();
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    assert!(out.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    problem(logins(&server, &second_cookie).await, 401, "unauthorized").await;
}

#[tokio::test]
async fn logins_one_by_one_and_all_at_once() {
    let server = Setup::new().start();
    let first = login(&server, value!({"token": server.token()})).await;
    let (first_cookie, first_id) = (cookie(&first), json(first).await["id"].clone());
    let second_cookie = cookie(&login(&server, value!({"token": server.token()})).await);
    let path = format!("/api/logins/{}", first_id.as_str().unwrap());
    let one = json(server.get(&path).await).await;
    assert_eq!((&one["id"], &one["current"]), (&first_id, &value!(false)));
    let list = json(server.get("/api/logins").await).await;
    assert!(list["logins"].as_array().unwrap().contains(&one), "{list}");
    for nobody in ["/api/logins/0199f3a0-0000-7000-8000-000000000001", "/api/logins/x"] {
        problem(server.get(nobody).await, 404, "not-found").await;
    }
    problem(server.get("/api/logins?limit=0").await, 422, "invalid").await;

    let events = Server::client()
        .get(server.url("/api/sessions/eternal/events"))
        .header("cookie", &second_cookie);
    let mut events = events.send().await.unwrap();
    assert_eq!(events.status(), StatusCode::OK);
    let all = Server::client()
        .delete(server.url("/api/logins"))
        .header("cookie", &first_cookie);
    let ended = all.send().await.unwrap();
    assert_eq!(ended.status(), StatusCode::NO_CONTENT);
    assert!(ended.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    for cookie in [&first_cookie, &second_cookie] {
        problem(logins(&server, cookie).await, 401, "unauthorized").await;
    }
    let end = async { while events.chunk().await.unwrap().is_some() {} };
    let ended = tokio::time::timeout(LIMIT, end).await;
    assert!(ended.is_ok(), "what listens ends with its login");
    problem(server.get(&path).await, 404, "not-found").await;
}

#[tokio::test]
async fn a_password_for_the_proxy_in_front_is_not_ours() {
    let server = Setup::new().start();
    let cookie = cookie(&login(&server, value!({"token": server.token()})).await);
    let ask = async |cookie: &str| {
        let request = Server::client()
            .get(server.url("/api/logins"))
            .header("authorization", "Basic eDp5");
        request.header("cookie", cookie).send().await.unwrap()
    };
    for _ in 0..6 {
        problem(ask("").await, 401, "unauthorized").await;
        assert_eq!(ask(&cookie).await.status(), 200, "nobody has guessed anything");
    }
}

#[tokio::test]
async fn a_login_survives_a_restart_but_not_a_new_token() {
    let setup = Setup::new();
    let server = setup.start();
    let cookie = cookie(&login(&server, value!({"token": server.token()})).await);
    drop(server);
    let server = setup.start();
    assert_eq!(logins(&server, &cookie).await.status(), 200);
    let old = server.token();
    let new = setup.say(&["token", "new"]);
    assert_ne!(old, new);
    assert_eq!(setup.say(&["token"]), new);
    server.stderr.wait_for("the token was replaced");
    problem(logins(&server, &cookie).await, 401, "unauthorized").await;
    let with_old = Server::client()
        .get(server.url("/api/logins"))
        .bearer_auth(old)
        .send()
        .await
        .unwrap();
    problem(with_old, 401, "unauthorized").await;
    assert_eq!(server.get("/api/logins").await.status(), 200);
}

#[tokio::test]
async fn a_link_works_once() {
    let setup = Setup::new();
    let server = setup.start();
    let printed = server.stderr.wait_for("log in: ");
    let made = setup.say(&["login-link"]);
    for link in [printed, made] {
        let (place, code) = link.split_once("/#login=").unwrap();
        assert!(place.ends_with(&server.base), "{place}");
        let first = login(&server, value!({"code": code})).await;
        assert_eq!(logins(&server, &cookie(&first)).await.status(), 200);
        let body = problem(login(&server, value!({"code": code})).await, 401, "unauthorized").await;
        assert!(body["detail"].as_str().unwrap().contains("login-link"));
    }
    let link = setup.say(&["login-link"]);
    setup.say(&["token", "new"]);
    server.stderr.wait_for("the token was replaced");
    let code = link.split_once("/#login=").unwrap().1;
    problem(login(&server, value!({"code": code})).await, 401, "unauthorized").await;
}

#[tokio::test]
async fn guessing_costs_time_but_the_owner_is_never_locked_out() {
    let setup = Setup::new();
    let server = setup.start();
    for _ in 0..5 {
        problem(
            login(&server, value!({"token": "guess-one"})).await,
            401,
            "unauthorized",
        )
        .await;
    }
    let mut waits = Vec::new();
    for guess in ["guess-two", "guess-three"] {
        let response = login(&server, value!({"token": guess})).await;
        waits.push(
            response.headers()["retry-after"]
                .to_str()
                .unwrap()
                .parse::<u64>()
                .unwrap(),
        );
        problem(response, 429, "too-many-requests").await;
    }
    assert!(waits[0] < waits[1], "{waits:?}");
    let wrong = Server::client()
        .get(server.url("/api/logins"))
        .bearer_auth("guess-four")
        .send()
        .await
        .unwrap();
    problem(wrong, 429, "too-many-requests").await;
    assert_eq!(server.get("/api/logins").await.status(), 200, "the right token passes");
    let link = setup.say(&["login-link"]);
    let code = link.split_once("/#login=").unwrap().1;
    let by_code = login(&server, value!({"code": code})).await;
    assert_eq!(by_code.status(), 200, "the right code passes");
    problem(
        login(&server, value!({"code": "guess-five"})).await,
        401,
        "unauthorized",
    )
    .await;
    let by_token = login(&server, value!({"token": server.token()})).await;
    assert_eq!(by_token.status(), 200, "the right token passes");
    let log = server.stderr.all().join("\n");
    assert!(!log.contains("guess-"), "{log}");
    assert!(!log.contains(&server.token()), "the token is not in the log");
}

#[tokio::test]
async fn wrong_bearers_count_too() {
    let server = Setup::new().start();
    for expected in [401, 401, 401, 401, 401, 429] {
        let wrong = Server::client()
            .get(server.url("/metrics"))
            .bearer_auth("wrong")
            .send()
            .await
            .unwrap();
        assert_eq!(wrong.status(), expected);
    }
}

#[tokio::test]
async fn odd_logins_are_refused() {
    let server = Setup::new().start();
    let neither = problem(login(&server, value!({})).await, 422, "invalid").await;
    assert_eq!(neither["errors"][0]["field"], "token");
    problem(login(&server, value!([])).await, 422, "invalid").await;
    problem(login(&server, value!({"token": 7})).await, 422, "invalid").await;
    let text = Server::client()
        .post(server.url("/api/login"))
        .body("{}")
        .send()
        .await
        .unwrap();
    problem(text, 415, "unsupported-media-type").await;
    for cookie in [
        "mira_auth=",
        "mira_auth=x; mira_auth=y",
        "mira_auth=%00",
        "=;;=",
        "mira_auth",
    ] {
        problem(logins(&server, cookie).await, 401, "unauthorized").await;
    }
    for header in ["Basic eDp5", "Bearer", "Bearer ", "bearer x y"] {
        let request = Server::client()
            .get(server.url("/api/logins"))
            .header("authorization", header);
        problem(request.send().await.unwrap(), 401, "unauthorized").await;
        if header == "Bearer " {
            break;
        }
    }
}

#[tokio::test]
async fn without_a_login_on_loopback() {
    let server = Setup::new().env("MIRA_AUTH", "off").start();
    server.stderr.wait_for("MIRA_AUTH=off");
    let response = Server::client().get(server.url("/api/logins")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(!server.stderr.all().iter().any(|line| line.contains("#login=")));
}
