//! The measures, and how they are printed.

use mira_core::ids::MemoryId;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

/// Recall@5, @10, @20, reciprocal rank, nDCG@10.
type Row = [f64; 5];
const NAMES: [&str; 5] = ["R@5", "R@10", "R@20", "MRR", "nDCG@10"];
/// The category of questions whose premise is wrong.
const ADVERSARIAL: u8 = 5;

/// How well an order finds what is relevant.
fn score(order: &[MemoryId], relevant: &BTreeSet<MemoryId>) -> Row {
    let ranks: Vec<usize> = (1..)
        .zip(order)
        .filter(|(_, id)| relevant.contains(id))
        .map(|(rank, _)| rank)
        .collect();
    let recall = |k| ranks.iter().filter(|&&rank| rank <= k).count() as f64 / relevant.len() as f64;
    let gain = |rank: usize| 1.0 / ((rank + 1) as f64).log2();
    let ideal: f64 = (1..=relevant.len().min(10)).map(gain).sum();
    let found: f64 = ranks.iter().filter(|&&rank| rank <= 10).map(|&rank| gain(rank)).sum();
    [
        recall(5),
        recall(10),
        recall(20),
        ranks.first().map_or(0.0, |&rank| 1.0 / rank as f64),
        found / ideal,
    ]
}

fn mean(rows: &[Row]) -> Row {
    let mut sum = Row::default();
    for row in rows {
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += value / rows.len() as f64;
        }
    }
    sum
}

/// The questions of one conversation, by category.
#[derive(Default)]
pub struct Figures(BTreeMap<u8, Vec<Row>>);

impl Figures {
    pub fn add(&mut self, category: u8, order: &[MemoryId], relevant: &BTreeSet<MemoryId>) {
        self.0.entry(category).or_default().push(score(order, relevant));
    }
}

/// Means over conversations.
#[derive(Default)]
pub struct Table {
    all: Vec<Row>,
    by_category: BTreeMap<u8, Vec<Row>>,
}

impl Table {
    pub fn add(&mut self, figures: &Figures) {
        let all: Vec<Row> = figures
            .0
            .iter()
            .filter(|(category, _)| **category != ADVERSARIAL)
            .flat_map(|(_, rows)| rows.iter().copied())
            .collect();
        self.all.push(mean(&all));
        for (category, rows) in &figures.0 {
            self.by_category.entry(*category).or_default().push(mean(rows));
        }
    }

    fn rows(&self) -> Vec<(String, Row)> {
        let name = |category: u8| match category {
            1 => "1 multi-hop".to_owned(),
            2 => "2 temporal".to_owned(),
            3 => "3 open-domain".to_owned(),
            4 => "4 single-hop".to_owned(),
            ADVERSARIAL => "5 adversarial (not in all)".to_owned(),
            other => other.to_string(),
        };
        let each = (1..).zip(&self.all).map(|(n, row)| (format!("conversation {n}"), *row));
        [("all".to_owned(), mean(&self.all))]
            .into_iter()
            .chain(
                self.by_category
                    .iter()
                    .map(|(&category, rows)| (name(category), mean(rows))),
            )
            .chain(each)
            .collect()
    }

    /// As a table of markdown.
    pub fn text(&self) -> String {
        let mut out = format!("| | {} |\n|---|---|---|---|---|---|\n", NAMES.join(" | "));
        for (name, row) in self.rows() {
            let cells: Vec<String> = row.iter().map(|value| format!("{value:.3}")).collect();
            writeln!(out, "| {name} | {} |", cells.join(" | ")).unwrap();
        }
        out
    }

    pub fn json(&self, times: &Times) -> serde_json::Value {
        let rows: serde_json::Map<String, serde_json::Value> = self
            .rows()
            .into_iter()
            .map(|(name, row)| {
                let cells: serde_json::Map<_, _> = NAMES
                    .iter()
                    .zip(row)
                    .map(|(name, value)| ((*name).to_owned(), json!(value)))
                    .collect();
                (name, cells.into())
            })
            .collect();
        json!({ "figures": rows, "query_ms": { "p50": times.ms(50), "p99": times.ms(99) }, "queries": times.asked.len() })
    }
}

/// How long it took.
#[derive(Default)]
pub struct Times {
    asked: Vec<Duration>,
    messages: usize,
    indexing: Duration,
}

impl Times {
    pub fn asked(&mut self, time: Duration) {
        self.asked.push(time);
        self.asked.sort_unstable();
    }

    pub fn indexed(&mut self, messages: usize, time: Duration) {
        self.messages += messages;
        self.indexing += time;
    }

    fn ms(&self, percent: usize) -> f64 {
        let last = self.asked.len().saturating_sub(1);
        self.asked[(self.asked.len() * percent / 100).min(last)].as_secs_f64() * 1000.0
    }

    pub fn text(&self) -> String {
        format!(
            "{} questions, embedding included: p50 {:.2} ms, p99 {:.2} ms; {} messages stored and indexed, {:.0}/s",
            self.asked.len(),
            self.ms(50),
            self.ms(99),
            self.messages,
            self.messages as f64 / self.indexing.as_secs_f64(),
        )
    }
}
