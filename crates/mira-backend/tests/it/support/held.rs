//! The database's one write lock in a test's hand: whoever writes waits until it is let go, so that something can happen
//! between asking for a write and its commit.

use super::client::House;
use sqlx::{Connection, SqliteConnection};
use std::{future::Future, pin::pin, time::Duration};
use tokio::time::timeout;

/// How long a request is given to come as far as its first write. Too short only makes a test easier to pass; the server
/// waits for the lock much longer.
const UNTIL_IT_WRITES: Duration = Duration::from_millis(500);

/// The lock.
struct Held(SqliteConnection);

impl Held {
    async fn of(house: &House) -> Self {
        let url = format!("sqlite://{}", house.setup.data_dir().join("mira.db").display());
        let mut conn = SqliteConnection::connect(&url).await.unwrap();
        sqlx::query("BEGIN IMMEDIATE").execute(&mut conn).await.unwrap();
        Self(conn)
    }

    async fn let_go(mut self) {
        sqlx::query("ROLLBACK").execute(&mut self.0).await.unwrap();
        self.0.close().await.unwrap();
    }
}

/// Sends a request, and hangs up while what it asks for waits to be written.
pub async fn hang_up(house: &House, request: reqwest::RequestBuilder) {
    let held = Held::of(house).await;
    let unanswered = timeout(UNTIL_IT_WRITES, request.send()).await.is_err();
    held.let_go().await;
    assert!(unanswered, "it was answered before anything was written");
}

/// Runs what writes, with all of it ready to be written before the first of it is.
pub async fn at_once<T>(house: &House, work: impl Future<Output = T>) -> T {
    let held = Held::of(house).await;
    let mut work = pin!(work);
    let early = timeout(UNTIL_IT_WRITES, &mut work).await.is_ok();
    held.let_go().await;
    assert!(!early, "it was done before anything was written");
    work.await
}
