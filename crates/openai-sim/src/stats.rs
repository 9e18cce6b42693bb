//! Counts of what the emulator has seen, which a test can wait for.

use tokio::sync::watch;

/// Counts since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Requests whose body has arrived, refused ones included.
    pub requests: u64,
    /// Answers being played now.
    pub running: u64,
    /// Answers played to their planned end.
    pub finished: u64,
    /// Answers whose client went away, or that the shutdown ended.
    pub abandoned: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Stats {
    counts: watch::Sender<Counts>,
}

impl Stats {
    pub(crate) fn change(&self, change: impl FnOnce(&mut Counts)) {
        self.counts.send_modify(change);
    }

    pub(crate) fn now(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Waits until the counts satisfy `reached`.
    pub(crate) async fn wait(&self, reached: impl FnMut(&Counts) -> bool) {
        let mut seen = self.counts.subscribe();
        // The sender lives in `self`, so this cannot fail while we wait.
        if seen.wait_for(reached).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
