//! A byte-for-byte relay in front of the model. It stamps the moment before it writes the byte that holds the first
//! character of the reply, and remembers the last request, so that the same bytes can be sent again directly.
//!
//! Threads and blocking sockets, so that the driver's own runtime never delays it. What it adds to the way is added for
//! Mira and for the direct client alike, and lies before the stamp.

use crate::Outcome;
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Instant,
};

/// The event with the first word of every fixed reply.
pub const FIRST_WORD: &[u8] = b"\"delta\":\"so\"";
/// What the body of a turn's request holds.
const STREAMED: &[u8] = b"\"stream\":true";
/// Read at a time.
const BLOCK: usize = 64 * 1024;

#[derive(Default)]
struct Seen {
    armed: bool,
    first_word: Option<Instant>,
    request: Vec<u8>,
}

/// The running relay; it ends with the program.
pub struct Relay {
    /// Where it listens.
    pub addr: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Relay {
    /// Relays to the model.
    pub fn start(model: SocketAddr) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let addr = listener.local_addr()?;
        let seen = Arc::<Mutex<Seen>>::default();
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A connection that cannot be relayed is closed, which the scenario then reports.
                drop(connect(client, model, &shared));
            }
        });
        Ok(Self { addr, seen })
    }

    /// Stamps the next first word.
    pub fn arm(&self) {
        let mut seen = lock(&self.seen);
        seen.armed = true;
        seen.first_word = None;
    }

    /// When the first word since [`Self::arm`] was written.
    pub fn first_word(&self) -> Outcome<Instant> {
        lock(&self.seen)
            .first_word
            .ok_or_else(|| "the relay saw no first word".into())
    }

    /// The last request, head and body.
    pub fn request(&self) -> Vec<u8> {
        lock(&self.seen).request.clone()
    }
}

fn connect(client: TcpStream, model: SocketAddr, seen: &Arc<Mutex<Seen>>) -> Outcome<()> {
    let server = TcpStream::connect(model)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client_in, server_in) = (client.try_clone()?, server.try_clone()?);
    let (up, down) = (Arc::clone(seen), Arc::clone(seen));
    thread::spawn(move || drop(upwards(client_in, server, &up)));
    thread::spawn(move || drop(downwards(server_in, client, &down)));
    Ok(())
}

fn upwards(mut from: TcpStream, mut to: TcpStream, seen: &Mutex<Seen>) -> std::io::Result<()> {
    let mut block = vec![0; BLOCK];
    let mut request = Vec::new();
    loop {
        let read = from.read(&mut block)?;
        let bytes = block.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return to.shutdown(Shutdown::Write);
        }
        if bytes.starts_with(b"POST ") {
            request.clear();
        }
        request.extend_from_slice(bytes);
        // Side calls (summaries) are not streamed, and are not what the direct client repeats.
        if find(&request, STREAMED).is_some() {
            lock(seen).request.clone_from(&request);
        }
        to.write_all(bytes)?;
    }
}

fn downwards(mut from: TcpStream, mut to: TcpStream, seen: &Mutex<Seen>) -> std::io::Result<()> {
    let mut block = vec![0; BLOCK];
    // The end of the block before, where the first word may begin.
    let mut tail = Vec::with_capacity(FIRST_WORD.len());
    loop {
        let read = from.read(&mut block)?;
        let bytes = block.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return to.shutdown(Shutdown::Write);
        }
        if lock(seen).armed {
            let begins_in_tail = tail.len();
            tail.extend(bytes.iter().take(FIRST_WORD.len()));
            let found =
                find(&tail, FIRST_WORD).is_some_and(|at| at < begins_in_tail) || find(bytes, FIRST_WORD).is_some();
            if found {
                let mut seen = lock(seen);
                seen.armed = false;
                seen.first_word = Some(Instant::now());
            }
        }
        to.write_all(bytes)?;
        tail.clear();
        tail.extend_from_slice(
            bytes
                .get(read.saturating_sub(FIRST_WORD.len() - 1)..)
                .unwrap_or_default(),
        );
    }
}

/// Where `needle` begins.
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}
