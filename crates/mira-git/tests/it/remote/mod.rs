//! Clone, sync and push against git's own servers: `http-backend` behind a small bridge, and a real `sshd`.

mod clone;
mod crash;
mod held;
mod http_peer;
mod limits;
mod ssh;
mod ssh_peer;
mod support;
mod sync;
