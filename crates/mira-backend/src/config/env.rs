//! The only place that reads the process environment and `.env`. Real variables win over `.env`; an empty value counts
//! as not set.

use super::types::{Invalid, Secret};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    path::Path,
};

/// What stands behind a secret's name in the variable that names a file with it.
const FILE_SUFFIX: &str = "_FILE";

/// One wrong variable (or one wrong line of `.env`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable, or `.env line N`.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

/// All wrong variables at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError(pub Vec<Problem>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration is not valid:")?;
        for problem in &self.0 {
            write!(f, "\n  {}: {}", problem.name, problem.reason)?;
        }
        Ok(())
    }
}

/// The variables as they were found, before any meaning.
#[derive(Debug, Default, Clone)]
pub struct Env {
    values: BTreeMap<String, String>,
    problems: Vec<Problem>,
}

impl Env {
    /// The process environment over `.env` in the working directory.
    pub fn from_process() -> Self {
        let mut env = Self::default();
        let dotenv = match std::fs::read_to_string(".env") {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(e) => {
                env.problem(".env", format!("cannot be read: {e}"));
                String::new()
            }
        };
        env.read_dotenv(&dotenv);
        let mut real = Vec::new();
        #[expect(clippy::disallowed_methods, reason = "the one legal place for the environment")]
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => real.push((name, value)),
                Err(_) if super::variables::VARIABLES.iter().any(|known| known.name == name) => {
                    env.problem(&name, "is not UTF-8".to_owned());
                }
                Err(_) => {}
            }
        }
        let known = real.iter().map(|(name, _)| name.clone()).collect();
        env.overrule(real);
        env.check_references(&dotenv, known);
        env
    }

    /// Puts real variables over those of `.env`. A secret given one way wins over the same secret given the other way.
    fn overrule(&mut self, real: Vec<(String, String)>) {
        for (name, value) in &real {
            let secret = name.strip_suffix(FILE_SUFFIX).unwrap_or(name);
            let is_secret = { super::variables::VARIABLES.iter() }.any(|known| known.secret && known.name == secret);
            if is_secret && !value.trim().is_empty() {
                self.values.remove(secret);
                self.values.remove(&format!("{secret}{FILE_SUFFIX}"));
            }
        }
        self.values.extend(real);
    }

    /// Variables given by a program that has Mira in its own process, such as a test.
    pub fn from_pairs(pairs: &[(&str, &str)]) -> Self {
        let values = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Self {
            values,
            problems: Vec::new(),
        }
    }

    /// Adds the lines of a `.env` file; the first of a repeated name counts.
    fn read_dotenv(&mut self, text: &str) {
        for item in dotenvy::Iter::new(io::Cursor::new(text.trim_start_matches('\u{feff}'))) {
            match item {
                Ok((name, value)) => {
                    self.values.entry(name).or_insert(value);
                }
                Err(dotenvy::Error::LineParse(line, _)) => {
                    self.problem(
                        &place(text, &line),
                        "is not NAME=value (a value with spaces, #, $, \\ or quotes needs 'single quotes')".to_owned(),
                    );
                }
                Err(e) => {
                    self.problem(".env", format!("cannot be read: {e}"));
                    break;
                }
            }
        }
    }

    /// `$NAME` in `.env` stands for a variable that is `known`, or that an earlier line sets. Of any other name nothing
    /// would be left, and a token with a `$` of its own would be a shorter one: such a name is not told.
    fn check_references(&mut self, text: &str, mut known: BTreeSet<String>) {
        let mut quotes = Quotes::default();
        let mut set = None;
        for (line, number) in text.lines().zip(1..) {
            let value = if quotes.are_open() {
                line
            } else {
                known.extend(set.take());
                let comment = line.trim_start().starts_with('#');
                let Some((name, value)) = line.split_once('=').filter(|_| !comment) else {
                    continue;
                };
                // It may stand behind `export`.
                set = name.split_whitespace().next_back().map(str::to_owned);
                value.trim_start()
            };
            let names = quotes.references(value);
            if let Some(name) = names.iter().find(|name| !known.contains(*name)) {
                let reason = if self.values.contains_key(name) {
                    format!("has ${name}, which no line before it sets")
                } else {
                    "has a $ with no variable's name behind it; a value with a $ needs 'single quotes'".to_owned()
                };
                self.problem(&format!(".env line {number}"), reason);
            }
        }
    }

    fn problem(&mut self, name: &str, reason: String) {
        self.problems.push(Problem {
            name: name.to_owned(),
            reason,
        });
    }

    /// All names that are set to something.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values
            .iter()
            .filter(|(_, value)| !value.trim().is_empty())
            .map(|(name, _)| name.as_str())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }
}

