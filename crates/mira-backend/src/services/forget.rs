//! Forgetting, everywhere: the store's one transaction, the index, what the live sessions still hold, leftovers on the
//! disk, Mira's own backups. The answer comes when it is true.

use crate::services::{approvals, deps::MemoryChange, hub::Hub, memory::Memories};
use mira_core::{
    ids::{AccountId, MemoryId},
    memory::MemoryKind,
};
use mira_memory::StoreError;

/// Forgets one memory and what was made of it. False if there is no such memory.
pub async fn forget(hub: &Hub, account: AccountId, id: MemoryId) -> Result<bool, StoreError> {
    let deps = hub.deps();
    let memories: &Memories = &deps.memories;
    let store = memories.store();
    let now = memories.clock().now();
    let Some(forgotten) = store.forget(account, id, memories.tombstone_key(), now).await? else {
        return Ok(false);
    };
    // First what the next turn would see; the index may be far away.
    hub.forgot(account, &forgotten.memory_ids, &forgotten.sessions).await;
    approvals::voided(deps, account, &forgotten.voided).await;
    memories.unindex(account, forgotten.memory_ids.clone()).await;
    for gone in &forgotten.memory_ids {
        let kind = if *gone == id { forgotten.kind } else { MemoryKind::Fact };
        hub.announce_memory(MemoryChange::Deleted(*gone, kind));
    }
    memories.wipe().await?;
    memories.wake();
    Ok(true)
}

/// Wipes the text of a removed conversation or a corrected fact out of the file's unused space, behind the caller's
/// back: it is in no row any more.
pub fn wipe_later(hub: &Hub) {
    let deps = hub.deps();
    let (memories, soft) = (deps.memories.clone(), deps.lifecycle.soft().clone());
    deps.lifecycle.spawn(async move {
        if let Some(Err(error)) = soft.run_until_cancelled(memories.store().scrub()).await {
            tracing::warn!(%error, "removed text could not be wiped out yet");
        }
    });
}

/// Forgets once more what a restored backup or an import has brought back.
pub async fn again(hub: Hub, account: AccountId) {
    let deps = hub.deps();
    let memories = &deps.memories;
    let work = async {
        let now = memories.clock().now();
        let returned = memories
            .store()
            .forget_again(account, memories.tombstone_key(), now)
            .await?;
        if returned.is_empty() {
            return Ok(());
        }
        tracing::info!(
            count = returned.len(),
            "what was forgotten had come back, and is forgotten again"
        );
        hub.forgot(account, &returned, &[]).await;
        memories.unindex(account, returned).await;
        memories.wipe().await
    };
    let done: Option<Result<(), StoreError>> = deps.lifecycle.soft().run_until_cancelled(work).await;
    if let Some(Err(error)) = done {
        tracing::warn!(%error, "what was forgotten could not be forgotten again");
    }
}
