//! Which times a message names: months and days by their dates ("in March", "8 May 2023", "2023-05-08"), and times that
//! are counted from now ("yesterday", "two weeks ago", "last Monday"). Read from its words alone, in English; other
//! languages name no time here, and nothing else changes for them.
//!
//! A stretch is whole days of the owner's calendar. People count loosely, so a stretch is a reason to look there and no
//! fence. Where a date with its year is named, what is counted is counted from that date, which nobody here tries.

use super::words::{is_stop, is_time};
use jiff::{
    Span, Timestamp, ToSpan, Zoned,
    civil::{Date, Weekday},
    tz::TimeZone,
};

/// The most stretches of one message.
const MAX_STRETCHES: usize = 4;
/// Up to so many days a stretch says when, and not only about when.
const SHORT_DAYS: i64 = 9;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
const NUMBERS: [&str; 12] = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
];
/// Words that make the `may` or `march` after them a month.
const BEFORE_MONTH: &[&str] = &[
    "after", "before", "by", "during", "early", "from", "in", "last", "late", "mid", "next", "of", "on", "since",
    "this", "until",
];
/// Words that make the year after them one.
const BEFORE_YEAR: &[&str] = &["during", "for", "in", "of", "since"];
/// Words of questions that ask for nothing but a time: "what did we talk about", "what happened".
const TALK: &str = "afternoon asked called chat chatted conversation conversations couple day days discuss \
    discussed evening go going happen happened hear heard mention mentioned morning new news past previous remember \
    said say speak spoke talk talked talking telling thing things told went";

/// A month, of any year or of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month {
    /// 1..=12.
    pub month: i8,
    /// The year, if one is named beside it.
    pub year: Option<i16>,
    /// The day, if one is named beside it.
    pub day: Option<i8>,
}

impl Month {
    /// Whether a moment lies in it (UTC, as the dates in documents).
    pub fn has(&self, at: Timestamp) -> bool {
        let date = at.to_zoned(TimeZone::UTC);
        date.month() == self.month && self.year.is_none_or(|year| year == date.year())
    }

    /// Its days; without a year those of the last time it was.
    fn days(self, today: Date) -> Option<Days> {
        let begins = |year| Date::new(year, self.month, self.day.unwrap_or(1)).ok();
        let first = match self.year {
            Some(year) => begins(year)?,
            None => begins(today.year())
                .filter(|first| *first <= today)
                .or_else(|| begins(today.year() - 1))?,
        };
        let length = if self.day.is_some() { 1.day() } else { 1.month() };
        Days::from(first, length)
    }
}

/// Whole days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Days {
    first: Date,
    /// The day after the last.
    end: Date,
}

impl Days {
    fn from(first: Date, length: Span) -> Option<Self> {
        let end = first.checked_add(length).ok()?;
        Some(Self { first, end })
    }

    /// From the one to the day before the other, counted from a day.
    fn around(day: Date, first: i64, end: i64) -> Option<Self> {
        let day = |n: i64| day.checked_add(Span::new().try_days(n).ok()?).ok();
        Some(Self {
            first: day(first)?,
            end: day(end)?,
        })
    }

    fn stretch(self, zone: &TimeZone) -> Option<Stretch> {
        let begin = |day: Date| Some(day.to_zoned(zone.clone()).ok()?.timestamp());
        let length = self.first.until(self.end).ok()?.get_days();
        Some(Stretch {
            from: begin(self.first)?,
            until: begin(self.end)?,
            is_short: i64::from(length) <= SHORT_DAYS,
        })
    }
}

/// A stretch of time that a message names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
    /// Whether it is a few days at most.
    pub is_short: bool,
}

