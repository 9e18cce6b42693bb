//! The door her tools go through.

use super::Web;
use crate::services::{
    hub::HubRef,
    tools::{hub_of, store_failed},
};
use futures_util::FutureExt;
use mira_core::chat::one_line;
use mira_tools::{
    CallContext, Doorway, ToolError,
    web::{Found, Page, WebDoor},
};
use std::sync::{Arc, OnceLock};

/// The longest part of an address that is repeated in a refusal, in characters.
const SHOWN_CHARS: usize = 200;

/// The door to the web. The live sessions are where the owner's words are found.
#[derive(Debug)]
pub struct Door {
    web: Web,
    hub: Arc<OnceLock<HubRef>>,
}

impl Door {
    /// A door that works once the hub is there.
    pub fn new(web: Web, hub: Arc<OnceLock<HubRef>>) -> Self {
        Self { web, hub }
    }

    /// Reads the owner's message for addresses, so that what they wrote is met before strangers' words are. A turn that
    /// is known was told it when it began.
    async fn hear_the_owner(&self, context: &CallContext) -> Result<(), ToolError> {
        let Some(message) = context.message.filter(|_| !self.web.has_heard(context.turn)) else {
            return Ok(());
        };
        let hub = hub_of(&self.hub)?;
        let found = hub.deps().store.find_message(context.account, message).await;
        if let Some(message) = found.map_err(store_failed)? {
            self.web.hear(context.turn, &message.content);
        }
        Ok(())
    }
}

impl WebDoor for Door {
    fn search_unavailable(&self) -> Option<String> {
        self.web.search_unavailable()
    }

    fn fetch_unavailable(&self) -> Option<String> {
        self.web.switched_off()
    }

    fn search<'a>(&'a self, context: &'a CallContext, query: String, count: usize) -> Doorway<'a, Found> {
        async move {
            self.hear_the_owner(context).await?;
            self.web.search(context.turn, &query, count).await
        }
        .boxed()
    }

    fn has_met(&self, context: &CallContext, address: &str) -> bool {
        self.web.knows(context.turn, address)
    }

    fn fetch<'a>(&'a self, context: &'a CallContext, address: String) -> Doorway<'a, Arc<Page>> {
        async move {
            self.hear_the_owner(context).await?;
            let fetched = self.web.fetch(context.turn, &address).await;
            fetched.map_err(|error| error.told(&one_line(&address, SHOWN_CHARS)))
        }
        .boxed()
    }
}
