//! The file that names the servers: `{"mcpServers": {name: ...}}`, as Claude Desktop, Cursor and VS Code write it. What
//! else such files hold is ignored; what is wrong is listed whole, and no value of the file is ever in a message.

use crate::names::slug;
use mira_net::{
    Url,
    header::{ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING},
};
use serde_json::{Map, Value};
use std::{fmt, path::PathBuf};

/// The most servers.
const MOST_SERVERS: usize = 32;
/// The longest name of a server, in characters.
const MOST_NAME_CHARS: usize = 64;

/// Headers that are the connection's own.
const OWN_HEADERS: [HeaderName; 6] = [
    ACCEPT,
    CONNECTION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    HOST,
    TRANSFER_ENCODING,
];

/// Something wrong in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Where: the keys from the outside in, like `mcpServers.github.env.TOKEN`.
    pub place: String,
    /// What.
    pub reason: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

/// When a call waits for the owner's click.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Approval {
    /// Never: the owner vouches for what its tools do.
    Never,
    /// Where calls that reach beyond Mira wait for it.
    #[default]
    Outside,
}

/// A server the owner named.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerSpec {
    /// Its name in the file, for showing.
    pub name: String,
    /// The part of its tools' names that stands for it.
    pub slug: String,
    /// How it is reached.
    pub reach: Reach,
    /// Whether it is left alone.
    pub disabled: bool,
    /// When its calls wait for a click.
    pub approval: Approval,
    /// Whether what it says of its own tools (that they only read) is believed.
    pub trusted: bool,
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq)]
pub enum Reach {
    /// A program that is talked to over its standard input and output.
    Program(Program),
    /// An address (streamable HTTP).
    Remote(Remote),
}

/// A program.
#[derive(Clone, PartialEq, Eq)]
pub struct Program {
    /// The program: a path, or a name found in `PATH`.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// What of the environment it gets beside the few variables every program gets.
    pub env: Vec<(String, String)>,
    /// Where it starts.
    pub cwd: Option<PathBuf>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments and variables hold secrets.
        f.debug_struct("Program")
            .field("command", &self.command)
            .finish_non_exhaustive()
    }
}

/// An address.
#[derive(Clone, PartialEq, Eq)]
pub struct Remote {
    /// Where.
    pub url: Url,
    /// Sent with every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Paths, queries and headers hold secrets.
        f.debug_struct("Remote")
            .field("host", &self.url.host_str())
            .finish_non_exhaustive()
    }
}

/// Reads the file's text. `variable` looks up what `${NAME}` stands for.
pub fn parse_config(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<ServerSpec>, Vec<ConfigProblem>> {
    let mut reader = Reader {
        variable,
        problems: Vec::new(),
    };
    let specs = reader.file(text);
    if reader.problems.is_empty() {
        Ok(specs)
    } else {
        Err(reader.problems)
    }
}

struct Reader<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<ConfigProblem>,
}