impl Stretch {
    /// Whether a moment lies in it.
    pub fn has(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

/// The times a message names.
#[derive(Debug, Clone, PartialEq)]
pub struct Times {
    /// The months, of any year where none is named.
    pub months: Vec<Month>,
    /// The stretches, those that are over or run.
    pub stretches: Vec<Stretch>,
    /// Whether it asks for a time and for nothing else.
    alone: bool,
    /// Where the days begin and end.
    pub zone: TimeZone,
}

impl Times {
    /// Reads a message; `words` are all of its words in lower case.
    pub fn read(text: &str, words: &[String], now: &Zoned) -> Self {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let months = read_months(text, &words);
        let (today, zone) = (now.date(), now.time_zone());
        let mut days: Vec<Days> = months.iter().filter_map(|month| month.days(today)).collect();
        days.extend(words.windows(3).filter_map(iso_date));
        let dated = words.windows(3).any(|three| iso_date(three).is_some()) || months.iter().any(|m| m.year.is_some());
        if !dated {
            days.extend(counted(&words, today));
            days.extend(words.windows(2).filter_map(year));
        }
        let over = |stretch: &Stretch| stretch.from <= now.timestamp();
        let stretches: Vec<Stretch> = days
            .into_iter()
            .filter_map(|days| days.stretch(zone))
            .filter(over)
            .take(MAX_STRETCHES)
            .collect();
        let says_nothing = |word: &&str| is_stop(word) || is_time(word) || is_number(word) || is_talk(word);
        Self {
            months,
            alone: !stretches.is_empty() && words.iter().all(says_nothing),
            stretches,
            zone: zone.clone(),
        }
    }

    /// The shortest stretch that a moment lies in.
    pub fn stretch_of(&self, at: Timestamp) -> Option<&Stretch> {
        let around = self.stretches.iter().filter(|stretch| stretch.has(at));
        around.max_by_key(|stretch| stretch.is_short)
    }

    /// Whether a moment lies in a stretch and the message asks for nothing but that: what is of then answers it, whatever
    /// it says.
    pub fn is_all_asked(&self, at: Timestamp) -> bool {
        self.alone && self.stretch_of(at).is_some()
    }

    /// Whether a moment lies in one of the months, or in a stretch.
    pub fn has(&self, at: Timestamp) -> bool {
        self.stretch_of(at).is_some() || self.months.iter().any(|month| month.has(at))
    }
}

fn is_talk(word: &str) -> bool {
    TALK.split(' ').any(|known| known == word)
}

fn is_number(word: &str) -> bool {
    NUMBERS.contains(&word) || word.bytes().all(|byte| byte.is_ascii_digit())
}

// ---- dates --------------------------------------------------------------------------------------------------------

/// The months a text names. `may` and `march` are months only beside a number, after a word such as `in`, or with a
/// capital within a sentence.
fn read_months(text: &str, words: &[&str]) -> Vec<Month> {
    let number = |word: Option<&&str>| word.is_some_and(|w| w.starts_with(|c: char| c.is_ascii_digit()));
    let mut cased = text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty());
    let mut months = Vec::new();
    let mut before: Option<&&str> = None;
    let mut rest = words.iter().peekable();
    while let Some(word) = rest.next() {
        let capital = cased.next().is_some_and(|run| run.starts_with(char::is_uppercase));
        let index = MONTHS.iter().position(|month| month == word);
        let ambiguous = matches!(*word, "may" | "march");
        let sure = !ambiguous
            || number(before)
            || number(rest.peek().copied())
            || before.is_some_and(|w| capital || BEFORE_MONTH.contains(w));
        if let Some(month) = index.and_then(|i| i8::try_from(i + 1).ok())
            && sure
        {
            let year = rest.clone().take(2).find_map(|w| read_year(w));
            let day = rest.peek().and_then(|w| read_day(w));
            let day = day.or_else(|| before.and_then(|w| read_day(w)));
            months.push(Month { month, year, day });
        }
        before = Some(word);
    }
    months
}

fn read_year(word: &str) -> Option<i16> {
    word.parse().ok().filter(|year| (1900..2200).contains(year))
}

/// `8`, `08` or `8th`.
fn read_day(word: &str) -> Option<i8> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let ending = word.strip_prefix(digits)?;
    let fits = digits.len() <= 2 && matches!(ending, "" | "st" | "nd" | "rd" | "th");
    digits.parse().ok().filter(|day| fits && (1..=31).contains(day))
}

/// `2023-05-08`.
fn iso_date(words: &[&str]) -> Option<Days> {
    let [year, month, day] = words else { return None };
    let two = |word: &str| word.parse::<i8>().ok().filter(|_| word.len() == 2);
    let first = Date::new(read_year(year)?, two(month)?, two(day)?).ok()?;
    Days::from(first, 1.day())
}

/// `in 2023`.
fn year(words: &[&str]) -> Option<Days> {
    let [before, year] = words else { return None };
    let year = read_year(year).filter(|_| BEFORE_YEAR.contains(before))?;
    Days::from(Date::new(year, 1, 1).ok()?, 1.year())
}

// ---- times counted from now ---------------------------------------------------------------------------------------

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Day,
    Week,
    Month,
    Year,
}