/// The quotes that are open where a line of `.env` ends: the next one goes on with its value.
#[derive(Default)]
struct Quotes {
    single: bool,
    double: bool,
}

impl Quotes {
    fn are_open(&self) -> bool {
        self.single || self.double
    }

    /// The names a value refers to, or a line of it, by the rules of `dotenvy`.
    fn references(&mut self, value: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut rest = value.chars().peekable();
        let mut before = ' ';
        while let Some(c) = rest.next() {
            match c {
                '\'' if !self.double => self.single = !self.single,
                '"' if !self.single => self.double = !self.double,
                '\\' if !self.single => drop(rest.next()),
                '#' if !self.are_open() && before.is_whitespace() => break,
                '$' if !self.single => {
                    let braced = rest.next_if_eq(&'{').is_some();
                    let belongs = |c: &char| if braced { *c != '}' } else { c.is_alphanumeric() };
                    found.push(std::iter::from_fn(|| rest.next_if(belongs)).collect());
                }
                _ => {}
            }
            before = c;
        }
        found
    }
}

/// Where a line stands that could not be read; the parser tells the line, or only its value.
fn place(text: &str, line: &str) -> String {
    let first = line.lines().next().unwrap_or_default().trim();
    let number = |fits: &dyn Fn(&str) -> bool| text.lines().position(|candidate| fits(candidate.trim()));
    let found = number(&|candidate| candidate == first).or_else(|| number(&|candidate| candidate.ends_with(first)));
    found.map_or_else(|| ".env".to_owned(), |index| format!(".env line {}", index + 1))
}

