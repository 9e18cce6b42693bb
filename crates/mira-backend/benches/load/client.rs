//! The clients: a socket to Mira, a reader of the model itself, and plain HTTP. Lean, so that they are not what is
//! measured: frames are told apart by how they begin, and nothing is parsed.

use crate::{
    Outcome,
    process::TOKEN,
    relay::{FIRST_WORD, find},
};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, Utf8Bytes, client::IntoClientRequest, protocol::WebSocketConfig},
};

/// Nothing measured here takes longer between two frames.
const PATIENCE: Duration = Duration::from_mins(1);
/// Buffers of a socket.
const BUFFER: usize = 4096;

/// A socket that has been greeted.
pub struct Socket(WebSocketStream<TcpStream>);

/// When what happened in a turn.
#[derive(Debug, Clone)]
pub struct Turn {
    /// The frame left.
    pub sent: Instant,
    /// The message was acknowledged.
    pub message: Instant,
    /// The first words came.
    pub first_chunk: Instant,
    /// It was done.
    pub done: Instant,
    /// Between two chunks.
    pub gaps: Vec<Duration>,
}

impl Socket {
    /// Connects to a session (the default one for `None`) and reads `hello`.
    pub async fn connect(addr: SocketAddr, session: Option<&str>) -> Outcome<Self> {
        let query = session
            .map(|session| format!("?session_id={session}"))
            .unwrap_or_default();
        let mut request = format!("ws://{addr}/ws/chat{query}").into_client_request()?;
        request
            .headers_mut()
            .insert("authorization", format!("Bearer {TOKEN}").parse()?);
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let config = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(0);
        let (socket, _) = client_async_with_config(request, stream, Some(config)).await?;
        let mut socket = Self(socket);
        let hello = socket.next().await?;
        if hello.starts_with(r#"{"type":"hello""#) {
            Ok(socket)
        } else {
            Err(format!("no hello but {hello}").into())
        }
    }