impl Reader<'_> {
    fn wrong(&mut self, place: &str, reason: impl Into<String>) {
        self.problems.push(ConfigProblem {
            place: place.to_owned(),
            reason: reason.into(),
        });
    }

    fn file(&mut self, text: &str) -> Vec<ServerSpec> {
        let file: Value = match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
            Ok(value) => value,
            Err(error) => {
                self.wrong(&format!("line {}", error.line()), "is not valid JSON");
                return Vec::new();
            }
        };
        let Some(servers) = file.get("mcpServers").and_then(Value::as_object) else {
            self.wrong("mcpServers", "is missing, or no object of servers");
            return Vec::new();
        };
        if servers.len() > MOST_SERVERS {
            self.wrong("mcpServers", format!("at most {MOST_SERVERS} servers"));
        }
        let mut specs: Vec<ServerSpec> = Vec::new();
        for (name, server) in servers {
            let place = format!("mcpServers.{}", crate::error::tame(name));
            let Some(spec) = self.server(&place, name, server) else {
                continue;
            };
            if let Some(other) = specs.iter().find(|other| other.slug == spec.slug) {
                let reason = format!(
                    "its name is too much like {:?}: their tools would be called the same",
                    other.name
                );
                self.wrong(&place, reason);
            }
            specs.push(spec);
        }
        specs
    }

    fn server(&mut self, place: &str, name: &str, server: &Value) -> Option<ServerSpec> {
        let Some(fields) = server.as_object() else {
            self.wrong(place, "is no object");
            return None;
        };
        let slug = slug(name).filter(|_| name.chars().count() <= MOST_NAME_CHARS && !name.contains(char::is_control));
        if slug.is_none() {
            let reason =
                format!("its name must have 1 to {MOST_NAME_CHARS} characters, with a letter from a to z or a digit");
            self.wrong(place, reason);
        }
        let disabled = self.flag(place, fields, "disabled");
        let trusted = self.flag(place, fields, "trusted");
        let approval = self.approval(place, fields);
        let reach = self.reach(place, fields);
        Some(ServerSpec {
            name: name.to_owned(),
            slug: slug?,
            reach: reach?,
            disabled,
            approval,
            trusted,
        })
    }

    fn flag(&mut self, place: &str, fields: &Map<String, Value>, key: &str) -> bool {
        match fields.get(key) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                self.wrong(&format!("{place}.{key}"), "is neither true nor false");
                false
            }
        }
    }

    fn approval(&mut self, place: &str, fields: &Map<String, Value>) -> Approval {
        match fields.get("approval").map(|value| value.as_str()) {
            None | Some(Some("outside")) => Approval::Outside,
            Some(Some("never")) => Approval::Never,
            Some(_) => {
                self.wrong(&format!("{place}.approval"), "is not one of never, outside");
                Approval::Outside
            }
        }
    }

    fn reach(&mut self, place: &str, fields: &Map<String, Value>) -> Option<Reach> {
        let (command, url) = (fields.get("command"), fields.get("url"));
        let kind = match fields.get("type").map(|kind| kind.as_str()) {
            None => None,
            Some(Some("stdio")) => Some(true),
            Some(Some("http" | "streamable-http" | "streamableHttp")) => Some(false),
            Some(Some("sse")) => {
                let reason = "the old transport `sse` is not spoken; the server must offer streamable HTTP";
                self.wrong(&format!("{place}.type"), reason);
                return None;
            }
            Some(_) => {
                self.wrong(&format!("{place}.type"), "is not one of stdio, http");
                return None;
            }
        };
        match (command, url) {
            (Some(_), Some(_)) => {
                self.wrong(place, "has both `command` and `url`; keep one");
                None
            }
            (None, None) => {
                self.wrong(place, "has neither `command` nor `url`");
                None
            }
            (Some(_), None) if kind == Some(false) => {
                self.wrong(
                    &format!("{place}.type"),
                    "is http, but there is a `command` and no `url`",
                );
                None
            }
            (None, Some(_)) if kind == Some(true) => {
                self.wrong(
                    &format!("{place}.type"),
                    "is stdio, but there is a `url` and no `command`",
                );
                None
            }
            (Some(command), None) => self.program(place, fields, command).map(Reach::Program),
            (None, Some(url)) => self.remote(place, fields, url).map(Reach::Remote),
        }
    }

    fn program(&mut self, place: &str, fields: &Map<String, Value>, command: &Value) -> Option<Program> {
        let command = self.text(&format!("{place}.command"), command);
        if command.as_deref().is_some_and(|command| command.trim().is_empty()) {
            self.wrong(&format!("{place}.command"), "is empty");
        }
        let args = match fields.get("args") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => {
                let texts = items.iter().enumerate();
                texts
                    .filter_map(|(n, item)| self.text(&format!("{place}.args.{n}"), item))
                    .collect()
            }
            Some(_) => {
                self.wrong(&format!("{place}.args"), "is no list of texts");
                Vec::new()
            }
        };
        let mut env = Vec::new();
        for (name, value) in self.pairs(place, fields, "env") {
            if name.is_empty() || name.contains(['=', '\0']) {
                self.wrong(&format!("{place}.env"), "has a name that no variable can have");
            }
            env.push((name, value));
        }
        let cwd = match fields.get("cwd") {
            None | Some(Value::Null) => None,
            Some(value) => self.text(&format!("{place}.cwd"), value).map(PathBuf::from),
        };
        if cwd.as_deref().is_some_and(|cwd| !cwd.is_absolute()) {
            self.wrong(&format!("{place}.cwd"), "is no absolute path");
        }
        Some(Program {
            command: command?,
            args,
            env,
            cwd,
        })
    }

    fn remote(&mut self, place: &str, fields: &Map<String, Value>, url: &Value) -> Option<Remote> {
        let url_place = format!("{place}.url");
        let url = self.text(&url_place, url);
        let mut headers = Vec::new();
        for (name, value) in self.pairs(place, fields, "headers") {
            let header_place = format!("{place}.headers.{}", crate::error::tame(&name));
            let parsed = (name.parse::<HeaderName>(), HeaderValue::from_str(&value));
            let (Ok(name), Ok(mut value)) = parsed else {
                self.wrong(&header_place, "is no header");
                continue;
            };
            if OWN_HEADERS.contains(&name) || name.as_str().starts_with("mcp-") || name == "last-event-id" {
                self.wrong(&header_place, "is set by Mira herself");
                continue;
            }
            value.set_sensitive(true);
            headers.push((name, value));
        }
        let url = match url?.parse::<Url>() {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
            _ => {
                self.wrong(&url_place, "is no http or https address");
                return None;
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            self.wrong(&url_place, "carries credentials; put them into `headers`");
            return None;
        }
        Some(Remote { url, headers })
    }

    fn pairs(&mut self, place: &str, fields: &Map<String, Value>, key: &str) -> Vec<(String, String)> {
        match fields.get(key) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Object(pairs)) => pairs
                .iter()
                .filter_map(|(name, value)| {
                    let place = format!("{place}.{key}.{}", crate::error::tame(name));
                    // People write numbers and switches without quotes.
                    let plain = match value {
                        Value::Number(number) => Value::String(number.to_string()),
                        Value::Bool(flag) => Value::String(flag.to_string()),
                        other => other.clone(),
                    };
                    Some((name.clone(), self.text(&place, &plain)?))
                })
                .collect(),
            Some(_) => {
                self.wrong(&format!("{place}.{key}"), "is no object of texts");
                Vec::new()
            }
        }
    }

    /// A text with its variables filled in.
    fn text(&mut self, place: &str, value: &Value) -> Option<String> {
        let Some(text) = value.as_str() else {
            self.wrong(place, "is no text");
            return None;
        };
        if text.contains('\0') {
            self.wrong(place, "holds a NUL character");
            return None;
        }
        match expand(text, self.variable) {
            Ok(text) => Some(text),
            Err(name) => {
                self.wrong(
                    place,
                    format!("names ${{{}}}, which is not set", crate::error::tame(&name)),
                );
                None
            }
        }
    }
}