impl Unit {
    fn read(word: &str) -> Option<Self> {
        match word.strip_suffix('s').unwrap_or(word) {
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            "month" => Some(Self::Month),
            "year" => Some(Self::Year),
            _ => None,
        }
    }

    fn times(self, n: i64) -> Option<Span> {
        let span = Span::new();
        let span = match self {
            Self::Day => span.try_days(n),
            Self::Week => span.try_weeks(n),
            Self::Month => span.try_months(n),
            Self::Year => span.try_years(n),
        };
        span.ok()
    }

    /// The calendar's own unit that a day lies in; weeks begin on Monday.
    fn of(self, day: Date) -> Option<Days> {
        let first = match self {
            Self::Day => day,
            Self::Week => {
                let back = i64::from(day.weekday().to_monday_zero_offset());
                day.checked_sub(Self::Day.times(back)?).ok()?
            }
            Self::Month => day.first_of_month(),
            Self::Year => day.first_of_year(),
        };
        Days::from(first, self.times(1)?)
    }

    /// From `most` to `least` of them ago, as loosely as people say it.
    fn ago(self, least: i64, most: i64, today: Date) -> Option<Days> {
        match self {
            Self::Day => Days::around(today, -most, 1 - least),
            Self::Week => {
                let slack = if most == 1 { 2 } else { 3 };
                Days::around(today, -7 * most - slack, 1 - 7 * least + slack)
            }
            Self::Month | Self::Year => {
                let of = |n| self.of(today.checked_sub(self.times(n)?).ok()?);
                Some(Days {
                    first: of(most)?.first,
                    end: of(least)?.end,
                })
            }
        }
    }

    /// The last so many of them, today included.
    fn past(self, n: i64, today: Date) -> Option<Days> {
        Some(Days {
            first: today.checked_sub(self.times(n)?).ok()?,
            end: today.tomorrow().ok()?,
        })
    }
}

/// How many are meant, at least and at most.
fn count(word: &str) -> Option<(i64, i64)> {
    let one = |n: i64| (n, n);
    match word {
        "a" | "an" => Some(one(1)),
        "couple" => Some(one(2)),
        "few" | "several" | "some" => Some((2, 6)),
        _ => NUMBERS
            .iter()
            .zip(1..)
            .find(|(name, _)| **name == word)
            .map(|(_, n)| one(n))
            .or_else(|| word.parse().ok().filter(|n| (1..1000).contains(n)).map(one)),
    }
}

/// The times a text counts from today, in its order.
fn counted(words: &[&str], today: Date) -> Vec<Days> {
    let mut found = Vec::new();
    let mut rest = words;
    while !rest.is_empty() {
        let (taken, days) = phrase(rest, today);
        found.extend(days);
        rest = rest.get(taken..).unwrap_or_default();
    }
    found
}

/// What the first words say, and how many they are.
fn phrase(words: &[&str], today: Date) -> (usize, Option<Days>) {
    match words {
        ["day", "before", "yesterday", ..] => (3, Days::around(today, -2, -1)),
        ["yesterday", ..] => (1, Days::around(today, -1, 0)),
        ["today" | "tonight", ..] => (1, Days::around(today, 0, 1)),
        ["this", "morning" | "afternoon" | "evening", ..] => (2, Days::around(today, 0, 1)),
        // It ended this morning.
        ["last", "night", ..] => (2, Days::around(today, -1, 1)),
        ["other", "day", ..] => (2, Days::around(today, -7, 0)),
        // What comes, or comes again and again, is no time that was.
        ["next" | "every" | "each" | "coming", _, ..] => (2, None),
        ["couple", "of", unit, "ago", ..] => (4, ago("couple", unit, today)),
        [n, unit, "ago", ..] => (3, ago(n, unit, today)),
        ["last" | "past" | "previous", "couple", "of", unit, ..] => (4, past("couple", unit, today)),
        ["last" | "past" | "previous", n, unit, ..] if past(n, unit, today).is_some() => (3, past(n, unit, today)),
        ["past", unit, ..] => (2, past("a", unit, today)),
        ["last" | "previous", "weekend", ..] => (2, weekend(today, 1)),
        ["this", "weekend", ..] => (2, weekend(today, 0)),
        ["last" | "previous", unit, ..] if Unit::read(unit).is_some() => {
            (2, Unit::read(unit).and_then(|unit| before(unit, today)))
        }
        ["this", unit, ..] if Unit::read(unit).is_some() => (2, Unit::read(unit).and_then(|unit| unit.of(today))),
        ["this", day, ..] if weekday(day).is_some() => (2, weekday(day).and_then(|day| this_week(day, today))),
        [day, ..] => (1, weekday(day).and_then(|day| last(day, today))),
        [] => (1, None),
    }
}

