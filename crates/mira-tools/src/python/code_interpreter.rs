//! `code_interpreter`: runs Python where it can harm nothing, and gives back what it printed and made.

use super::{Ended, Exit, PythonDoor};
use crate::{About, CallContext, Concurrency, Output, Tool, ToolError};
use mira_core::{ids::FileId, tool::Effect};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::HashSet, sync::Arc, time::Duration};

/// The most files that can be put in.
const MOST_FILES: usize = 20;
/// What a model reads of each kind of output now, in characters; the middle is left out.
const TOLD_CHARS: usize = 24_000;
/// What is kept of it for later turns.
const KEPT_CHARS: usize = 2_000;
/// What clients are shown of it.
const SHOWN_CHARS: usize = 32_000;

/// The tool.
pub struct CodeInterpreter(pub Arc<dyn PythonDoor>);

/// What a call says.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Arguments {
    /// The whole program; nothing is left of earlier calls.
    code: String,
    /// Ids of the owner's files it needs; they lie in the current folder under their names. Null for none.
    files: Option<Vec<String>>,
}

impl Tool for CodeInterpreter {
    type Arguments = Arguments;

    fn about(&self) -> About {
        About {
            name: "code_interpreter",
            description: "Runs Python 3 and gives back what it prints, the value of a last expression, and the files it \
                writes into the current folder; figures of matplotlib that are left open are saved as figure-1.png and \
                so on. Each call starts afresh, without network, for at most a minute; pandas, numpy and matplotlib may \
                be there or not. Use it to compute, to look into the owner's files and to draw plots instead of \
                guessing. The owner sees the code, its output and its files; do not repeat them.",
            effect: Effect::Read,
            concurrency: Concurrency::Together,
            timeout: Duration::from_secs(90),
        }
    }

    fn unavailable(&self) -> Option<String> {
        self.0.unavailable()
    }

    async fn run(&self, context: &CallContext, arguments: Arguments) -> Result<Output, ToolError> {
        if arguments.code.trim().is_empty() {
            return Err(ToolError::Arguments("the code is empty".to_owned()));
        }
        let files = parse_ids(arguments.files.unwrap_or_default())?;
        let from_files = !files.is_empty();
        let ended = self.0.run(context, arguments.code, files).await?;
        Ok(Output {
            kept: Some(told(&ended, KEPT_CHARS)),
            // Anybody may have written what lies in a file.
            untrusted: from_files,
            ..Output::new(told(&ended, TOLD_CHARS), shown(&ended))
        })
    }
}

fn parse_ids(ids: Vec<String>) -> Result<Vec<FileId>, ToolError> {
    if ids.len() > MOST_FILES {
        return Err(ToolError::Arguments(format!("at most {MOST_FILES} files")));
    }
    let (mut seen, mut parsed) = (HashSet::new(), Vec::new());
    for id in ids {
        let id: FileId = id
            .trim()
            .parse()
            .map_err(|error| ToolError::Arguments(format!("{id:?}: {error}")))?;
        if seen.insert(id) {
            parsed.push(id);
        }
    }
    Ok(parsed)
}

/// What a model reads, with at most so many characters of each kind of output.
fn told(ended: &Ended, most: usize) -> String {
    let mut lines: Vec<String> = reason(ended.exit).into_iter().collect();
    for (name, printed) in [("output", &ended.stdout), ("errors", &ended.stderr)] {
        if !printed.trim().is_empty() {
            lines.push(format!("{name}:\n{}", shortened(printed.trim_end(), most)));
        }
    }
    lines.extend(ended.files.iter().map(|made| {
        format!(
            "made file {}: {:?}, {}, {} bytes",
            made.id, made.name, made.media_type, made.size
        )
    }));
    if ended.left_out > 0 {
        lines.push(format!(
            "{} more files were too many or too large and are lost",
            ended.left_out
        ));
    }
    if lines.is_empty() {
        lines.push("it ended well and printed nothing".to_owned());
    }
    lines.join("\n")
}

/// Why a run did not end well.
fn reason(exit: Exit) -> Option<String> {
    Some(match exit {
        Exit::Code(0) => return None,
        Exit::Code(code) => format!("it failed with exit code {code}"),
        Exit::Signal(signal) => format!("it was ended by signal {signal}"),
        Exit::WallTime => "it was stopped: it took too long".to_owned(),
        Exit::CpuTime => "it was stopped: it computed for too long".to_owned(),
        Exit::Memory => "it was stopped: it took too much memory".to_owned(),
        Exit::Files => "it was stopped: it made too many files".to_owned(),
        Exit::Output => "it was stopped: it printed too much".to_owned(),
    })
}

/// What clients draw.
fn shown(ended: &Ended) -> Value {
    let (exit, code) = match ended.exit {
        Exit::Code(0) => ("ok", Some(0)),
        Exit::Code(code) => ("failed", Some(code)),
        Exit::Signal(_) => ("signal", None),
        Exit::WallTime => ("time", None),
        Exit::CpuTime => ("cpu_time", None),
        Exit::Memory => ("memory", None),
        Exit::Files => ("files", None),
        Exit::Output => ("output", None),
    };
    let files: Vec<Value> = ended
        .files
        .iter()
        .map(|made| {
            json!({
                "id": made.id.to_string(),
                "name": made.name,
                "media_type": made.media_type,
                "size": made.size,
            })
        })
        .collect();
    json!({
        "exit": exit,
        "exit_code": code,
        "stdout": shortened(&ended.stdout, SHOWN_CHARS),
        "stderr": shortened(&ended.stderr, SHOWN_CHARS),
        "files": files,
        "files_left_out": ended.left_out,
    })
}

