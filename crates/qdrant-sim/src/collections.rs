//! What the emulator keeps: collections, aliases, points, and the writes that are acknowledged but not yet visible.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::Refusal;
use crate::filter::Filter;

/// A point.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub id: Uuid,
    /// Normalised, as the distance `Cosine` stores it; a zero vector stays one.
    pub vector: Vec<f32>,
    pub payload: Map<String, Value>,
}

/// A write of points.
#[derive(Debug)]
pub(crate) enum Write {
    Upsert(Vec<Point>),
    DeleteIds(Vec<Uuid>),
    DeleteWhere(Filter),
}

/// A collection with one vector without a name.
#[derive(Debug, Default)]
pub(crate) struct Collection {
    pub size: usize,
    pub on_disk_payload: bool,
    /// Field and schema of each payload index.
    pub indexes: BTreeMap<String, String>,
    points: BTreeMap<Uuid, Point>,
    /// Acknowledged, not yet visible.
    pending: Vec<Write>,
    operations: u64,
}

impl Collection {
    pub(crate) fn len(&self) -> usize {
        self.points.len()
    }

    /// Takes a write; answers its number.
    pub(crate) fn write(&mut self, write: Write, wait: bool) -> u64 {
        self.pending.push(write);
        if wait {
            self.settle();
        }
        self.operations += 1;
        self.operations
    }

    fn settle(&mut self) {
        for write in std::mem::take(&mut self.pending) {
            match write {
                Write::Upsert(points) => self.points.extend(points.into_iter().map(|point| (point.id, point))),
                Write::DeleteIds(ids) => ids.iter().for_each(|id| drop(self.points.remove(id))),
                Write::DeleteWhere(filter) => {
                    self.points.retain(|id, point| !filter.takes(*id, &point.payload));
                }
            }
        }
    }

    pub(crate) fn count(&self, filter: &Filter) -> usize {
        let takes = |point: &&Point| filter.takes(point.id, &point.payload);
        self.points.values().filter(takes).count()
    }

    /// The nearest points, best first.
    pub(crate) fn query(&self, query: &[f32], filter: &Filter, limit: usize) -> Vec<(Uuid, f32, &Point)> {
        let query = normalised(query.to_vec());
        let mut found: Vec<(Uuid, f32, &Point)> = self
            .points
            .values()
            .filter(|point| filter.takes(point.id, &point.payload))
            .map(|point| {
                let score = point.vector.iter().zip(&query).map(|(a, b)| a * b).sum();
                (point.id, score, point)
            })
            .collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found.truncate(limit);
        found
    }
}

pub(crate) fn normalised(mut vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if norm > 0.0 {
        for x in &mut vector {
            *x /= norm;
        }
    }
    vector
}

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct Collections {
    all: BTreeMap<String, Collection>,
    aliases: BTreeMap<String, String>,
}

/// A change of aliases.
#[derive(Debug)]
pub(crate) enum AliasChange {
    Create { alias: String, collection: String },
    Delete { alias: String },
}

impl Collections {
    /// A collection by its name or an alias.
    pub(crate) fn find(&mut self, name: &str) -> Result<&mut Collection, Refusal> {
        let real = self.aliases.get(name).map_or(name, String::as_str);
        self.all.get_mut(real).ok_or_else(|| Refusal::no_collection(name))
    }

    pub(crate) fn create(&mut self, name: &str, size: usize, on_disk_payload: bool) -> Result<(), Refusal> {
        if self.aliases.contains_key(name) {
            return Err(Refusal::wrong_input(format!(
                "Can't create collection with name {name}. Alias with the same name already exists"
            )));
        }
        if self.all.contains_key(name) {
            return Err(Refusal::new(
                409,
                format!("Wrong input: Collection `{name}` already exists!"),
            ));
        }
        let collection = Collection {
            size,
            on_disk_payload,
            ..Collection::default()
        };
        self.all.insert(name.to_owned(), collection);
        Ok(())
    }

    /// Deletes a collection and the aliases that name it.
    pub(crate) fn delete(&mut self, name: &str) -> bool {
        self.aliases.retain(|_, target| target != name);
        self.all.remove(name).is_some()
    }

    /// Changes aliases, all or none.
    pub(crate) fn change(&mut self, changes: Vec<AliasChange>) -> Result<(), Refusal> {
        let mut aliases = self.aliases.clone();
        for change in changes {
            match change {
                AliasChange::Create { alias, collection } => {
                    if !self.all.contains_key(&collection) {
                        return Err(Refusal::no_collection(&collection));
                    }
                    if self.all.contains_key(&alias) {
                        return Err(Refusal::new(
                            409,
                            format!("Wrong input: Collection `{alias}` already exists!"),
                        ));
                    }
                    aliases.insert(alias, collection);
                }
                AliasChange::Delete { alias } => drop(aliases.remove(&alias)),
            }
        }
        self.aliases = aliases;
        Ok(())
    }

    pub(crate) fn aliases(&self) -> &BTreeMap<String, String> {
        &self.aliases
    }

    pub(crate) fn alias(&self, name: &str) -> Option<String> {
        self.aliases.get(name).cloned()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.all.keys().cloned().collect()
    }

    pub(crate) fn visible(&mut self, name: &str) -> Option<usize> {
        self.find(name).ok().map(|collection| collection.len())
    }

    pub(crate) fn settle(&mut self) {
        self.all.values_mut().for_each(Collection::settle);
    }

    pub(crate) fn wipe(&mut self) {
        *self = Self::default();
    }
}
