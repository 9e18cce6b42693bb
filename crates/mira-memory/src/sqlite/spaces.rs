//! Table `spaces`: which model made the vectors at a place. A place is where vectors are, the embedded index
//! ([`EMBEDDED`]) or a Qdrant collection; it has one active space, which answers, and others that are being filled or
//! are on their way out.
//!
//! Spaces are settings of the whole installation: they belong to no account, only the vectors in them do.

use super::{
    Store,
    error::StoreError,
    messages::unknown,
    outbox::SpaceId,
    rows::{Columns, int, ms},
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

/// The place of vectors that stand in this file.
pub const EMBEDDED: &str = "embedded";

/// Rows deleted in one transaction, so that turns pass in between.
const SLICE: i64 = 2000;

/// Whether a space answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpaceState {
    /// It is being filled, or waits to be deleted.
    Building,
    /// It answers.
    Active,
}

impl SpaceState {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "building" => Ok(Self::Building),
            "active" => Ok(Self::Active),
            other => Err(unknown(other)),
        }
    }
}

/// Vectors of one model at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    /// Its id.
    pub id: SpaceId,
    /// Where the vectors are: [`EMBEDDED`] or the name of a Qdrant collection.
    pub place: String,
    /// The model that makes them.
    pub model: String,
    /// Their length.
    pub dimension: usize,
    /// Whether it answers.
    pub state: SpaceState,
    /// What tells this database's collections from another's on the same server: made at random with its first space, 8
    /// hexadecimal digits. Empty in a database that was in Qdrant before there was such a name.
    pub instance: String,
    /// When it was opened first.
    pub created_at: Timestamp,
}

macro_rules! space_columns {
    () => {
        "id, place, model, dimension, state, instance, created_at"
    };
}

fn read(row: &SqliteRow) -> Result<Space, StoreError> {
    let mut c = Columns::new("spaces", row);
    let id = SpaceId(c.take("id")?);
    c.named(id.0);
    Ok(Space {
        id,
        place: c.take("place")?,
        model: c.take("model")?,
        dimension: usize::try_from(c.count("dimension")?).unwrap_or(usize::MAX),
        state: c.parsed("state", SpaceState::parse)?,
        instance: c.take("instance")?,
        created_at: c.time("created_at")?,
    })
}

async fn find(conn: &mut SqliteConnection, id: SpaceId) -> Result<Option<Space>, StoreError> {
    let row = sqlx::query(concat!("SELECT ", space_columns!(), " FROM spaces WHERE id = ?1"))
        .bind(id.0)
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(read).transpose()
}

/// Makes the space if it is new; it answers at once where no other does.
async fn open(
    conn: &mut SqliteConnection,
    place: &str,
    model: &str,
    dimension: usize,
    now: Timestamp,
) -> Result<Space, StoreError> {
    sqlx::query(
        "INSERT INTO spaces (place, model, dimension, state, instance, created_at)
         VALUES (?1, ?2, ?3, 'building', coalesce((SELECT max(instance) FROM spaces), lower(hex(randomblob(4)))), ?4)
         ON CONFLICT (place, model, dimension) DO NOTHING",
    )
    .bind(place)
    .bind(model)
    .bind(int(dimension as u64))
    .bind(ms(now))
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "UPDATE spaces SET state = 'active' WHERE place = ?1 AND model = ?2 AND dimension = ?3
            AND NOT EXISTS (SELECT 1 FROM spaces WHERE place = ?1 AND state = 'active')",
    )
    .bind(place)
    .bind(model)
    .bind(int(dimension as u64))
    .execute(&mut *conn)
    .await?;
    let row = sqlx::query(concat!(
        "SELECT ",
        space_columns!(),
        " FROM spaces WHERE place = ?1 AND model = ?2 AND dimension = ?3"
    ))
    .bind(place)
    .bind(model)
    .bind(int(dimension as u64))
    .fetch_one(conn)
    .await?;
    read(&row)
}

/// Makes a space the active one of its place; answers the others there, or nothing if it is unknown.
async fn activate(conn: &mut SqliteConnection, id: SpaceId) -> Result<Option<Vec<Space>>, StoreError> {
    let Some(space) = find(&mut *conn, id).await? else {
        return Ok(None);
    };
    sqlx::query("UPDATE spaces SET state = CASE id WHEN ?1 THEN 'active' ELSE 'building' END WHERE place = ?2")
        .bind(id.0)
        .bind(&space.place)
        .execute(&mut *conn)
        .await?;
    let others = sqlx::query(concat!(
        "SELECT ",
        space_columns!(),
        " FROM spaces WHERE place = ?2 AND id <> ?1"
    ))
    .bind(id.0)
    .bind(&space.place)
    .fetch_all(conn)
    .await?;
    others.iter().map(read).collect::<Result<_, _>>().map(Some)
}

/// Deletes some vectors of a space; answers how many.
async fn delete_slice(conn: &mut SqliteConnection, space: SpaceId) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "DELETE FROM vectors WHERE space_id = ?1 AND key IN
           (SELECT key FROM vectors WHERE space_id = ?1 ORDER BY key LIMIT (?2 + 0))",
    )
    .bind(space.0)
    .bind(SLICE)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

async fn delete(conn: &mut SqliteConnection, id: SpaceId) -> Result<bool, StoreError> {
    sqlx::query("DELETE FROM outbox WHERE step = 'vector' AND space_id = ?1")
        .bind(id.0)
        .execute(&mut *conn)
        .await?;
    let done = sqlx::query("DELETE FROM spaces WHERE id = ?1")
        .bind(id.0)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

impl Store {
    /// The space of a model at a place, made if it is new. The first one of a place is active at once; another is
    /// `building` until [`Store::activate_space`].
    pub async fn open_space(
        &self,
        place: &str,
        model: &str,
        dimension: usize,
        now: Timestamp,
    ) -> Result<Space, StoreError> {
        let (place, model) = (place.to_owned(), model.to_owned());
        self.write(Class::Acknowledged, move |conn| {
            let (place, model) = (place.clone(), model.clone());
            async move { open(conn, &place, &model, dimension, now).await }.boxed()
        })
        .await
    }

    /// All spaces, oldest first.
    pub async fn list_spaces(&self) -> Result<Vec<Space>, StoreError> {
        let rows = sqlx::query(concat!("SELECT ", space_columns!(), " FROM spaces ORDER BY id"))
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(read).collect()
    }

    /// Makes a space the one that answers at its place and deletes the others there, their vectors in slices. Safe to
    /// repeat: what a crash left of the others goes the next time. Answers those that went, or nothing if there is no
    /// such space.
    pub async fn activate_space(&self, id: SpaceId) -> Result<Option<Vec<Space>>, StoreError> {
        let others = self
            .write(Class::Acknowledged, move |conn| activate(conn, id).boxed())
            .await?;
        for other in others.iter().flatten() {
            self.delete_space(other.id).await?;
        }
        Ok(others)
    }

    /// Deletes a space, its vectors in slices and the work queued for it; answers whether it was there.
    pub async fn delete_space(&self, id: SpaceId) -> Result<bool, StoreError> {
        while self
            .write(Class::Partial, move |conn| delete_slice(conn, id).boxed())
            .await?
            > 0
        {}
        self.write(Class::Acknowledged, move |conn| delete(conn, id).boxed())
            .await
    }
}
