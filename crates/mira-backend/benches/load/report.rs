//! Figures: samples and their quantiles, the printed rows, the same as JSON.

use crate::{Outcome, machine};
use serde_json::{Map, Value, json};
use std::{
    fs,
    io::{self, Write},
    path::Path,
    time::Duration,
};

/// Times, in milliseconds.
#[derive(Debug, Default, Clone)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// One more.
    pub fn push(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64() * 1e3);
    }

    /// All of another.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value below which this share of them lies (nearest rank); 0 of none.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a length"
        )]
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.max(1) - 1).copied().unwrap_or(0.0)
    }

    /// How many per second, were each done after the other.
    pub fn rate(&self) -> f64 {
        self.len() as f64 * 1e3 / self.0.iter().sum::<f64>()
    }

    /// Median, 99 of 100, most, and how many.
    pub fn summary(&self) -> [Figure; 4] {
        [
            ("p50", self.quantile(0.5), "ms"),
            ("p99", self.quantile(0.99), "ms"),
            ("max", self.quantile(1.0), "ms"),
            ("n", self.len() as f64, ""),
        ]
    }
}

/// A name, a value and its unit.
pub type Figure = (&'static str, f64, &'static str);

/// Everything measured in one run.
pub struct Report {
    header: Map<String, Value>,
    rows: Vec<Value>,
}

impl Report {
    /// Begins with the machine and the commit.
    pub fn begin(short: bool) -> Outcome<Self> {
        let mut header = Map::new();
        header.insert("machine".to_owned(), machine::processor().into());
        header.insert("commit".to_owned(), machine::commit().into());
        header.insert("load_average_before".to_owned(), machine::load_average().into());
        header.insert("short".to_owned(), short.into());
        for (name, value) in &header {
            writeln!(io::stdout(), "{name}: {value}")?;
        }
        writeln!(
            io::stdout(),
            "\n| scenario | case | figure | measured |\n|---|---|---|---|"
        )?;
        Ok(Self {
            header,
            rows: Vec::new(),
        })
    }

    /// Prints and keeps a row.
    pub fn row(&mut self, scenario: &str, case: &str, what: &str, figures: &[Figure]) -> Outcome<()> {
        let mut text = Vec::with_capacity(figures.len());
        let mut values = Map::new();
        for (name, value, unit) in figures {
            let digits = if value.fract() == 0.0 { 0 } else { 2 };
            text.push(format!("{name} {value:.digits$} {unit}").trim().to_owned());
            let key = if unit.is_empty() {
                (*name).to_owned()
            } else {
                format!("{name} ({unit})")
            };
            values.insert(key, json!(value));
        }
        self.rows
            .push(json!({ "scenario": scenario, "case": case, "figure": what, "measured": values }));
        let mut out = io::stdout();
        writeln!(out, "| {scenario} | {case} | {what} | {} |", text.join(", "))?;
        Ok(out.flush()?)
    }

    /// Writes all rows.
    pub fn write_json(&self, path: &Path) -> Outcome<()> {
        let mut whole = self.header.clone();
        whole.insert("load_average_after".to_owned(), machine::load_average().into());
        whole.insert("rows".to_owned(), self.rows.clone().into());
        Ok(fs::write(path, serde_json::to_vec_pretty(&whole)?)?)
    }
}