/// Takes variables out of an [`Env`], collecting what is wrong instead of stopping at it.
pub struct Reader<'a> {
    env: &'a Env,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// Starts with the problems found while reading.
    pub fn new(env: &'a Env) -> Self {
        Self {
            env,
            problems: env.problems.clone(),
        }
    }

    /// The value, parsed; `None` where it is not set or wrong (and then noted).
    pub fn optional<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, Invalid>) -> Option<T> {
        match parse(self.env.get(name)?) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.wrong(name, reason.to_string());
                None
            }
        }
    }

    /// The value, parsed, or the default.
    pub fn or<T>(&mut self, name: &str, default: T, parse: impl FnOnce(&str) -> Result<T, Invalid>) -> T {
        self.optional(name, parse).unwrap_or(default)
    }

    /// The value, or a default text read by the same parser; `None` where it is wrong (and then noted).
    pub fn or_text<T>(
        &mut self,
        name: &str,
        default: &str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<T> {
        let text = self.env.get(name).unwrap_or(default);
        match parse(text) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.wrong(name, reason.to_string());
                None
            }
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&mut self, name: &str, default: T, words: &[(&str, T)]) -> T {
        self.or(name, default, |text| {
            words
                .iter()
                .find(|(word, _)| *word == text)
                .map(|(_, value)| *value)
                .ok_or_else(|| {
                    let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                    Invalid::new(format!("{text:?} is not one of {}", known.join(", ")))
                })
        })
    }

    /// A whole number in a range.
    pub fn number(&mut self, name: &str, default: u64, range: std::ops::RangeInclusive<u64>) -> u64 {
        self.or(name, default, |text| parse_number(text, &range))
    }

    /// A list separated by commas or white space.
    pub fn list<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, Invalid>) -> Vec<T> {
        let text = self.env.get(name).unwrap_or_default();
        let mut found = Vec::new();
        for item in text
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|item| !item.is_empty())
        {
            match parse(item) {
                Ok(value) => found.push(value),
                Err(reason) => self.wrong(name, reason.to_string()),
            }
        }
        found
    }

    /// A secret from `NAME` or from the file named by `NAME_FILE`.
    pub fn secret(&mut self, name: &str) -> Option<Secret> {
        let file_name = format!("{name}{FILE_SUFFIX}");
        let Some(path) = self.env.get(&file_name) else {
            return self.optional(name, Secret::parse);
        };
        if self.env.get(name).is_some() {
            self.wrong(&file_name, format!("and {name} are both set; keep one"));
            return None;
        }
        match read_secret_file(Path::new(path)) {
            Ok(secret) => Some(secret),
            Err(reason) => {
                self.wrong(&file_name, reason.to_string());
                None
            }
        }
    }

    /// Any variable as it is, Mira's own or not.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.env.get(name)
    }

    /// Whether a variable is set.
    pub fn is_set(&self, name: &str) -> bool {
        self.env.get(name).is_some()
    }

    /// Notes something wrong.
    pub fn wrong(&mut self, name: &str, reason: String) {
        self.problems.push(Problem {
            name: name.to_owned(),
            reason,
        });
    }

    /// Everything that was wrong, or `()`.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(ConfigError(self.problems))
        }
    }
}

/// A whole number in a range.
pub fn parse_number(text: &str, range: &std::ops::RangeInclusive<u64>) -> Result<u64, Invalid> {
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            Invalid::new(format!(
                "{text:?} is not a whole number from {} to {}",
                range.start(),
                range.end()
            ))
        })
}

