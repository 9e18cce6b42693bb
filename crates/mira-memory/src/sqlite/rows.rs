//! Reading rows and binding ids: the only place that knows how an id or a time looks in a column.
//! A value that does not parse is an error naming table, column and row, never a default.

use super::error::StoreError;
use jiff::Timestamp;
use sqlx::{Decode, Row, Sqlite, Type, sqlite::SqliteRow};
use std::fmt::Display;
use uuid::Uuid;

/// A query whose text is static and whose statement is prepared once per connection.
pub(super) type Query<'q> = sqlx::query::Query<'q, Sqlite, sqlx::sqlite::SqliteArguments>;

/// In a batch of several statements sqlx counts each number a statement skips as one argument more; without spare
/// arguments at the end it would leave later numbers unbound.
pub(super) fn bind_spare(mut query: Query<'_>, spare: usize) -> Query<'_> {
    for _ in 0..spare {
        query = query.bind(None::<i64>);
    }
    query
}

/// Enough spare arguments for every batch of this crate.
pub(super) const SPARE: usize = 160;

/// A UUID as it is bound.
pub(super) fn blob(id: &Uuid) -> &[u8] {
    id.as_bytes().as_slice()
}

/// A time as it is bound: milliseconds since the Unix epoch.
pub(super) fn ms(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// A row read column by column, from the left.
pub(super) struct Columns<'r> {
    row: &'r SqliteRow,
    table: &'static str,
    next: usize,
    name: String,
}

impl<'r> Columns<'r> {
    pub(super) fn new(table: &'static str, row: &'r SqliteRow) -> Self {
        Self::at(table, row, 0)
    }

    /// The same, from a later column on.
    pub(super) fn at(table: &'static str, row: &'r SqliteRow, next: usize) -> Self {
        Self {
            row,
            table,
            next,
            name: String::new(),
        }
    }

    /// Names the row for the errors of the columns to come.
    pub(super) fn named(&mut self, name: impl Display) {
        self.name = name.to_string();
    }

    /// An error of this row.
    pub(super) fn bad(&self, column: &'static str, detail: impl Display) -> StoreError {
        StoreError::Row {
            table: self.table,
            column,
            row: self.name.clone(),
            detail: detail.to_string(),
        }
    }

    /// The next column.
    pub(super) fn take<T>(&mut self, column: &'static str) -> Result<T, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        let value = self
            .row
            .try_get::<T, usize>(self.next)
            .map_err(|error| self.bad(column, error))?;
        self.next += 1;
        Ok(value)
    }

    /// The next column, a UUID.
    pub(super) fn uuid(&mut self, column: &'static str) -> Result<Uuid, StoreError> {
        let bytes: &[u8] = self.take(column)?;
        Uuid::from_slice(bytes).map_err(|error| self.bad(column, error))
    }

    /// The next column, a UUID or null.
    pub(super) fn uuid_or_null(&mut self, column: &'static str) -> Result<Option<Uuid>, StoreError> {
        let bytes: Option<&[u8]> = self.take(column)?;
        bytes
            .map(Uuid::from_slice)
            .transpose()
            .map_err(|error| self.bad(column, error))
    }

    /// The next column, UUIDs as hex without separators, as `group_concat(hex(id), '')` makes them.
    pub(super) fn uuids(&mut self, column: &'static str) -> Result<Vec<Uuid>, StoreError> {
        let hex: Option<&str> = self.take(column)?;
        let mut ids = Vec::new();
        for chunk in hex.unwrap_or_default().as_bytes().chunks(32) {
            ids.push(Uuid::try_parse_ascii(chunk).map_err(|error| self.bad(column, error))?);
        }
        Ok(ids)
    }

    /// The next column, a time.
    pub(super) fn time(&mut self, column: &'static str) -> Result<Timestamp, StoreError> {
        let at: i64 = self.take(column)?;
        Timestamp::from_millisecond(at).map_err(|error| self.bad(column, error))
    }

    /// The next column, a time or null.
    pub(super) fn time_or_null(&mut self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        let at: Option<i64> = self.take(column)?;
        at.map(Timestamp::from_millisecond)
            .transpose()
            .map_err(|error| self.bad(column, error))
    }

    /// The next column, a count.
    pub(super) fn count(&mut self, column: &'static str) -> Result<u64, StoreError> {
        let n: i64 = self.take(column)?;
        u64::try_from(n).map_err(|error| self.bad(column, error))
    }

    /// The next column, text that `parse` understands.
    pub(super) fn parsed<T, E: Display>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        let text: &str = self.take(column)?;
        parse(text).map_err(|error| self.bad(column, error))
    }

    /// The next column, text that `parse` understands, or null.
    pub(super) fn parsed_or_null<T, E: Display>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = self.take(column)?;
        text.map(parse).transpose().map_err(|error| self.bad(column, error))
    }
}

/// A count as it is bound. SQLite's integers end at `i64::MAX`; no count of ours gets there.
pub(super) fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
