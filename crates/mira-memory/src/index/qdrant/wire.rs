//! The JSON of Qdrant's REST API, as its OpenAPI document describes it: what is sent, and the little that is read.

use crate::index::{Filter, Point};
use mira_core::ids::{AccountId, MemoryId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// The payload's fields and the type of the index over each. Filters ask for nothing else.
pub(super) const FIELDS: [(&str, &str); 5] = [
    ("account", "integer"),
    ("kind", "keyword"),
    ("session", "keyword"),
    ("project", "keyword"),
    ("at", "integer"),
];

/// What stands beside a vector.
#[derive(Debug, Serialize)]
struct Payload<'a> {
    account: i64,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<Uuid>,
    /// Milliseconds since the Unix epoch.
    at: i64,
}

#[derive(Debug, Serialize)]
struct PointStruct<'a> {
    id: Uuid,
    vector: &'a [f32],
    payload: Payload<'a>,
}

/// A point as JSON.
pub(super) fn point(account: AccountId, point: &Point) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&PointStruct {
        id: point.id.0,
        vector: &point.vector,
        payload: Payload {
            account: account.0,
            kind: point.kind.as_str(),
            session: point.session.as_ref().map(mira_core::ids::SessionId::as_str),
            project: point.project.map(|id| id.0),
            at: point.at.as_millisecond(),
        },
    })
}

/// `{"points": [...]}` of points that are JSON already.
pub(super) fn points(points: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::with_capacity(points.iter().map(|point| point.len() + 1).sum::<usize>() + 16);
    body.extend_from_slice(b"{\"points\":[");
    body.extend_from_slice(&points.join(&b','));
    body.extend_from_slice(b"]}");
    body
}

fn matches(key: &str, value: &Value) -> Value {
    json!({ "key": key, "match": { "value": value } })
}

/// The filter of an account.
pub(super) fn of_account(account: AccountId) -> Value {
    json!({ "must": [matches("account", &account.0.into())] })
}

/// The filter of points of an account.
pub(super) fn of_ids(account: AccountId, ids: &[MemoryId]) -> Value {
    json!({ "must": [matches("account", &account.0.into()), { "has_id": ids }] })
}

/// The filter of a search.
pub(super) fn filter(account: AccountId, filter: &Filter) -> Value {
    let mut must = vec![matches("account", &account.0.into())];
    if !filter.kinds.is_empty() {
        let kinds: Vec<&str> = filter.kinds.iter().map(|kind| kind.as_str()).collect();
        must.push(json!({ "key": "kind", "match": { "any": kinds } }));
    }
    if let Some(session) = &filter.session {
        must.push(matches("session", &session.as_str().into()));
    }
    if let Some(project) = &filter.project {
        must.push(matches("project", &project.to_string().into()));
    }
    let mut range = serde_json::Map::new();
    if let Some(from) = filter.from {
        range.insert("gte".to_owned(), from.as_millisecond().into());
    }
    if let Some(until) = filter.until {
        range.insert("lt".to_owned(), until.as_millisecond().into());
    }
    if !range.is_empty() {
        must.push(json!({ "key": "at", "range": range }));
    }
    json!({ "must": must })
}

/// A nearest-neighbour query.
#[derive(Debug, Serialize)]
pub(super) struct QueryRequest<'a> {
    pub query: &'a [f32],
    pub filter: Value,
    pub params: Value,
    pub limit: usize,
    pub with_payload: bool,
    pub with_vector: bool,
}

/// `{"result": ...}` of an answer; the rest (`status`, `time`, `usage`) says nothing new.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<T> {
    pub result: T,
}

/// `{"status": {"error": "..."}}` of a refusal.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub status: RefusalStatus,
}

#[derive(Debug, Deserialize)]
pub(super) struct RefusalStatus {
    pub error: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct QueryResult {
    pub points: Vec<ScoredPoint>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ScoredPoint {
    pub id: Uuid,
    pub score: f32,
}

#[derive(Debug, Deserialize)]
pub(super) struct CountResult {
    pub count: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Aliases {
    pub aliases: Vec<Alias>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Alias {
    pub alias_name: String,
    pub collection_name: String,
}

/// What is read of a collection's description.
#[derive(Debug, Deserialize)]
pub(super) struct CollectionInfo {
    pub config: CollectionConfig,
    #[serde(default)]
    pub payload_schema: serde_json::Map<String, Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CollectionConfig {
    pub params: CollectionParams,
}

#[derive(Debug, Deserialize)]
pub(super) struct CollectionParams {
    pub vectors: Value,
}

impl CollectionInfo {
    /// Length and distance of its one vector; `None` where its vectors have names.
    pub(super) fn vectors(&self) -> Option<(usize, &str)> {
        let vectors = &self.config.params.vectors;
        let size = vectors.get("size")?.as_u64()?;
        Some((usize::try_from(size).ok()?, vectors.get("distance")?.as_str()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use mira_core::memory::MemoryKind;

    #[test]
    fn wire_forms() {
        let id = MemoryId(Uuid::from_u128(7));
        let at = Timestamp::from_millisecond(1_800_000_000_123).unwrap();
        let written = point(
            AccountId::OWNER,
            &Point {
                id,
                kind: MemoryKind::Fact,
                session: Some("s".parse().unwrap()),
                project: None,
                at,
                vector: [0.6_f32, -0.8].into(),
            },
        )
        .unwrap();
        assert_eq!(
            String::from_utf8(points(&[written.clone(), written])).unwrap(),
            concat!(
                r#"{"points":[{"id":"00000000-0000-0000-0000-000000000007","vector":[0.6,-0.8],"#,
                r#""payload":{"account":1,"kind":"fact","session":"s","at":1800000000123}},"#,
                r#"{"id":"00000000-0000-0000-0000-000000000007","vector":[0.6,-0.8],"#,
                r#""payload":{"account":1,"kind":"fact","session":"s","at":1800000000123}}]}"#
            )
        );
        let asked = Filter {
            kinds: vec![MemoryKind::Message, MemoryKind::Fact],
            session: Some("s".parse().unwrap()),
            project: Some(mira_core::ids::ProjectId(id.0)),
            from: Some(at),
            until: Some(at),
        };
        assert_eq!(
            filter(AccountId::OWNER, &asked).to_string(),
            concat!(
                r#"{"must":[{"key":"account","match":{"value":1}},{"key":"kind","match":{"any":["message","fact"]}},"#,
                r#"{"key":"session","match":{"value":"s"}},"#,
                r#"{"key":"project","match":{"value":"00000000-0000-0000-0000-000000000007"}},"#,
                r#"{"key":"at","range":{"gte":1800000000123,"lt":1800000000123}}]}"#
            )
        );
        assert_eq!(
            of_ids(AccountId::OWNER, &[id]).to_string(),
            concat!(
                r#"{"must":[{"key":"account","match":{"value":1}},"#,
                r#"{"has_id":["00000000-0000-0000-0000-000000000007"]}]}"#
            )
        );
    }
}