fn read_secret_file(path: &Path) -> Result<Secret, Invalid> {
    // Far above any key, far below anything that hurts.
    const MAX_BYTES: u64 = 64 * 1024;
    let shown = path.display();
    let size = std::fs::metadata(path)
        .map_err(|e| Invalid::new(format!("{shown} cannot be read: {e}")))?
        .len();
    if size > MAX_BYTES {
        return Err(Invalid::new(format!("{shown} is too large for a secret")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| Invalid::new(format!("{shown} cannot be read: {e}")))?;
    Secret::parse(text.trim()).map_err(|e| Invalid::new(format!("{shown}: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotenv_names_the_wrong_line_without_its_value() {
        let mut env = Env::default();
        env.read_dotenv("# comment\nMIRA_PORT=1\n\nOPENAI_API_KEY hunter2\nMIRA_MODEL='a b'\nMIRA_PORT=2\n");
        assert_eq!(env.get("MIRA_PORT"), Some("1"));
        assert_eq!(env.get("MIRA_MODEL"), Some("a b"));
        let names: Vec<_> = env.problems.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, [".env line 4"]);
        assert!(!format!("{:?}", env.problems).contains("hunter2"));
    }

    #[test]
    fn dotenv_names_the_line_of_a_wrong_value() {
        let mut env = Env::default();
        env.read_dotenv("MIRA_TZ=UTC\nOPENAI_API_KEY = hunter2 x\nMIRA_MODEL=\"open\n");
        let names: Vec<_> = env.problems.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, [".env line 2", ".env line 3"]);
    }

    #[test]
    fn a_dollar_that_would_vanish_is_wrong() {
        let check = |line: &str, expect: bool| {
            let wrong = wrong_references(&format!("# price: $5\n{line}\n"));
            let names: Vec<_> = wrong.iter().map(|p| p.name.as_str()).collect();
            assert_eq!(names, if expect { &[".env line 2"][..] } else { &[] }, "{line}");
            assert!(!format!("{wrong:?}").contains("two"), "{wrong:?}");
        };
        check("MIRA_AUTH_TOKEN=hunter$two", true);
        check("MIRA_AUTH_TOKEN = \"hunter${two}\"", true);
        check("MIRA_AUTH_TOKEN=hunter$", true);
        check("MIRA_AUTH_TOKEN='hunter$two'", false);
        check("MIRA_AUTH_TOKEN=hunter\\$two", false);
        check("DATABASE_URL=sqlite:$HOME/mira.db", false);
        check("DATABASE_URL=sqlite:${HOME}/mira.db # not $two", false);
        check("#MIRA_AUTH_TOKEN=hunter$two", false);
    }

    /// What is wrong with the references of a `.env` where only `HOME` is a real variable.
    fn wrong_references(text: &str) -> Vec<Problem> {
        let mut env = Env::default();
        env.read_dotenv(text);
        env.overrule(vec![("HOME".to_owned(), "/h".to_owned())]);
        env.check_references(text, BTreeSet::from(["HOME".to_owned()]));
        env.problems
    }

    #[test]
    fn a_variable_of_a_later_line_is_wrong() {
        let check = |text: &str, expect: &[(&str, &str)]| {
            let wrong = wrong_references(text);
            let told: Vec<_> = wrong.iter().map(|p| (p.name.as_str(), p.reason.as_str())).collect();
            assert_eq!(told, expect, "{text}");
        };
        check("BASE=/srv\nDATABASE_URL=sqlite:$BASE/mira.db\n", &[]);
        check("export BASE=/srv\nexport DATABASE_URL=sqlite:${BASE}/mira.db\n", &[]);
        check(
            "\nDATABASE_URL=sqlite:${BASE}/mira.db\nBASE=/srv\n",
            &[(".env line 2", "has $BASE, which no line before it sets")],
        );
        check(
            "BASE=$BASE/x\n",
            &[(".env line 1", "has $BASE, which no line before it sets")],
        );
        check("HOME=$HOME/x\n", &[]);
        // A value may take several lines.
        check("A='\n$B=$C\n'\nB=\"\n$A\n\"\nC=1\n", &[]);
        check(
            "A=\"\n$C\n\"\nC=1\n",
            &[(".env line 2", "has $C, which no line before it sets")],
        );
    }

    #[test]
    fn real_variables_win_over_dotenv() {
        let check = |dotenv: &str, real: &[(&str, &str)], expect: &[(&str, &str)]| {
            let mut env = Env::default();
            env.read_dotenv(dotenv);
            env.overrule(Env::from_pairs(real).values.into_iter().collect());
            let found: Vec<_> = env
                .values
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            assert_eq!(found, expect, "{dotenv} {real:?}");
        };
        check(
            "MIRA_PORT=1\nA=1",
            &[("MIRA_PORT", "2")],
            &[("A", "1"), ("MIRA_PORT", "2")],
        );
        check(
            "OPENAI_API_KEY_FILE=f",
            &[("OPENAI_API_KEY", "k")],
            &[("OPENAI_API_KEY", "k")],
        );
        check(
            "OPENAI_API_KEY=k",
            &[("OPENAI_API_KEY_FILE", "f")],
            &[("OPENAI_API_KEY_FILE", "f")],
        );
        // Nobody can tell which of two real ones is meant: that is told later.
        let both = [("OPENAI_API_KEY", "k"), ("OPENAI_API_KEY_FILE", "f")];
        check("OPENAI_API_KEY=old", &both, &both);
        check(
            "OPENAI_API_KEY_FILE=f",
            &[("OPENAI_API_KEY", "")],
            &[("OPENAI_API_KEY", ""), ("OPENAI_API_KEY_FILE", "f")],
        );
    }
}