    /// The next text frame.
    pub async fn next(&mut self) -> Outcome<Utf8Bytes> {
        loop {
            match timeout(PATIENCE, self.0.next())
                .await?
                .ok_or("the socket has ended")??
            {
                Message::Text(text) => return Ok(text),
                Message::Close(frame) => return Err(format!("the socket was closed: {frame:?}").into()),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Says something; `content` needs no escaping.
    pub async fn say(&mut self, content: &str) -> Outcome<()> {
        let frame = format!(r#"{{"type":"chat","content":"{content}"}}"#);
        Ok(self.0.send(Message::text(frame)).await?)
    }

    /// Stops the turn that runs.
    pub async fn stop(&mut self) -> Outcome<()> {
        Ok(self.0.send(Message::text(r#"{"type":"stop"}"#)).await?)
    }

    /// Reads on until a frame of this type.
    pub async fn wait(&mut self, kind: &str) -> Outcome<Utf8Bytes> {
        let start = format!(r#"{{"type":"{kind}""#);
        loop {
            let frame = self.next().await?;
            if frame.starts_with(&start) {
                return Ok(frame);
            }
            refuse_error(&frame)?;
        }
    }

    /// A whole turn.
    pub async fn turn(&mut self, content: &str) -> Outcome<Turn> {
        let sent = Instant::now();
        self.say(content).await?;
        let (mut message, mut first_chunk, mut last_chunk) = (None, None, sent);
        let mut gaps = Vec::new();
        loop {
            let frame = self.next().await?;
            if frame.starts_with(r#"{"type":"chunk""#) {
                let now = Instant::now();
                match first_chunk {
                    Some(_) => gaps.push(now - last_chunk),
                    None => first_chunk = Some(now),
                }
                last_chunk = now;
            } else if frame.starts_with(r#"{"type":"message""#) {
                message = Some(Instant::now());
            } else if frame.starts_with(r#"{"type":"done""#) {
                let done = Instant::now();
                if !frame.contains(r#""outcome":"complete""#) {
                    return Err(format!("a turn ended badly: {frame}").into());
                }
                let message = message.ok_or("a turn without its message")?;
                let first_chunk = first_chunk.ok_or("a turn without a chunk")?;
                return Ok(Turn {
                    sent,
                    message,
                    first_chunk,
                    done,
                    gaps,
                });
            } else {
                refuse_error(&frame)?;
            }
        }
    }

    /// Ends the connection without ceremony.
    pub fn leave(self) {
        drop(self.0);
    }
}

fn refuse_error(frame: &Utf8Bytes) -> Outcome<()> {
    if frame.starts_with(r#"{"type":"error""#) {
        Err(format!("{frame}").into())
    } else {
        Ok(())
    }
}

/// Reads the model itself, with the very bytes Mira asks it with.
pub struct Direct {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// When what happened in an answer of the model.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The request left.
    pub sent: Instant,
    /// The first words came.
    pub first_word: Instant,
    /// It was complete.
    pub done: Instant,
    /// Between two reads that brought words.
    pub gaps: Vec<Duration>,
}

impl Direct {
    /// Connects to the model or the relay before it.
    pub async fn connect(addr: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(256 * 1024),
        })
    }

    /// A whole answer.
    pub async fn ask(&mut self, request: &[u8]) -> Outcome<Answer> {
        const DELTA: &[u8] = b"event: response.output_text.delta";
        const COMPLETED: &[u8] = b"event: response.completed";
        self.buffer.clear();
        let sent = Instant::now();
        self.stream.write_all(request).await?;
        let (mut first_word, mut completed, mut last_word) = (None, None, sent);
        let mut gaps = Vec::new();
        loop {
            let old = self.buffer.len();
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await??;
            let now = Instant::now();
            if read == 0 {
                return Err("the model closed its connection".into());
            }
            let fresh = self
                .buffer
                .get(old.saturating_sub(COMPLETED.len())..)
                .unwrap_or_default();
            match first_word {
                None => first_word = find(fresh, FIRST_WORD).map(|_| now),
                Some(_) if find(fresh, DELTA).is_some() => gaps.push(now - last_word),
                Some(_) => {}
            }
            last_word = now;
            if completed.is_none() && find(fresh, COMPLETED).is_some() {
                completed = Some(now);
            }
            if self.buffer.ends_with(b"\r\n0\r\n\r\n") {
                if !self.buffer.starts_with(b"HTTP/1.1 200") {
                    return Err(String::from_utf8_lossy(&self.buffer).into_owned().into());
                }
                let first_word = first_word.ok_or("an answer without words")?;
                let done = completed.ok_or("an answer without its end")?;
                return Ok(Answer {
                    sent,
                    first_word,
                    done,
                    gaps,
                });
            }
        }
    }
}

/// One request with a JSON body on a connection of its own: the body of a 2xx answer.
pub async fn http(addr: SocketAddr, method: &str, path: &str, body: &str) -> Outcome<String> {
    request(addr, method, path, "application/json", body.as_bytes()).await
}

/// One request on a connection of its own: the body of a 2xx answer.
pub async fn request(addr: SocketAddr, method: &str, path: &str, kind: &str, body: &[u8]) -> Outcome<String> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n\
         content-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).await?;
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await??;
    let answer = String::from_utf8(answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("an answer without a head")?;
    if !head.starts_with("HTTP/1.1 2") {
        return Err(format!("{method} {path}: {answer}").into());
    }
    Ok(body.to_owned())
}

/// Words that make the emulated model call a tool, escaped for a frame; no list of the arguments ends with a list.
pub fn order(tool: &str, arguments: &Value) -> Outcome<String> {
    // Two brackets in a text do not end the order.
    let quoted = arguments
        .to_string()
        .replace("]]", "]\\u005d")
        .replace('\\', "\\\\")
        .replace('"', "\\\"");
    let words = format!("[[sim: call={tool} args=\"{quoted}\"]]");
    let escaped = serde_json::to_string(&words)?;
    Ok(escaped.trim_matches('"').to_owned())
}

/// Makes sessions of these names, a few at a time.
pub async fn make_sessions(addr: SocketAddr, names: &[String]) -> Outcome<()> {
    const AT_ONCE: usize = 32;
    let mut made = futures_util::stream::iter(names)
        .map(|name| async move { http(addr, "POST", "/api/sessions", &format!(r#"{{"id":"{name}"}}"#)).await })
        .buffer_unordered(AT_ONCE);
    while let Some(answer) = made.next().await {
        answer?;
    }
    Ok(())
}
