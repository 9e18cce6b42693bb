//! Gates: a test holds a stream and lets it go piece by piece.

use std::sync::Arc;

use tokio::sync::watch;

#[derive(Debug, Default)]
struct GateState {
    open: bool,
    budget: u64,
    passed: u64,
    waiting: u64,
}

/// Holds the events of the streams behind it. Clones are the same gate. An event of a stream passes when the gate
/// is open or when [`Gate::release`] has allowed it; with several streams behind one gate, whichever comes first
/// takes the allowance. A reply that is not streamed counts as one event.
#[derive(Debug, Clone)]
pub struct Gate {
    state: Arc<watch::Sender<GateState>>,
}

impl Gate {
    /// A gate that holds everything until it is told.
    pub fn closed() -> Self {
        Self {
            state: Arc::new(watch::Sender::new(GateState::default())),
        }
    }

    /// A gate that holds nothing until [`Gate::close`].
    pub fn opened() -> Self {
        let gate = Self::closed();
        gate.open();
        gate
    }

    /// Lets the next `events` events pass.
    pub fn release(&self, events: u64) {
        self.state.send_modify(|state| state.budget += events);
    }

    /// Lets everything pass from now on.
    pub fn open(&self) {
        self.state.send_modify(|state| state.open = true);
    }

    /// Holds everything from now on; an allowance not yet used is gone.
    pub fn close(&self) {
        self.state.send_modify(|state| {
            state.open = false;
            state.budget = 0;
        });
    }

    /// How many events have passed so far.
    pub fn passed(&self) -> u64 {
        self.state.borrow().passed
    }

    /// Waits until `events` events in all have passed.
    pub async fn wait_passed(&self, events: u64) {
        self.wait(|state| state.passed >= events).await;
    }

    /// Waits until at least one stream stands before the closed gate.
    pub async fn wait_waiting(&self) {
        self.wait(|state| state.waiting > 0).await;
    }

    async fn wait(&self, reached: impl FnMut(&GateState) -> bool) {
        let mut seen = self.state.subscribe();
        // The sender lives in `self`, so this cannot fail while we wait.
        if seen.wait_for(reached).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn try_pass(&self) -> bool {
        self.state.send_if_modified(|state| {
            let passes = state.open || state.budget > 0;
            if passes {
                state.passed += 1;
                if !state.open {
                    state.budget -= 1;
                }
            }
            passes
        })
    }

    /// Lets one event through, now or when a test says so.
    pub(crate) async fn pass(&self) {
        if self.try_pass() {
            return;
        }
        let _standing = Standing::new(&self.state);
        let mut seen = self.state.subscribe();
        while !self.try_pass() {
            if seen.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Counts a stream as waiting for as long as it does, also when its client goes away meanwhile.
struct Standing<'a> {
    state: &'a watch::Sender<GateState>,
}

impl<'a> Standing<'a> {
    fn new(state: &'a watch::Sender<GateState>) -> Self {
        state.send_modify(|state| state.waiting += 1);
        Self { state }
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.state.send_modify(|state| state.waiting -= 1);
    }
}