fn ago(n: &str, unit: &str, today: Date) -> Option<Days> {
    let (least, most) = count(n)?;
    Unit::read(unit)?.ago(least, most, today)
}

fn past(n: &str, unit: &str, today: Date) -> Option<Days> {
    Unit::read(unit)?.past(count(n)?.1, today)
}

/// The calendar's unit before the present one.
fn before(unit: Unit, today: Date) -> Option<Days> {
    unit.of(unit.of(today)?.first.yesterday().ok()?)
}

fn weekday(word: &str) -> Option<Weekday> {
    let at = WEEKDAYS.iter().position(|name| *name == word)?;
    Weekday::from_monday_zero_offset(i8::try_from(at).ok()?).ok()
}

/// The latest such day before today.
fn last(day: Weekday, today: Date) -> Option<Days> {
    Days::from(today.nth_weekday(-1, day).ok()?, 1.day())
}

/// That day of the running week.
fn this_week(day: Weekday, today: Date) -> Option<Days> {
    let monday = Unit::Week.of(today)?.first;
    let at = i64::from(day.to_monday_zero_offset());
    Days::around(monday, at, at + 1)
}

/// Saturday and Sunday of the running week, or of one before it.
fn weekend(today: Date, weeks_back: i64) -> Option<Days> {
    let monday = Unit::Week.of(today)?.first;
    Days::around(monday, 5 - 7 * weeks_back, 7 - 7 * weeks_back)
}

#[cfg(test)]
mod tests {
    use super::{super::words::words, *};
    use proptest::prelude::*;

    fn read(text: &str, now: &str) -> Times {
        let list: Vec<String> = words(text).collect();
        Times::read(text, &list, &now.parse().unwrap())
    }

