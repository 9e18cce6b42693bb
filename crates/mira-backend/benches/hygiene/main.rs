//! The hygiene bench of docs/BENCHMARKS.md: `cargo bench -p mira-backend --bench hygiene -- [--seed N] [--days 30]
//! [--gate off] [--show]`.
//!
//! Thirty simulated days of talk, with a model that notes whatever it can, run through Mira's real services; then the
//! facts that are left are held against what was true. Lives here: the command line and the loop. The life is in
//! `life`, its words in `phrases` and `rubbish`, the model in `model`, Mira in `house`, the counting in `tally`.
//! Invariants: the generator shares no code and no phrases with the gate; even seeds (tuning) and odd seeds (judging)
//! have no phrase in common; the same seed gives the same life.

mod dice;
mod house;
mod life;
mod model;
mod phrases;
mod rubbish;
mod tally;

use house::House;
use life::{Event, Life, Truth, value_of};
use mira_core::ids::MemoryId;
use model::{Model, told_in};
use phrases::TRAITS;
use std::{
    collections::HashMap,
    error::Error,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
};
use tally::{Seen, Tally};

/// Whatever went wrong ends the run.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const USAGE: &str = "\
hygiene: cargo bench -p mira-backend --bench hygiene -- [--seed N]... [--days N] [--gate off] [--show]

  --seed N    a life to live; even seeds are for tuning, odd ones for judging; 101, 103, 105 unless given
  --days N    how long (30)
  --gate off  keep every note as the model gives it: must come out bad
  --show      what went wrong, line by line
";

/// The most of the stored facts that may be junk, and of the live ones that may be duplicates, in per cent.
const MOST_JUNK: f64 = 2.0;
const MOST_DUPLICATES: f64 = 0.5;
/// Rounds of searching and forgetting before something counts as not forgettable.
const ROUNDS: usize = 40;

struct Arguments {
    seeds: Vec<u64>,
    days: usize,
    gate: bool,
    show: bool,
}

fn parse(arguments: impl Iterator<Item = String>) -> Outcome<Arguments> {
    let mut parsed = Arguments {
        seeds: Vec::new(),
        days: 30,
        gate: true,
        show: false,
    };
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            // Added by `cargo bench`.
            "--bench" => {}
            "--seed" => parsed.seeds.push(value()?.parse()?),
            "--days" => parsed.days = value()?.parse()?,
            "--gate" => parsed.gate = value()? != "off",
            "--show" => parsed.show = true,
            other => return Err(format!("unknown argument '{other}'\n\n{USAGE}").into()),
        }
    }
    if parsed.seeds.is_empty() {
        parsed.seeds = vec![101, 103, 105];
    }
    Ok(parsed)
}

/// What one life came to.
#[derive(Default)]
struct Result30 {
    tally: Tally,
    messages: usize,
    notes: usize,
    prompts: usize,
    probes: usize,
    stale: Vec<String>,
    forgets: usize,
    found: Vec<String>,
}

/// A life under way.
struct Run {
    house: House,
    model: Arc<Model>,
    gate: bool,
    /// Every fact ever listed; forgotten ones are taken out.
    seen: HashMap<MemoryId, Seen>,
    forgotten: Vec<(usize, usize)>,
    result: Result30,
}

impl Run {
    async fn event(&mut self, event: Event) -> Outcome<()> {
        match event {
            Event::Says { text, notes, echoes } => self.says(&text, &notes, echoes).await,
            Event::Forgets { at, value } => self.forgets(at, value).await,
            Event::Night => self.night().await,
        }
    }

    async fn says(&mut self, text: &str, notes: &[life::Note], echoes: bool) -> Outcome<()> {
        self.model.expect(notes, echoes);
        // What the owner says is true before the model answers.
        for note in notes {
            learn(&mut self.model.state().life, &note.truth);
        }
        self.house.say(text).await?;
        let taken = std::mem::take(&mut self.model.state().taken);
        self.result.messages += 1;
        self.result.notes += taken.len();
        if !self.gate {
            for note in &taken {
                let outdated = note.outdates.as_deref();
                self.house
                    .keep_ungated(&note.about, &note.topic, &note.text, outdated)
                    .await?;
            }
        }
        for fact in self.house.facts().await? {
            // What a fact was noted as when it came stays, whatever is noted later.
            if let Some(known) = self.seen.get_mut(&fact.id) {
                known.fact = fact;
                continue;
            }
            let noted = taken.iter().find(|note| note.text == fact.text);
            let seen = Seen {
                truth: noted.map(|note| note.truth.clone()),
                said: text.to_owned(),
                fact,
            };
            self.seen.insert(seen.fact.id, seen);
        }
        Ok(())
    }

