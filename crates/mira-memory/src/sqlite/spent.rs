//! Table `spent_tokens`, what was spent beside the replies, and what was spent in all since some moment.

use super::{
    Store,
    error::StoreError,
    rows::{int, ms},
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::ids::AccountId;

/// A quarter of an hour, in milliseconds: every time zone's day begins with one.
const QUARTER_MS: i64 = 15 * 60 * 1000;
/// So many quarters are kept: more than the longest day.
const KEPT: i64 = 2 * 24 * 4;

impl Store {
    /// Counts tokens that no reply and no turn carries.
    pub async fn add_tokens(&self, account: AccountId, tokens: u64, now: Timestamp) -> Result<(), StoreError> {
        let quarter = ms(now).div_euclid(QUARTER_MS);
        self.write(Class::Partial, move |conn| {
            async move {
                sqlx::query(
                    "INSERT INTO spent_tokens (account_id, quarter, tokens) VALUES (?1, ?2, ?3)
                     ON CONFLICT (account_id, quarter) DO UPDATE SET tokens = tokens + excluded.tokens",
                )
                .bind(account.0)
                .bind(quarter)
                .bind(int(tokens))
                .execute(&mut *conn)
                .await?;
                sqlx::query("DELETE FROM spent_tokens WHERE account_id = ?1 AND quarter < ?2")
                    .bind(account.0)
                    .bind(quarter - KEPT)
                    .execute(conn)
                    .await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    /// Tokens spent (input and output) since `since`: by replies, by turns that ended without one, and beside them, those
    /// to the quarter of an hour that `since` is in.
    pub async fn tokens_used_since(&self, account: AccountId, since: Timestamp) -> Result<u64, StoreError> {
        let sum: i64 = sqlx::query_scalar(
            "SELECT (SELECT coalesce(sum(input_tokens + output_tokens), 0) FROM messages
                      WHERE account_id = ?1 AND created_at >= ?2 AND output_tokens IS NOT NULL)
                  + (SELECT coalesce(sum(tokens), 0) FROM turns
                      WHERE account_id = ?1 AND ended_at >= ?2 AND tokens IS NOT NULL)
                  + (SELECT coalesce(sum(tokens), 0) FROM spent_tokens WHERE account_id = ?1 AND quarter >= ?3)",
        )
        .bind(account.0)
        .bind(ms(since))
        .bind(ms(since).div_euclid(QUARTER_MS))
        .fetch_one(&mut *self.read().await?)
        .await?;
        Ok(sum.unsigned_abs())
    }
}
