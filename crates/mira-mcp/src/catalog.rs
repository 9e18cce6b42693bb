//! What a server says it can do: its list of tools, checked and cut.

use crate::{
    config::ServerSpec,
    error::tame,
    names::full_name,
    schema::refusal,
    strict::{Shape, shape},
};
use serde_json::{Map, Value};
use std::{collections::HashSet, sync::Arc};

/// The most tools of one server.
pub(crate) const MOST_TOOLS: usize = 128;
/// The longest schema, in bytes.
const MOST_SCHEMA_BYTES: usize = 64 * 1024;
/// The longest description, in characters.
const MOST_DESCRIPTION_CHARS: usize = 1024;
/// The longest name of a tool, in characters.
const MOST_NAME_CHARS: usize = 128;
/// So many of the tools that are left out are named.
const MOST_LEFT_OUT: usize = 32;

/// A tool of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct McpTool {
    /// The server's name.
    pub server: Arc<str>,
    /// Its name there.
    pub name: Arc<str>,
    /// What a model calls it: `[a-zA-Z0-9_-]{1,64}`.
    pub full_name: Arc<str>,
    /// What it is for, in the server's words, cut.
    pub description: Arc<str>,
    /// The JSON Schema of its arguments, as the server wrote it.
    pub schema: Arc<Map<String, Value>>,
    /// How its arguments are asked of a model.
    pub shape: Arc<Shape>,
    /// Whether the server says that it only looks. A hint, and no more than the owner trusts the server.
    pub read_only_hint: bool,
}

/// A tool that is not offered, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The name a model would call it by.
    pub full_name: String,
    /// Why.
    pub reason: String,
}

/// The tools of a server.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Catalog {
    /// By full name.
    pub tools: Vec<McpTool>,
    /// Those that cannot be offered.
    pub left_out: Vec<LeftOut>,
    names: HashSet<String>,
}

impl Catalog {
    /// Takes up a page of the list; whether there is room for more.
    pub fn take(&mut self, spec: &ServerSpec, page: &Value) -> Result<bool, &'static str> {
        let tools = page.get("tools").and_then(Value::as_array).ok_or("it is no list")?;
        for tool in tools {
            if self.tools.len() >= MOST_TOOLS {
                let reason = format!("the server lists more than {MOST_TOOLS} tools; the rest of them is left out");
                self.leave_out(&format!("mcp__{}__", spec.slug), reason);
                return Ok(false);
            }
            self.take_one(spec, tool);
        }
        Ok(true)
    }

    /// In the order they are offered in.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.tools.sort_by(|a, b| a.full_name.cmp(&b.full_name));
        self
    }

    fn take_one(&mut self, spec: &ServerSpec, tool: &Value) {
        let Some(name) = tool.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) else {
            return self.leave_out(&format!("mcp__{}__", spec.slug), "a tool has no name".to_owned());
        };
        let full_name = full_name(&spec.slug, name);
        if name.chars().count() > MOST_NAME_CHARS {
            let reason = format!("its name has more than {MOST_NAME_CHARS} characters");
            return self.leave_out(&full_name, reason);
        }
        if self.names.contains(&full_name) {
            return self.leave_out(&full_name, "it is listed twice".to_owned());
        }
        let empty = Value::Object(Map::new());
        let schema = tool.get("inputSchema").unwrap_or(&empty);
        if let Some(why) = refusal(schema) {
            return self.leave_out(&full_name, why.to_owned());
        }
        if schema.to_string().len() > MOST_SCHEMA_BYTES {
            let reason = format!("its schema is larger than {MOST_SCHEMA_BYTES} bytes");
            return self.leave_out(&full_name, reason);
        }
        let Value::Object(schema) = schema.clone() else {
            return;
        };
        let said = |key: &str| {
            tool.get(key)
                .and_then(Value::as_str)
                .map(str::trim)
                .filter(|text| !text.is_empty())
        };
        let description = said("description")
            .or_else(|| said("title"))
            .unwrap_or("(no description)");
        self.names.insert(full_name.clone());
        self.tools.push(McpTool {
            server: spec.name.as_str().into(),
            name: name.into(),
            full_name: full_name.into(),
            description: cut(description).into(),
            shape: Arc::new(shape(&schema)),
            schema: Arc::new(schema),
            read_only_hint: tool.pointer("/annotations/readOnlyHint") == Some(&Value::Bool(true)),
        });
    }

    fn leave_out(&mut self, full_name: &str, reason: String) {
        if self.left_out.len() < MOST_LEFT_OUT {
            let full_name = tame(full_name);
            self.left_out.push(LeftOut { full_name, reason });
        }
    }
}

/// A description as it is shown and told: line ends stay, other control characters do not.
fn cut(text: &str) -> String {
    let kept = text.chars().filter(|c| !c.is_control() || *c == '\n');
    kept.take(MOST_DESCRIPTION_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_config;
    use serde_json::json;

    fn spec() -> ServerSpec {
        parse_config(r#"{"mcpServers": {"s": {"command": "x"}}}"#, &|_| None)
            .unwrap()
            .remove(0)
    }

    #[test]
    fn what_cannot_be_offered_is_left_out_with_its_reason() {
        let mut catalog = Catalog::default();
        let huge = "x".repeat(MOST_SCHEMA_BYTES);
        let page = json!({"tools": [
            {"name": "z", "description": "a\u{7}b\n c", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}},
            {"name": "a", "description": "d".repeat(5000)},
            {"name": "a"},
            {"name": "wrong", "inputSchema": {"type": "string"}},
            {"name": "none", "inputSchema": null},
            {"name": "huge", "inputSchema": {"type": "object", "title": huge}},
            {"name": ""}, 7, {"name": "n".repeat(200)},
        ]});
        assert_eq!(catalog.take(&spec(), &page), Ok(true));
        let catalog = catalog.sorted();
        let names: Vec<&str> = catalog.tools.iter().map(|tool| &*tool.full_name).collect();
        assert_eq!(names, ["mcp__s__a", "mcp__s__z"]);
        assert_eq!(catalog.tools[0].description.len(), MOST_DESCRIPTION_CHARS);
        assert_eq!(&*catalog.tools[1].description, "ab\n c");
        assert!(catalog.tools[1].read_only_hint && !catalog.tools[0].read_only_hint);
        let reasons: Vec<&str> = catalog.left_out.iter().map(|left| left.reason.as_str()).collect();
        assert_eq!(
            reasons,
            [
                "it is listed twice",
                "its schema is not that of an object",
                "its schema is no object",
                "its schema is larger than 65536 bytes",
                "a tool has no name",
                "a tool has no name",
                "its name has more than 128 characters",
            ]
        );
    }

    #[test]
    fn a_list_has_an_end() {
        let tools: Vec<Value> = (0..10_000).map(|n| json!({"name": format!("t{n}")})).collect();
        let mut catalog = Catalog::default();
        assert_eq!(catalog.take(&spec(), &json!({ "tools": tools })), Ok(false));
        assert_eq!((catalog.tools.len(), catalog.left_out.len()), (MOST_TOOLS, 1));
        assert!(Catalog::default().take(&spec(), &json!({})).is_err());
    }
}