    /// The stretches named on Saturday, 21 November 2026: each its first day and the day after its last.
    fn check(text: &str, expect: &[(&str, &str)]) {
        let times = read(text, "2026-11-21T15:00[Europe/Vienna]");
        let day = |at: Timestamp| at.to_zoned(times.zone.clone()).date().to_string();
        let found: Vec<(String, String)> = times.stretches.iter().map(|s| (day(s.from), day(s.until))).collect();
        let expect: Vec<(String, String)> = expect.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn days_are_counted_from_today() {
        check("What did I eat yesterday?", &[("2026-11-20", "2026-11-21")]);
        check("and the day before yesterday", &[("2026-11-19", "2026-11-20")]);
        check("How was it today?", &[("2026-11-21", "2026-11-22")]);
        check("What did we do last night?", &[("2026-11-20", "2026-11-22")]);
        check("Two days ago I said so", &[("2026-11-19", "2026-11-20")]);
        check("10 days ago", &[("2026-11-11", "2026-11-12")]);
        check("a couple of days ago", &[("2026-11-19", "2026-11-20")]);
        check("a few days ago", &[("2026-11-15", "2026-11-20")]);
        check("the other day", &[("2026-11-14", "2026-11-21")]);
        check("in the last three days", &[("2026-11-18", "2026-11-22")]);
    }

    #[test]
    fn weeks_months_and_years_are_the_calendars() {
        check("last week", &[("2026-11-09", "2026-11-16")]);
        check("this week", &[("2026-11-16", "2026-11-23")]);
        check("over the past week", &[("2026-11-14", "2026-11-22")]);
        check("a week ago", &[("2026-11-12", "2026-11-17")]);
        check("three weeks ago", &[("2026-10-28", "2026-11-04")]);
        check("last weekend", &[("2026-11-14", "2026-11-16")]);
        check("this weekend", &[("2026-11-21", "2026-11-23")]);
        check("last month", &[("2026-10-01", "2026-11-01")]);
        check("two months ago", &[("2026-09-01", "2026-10-01")]);
        check("last year", &[("2025-01-01", "2026-01-01")]);
        check("a year ago", &[("2025-01-01", "2026-01-01")]);
        check("in 2024", &[("2024-01-01", "2025-01-01")]);
    }

    #[test]
    fn weekdays_are_the_latest() {
        check("What was on Monday?", &[("2026-11-16", "2026-11-17")]);
        check("last Friday", &[("2026-11-20", "2026-11-21")]);
        check("last Saturday", &[("2026-11-14", "2026-11-15")]);
        check("this Tuesday", &[("2026-11-17", "2026-11-18")]);
        check("this Sunday", &[]);
        check("next Monday, every Tuesday, each Friday, on Wednesdays", &[]);
    }

    #[test]
    fn dates_have_the_latest_year() {
        check("in March", &[("2026-03-01", "2026-04-01")]);
        check("in December", &[("2025-12-01", "2026-01-01")]);
        check("in May 2023", &[("2023-05-01", "2023-06-01")]);
        check("on 8 May 2023", &[("2023-05-08", "2023-05-09")]);
        check("on May 8th, 2023", &[("2023-05-08", "2023-05-09")]);
        check("on 22 November", &[("2025-11-22", "2025-11-23")]);
        check("on 2023-05-08", &[("2023-05-08", "2023-05-09")]);
        check("on 31 June", &[]);
        check("in March 2030", &[]);
        // Counted from that day, whatever that means.
        check("the Sunday before October 25, 2022", &[("2022-10-25", "2022-10-26")]);
    }

    #[test]
    fn what_names_no_time_has_none() {
        check("May I march home with two days of food and a week of work?", &[]);
        check("How many days are a year?", &[]);
        check("5000 days ago, 0 days ago", &[]);
        check("gestern, letzte Woche, 昨日", &[]);
        check("", &[]);
    }

    #[test]
    fn days_are_the_owners() {
        // Half past midnight in Tokyo is the day before in UTC.
        let times = read("today", "2026-11-21T00:30[Asia/Tokyo]");
        let begins: Vec<Timestamp> = times.stretches.iter().map(|today| today.from).collect();
        assert_eq!(begins, ["2026-11-20T15:00:00Z".parse().unwrap()]);
        let today = times.stretches.first().unwrap();
        assert!(today.has(today.from) && !today.has(today.until));
    }

    #[test]
    fn months_have_years() {
        let at: Timestamp = "2023-05-08T13:56:00Z".parse().unwrap();
        let month = |year| Month {
            month: 5,
            year,
            day: None,
        };
        assert!(month(None).has(at) && month(Some(2023)).has(at) && !month(Some(2022)).has(at));
    }

    #[test]
    fn a_time_may_be_all_that_is_asked() {
        for (text, alone) in [
            ("What did I tell you yesterday?", true),
            ("What did we talk about in the last two weeks?", true),
            ("What happened on Monday?", true),
            ("What did I cook yesterday?", false),
            ("What did we talk about?", false),
        ] {
            assert_eq!(read(text, "2026-11-21T15:00[UTC]").alone, alone, "{text}");
        }
    }

    #[test]
    fn a_time_answers_alone_only_within_it() {
        let (then, before): (Timestamp, Timestamp) = (
            "2026-11-20T10:00:00Z".parse().unwrap(),
            "2026-11-19T10:00:00Z".parse().unwrap(),
        );
        for (text, expect) in [
            ("What did I tell you yesterday?", (true, false)),
            ("What did I cook yesterday?", (false, false)),
        ] {
            let times = read(text, "2026-11-21T15:00[UTC]");
            let got = (times.is_all_asked(then), times.is_all_asked(before));
            assert_eq!(got, expect, "{text}");
        }
    }

    #[test]
    fn a_short_stretch_counts_before_a_long_one() {
        let times = read("last month, or in October, or on 3 October?", "2026-11-21T15:00[UTC]");
        let short = times.stretch_of("2026-10-03T12:00:00Z".parse().unwrap()).unwrap();
        assert!(short.is_short);
        assert!(
            !times
                .stretch_of("2026-10-04T12:00:00Z".parse().unwrap())
                .unwrap()
                .is_short
        );
        assert!(
            times.has("2019-10-04T12:00:00Z".parse().unwrap()),
            "a month of any year"
        );
    }

    proptest! {
        #[test]
        fn any_words_can_be_read(
            words in proptest::collection::vec("last|past|this|a|few|couple|of|[0-9]{1,4}|days?|weeks?|years?|ago|monday|may|on|yesterday|.{0,3}", 0..12),
            now in -300_000_000_000i64..4_000_000_000,
        ) {
            let now = Timestamp::from_second(now).unwrap().to_zoned(TimeZone::UTC);
            let text = words.join(" ");
            let list: Vec<String> = super::super::words::words(&text).collect();
            let times = Times::read(&text, &list, &now);
            prop_assert!(times.stretches.len() <= MAX_STRETCHES);
            for stretch in &times.stretches {
                prop_assert!(stretch.from < stretch.until && stretch.from <= now.timestamp());
            }
        }
    }
}