    /// Asks after what has changed: the fact that holds must come before the one that held.
    async fn night(&mut self) -> Outcome<()> {
        let life = self.model.state().life.clone();
        for (at, told) in life.told.iter().enumerate() {
            let Some(one) = TRAITS.get(at).filter(|one| one.single && !told.past.is_empty()) else {
                continue;
            };
            for question in one.asked {
                self.result.probes += 1;
                let gathered = self.house.recall(question).await;
                let first = gathered
                    .items
                    .iter()
                    .map(|item| &item.memory)
                    .filter(|memory| memory.topic.is_some())
                    .filter_map(|memory| told_in(&memory.text).map(|told| (told, &memory.text)))
                    .find(|((of, _), _)| *of == at);
                if let Some(((_, value), text)) = first
                    && !told.current.contains(&value)
                {
                    self.result.stale.push(format!("{question} -> {text}"));
                }
            }
        }
        self.house.sleep();
        Ok(())
    }

    /// Searches for the value and forgets whatever comes up, until nothing does.
    async fn forgets(&mut self, at: usize, value: usize) -> Outcome<()> {
        self.result.forgets += 1;
        let word = marker(at, value);
        for _ in 0..ROUNDS {
            let Some(memory) = self.house.search(&word).await?.into_iter().next() else {
                break;
            };
            self.house.forget(memory.id).await?;
        }
        if let Some(told) = self.model.state().life.told.get_mut(at) {
            told.current.retain(|known| *known != value);
            told.past.retain(|known| *known != value);
            told.forgotten.push(value);
        }
        self.seen
            .retain(|_, seen| !seen.fact.text.to_lowercase().contains(&word));
        self.forgotten.push((at, value));
        self.search_everywhere(at, value).await
    }

    /// Looks for what was forgotten by search, by recall, and in the bytes of every file.
    async fn search_everywhere(&mut self, at: usize, value: usize) -> Outcome<()> {
        let word = marker(at, value);
        for memory in self.house.search(&word).await? {
            self.result.found.push(format!("search: {}", memory.text));
        }
        let questions = TRAITS.get(at).map_or(&[][..], |one| one.asked);
        for question in questions.iter().copied().chain([value_of(at, value)]) {
            let gathered = self.house.recall(question).await;
            for item in gathered
                .items
                .iter()
                .filter(|item| item.memory.text.to_lowercase().contains(&word))
            {
                self.result.found.push(format!("recall: {}", item.memory.text));
            }
        }
        // The search index keeps the beginnings of words only.
        let stem: String = word
            .chars()
            .take(word.chars().count().saturating_sub(2).max(5))
            .collect();
        for path in self.house.files_with(&[stem])? {
            self.result
                .found
                .push(format!("bytes of '{word}' in {}", path.display()));
        }
        Ok(())
    }
}

/// The longest word of a value, in lower case.
fn marker(at: usize, value: usize) -> String {
    let words = value_of(at, value).split_whitespace();
    words.max_by_key(|word| word.len()).unwrap_or_default().to_lowercase()
}

fn learn(life: &mut Life, truth: &Truth) {
    let Truth::Tells { at, value, over } = truth else {
        return;
    };
    let single = TRAITS.get(*at).is_some_and(|one| one.single);
    let Some(told) = life.told.get_mut(*at) else { return };
    if *over {
        told.current.retain(|known| known != value);
        told.past.push(*value);
        return;
    }
    if told.current.contains(value) {
        return;
    }
    if single {
        told.past.append(&mut told.current);
    }
    told.current.push(*value);
}

