//! `GET /api/openapi.json` and a plain page to read it. Both need the login.

use crate::api::openapi;
use axum::{
    http::header,
    response::{Html, IntoResponse, Response},
};
use std::fmt::Write;

/// This document.
#[utoipa::path(get, path = "/api/openapi.json", tag = "operation", responses(
    (status = 200, description = "OpenAPI 3.1", body = serde_json::Value),
    (status = 401, description = "Not logged in", body = crate::api::error::Problem, content_type = "application/problem+json"),
))]
pub async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi::document_text()).into_response()
}

/// The document as a page without scripts.
#[utoipa::path(get, path = "/api/docs", tag = "operation", responses(
    (status = 200, description = "A page", body = String, content_type = "text/html"),
    (status = 401, description = "Not logged in", body = crate::api::error::Problem, content_type = "application/problem+json"),
))]
pub async fn page() -> Html<String> {
    Html(render(&openapi::document()))
}

fn render(document: &serde_json::Value) -> String {
    let mut out = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Mira's API</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <link rel=\"stylesheet\" href=\"../css/base.css\"></head><body><main><h1>Mira's API</h1>\
         <p><a href=\"openapi.json\">The OpenAPI document</a></p>",
    );
    let empty = serde_json::Map::new();
    let paths = document
        .get("paths")
        .and_then(|paths| paths.as_object())
        .unwrap_or(&empty);
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap_or(&empty) {
            // Writing to a String cannot fail.
            write_operation(&mut out, method, path, operation).unwrap_or_default();
        }
    }
    out.push_str("</main></body></html>");
    out
}

fn write_operation(out: &mut String, method: &str, path: &str, operation: &serde_json::Value) -> std::fmt::Result {
    let text = |name: &str| escape(operation.get(name).and_then(|value| value.as_str()).unwrap_or_default());
    write!(
        out,
        "<section><h2><code>{} {}</code></h2>",
        escape(&method.to_uppercase()),
        escape(path)
    )?;
    write!(out, "<p>{} {}</p><dl>", text("summary"), text("description"))?;
    let parameters = operation.get("parameters").and_then(|list| list.as_array());
    for parameter in parameters.into_iter().flatten() {
        let part = |name: &str| escape(parameter.get(name).and_then(|value| value.as_str()).unwrap_or_default());
        write!(
            out,
            "<dt><code>{}</code> ({})</dt><dd>{}</dd>",
            part("name"),
            part("in"),
            part("description")
        )?;
    }
    let responses = operation.get("responses").and_then(|map| map.as_object());
    for (status, response) in responses.into_iter().flatten() {
        let description = response
            .get("description")
            .and_then(|value| value.as_str())
            .unwrap_or_default();
        write!(out, "<dt>{}</dt><dd>{}</dd>", escape(status), escape(description))?;
    }
    out.write_str("</dl></section>")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
