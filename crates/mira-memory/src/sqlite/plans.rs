//! What SQLite means to do: statements that take their work in slices must not look at a whole account in each.

use super::{
    SqliteConnection, Store,
    documents::{ADVANCE, DUE_DOCUMENTS, INSERT_MEMORIES, LIST_WINDOWS},
    outbox::{
        COUNT_QUEUED, DEFER, DUE_WORK, FINISH, LIST_EMBEDDED, MEMORY_SLICE, MESSAGE_SLICE, QUEUE_FACTS, QUEUE_MESSAGES,
        QUEUE_SOME, QUEUE_VECTORS,
    },
    transfer::{
        attached::{EXPORT_PROPOSALS, EXPORT_REPOS},
        export::{EXPORT_FACTS, EXPORT_MESSAGES, EXPORT_MOODS},
        files::EXPORT_FILES,
        works::EXPORT_VERSIONS,
    },
    vectors::QUEUE_MISSING,
};

const IN_SLICES: [&str; 23] = [
    DUE_DOCUMENTS,
    INSERT_MEMORIES,
    LIST_WINDOWS,
    ADVANCE,
    DUE_WORK,
    FINISH,
    DEFER,
    MESSAGE_SLICE,
    QUEUE_MESSAGES,
    COUNT_QUEUED,
    MEMORY_SLICE,
    QUEUE_FACTS,
    QUEUE_VECTORS,
    QUEUE_MISSING,
    LIST_EMBEDDED,
    QUEUE_SOME,
    EXPORT_REPOS,
    EXPORT_PROPOSALS,
    EXPORT_FILES,
    EXPORT_VERSIONS,
    EXPORT_MESSAGES,
    EXPORT_MOODS,
    EXPORT_FACTS,
];
/// The tables that grow with the account, and what these statements call them.
const GROWING: [&str; 13] = [
    "outbox",
    "messages",
    "memories",
    "moods",
    "repos",
    "proposals",
    "files",
    "o",
    "m",
    "k",
    "p",
    "x",
    "v",
];

async fn plan(conn: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain).fetch_all(conn).await.unwrap();
    steps.into_iter().map(|(_, _, _, step)| step).collect()
}

/// Whether a step looks at all rows of a table or of an account.
fn is_wide(step: &str) -> bool {
    let scanned = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
    let by_account = [
        "(account_id=?)",
        "(account_id=? AND step=?)",
        "(account_id=? AND kind=?)",
    ];
    scanned.is_some_and(|table| GROWING.contains(&table)) || by_account.iter().any(|it| step.ends_with(it))
}

#[tokio::test]
async fn no_slice_of_work_looks_at_the_whole_account() {
    let (_dir, store) = Store::of_a_test().await;
    let mut conn = store.read().await.unwrap();
    let mut wide = Vec::new();
    for statement in IN_SLICES.iter().flat_map(|batch| batch.split(';')) {
        let steps = plan(&mut conn, statement).await;
        let sorts = steps.iter().any(|step| step == "USE TEMP B-TREE FOR ORDER BY");
        assert!(
            !(sorts && statement.contains("next_at <= ?2")),
            "all that is due is sorted: {statement}"
        );
        wide.extend(
            steps
                .into_iter()
                .filter(|step| is_wide(step))
                .map(|step| (statement, step)),
        );
    }
    assert!(wide.is_empty(), "{wide:#?}");
    let known = plan(&mut conn, "DELETE FROM outbox WHERE account_id = 1 AND id IN (1, 2)").await;
    assert!(known.iter().any(|step| is_wide(step)), "{known:?}");
    drop(conn);
    store.close().await;
}
