//! `chat`: a terminal client of a running server, over its WebSocket. It knows only docs/PROTOCOL.md.
//!
//! With `--plain` it reads lines, sends each, and prints replies only, so that it can stand in a pipe. Without, it shows
//! overlay and mood, Ctrl-C stops the reply (or, between replies, ends the client), and a call that waits for the owner's
//! word is answered by `/yes` or `/no` with the word its question shows: what was typed ahead answers nothing.

use super::{CliError, client::Server, progress};
use crate::config::Config;
use clap::Args;
use futures_util::{SinkExt, StreamExt};
use mira_core::clock::{Clock, SystemClock};
use serde::Deserialize;
use std::{
    io::{self, BufRead, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

/// Lines read ahead of the conversation; a pipe waits beyond this.
const LINES_AHEAD: usize = 16;
/// How much of an approval's id, from its end, stands for the question.
const NAME_CHARS: usize = 4;

#[derive(Debug, Args)]
pub(super) struct ChatArgs {
    /// The server; without it the one that runs on the data directory
    #[arg(long)]
    url: Option<String>,
    /// A file with the token; without it the data directory's
    #[arg(long)]
    token_file: Option<PathBuf>,
    /// The session to talk in
    #[arg(long)]
    session: Option<String>,
    /// For pipes: reads lines, prints replies only
    #[arg(long)]
    plain: bool,
}

/// What the server says, as far as a terminal cares.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Frame {
    Hello {
        session: SessionPart,
        rehearsal: bool,
    },
    Message {
        turn_id: Option<String>,
        message: MessagePart,
    },
    Persona {
        #[serde(default)]
        turn_id: Option<String>,
        persona: String,
        mood: String,
    },
    Chunk {
        turn_id: String,
        content: String,
    },
    Error {
        #[serde(default)]
        turn_id: Option<String>,
        error: ProblemPart,
    },
    ToolCall {
        turn_id: String,
        tool_call_id: String,
        tool: String,
        arguments: serde_json::Value,
    },
    Approval {
        turn_id: String,
        approval_id: String,
        tool_call_id: String,
        reason: String,
    },
    ToolResult {
        tool_call_id: String,
    },
    Done {
        turn_id: String,
        outcome: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct SessionPart {
    id: String,
    persona: String,
    mood: String,
}

#[derive(Debug, Deserialize)]
struct MessagePart {
    role: String,
    content: String,
}

#[derive(Debug, Deserialize)]
struct ProblemPart {
    title: String,
    #[serde(default)]
    detail: Option<String>,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One conversation.
struct Talk {
    socket: Socket,
    plain: bool,
    colour: bool,
    /// What was sent and not yet seen in the log.
    sent: Option<String>,
    /// The turn that answers it.
    turn: Option<String>,
    /// Its calls that are at work.
    calls: Vec<OpenCall>,
    /// The question that waits for its answer; one at a time.
    shown: Option<Shown>,
    /// Whether the reply's first word is out.
    speaking: bool,
    failed: bool,
}

/// A call that is at work.
struct OpenCall {
    id: String,
    tool: String,
    arguments: serde_json::Value,
    /// What it waits for and was not asked yet.
    approval: Option<Asked>,
}

/// The owner's word that a call waits for.
struct Asked {
    id: String,
    reason: String,
}

/// A question that was shown.
struct Shown {
    call: String,
    tool: String,
    approval: String,
}

impl Shown {
    /// What an answer names it by; nobody knows it before the question is there.
    fn name(&self) -> &str {
        let at = self.approval.char_indices().rev().nth(NAME_CHARS - 1);
        self.approval.split_at(at.map_or(0, |(at, _)| at)).1
    }
}

pub(super) async fn run(config: &Config, args: ChatArgs) -> Result<ExitCode, CliError> {
    let server = Server::find(config, args.url.as_deref(), args.token_file.as_deref())?;
    let socket = connect(&server, args.session.as_deref()).await?;
    let colour = !args.plain && io::stdout().is_terminal();
    let mut talk = Talk {
        socket,
        plain: args.plain,
        colour,
        sent: None,
        turn: None,
        calls: Vec::new(),
        shown: None,
        speaking: false,
        failed: false,
    };
    talk.converse(read_lines()?).await?;
    // The conversation is over whether or not the server hears the goodbye.
    talk.socket.close(None).await.unwrap_or_default();
    Ok(if talk.failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn connect(server: &Server, session: Option<&str>) -> Result<Socket, CliError> {
    let mut url = server.route("ws/chat")?;
    if let Some(session) = session {
        url.query_pairs_mut().append_pair("session_id", session);
    }
    let text = String::from(url).replacen("http", "ws", 1);
    let failed = |reason: String| CliError::Plain(format!("{}: {reason}", server.base));
    let mut request = text.into_client_request().map_err(|e| failed(e.to_string()))?;
    if let Some(token) = &server.token {
        let value = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
        request
            .headers_mut()
            .insert("authorization", value.map_err(|e| failed(e.to_string()))?);
    }
    match tokio_tungstenite::connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
            let problem = response
                .body()
                .as_deref()
                .and_then(|body| serde_json::from_slice::<ProblemPart>(body).ok());
            let reason = problem.map(|problem| problem.detail.unwrap_or(problem.title));
            Err(failed(reason.unwrap_or_else(|| {
                format!("the server answered {}", response.status())
            })))
        }
        Err(e) => Err(failed(e.to_string())),
    }
}

/// Lines of standard input. A thread of its own: reading cannot be interrupted, and must not keep the process alive.
fn read_lines() -> io::Result<mpsc::Receiver<String>> {
    let (sender, receiver) = mpsc::channel(LINES_AHEAD);
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}

impl Talk {
    async fn converse(&mut self, mut lines: mpsc::Receiver<String>) -> Result<(), CliError> {
        let mut greeted = false;
        loop {
            let idle = greeted && self.sent.is_none() && self.turn.is_none();
            tokio::select! {
                frame = self.socket.next() => match frame {
                    Some(Ok(Message::Text(text))) => greeted |= self.hear(&text)?,
                    Some(Ok(Message::Close(frame))) => {
                        let reason = frame.map(|frame| frame.reason.to_string()).unwrap_or_default();
                        return Err(CliError::Plain(format!("the server closed the connection {reason}")));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(e)) => return Err(CliError::Plain(format!("the connection broke: {e}"))),
                    None => return Err(CliError::Plain("the connection broke".to_owned())),
                },
                line = lines.recv(), if idle || self.shown.is_some() => match line {
                    Some(line) if line.trim() == "/quit" && !self.plain => return Ok(()),
                    Some(line) if !idle => self.answer(line.trim()).await?,
                    Some(line) => self.send_line(line.trim()).await?,
                    None => return Ok(()),
                },
                pressed = tokio::signal::ctrl_c() => {
                    pressed?;
                    if idle || self.plain {
                        return Ok(());
                    }
                    self.send(&serde_json::json!({"type": "stop", "turn_id": self.turn})).await?;
                }
            }
        }
    }

    async fn send_line(&mut self, line: &str) -> Result<(), CliError> {
        if line.is_empty() {
            return self.prompt();
        }
        if answered(line).is_some() && !self.plain {
            progress("nothing waits for an answer any more");
            return self.prompt();
        }
        if let Some(rest) = line.strip_prefix("/persona").filter(|_| !self.plain) {
            let mut words = rest.split_whitespace();
            let persona = words.next();
            let mood = words.collect::<Vec<_>>().join(" ");
            let mood = (!mood.is_empty()).then_some(mood);
            self.send(&serde_json::json!({"type": "switch_persona", "persona": persona, "mood": mood}))
                .await?;
            return self.prompt();
        }
        let client_id = SystemClock.new_uuid().to_string();
        self.sent = Some(line.to_owned());
        self.send(&serde_json::json!({"type": "chat", "content": line, "client_id": client_id}))
            .await
    }

    async fn answer(&mut self, line: &str) -> Result<(), CliError> {
        let Some(shown) = &self.shown else { return Ok(()) };
        let name = shown.name();
        let (kind, said) = match answered(line).filter(|(_, named)| *named == name) {
            Some((Word::Yes, _)) => ("approve", "allowed"),
            Some((Word::No, _)) => ("deny", "refused"),
            None => {
                progress(&format!(
                    "she waits: /yes {name} allows the call, /no {name} refuses it"
                ));
                return Ok(());
            }
        };
        progress(&format!("{said}: {}", shown.tool));
        let answer = serde_json::json!({"type": kind, "approval_id": shown.approval});
        self.shown = None;
        self.send(&answer).await?;
        self.show_next()
    }

    async fn send(&mut self, frame: &serde_json::Value) -> Result<(), CliError> {
        let sent = self.socket.send(Message::text(frame.to_string())).await;
        sent.map_err(|e| CliError::Plain(format!("the connection broke: {e}")))
    }

    /// Shows a frame; answers whether it was the greeting.
    fn hear(&mut self, text: &str) -> Result<bool, CliError> {
        let frame = serde_json::from_str(text).map_err(|e| {
            CliError::Plain(format!(
                "the server said something this client does not understand: {e}"
            ))
        })?;
        match frame {
            Frame::Hello { session, rehearsal } => {
                if !self.plain {
                    let note = if rehearsal {
                        ", rehearsal: no model is asked"
                    } else {
                        ""
                    };
                    progress(&format!(
                        "session {}{note}; /persona NAME [mood], /quit, Ctrl-C stops a reply",
                        session.id
                    ));
                    self.show_mood(&session.persona, &session.mood)?;
                    self.prompt()?;
                }
                return Ok(true);
            }
            Frame::Message { turn_id, message } => {
                if message.role == "user" && self.sent.as_deref() == Some(message.content.trim()) {
                    self.sent = None;
                    self.turn = turn_id;
                }
            }
            Frame::Persona { turn_id, persona, mood } => {
                if turn_id.is_none() || self.is_ours(turn_id.as_deref()) {
                    self.show_mood(&persona, &mood)?;
                }
            }
            Frame::Chunk { turn_id, content } => {
                if self.is_ours(Some(&turn_id)) {
                    self.speaking = true;
                    show(&printable(&content))?;
                }
            }
            Frame::Error { turn_id, error } => {
                if turn_id.is_none() || self.is_ours(turn_id.as_deref()) {
                    self.complain(&error, turn_id.is_none())?;
                }
            }
            Frame::ToolCall {
                turn_id,
                tool_call_id,
                tool,
                arguments,
            } => {
                if self.is_ours(Some(&turn_id)) {
                    self.calls.push(OpenCall {
                        id: tool_call_id,
                        tool,
                        arguments,
                        approval: None,
                    });
                }
            }
            Frame::Approval {
                turn_id,
                approval_id,
                tool_call_id,
                reason,
            } => {
                if self.is_ours(Some(&turn_id))
                    && let Some(call) = self.calls.iter_mut().find(|call| call.id == tool_call_id)
                {
                    call.approval = Some(Asked {
                        id: approval_id,
                        reason,
                    });
                    self.show_next()?;
                }
            }
            Frame::ToolResult { tool_call_id } => self.ended(&tool_call_id)?,
            Frame::Done { turn_id, outcome } => {
                if self.is_ours(Some(&turn_id)) {
                    self.finish(&outcome)?;
                }
            }
            Frame::Other => {}
        }
        Ok(false)
    }

    fn is_ours(&self, turn_id: Option<&str>) -> bool {
        self.turn.is_some() && self.turn.as_deref() == turn_id
    }

    /// A call has its result; where its answer was still to be read, it came from elsewhere or too late.
    fn ended(&mut self, id: &str) -> Result<(), CliError> {
        self.calls.retain(|call| call.id != id);
        if let Some(shown) = self.shown.take_if(|shown| shown.call == id) {
            progress(&format!("{} needs no answer any more", shown.tool));
        }
        self.show_next()
    }

    /// Tells of the first call that waits for the owner's word, unless another one was told of and still waits. A pipe,
    /// which has no answer to give, is told of each.
    fn show_next(&mut self) -> Result<(), CliError> {
        if self.shown.is_some() {
            return Ok(());
        }
        let mut waiting = self.calls.iter_mut();
        let Some((call, asked)) = waiting.find_map(|call| call.approval.take().map(|asked| (call, asked))) else {
            return Ok(());
        };
        let (tool, arguments) = (printable(&call.tool), printable(&call.arguments.to_string()));
        let shown = Shown {
            call: call.id.clone(),
            tool: tool.clone(),
            approval: printable(&asked.id),
        };
        let answer = if self.plain {
            "it waits for an answer on the page".to_owned()
        } else {
            let name = shown.name();
            let answer = format!("/yes {name} or /no {name}");
            self.shown = Some(shown);
            answer
        };
        let told = format!("may she call {tool}? {}\n{arguments}\n{answer}", asked.reason);
        self.end_line()?;
        progress(&told);
        Ok(())
    }

    /// Ends the line of a reply that something else interrupts.
    fn end_line(&mut self) -> Result<(), CliError> {
        if std::mem::take(&mut self.speaking) {
            show("\n")?;
        }
        Ok(())
    }

    fn complain(&mut self, error: &ProblemPart, refused: bool) -> Result<(), CliError> {
        self.failed = true;
        self.end_line()?;
        progress(&format!(
            "{}: {}",
            error.title,
            error.detail.as_deref().unwrap_or_default()
        ));
        // A refused frame begins no turn.
        if refused && self.sent.take().is_some() {
            self.prompt()?;
        }
        Ok(())
    }

    fn finish(&mut self, outcome: &str) -> Result<(), CliError> {
        self.turn = None;
        self.calls.clear();
        self.shown = None;
        self.end_line()?;
        if outcome == "failed" || outcome == "interrupted" {
            self.failed = true;
        }
        self.prompt()
    }

    fn show_mood(&self, persona: &str, mood: &str) -> Result<(), CliError> {
        if self.plain {
            return Ok(());
        }
        let (on, off) = if self.colour { ("\x1b[35m", "\x1b[0m") } else { ("", "") };
        Ok(show(&format!(
            "{on}{} · {}{off}\n",
            printable(persona),
            printable(mood)
        ))?)
    }

    fn prompt(&self) -> Result<(), CliError> {
        if self.plain {
            return Ok(());
        }
        let (on, off) = if self.colour { ("\x1b[36m", "\x1b[0m") } else { ("", "") };
        Ok(show(&format!("{on}you>{off} "))?)
    }
}

/// The owner's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Yes,
    No,
}

/// A line that answers a question: the word, and what names the question.
fn answered(line: &str) -> Option<(Word, &str)> {
    let (word, name) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let word = match word {
        "/yes" => Word::Yes,
        "/no" => Word::No,
        _ => return None,
    };
    Some((word, name.trim()))
}

/// What she says must not drive the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}

fn show(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
