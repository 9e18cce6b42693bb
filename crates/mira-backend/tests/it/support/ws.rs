//! A WebSocket client for tests: JSON in, JSON out, every wait bounded.

use super::server::{LIMIT, Server};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

/// How a socket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With a close frame of this code.
    Closed(u16),
    /// Without a word.
    Broken,
}

/// A socket whose `hello` has been read.
pub struct Ws {
    socket: WebSocketStream<TcpStream>,
    /// The greeting.
    pub hello: Value,
}

impl Ws {
    /// Connects with the owner's token; `query` is what follows the `?`.
    pub async fn connect(server: &Server, query: &str) -> Self {
        Self::try_connect(server, query).await.unwrap()
    }

    /// The same, where the server may be gone or refuse.
    pub async fn try_connect(server: &Server, query: &str) -> Result<Self, String> {
        let request = format!("ws://{}/ws/chat?{query}", server.address).into_client_request();
        let mut request = request.map_err(|error| error.to_string())?;
        let token = format!("Bearer {}", server.token());
        request.headers_mut().insert("authorization", token.parse().unwrap());
        let connecting = async {
            let stream = TcpStream::connect(server.address)
                .await
                .map_err(|error| error.to_string())?;
            client_async(request, stream).await.map_err(|error| error.to_string())
        };
        let (socket, _) = timeout(LIMIT, connecting).await.map_err(|error| error.to_string())??;
        let mut connected = Self {
            socket,
            hello: Value::Null,
        };
        connected.hello = connected.read().await.map_err(|ended| format!("no hello: {ended:?}"))?;
        assert_eq!(connected.hello["type"], "hello", "the first frame");
        Ok(connected)
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: Value) {
        self.try_send(frame).await.unwrap();
    }

    /// Sends a frame to a server that may be gone.
    pub async fn try_send(&mut self, frame: Value) -> Result<(), Ended> {
        let sending = self.socket.send(Message::text(frame.to_string()));
        timeout(LIMIT, sending)
            .await
            .expect("the server reads nothing")
            .map_err(|_| Ended::Broken)
    }

    /// Sends a `chat`.
    pub async fn chat(&mut self, content: &str) {
        self.send(json!({ "type": "chat", "content": content })).await;
    }

    /// The next frame, or how the socket ended. Cancel-safe.
    pub async fn read(&mut self) -> Result<Value, Ended> {
        loop {
            let message = timeout(LIMIT, self.socket.next())
                .await
                .expect("the server says nothing");
            match message {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => return Err(Ended::Closed(frame.code.into())),
                Some(Ok(Message::Binary(bytes))) => panic!("a binary frame of {} bytes", bytes.len()),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(None)) | Err(_)) | None => return Err(Ended::Broken),
            }
        }
    }

    /// The next frame.
    pub async fn next(&mut self) -> Value {
        self.read().await.expect("a frame")
    }

    /// All frames up to and with the first of this type.
    pub async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let frame = self.next().await;
            let found = frame["type"] == kind;
            frames.push(frame);
            if found {
                return frames;
            }
        }
    }

    /// Says something and reads to the end of its turn.
    pub async fn turn(&mut self, content: &str) -> Vec<Value> {
        self.chat(content).await;
        self.until("done").await
    }

    /// Reads on until the socket ends: the frames, and how.
    pub async fn drain(&mut self) -> (Vec<Value>, Ended) {
        let mut frames = Vec::new();
        loop {
            match self.read().await {
                Ok(frame) => frames.push(frame),
                Err(ended) => return (frames, ended),
            }
        }
    }
}

/// The text of all chunks among these frames.
pub fn chunks(frames: &[Value]) -> String {
    frames
        .iter()
        .filter(|frame| frame["type"] == "chunk")
        .filter_map(|frame| frame["content"].as_str())
        .collect()
}
