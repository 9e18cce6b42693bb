//! The server in the test's own process, by a clock that is ahead. Everything else is as in the real process:
//! configuration from variables, the lock on the data directory, the library's own `serve`, real sockets. A clock cannot
//! be given to the real process, so that nobody can set one by mistake.

use jiff::{SignedDuration, Timestamp};
use mira_backend::{
    config::{Config, Env},
    datadir::DataDir,
    lifecycle::Lifecycle,
    serve,
};
use mira_core::clock::{Clock, SystemClock};
use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
};
use tokio::runtime::Builder;
use uuid::Uuid;

/// The real clock, set forward.
struct Forward(SignedDuration);

impl Clock for Forward {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.0
    }

    fn new_uuid(&self) -> Uuid {
        // A UUIDv7 begins with its milliseconds.
        let ms = u128::try_from(self.0.as_millis()).unwrap();
        Uuid::from_u128(SystemClock.new_uuid().as_u128() + (ms << 80))
    }

    fn random_bytes(&self) -> [u8; 16] {
        SystemClock.random_bytes()
    }
}

/// The server.
pub struct Ahead {
    life: Lifecycle,
    thread: Option<JoinHandle<()>>,
}

impl Ahead {
    /// Starts it with these variables; its address takes connections at once.
    pub fn start(variables: &[(&str, &str)], by: SignedDuration) -> (Self, SocketAddr) {
        let config = Config::from_env(&Env::from_pairs(variables)).unwrap();
        let mut data_dir = DataDir::take(&config).unwrap();
        let listener = TcpListener::bind(config.listen).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        data_dir.announce(address).unwrap();
        let life = Lifecycle::new();
        let own = life.clone();
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                serve(config, listener, Arc::new(Forward(by)), own).await.unwrap();
            });
            // Held until it has ended.
            drop(data_dir);
        });
        let thread = Some(thread);
        (Self { life, thread }, address)
    }

    /// Ends it, and waits until it has ended.
    pub fn end(&mut self) {
        self.life.soft().cancel();
        self.life.hard().cancel();
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(ended.is_none_or(|ended| ended.is_ok()), "the server broke");
        }
    }
}