/// Fills in `${NAME}`, `${env:NAME}` and `${NAME:-default}`; the error is the name of what is not set. Anything else
/// after a `$` stays as it is.
fn expand(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((inner, tail)) = after.split_once('}') else {
            out.push_str("${");
            rest = after;
            continue;
        };
        let (name, default) = match inner.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inner, None),
        };
        let name = name.strip_prefix("env:").unwrap_or(name);
        match variable(name).or_else(|| default.map(str::to_owned)) {
            Some(value) => out.push_str(&value),
            None => return Err(name.to_owned()),
        }
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        (name == "TOKEN").then(|| "s3cret".to_owned())
    }

    #[test]
    fn a_file_as_others_write_it() {
        let text = r#"{"mcpServers": {
            "files": {"command": "npx", "args": ["-y", "server", "${TOKEN}"], "env": {"KEY": "${env:TOKEN}", "PORT": 8}, "cwd": "/srv", "autoApprove": []},
            "far away": {"type": "http", "url": "https://mcp.example/mcp", "headers": {"Authorization": "Bearer ${TOKEN}", "x-b": "${B:-no}"}, "approval": "never", "trusted": true},
            "off": {"url": "https://mcp.example/", "disabled": true}
        }, "globalShortcut": ""}"#;
        let specs = parse_config(text, &lookup).unwrap();
        assert_eq!(
            specs.iter().map(|spec| spec.slug.as_str()).collect::<Vec<_>>(),
            ["files", "far_away", "off"]
        );
        let Reach::Program(program) = &specs[0].reach else {
            panic!("{specs:?}")
        };
        assert_eq!(program.args, ["-y", "server", "s3cret"]);
        assert_eq!(
            program.env,
            [("KEY".into(), "s3cret".into()), ("PORT".into(), "8".into())]
        );
        let Reach::Remote(remote) = &specs[1].reach else {
            panic!("{specs:?}")
        };
        assert_eq!(remote.headers[0].1, "Bearer s3cret");
        assert_eq!(remote.headers[1].1, "no");
        assert_eq!((specs[1].approval, specs[1].trusted), (Approval::Never, true));
        assert!(specs[2].disabled && !specs[0].disabled);
        assert!(!format!("{specs:?}").contains("s3cret"), "{specs:?}");
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let text = r#"{"mcpServers": {
            "a": {},
            "b": {"command": "x", "url": "https://x.example"},
            "c": {"command": 7, "args": "no", "env": {"A=B": "x", "C": null}, "cwd": "here"},
            "d": {"url": "ftp://x", "headers": {"bad header": "x", "host": "x", "X": "a\nb"}},
            "e": {"url": "https://u:p@x.example", "approval": "always", "disabled": "yes"},
            "f": {"type": "sse", "url": "https://x.example"},
            "g": {"type": "http", "command": "x"},
            "h": {"command": "x", "env": {"T": "${MISSING}"}},
            "my server": {"command": "x"},
            "my_server": {"command": "x"},
            "é": {"command": "x"},
            "i": []
        }}"#;
        let problems = parse_config(text, &lookup).unwrap_err();
        let places: Vec<&str> = problems.iter().map(|problem| problem.place.as_str()).collect();
        assert_eq!(
            places,
            [
                "mcpServers.a",
                "mcpServers.b",
                "mcpServers.c.command",
                "mcpServers.c.args",
                "mcpServers.c.env.C",
                "mcpServers.c.env",
                "mcpServers.c.cwd",
                "mcpServers.d.headers.bad header",
                "mcpServers.d.headers.host",
                "mcpServers.d.headers.X",
                "mcpServers.d.url",
                "mcpServers.e.disabled",
                "mcpServers.e.approval",
                "mcpServers.e.url",
                "mcpServers.f.type",
                "mcpServers.g.type",
                "mcpServers.h.env.T",
                "mcpServers.my_server",
                "mcpServers.é",
                "mcpServers.i",
            ]
        );
        for (text, place) in [
            ("{", "line 1"),
            ("[]", "mcpServers"),
            (r#"{"mcpServers": 1}"#, "mcpServers"),
        ] {
            assert_eq!(parse_config(text, &lookup).unwrap_err()[0].place, place, "{text}");
        }
    }

    #[test]
    fn variables() {
        let check = |text: &str, expect: Result<&str, &str>| {
            let expect = expect.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(expand(text, &lookup), expect, "{text}");
        };
        check("plain $5 {x}", Ok("plain $5 {x}"));
        check("${TOKEN}${TOKEN}", Ok("s3crets3cret"));
        check("a${NONE:-b}c", Ok("abc"));
        check("a${NONE:-}c", Ok("ac"));
        check("${NONE}", Err("NONE"));
        check("${TOKEN", Ok("${TOKEN"));
        check("${}", Err(""));
    }
}