/// The beginning and the end of a long text: results come first or last, seldom in the middle.
fn shortened(text: &str, most: usize) -> String {
    let chars = text.chars().count();
    if chars <= most {
        return text.to_owned();
    }
    let half = most / 2;
    let head: String = text.chars().take(half).collect();
    let tail: String = text.chars().skip(chars - half).collect();
    format!("{head}\n({} characters left out)\n{tail}", chars - 2 * half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Doorway, python::Made};
    use futures_util::FutureExt;
    use mira_core::ids::{AccountId, MessageId, ToolCallId, TurnId};
    use std::sync::Mutex;
    use uuid::Uuid;

    struct Door {
        ended: Ended,
        asked: Mutex<Vec<(String, usize)>>,
    }

    impl PythonDoor for Door {
        fn unavailable(&self) -> Option<String> {
            None
        }

        fn run<'a>(&'a self, _: &'a CallContext, code: String, files: Vec<FileId>) -> Doorway<'a, Ended> {
            self.asked.lock().unwrap().push((code, files.len()));
            async { Ok(self.ended.clone()) }.boxed()
        }
    }

    fn ended(exit: Exit, stdout: &str, stderr: &str) -> Ended {
        Ended {
            exit,
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
            files: Vec::new(),
            left_out: 0,
        }
    }

    fn context() -> CallContext {
        CallContext {
            account: AccountId::OWNER,
            session: "eternal".parse().unwrap(),
            project: None,
            turn: TurnId(Uuid::nil()),
            message: None,
            reply: MessageId(Uuid::nil()),
            call: ToolCallId(Uuid::nil()),
            untrusted: false,
            exposed: false,
            approved: false,
            zone: jiff::tz::TimeZone::UTC,
        }
    }

    async fn call(ended: Ended, code: &str, files: Option<Vec<String>>) -> Result<Output, ToolError> {
        let door = Arc::new(Door {
            ended,
            asked: Mutex::default(),
        });
        let tool = CodeInterpreter(Arc::clone(&door) as Arc<dyn PythonDoor>);
        let arguments = Arguments {
            code: code.to_owned(),
            files,
        };
        let output = tool.run(&context(), arguments).await;
        assert_eq!(
            door.asked.lock().unwrap().len(),
            usize::from(output.is_ok()),
            "asked once, or not at all"
        );
        output
    }

    #[test]
    fn a_run_is_told_whole() {
        let check = |ended: Ended, expected: &str| assert_eq!(told(&ended, 100), expected);
        check(ended(Exit::Code(0), "", ""), "it ended well and printed nothing");
        check(ended(Exit::Code(0), "42\n", ""), "output:\n42");
        check(
            ended(Exit::Code(1), "begun\n", "Traceback: no\n"),
            "it failed with exit code 1\noutput:\nbegun\nerrors:\nTraceback: no",
        );
        check(ended(Exit::WallTime, "", ""), "it was stopped: it took too long");
        check(
            ended(Exit::Code(0), &"ab".repeat(60), ""),
            &format!(
                "output:\n{}\n(20 characters left out)\n{}",
                "ab".repeat(25),
                "ab".repeat(25)
            ),
        );
        let made = Made {
            id: FileId(Uuid::nil()),
            name: "a\nb.png".to_owned(),
            media_type: "image/png".to_owned(),
            size: 7,
        };
        check(
            Ended {
                files: vec![made],
                left_out: 2,
                ..ended(Exit::Code(0), "", "")
            },
            "made file 00000000-0000-0000-0000-000000000000: \"a\\nb.png\", image/png, 7 bytes\n\
             2 more files were too many or too large and are lost",
        );
    }

    #[tokio::test]
    async fn what_comes_out_of_files_is_untrusted() {
        let plain = call(ended(Exit::Code(0), "1", ""), "1", None).await.unwrap();
        assert!(!plain.untrusted);
        assert_eq!(
            plain.data,
            json!({"exit": "ok", "exit_code": 0, "stdout": "1", "stderr": "", "files": [], "files_left_out": 0})
        );
        let id = Uuid::nil().to_string();
        let from_file = call(ended(Exit::Memory, "", ""), "1", Some(vec![id.clone(), id]))
            .await
            .unwrap();
        assert!(from_file.untrusted);
        assert_eq!(from_file.data["exit"], "memory");
        assert_eq!(from_file.data["exit_code"], Value::Null);
    }

    #[tokio::test]
    async fn wrong_arguments_run_nothing() {
        for (code, files, says) in [
            (" \n", None, "empty"),
            ("1", Some(vec!["../etc/passwd".to_owned()]), "passwd"),
            ("1", Some(vec![Uuid::nil().to_string(); 21]), "at most 20"),
        ] {
            let error = call(ended(Exit::Code(0), "", ""), code, files).await.unwrap_err();
            assert!(
                matches!(&error, ToolError::Arguments(why) if why.contains(says)),
                "{error:?}"
            );
        }
    }
}
