//! What a name of a tool means in a turn: one of Mira's own, or one of an MCP server's. The one place that looks a call
//! up, judges it and makes it.

use crate::services::deps::Deps;
use mira_core::{
    approval::{self, Asks, Circumstances, Reason},
    tool::Effect,
};
use mira_tools::{CallContext, Concurrency, Ran};

/// A call as it is judged before it is made.
#[derive(Debug, Clone, Copy)]
pub struct Judged {
    /// What it may do.
    pub effect: Effect,
    /// Why the owner has to be asked, if so.
    pub waits_for: Option<Reason>,
}

/// What a call may do, and whether it has to wait.
pub fn judge(deps: &Deps, context: &CallContext, name: &str, arguments: &str, asks: Asks) -> Judged {
    let untrusted = context.meets_strangers();
    let registry = deps.tools.registry();
    let of = match registry.find(name) {
        Some(entry) => Circumstances {
            effect: registry.effect(context, name, arguments),
            is_final: entry.is_final(),
            untrusted,
            asks,
        },
        None => Circumstances {
            effect: deps.mcp.effect(name).unwrap_or(Effect::Outside),
            is_final: false,
            // The owner may have said of a server that they never want to be asked.
            untrusted: untrusted && deps.mcp.asks(name),
            asks,
        },
    };
    Judged {
        effect: of.effect,
        waits_for: approval::reason(of),
    }
}

/// Whether a call takes turns with others like it. What the tools of servers do, nobody here knows in which order to do.
pub fn takes_turns(deps: &Deps, name: &str) -> bool {
    let entry = deps.tools.registry().find(name);
    entry.is_some_and(|entry| entry.concurrency == Concurrency::InTurn)
}

/// Makes one call. Never fails, never panics, ends in time.
pub async fn call(deps: &Deps, context: &CallContext, name: &str, arguments: &str) -> Ran {
    let registry = deps.tools.registry();
    if registry.find(name).is_none() && deps.mcp.effect(name).is_some() {
        return deps.mcp.call(&deps.files, context, name, arguments).await;
    }
    registry.call(context, name, arguments).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::hub::rig::Rig;

    #[tokio::test]
    async fn what_changes_something_takes_turns() {
        let rig = Rig::open([]).await;
        let deps = rig.hub.deps();
        let entries = deps.tools.registry().entries();
        assert!(entries.len() > 10);
        for entry in entries {
            let writes = entry.effect == Effect::Write;
            assert_eq!(takes_turns(deps, &entry.offer.name), writes, "{entry:?}");
        }
        assert!(!takes_turns(deps, "mcp__server__tool"));
        rig.end().await;
    }
}
