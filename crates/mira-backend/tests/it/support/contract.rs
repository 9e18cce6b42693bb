//! The served OpenAPI document as a judge: every JSON answer a test sees must be what the document says, and say
//! nothing the document does not know. Frames of sockets and event streams are judged by the objects they carry.

use super::server::{Server, json};
use jsonschema::Validator;
use serde_json::{Value, json as value};
use std::{collections::HashMap, sync::Mutex, sync::OnceLock};

/// The document and the validators made from it so far.
pub struct Contract {
    document: Value,
    validators: Mutex<HashMap<String, &'static Validator>>,
}

static CONTRACT: OnceLock<Contract> = OnceLock::new();

/// The contract as this build serves it; asked for once in a test run.
pub async fn contract(server: &Server) -> &'static Contract {
    if let Some(contract) = CONTRACT.get() {
        return contract;
    }
    let document = json(server.get("/api/openapi.json").await).await;
    CONTRACT.get_or_init(|| Contract::new(document))
}

impl Contract {
    fn new(mut document: Value) -> Self {
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "OpenAPI 3.1");
        for (_, schema) in document["components"]["schemas"].as_object_mut().unwrap() {
            // A field that is sent but not described would otherwise pass.
            if schema.get("properties").is_some() {
                schema["additionalProperties"] = Value::Bool(false);
            }
        }
        Self {
            document,
            validators: Mutex::default(),
        }
    }

    /// The document, objects closed.
    pub fn document(&self) -> &Value {
        &self.document
    }

    fn validator(&self, schema: &Value) -> &'static Validator {
        let mut known = self.validators.lock().unwrap();
        known.entry(schema.to_string()).or_insert_with(|| {
            let mut root = schema.clone();
            root["$schema"] = value!("https://json-schema.org/draft/2020-12/schema");
            root["components"] = self.document["components"].clone();
            // One for each of a few dozen schemas, kept to the end of the test run.
            Box::leak(Box::new(jsonschema::validator_for(&root).unwrap()))
        })
    }

    fn judge(&self, schema: &Value, found: &Value, what: &str) {
        let errors: Vec<String> = self
            .validator(schema)
            .iter_errors(found)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{what} is not as described: {errors:#?}\n{found:#}");
    }

    /// Checks an object by the name of its schema.
    pub fn object(&self, name: &str, found: &Value) {
        let place = format!("#/components/schemas/{name}");
        self.judge(&value!({ "$ref": place }), found, name);
    }

    /// The operation of a path, whose parts may stand for parameters.
    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let path = path.split('?').next().unwrap();
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |template: &str| {
            let template: Vec<&str> = template.split('/').collect();
            // The parameter `path` at the end takes slashes.
            let deep = template.last() == Some(&"{path}") && template.len() < parts.len();
            (deep || template.len() == parts.len())
                && template
                    .iter()
                    .zip(&parts)
                    .all(|(want, found)| want.starts_with('{') || want == found)
        };
        let paths = self.document["paths"].as_object().unwrap();
        // A literal path goes before one with parameters.
        let exact = paths.get(path);
        let item = exact.or_else(|| paths.iter().find(|(template, _)| fits(template)).map(|(_, item)| item));
        item?.get(method.to_ascii_lowercase())
    }

    /// Checks a whole answer. `body` is `None` where there is none, or none that is JSON.
    pub fn answer(&self, method: &str, path: &str, status: u16, media_type: &str, body: Option<&Value>) {
        let what = format!("{method} {path} {status}");
        let Some(operation) = self.operation(method, path) else {
            // What is not described is answered with a problem.
            assert!(matches!(status, 404 | 405), "{what} is not described");
            self.object("Problem", body.unwrap());
            return;
        };
        let responses = &operation["responses"];
        let response = responses.get(status.to_string()).or_else(|| responses.get("default"));
        let response = response.unwrap_or_else(|| panic!("{what}: this status is not described"));
        let Some(content) = response.get("content") else {
            assert_eq!(body, None, "{what}: no body is described");
            return;
        };
        let essence = media_type.split(';').next().unwrap().trim();
        let described = content.get(essence);
        let described = described.unwrap_or_else(|| panic!("{what}: {essence:?} is not among {content}"));
        if let Some(body) = body {
            self.judge(&described["schema"], body, &what);
        }
    }

    /// Checks the objects that a frame carries.
    pub fn frame(&self, frame: &Value) {
        let kind = frame["type"].as_str().expect("every frame has a type");
        match kind {
            "hello" => self.object("Session", &frame["session"]),
            "message" | "complete" => self.object("Message", &frame["message"]),
            "error" => {
                self.object("Problem", &frame["error"]);
                assert!(frame["retryable"].is_boolean(), "{frame}");
                if let Some(message) = frame.get("message") {
                    self.object("Message", message);
                }
            }
            "session" if frame["action"] != "deleted" => self.object("Session", &frame["object"]),
            "memory" if frame["action"] != "deleted" => self.object("Memory", &frame["object"]),
            "project" if frame["action"] != "deleted" => self.object("Project", &frame["object"]),
            "artifact" if frame["action"] != "deleted" => self.object("Artifact", &frame["object"]),
            "file" if frame["action"] != "deleted" => self.object("File", &frame["object"]),
            "git" if frame["action"] != "deleted" => self.object("Repo", &frame["object"]),
            "index" => self.object("IndexObject", &frame["object"]),
            "proposal" => self.object("Proposal", &frame["object"]),
            "approval_state" => self.object("Approval", &frame["object"]),
            "session" | "memory" | "project" | "artifact" | "file" | "git" => {
                assert!(frame["object"]["id"].is_string(), "{frame}");
            }
            "recall" => {
                for memory in frame["memories"].as_array().unwrap() {
                    self.object("Recalled", memory);
                }
            }
            "tool_call" => assert!(frame["tool"].is_string() && frame["effect"].is_string(), "{frame}"),
            "approval" => assert!(
                ["approval_id", "tool_call_id", "tool", "reason", "expires_at"]
                    .iter()
                    .all(|field| frame[field].is_string()),
                "{frame}"
            ),
            "citation" => {
                let mut citation = frame.clone();
                let fields = citation.as_object_mut().unwrap();
                fields
                    .retain(|name, _| !["type", "session_id", "seq", "turn_id", "message_id"].contains(&name.as_str()));
                self.object("Citation", &citation);
            }
            "tool_result" => self.object(
                "ToolResult",
                &value!({
                    "tool_call_id": frame["tool_call_id"], "tool_type": frame["tool_type"],
                    "status": frame["status"], "data": frame["data"],
                }),
            ),
            "status" | "persona" | "chunk" | "done" | "html" | "reset" => {
                assert!(frame["session_id"].is_string(), "{frame}");
            }
            "typing" => assert!(frame["active"].is_boolean(), "{frame}"),
            "pong" | "heartbeat" => {}
            other => panic!("nobody knows frames of type {other:?}"),
        }
        let in_log = matches!(
            kind,
            "message"
                | "status"
                | "recall"
                | "persona"
                | "chunk"
                | "tool_call"
                | "approval"
                | "tool_result"
                | "citation"
                | "complete"
                | "done"
        );
        assert!(
            !in_log || frame["seq"].is_u64() || frame.get("turn_id").is_none(),
            "an event of a turn without its number: {frame}"
        );
        let of_reply = matches!(
            kind,
            "chunk" | "tool_call" | "approval" | "tool_result" | "citation" | "complete" | "done"
        );
        if of_reply && frame.get("turn_id").is_some() {
            assert!(frame["message_id"].is_string(), "{frame}");
        }
    }
}
