//! Lists that are whole by nature: tools, overlays, a folder, the branches of a repository. Nobody pages through them, so
//! all of one is told; whoever asks for parts of it gets them like the pages of any other list.

use super::sessions::ListQuery;
use crate::api::error::ApiError;
use mira_memory::Page;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which part of such a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PartQuery {
    /// At most so many, 1 to 200; all of them when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next_cursor` of the part before.
    cursor: Option<String>,
}

impl PartQuery {
    /// What was asked for, and where the next part begins: the cursor counts what lies before it.
    pub fn of<T>(self, mut items: Vec<T>) -> Result<(Vec<T>, Option<String>), ApiError> {
        let Self { limit, cursor } = self;
        if limit.is_none() && cursor.is_none() {
            return Ok((items, None));
        }
        let Page { limit, cursor } = ListQuery { limit, cursor }.page::<usize>()?;
        let begin = cursor.unwrap_or(0).min(items.len());
        let end = begin.saturating_add(limit as usize);
        let next = (end < items.len()).then(|| end.to_string());
        items.truncate(end);
        Ok((items.split_off(begin), next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(limit: Option<u32>, cursor: Option<&str>, expect: Option<(&[u32], Option<&str>)>) {
        let query = PartQuery {
            limit,
            cursor: cursor.map(str::to_owned),
        };
        let found = query.of(vec![1, 2, 3]).ok();
        let expect = expect.map(|(items, next)| (items.to_vec(), next.map(str::to_owned)));
        assert_eq!(found, expect, "{limit:?} {cursor:?}");
    }

    #[test]
    fn parts() {
        check(None, None, Some((&[1, 2, 3], None)));
        check(Some(2), None, Some((&[1, 2], Some("2"))));
        check(Some(2), Some("2"), Some((&[3], None)));
        check(Some(3), None, Some((&[1, 2, 3], None)));
        check(Some(u32::MAX), None, Some((&[1, 2, 3], None)));
        check(None, Some("1"), Some((&[2, 3], None)));
        check(Some(1), Some("3"), Some((&[], None)));
        check(Some(1), Some("99999999999"), Some((&[], None)));
        check(Some(0), None, None);
        check(None, Some("x"), None);
        check(None, Some("-1"), None);
    }
}
