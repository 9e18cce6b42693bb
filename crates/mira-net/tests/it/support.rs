//! A server of a few lines that says exactly what a test wants said, byte by byte, and remembers what it was asked.

use mira_net::{Guard, GuardedClient, HostPort, Limits, Resolve, Resolving, Url};
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What the server does with a request.
#[derive(Clone)]
pub enum Answer {
    /// Sends this and closes.
    Whole(Vec<u8>),
    /// Sends this and keeps the connection open without a word.
    Hang(Vec<u8>),
    /// Sends the first once and the second for ever.
    Endless(Vec<u8>, Vec<u8>),
}

/// A response with a body.
pub fn ok(headers: &str, body: &[u8]) -> Answer {
    let head = format!(
        "HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    Answer::Whole([head.as_bytes(), body].concat())
}

/// A redirect.
pub fn redirect(status: u16, to: &str) -> Answer {
    Answer::Whole(
        format!("HTTP/1.1 {status} Go\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .into_bytes(),
    )
}

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Serves on an address of loopback, `answer` deciding by the request's head.
    pub async fn start(ip: &str, port: u16, answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((ip, port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut tasks = JoinSet::new();
        let (log, answer) = (Arc::clone(&seen), Arc::new(answer));
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                open.spawn(async move { serve(socket, &log, &*answer).await });
            }
        });
        Self {
            address,
            seen,
            _tasks: tasks,
        }
    }

    /// The requests so far, heads and bodies, in lower case.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub fn url(&self, path: &str) -> Url {
        format!("http://{}{path}", self.address).parse().unwrap()
    }
}

async fn serve(mut socket: TcpStream, log: &Mutex<Vec<String>>, answer: &(dyn Fn(&str) -> Answer + Send + Sync)) {
    let mut read = Vec::new();
    let request = loop {
        if socket.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&read).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let whole = if head.contains("transfer-encoding: chunked") {
            body.ends_with("0\r\n\r\n")
        } else {
            body.len() >= length.unwrap_or(0)
        };
        if whole {
            break text;
        }
    };
    let answer = answer(&request);
    log.lock().unwrap().push(request);
    match answer {
        Answer::Whole(bytes) => drop(socket.write_all(&bytes).await),
        Answer::Hang(bytes) => {
            drop(socket.write_all(&bytes).await);
            // Until the other side has had enough.
            drop(socket.read_buf(&mut read).await);
        }
        Answer::Endless(head, piece) => {
            drop(socket.write_all(&head).await);
            while socket.write_all(&piece).await.is_ok() {}
        }
    }
}

/// Names that mean what the test says: each lookup takes the next answer, the last one stays.
pub struct Names(pub Arc<Mutex<VecDeque<Vec<IpAddr>>>>, pub Arc<Mutex<Vec<String>>>);

impl Names {
    pub fn answering(answers: &[&[&str]]) -> Self {
        let parsed = answers
            .iter()
            .map(|list| list.iter().map(|text| text.parse().unwrap()).collect());
        Self(Arc::new(Mutex::new(parsed.collect())), Arc::default())
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        self.1.lock().unwrap().push(name.to_owned());
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.pop_front().unwrap()
        } else {
            answers.front().cloned().unwrap_or_default()
        };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

/// A client that may reach what is listed.
pub fn client(allowed: &str) -> GuardedClient {
    GuardedClient::new(Guard::new(HostPort::parse_list(allowed).unwrap()))
}

/// Limits that end a test soon.
pub fn short() -> Limits {
    Limits {
        connect: Duration::from_secs(5),
        first_byte: Duration::from_millis(200),
        idle: Duration::from_millis(200),
        total: Duration::from_secs(30),
        body_bytes: 1024 * 1024,
        redirects: 5,
    }
}
