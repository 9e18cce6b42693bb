//! A box that lives: started by a thread that outlives it, and ended for good, whatever happens to whoever waits for it.

use crate::watch;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use std::{
    io,
    os::fd::OwnedFd,
    sync::mpsc::{SyncSender, sync_channel},
    time::Duration,
};
use tokio::{
    process::{Child, ChildStderr, ChildStdout, Command},
    sync::oneshot,
    time::timeout,
};

/// Boxes waiting to be started; more than may run at once.
const WAITING: usize = 8;
/// How long a killed box may take to be gone. The kernel needs some milliseconds.
const DYING: Duration = Duration::from_secs(5);
const DYING_SPEC: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

type Order = (Command, oneshot::Sender<io::Result<Child>>);

/// The thread that starts boxes. A box ends when the thread that started it ends, and the runtime's own threads come and
/// go.
#[derive(Debug)]
pub(crate) struct Launcher(SyncSender<Order>);

impl Launcher {
    /// Ends with the last handle.
    pub(crate) fn start() -> io::Result<Self> {
        let (orders, incoming) = sync_channel::<Order>(WAITING);
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("box-launcher".to_owned())
            .spawn(move || {
                let _inside = runtime.enter();
                while let Ok((mut command, answer)) = incoming.recv() {
                    if let Err(Ok(mut unwanted)) = answer.send(command.spawn()) {
                        // Nobody waits any more. It has no job yet, and ends with its socket in any case.
                        if let Err(error) = unwanted.start_kill() {
                            tracing::warn!(%error, "an unwanted box could not be ended");
                        }
                    }
                }
            })?;
        Ok(Self(orders))
    }

    /// Starts a box.
    pub(crate) async fn launch(&self, command: Command) -> io::Result<Live> {
        let (answer, started) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts boxes is gone");
        self.0.try_send((command, answer)).map_err(|_| gone())?;
        let child = started.await.map_err(|_| gone())??;
        Ok(Live {
            child: Some(child),
            init: None,
        })
    }
}

/// A box. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Live {
    child: Option<Child>,
    init: Option<Init>,
}

/// The first process in the box; when it ends, the kernel ends all others.
#[derive(Debug)]
struct Init {
    number: i32,
    handle: OwnedFd,
}

impl Live {
    /// What it prints. Once.
    pub(crate) fn streams(&mut self) -> Option<(ChildStdout, ChildStderr)> {
        let child = self.child.as_mut()?;
        Some((child.stdout.take()?, child.stderr.take()?))
    }

    /// Finds its first process, which must be alive: it has spoken and waits for an answer.
    pub(crate) fn find_init(&mut self) -> io::Result<i32> {
        let nothing = || io::Error::other("the box has no first process");
        let outer = self.child.as_ref().and_then(Child::id).ok_or_else(nothing)?;
        let outer = i32::try_from(outer).map_err(|_| nothing())?;
        let number = watch::children(outer).into_iter().next().ok_or_else(nothing)?;
        let pid = Pid::from_raw(number).ok_or_else(nothing)?;
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        self.init = Some(Init { number, handle });
        Ok(number)
    }

    /// Ends it, if it has not ended, and returns when nothing of it is left.
    pub(crate) async fn end(mut self) -> io::Result<()> {
        self.kill();
        if let Some(mut child) = self.child.take() {
            match timeout(DYING, child.wait()).await {
                Ok(status) => drop(status?),
                Err(_) => child.kill().await?,
            }
        }
        if let Some(init) = self.init.take() {
            let waited = tokio::task::spawn_blocking(move || wait(&init)).await;
            return waited.map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// The first process goes first: then bubblewrap buries it and ends by itself, and no orphan is left to whoever is
    /// process 1 of this machine.
    fn kill(&mut self) {
        match (&self.init, &mut self.child) {
            // One that has ended already is as good.
            (Some(init), _) => drop(pidfd_send_signal(&init.handle, Signal::KILL)),
            (None, Some(child)) => drop(child.start_kill()),
            (None, None) => {}
        }
    }
}

/// Waits until the process is gone.
fn wait(init: &Init) -> io::Result<()> {
    let mut handles = [PollFd::new(&init.handle, PollFlags::IN)];
    match poll(&mut handles, Some(&DYING_SPEC))? {
        0 => Err(io::Error::other(format!(
            "process {} of a box does not end",
            init.number
        ))),
        _ => Ok(()),
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.kill();
    }
}