async fn run(seed: u64, arguments: &Arguments) -> Outcome<Result30> {
    let model = Arc::new(Model::new(seed, arguments.gate));
    let mut run = Run {
        house: House::open(Arc::clone(&model)).await?,
        model,
        gate: arguments.gate,
        seen: HashMap::new(),
        forgotten: Vec::new(),
        result: Result30::default(),
    };
    for event in life::live(seed, arguments.days) {
        run.event(event).await?;
    }
    // What was forgotten must still be gone at the end.
    for (at, value) in run.forgotten.clone() {
        run.search_everywhere(at, value).await?;
    }
    let seen: Vec<Seen> = run.seen.into_values().collect();
    let mut result = run.result;
    {
        let state = run.model.state();
        result.tally = Tally::of(&seen, &state.life);
        result.prompts = state.prompts;
        let served = |line: &String| format!("in a prompt: {line}");
        result.stale.extend(state.stale_served.iter().map(served));
        result.found.extend(state.forgotten_served.iter().map(served));
    }
    run.house.close().await;
    Ok(result)
}

fn share(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

fn report(out: &mut impl Write, seed: u64, result: &Result30, show: bool) -> io::Result<bool> {
    let tally = &result.tally;
    let (junk, duplicates) = (share(tally.junk, tally.stored), share(tally.duplicates, tally.live));
    let half = if seed.is_multiple_of(2) { "tuning" } else { "judging" };
    writeln!(
        out,
        "seed {seed} ({half}): {} messages, {} notes, {} facts stored, {} live",
        result.messages, result.notes, tally.stored, tally.live
    )?;
    let line = |out: &mut dyn Write, name: &str, text: String, good: bool| {
        writeln!(out, "  {name:<22} {text:<34} {}", if good { "ok" } else { "MISSED" })
    };
    let good = [
        junk < MOST_JUNK,
        duplicates < MOST_DUPLICATES,
        result.stale.is_empty() && tally.outdated == 0,
        tally.poison == 0,
        result.found.is_empty(),
    ];
    line(
        out,
        "junk",
        format!("{} = {junk:.2} % (< {MOST_JUNK} %)", tally.junk),
        good[0],
    )?;
    line(
        out,
        "duplicates",
        format!("{} = {duplicates:.2} % (< {MOST_DUPLICATES} %)", tally.duplicates),
        good[1],
    )?;
    line(
        out,
        "superseded preferred",
        format!(
            "{} in {} questions, {} prompts; {} live",
            result.stale.len(),
            result.probes,
            result.prompts,
            tally.outdated
        ),
        good[2],
    )?;
    line(out, "poison accepted", tally.poison.to_string(), good[3])?;
    line(
        out,
        "forgotten and found",
        format!("{} of {}", result.found.len(), result.forgets),
        good[4],
    )?;
    writeln!(
        out,
        "  {:<22} {} of {} = {:.1} %",
        "true facts kept",
        tally.kept,
        tally.told,
        share(tally.kept, tally.told)
    )?;
    if !tally.kinds.is_empty() {
        writeln!(out, "  junk by kind: {:?}", tally.kinds)?;
    }
    if show {
        for text in tally.examples.iter().chain(&result.stale).chain(&result.found) {
            writeln!(out, "    {text}")?;
        }
    }
    Ok(good.iter().all(|good| *good))
}

fn drive(arguments: &Arguments) -> Outcome<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut good = true;
    for seed in &arguments.seeds {
        let result = runtime.block_on(run(*seed, arguments))?;
        good &= report(&mut io::stdout(), *seed, &result, arguments.show)?;
    }
    Ok(good)
}

fn main() -> ExitCode {
    // Nobody is left to tell when standard error is closed.
    let fail = |text: &dyn std::fmt::Display| writeln!(io::stderr(), "hygiene: {text}").unwrap_or_default();
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            fail(&error);
            return ExitCode::FAILURE;
        }
    };
    match drive(&arguments) {
        // Without the gate it is meant to be bad.
        Ok(good) if good != arguments.gate => {
            fail(&if arguments.gate {
                "bars were missed"
            } else {
                "good without the gate: the bench proves nothing"
            });
            ExitCode::FAILURE
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            fail(&error);
            ExitCode::FAILURE
        }
    }
}
