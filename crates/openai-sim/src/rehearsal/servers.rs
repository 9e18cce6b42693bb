//! What the stand-in does with tools of MCP servers: it calls one where a message names it or its server, with what the
//! message gives for its arguments, and tells what came of it. It looks at nothing but what the request offers.
//!
//! Invariants: what an argument is given stands in the message; where one that must be given cannot be, nothing is called
//! and she says which.

use serde_json::{Deserializer, Map, Value};

use super::{
    cues,
    errands::{Done, Move, Offer, Told, failure, quoted},
    notes::listed,
    shared,
};

/// How names of such tools begin.
const PREFIX: &str = "mcp__";
/// The longest answer that is told on, in characters.
const MOST_CHARS: usize = 600;
/// What asks to have a tool used.
const USE: &str = "use, using, ask, call, run, query, invoke, try, via, frag, frage, nutze, benutze, verwende";
/// What may stand between that and a name.
const BETWEEN: &str = "the, my, your, our, a, an, mcp, server, tool, den, die, das";
/// What a name may be followed by.
const KINDS: &str = "mcp, server, tool";
/// What leads from a name to what is asked.
const LINKS: [&str; 14] = [
    "mcp ",
    "server ",
    "tool ",
    "please ",
    "to ",
    "and ",
    "for ",
    "about ",
    "with ",
    "of ",
    "on ",
    "in ",
    "what about ",
    "nach ",
];
/// Arguments that take all that is asked.
const WHOLE: &str = "\
    query, q, question, text, prompt, message, input, search, content, term, terms, keyword, keywords, request, body, \
    description, expression, code, command, sql, sentence, note, title, task";
/// What stands before the one thing that is asked for.
const BEFORE: [&str; 7] = [" in ", " for ", " of ", " about ", " at ", " from ", " to "];
/// What follows it and is none of it.
const AFTER: &str = "\
    today, tomorrow, tonight, yesterday, now, please, monday, tuesday, wednesday, thursday, friday, saturday, sunday, \
    january, february, march, april, may, june, july, august, september, october, november, december, i, on, next, this, \
    weekend, week, morning, evening";

/// What a question or an order begins with.
const STARTS: &str = "\
    what, whats, how, is, are, was, will, who, when, where, which, why, can, could, would, do, does, did, has, have, give, \
    show, tell, find, list, get, read, search, look, fetch, add, the, a, it, and, then, my";

/// A tool of a server's.
struct Tool<'a> {
    offer: &'a Offer<'a>,
    server: &'a str,
    name: &'a str,
}

impl<'a> Tool<'a> {
    fn of(offer: &'a Offer<'a>) -> Option<Self> {
        let (server, name) = parts(offer.name)?;
        Some(Self { offer, server, name })
    }
}

/// Server and tool of a full name. What was not plain in a tool's own name is told by eight signs more at its end.
fn parts(name: &str) -> Option<(&str, &str)> {
    let (server, tool) = name.strip_prefix(PREFIX)?.split_once("__")?;
    let digest = |end: &str| end.len() == 8 && end.bytes().all(|b| b.is_ascii_hexdigit());
    let plain = tool
        .rsplit_once('_')
        .filter(|(_, end)| digest(end))
        .map(|(head, _)| head);
    Some((server, plain.unwrap_or(tool)))
}

/// A word in lower case and where it stands.
struct Token {
    word: String,
    start: usize,
    end: usize,
}

fn tokens(text: &str) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::new();
    for (at, c) in text.char_indices().filter(|(_, c)| c.is_alphanumeric()) {
        let end = at + c.len_utf8();
        match found.last_mut().filter(|last| last.end == at) {
            Some(last) => {
                last.word.extend(c.to_lowercase());
                last.end = end;
            }
            None => found.push(Token {
                word: c.to_lowercase().collect(),
                start: at,
                end,
            }),
        }
    }
    found
}

/// Where a message names tools: which, and what stands around it.
struct Named<'a> {
    tools: Vec<Tool<'a>>,
    start: usize,
    end: usize,
}

/// How much of a name stands at a place; more tells more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Much {
    Server,
    Tool,
    Both,
}

/// What a tool is called at the beginning of `said`: how many words long, and how much of it.
fn called_by(tool: &Tool<'_>, said: &[Token]) -> Option<(usize, Much)> {
    let begins = |name: &str, said: &[Token]| {
        let name = tokens(name);
        let same = name.len() <= said.len() && name.iter().zip(said).all(|(a, b)| a.word == b.word);
        (same && !name.is_empty()).then_some(name.len())
    };
    let server = begins(tool.server, said);
    let both = server.and_then(|long| Some(long + begins(tool.name, said.get(long..)?)?));
    let both = both.map(|long| (long, Much::Both));
    let own = || begins(tool.name, said).map(|long| (long, Much::Tool));
    both.or_else(own).or(server.map(|long| (long, Much::Server)))
}

/// A place where a tool is asked for by its name: how much of it stands there, and from where to where.
type Place = (Much, usize, usize);

/// The place that tells most of a tool's name.
fn place(tool: &Tool<'_>, said: &[Token], words: &str) -> Option<Place> {
    let at = |at: usize| -> Option<Place> {
        let (before, rest) = said.split_at_checked(at)?;
        let (long, much) = called_by(tool, rest)?;
        let (first, last) = (rest.first()?, rest.get(long - 1)?);
        let lead = before.iter().rev().find(|word| !listed(BETWEEN, &word.word));
        let lead = lead.filter(|word| listed(USE, &word.word));
        let kind = rest.get(long).filter(|next| listed(KINDS, &next.word));
        let spelt = much == Much::Both && words.get(first.start..last.end).is_some_and(|name| !name.contains(' '));
        let start = lead.map_or(first.start, |lead| lead.start);
        let end = kind.map_or(last.end, |kind| kind.end);
        (lead.is_some() || kind.is_some() || spelt).then_some((much, start, end))
    };
    // The first of those that tell as much.
    (0..said.len()).rev().filter_map(at).max_by_key(|(much, ..)| *much)
}

/// The tools that a message asks to have used.
fn named<'a>(words: &str, offered: &'a [Offer<'a>]) -> Option<Named<'a>> {
    let said = tokens(words);
    let places = offered.iter().filter_map(Tool::of).filter_map(|tool| {
        let place = place(&tool, &said, words)?;
        Some((tool, place))
    });
    let places: Vec<(Tool<'a>, Place)> = places.collect();
    let (much, start, end) = places.iter().map(|(_, place)| *place).max_by_key(|(much, ..)| *much)?;
    let best = places.into_iter().filter(|(_, place)| place.0 == much);
    let tools = best.map(|(tool, _)| tool).collect();
    Some(Named { tools, start, end })
}

/// What to do about a message that names a tool of a server's.
pub(super) fn next(words: &str, offered: &[Offer<'_>], done: &[Done<'_>], may_call: bool) -> Option<Move> {
    if let Some(done) = done.iter().find(|done| done.tool.starts_with(PREFIX)) {
        return Some(Move::Tell(tell(answered(done))));
    }
    let named = named(words, offered)?;
    let after = asked(words.get(named.end..)?);
    let asked = if after.is_empty() {
        asked(words.get(..named.start)?)
    } else {
        after
    };
    let Some(tool) = fitting(&named.tools, asked) else {
        let names: Vec<String> = named.tools.iter().map(|tool| format!("`{}`", shown(tool))).collect();
        let words = format!(
            "There are several I could call: {}. Name the one you mean.",
            names.join(", ")
        );
        return Some(Move::Tell(tell(words)));
    };
    if !may_call {
        let words = "I may do nothing more for this message. Ask me once more.";
        return Some(Move::Tell(tell(words.to_owned())));
    }
    Some(match arguments(tool.offer.parameters, words, asked) {
        Ok(arguments) => Move::Call(tool.offer.name.to_owned(), vec![arguments]),
        Err(wanted) => Move::Tell(tell(wants(tool, &wanted))),
    })
}

fn tell(words: String) -> Told {
    Told {
        words: Some(words),
        memories: None,
    }
}

fn shown(tool: &Tool<'_>) -> String {
    format!("{}.{}", tool.server, tool.name)
}

/// What stands beside a name, without what only leads there.
fn asked(beside: &str) -> &str {
    let edge = |c: char| c.is_whitespace() || matches!(c, ':' | ',' | '.' | ';' | '-' | '–' | '!' | '?' | ')');
    let mut rest = beside.trim_start_matches(edge).trim_end();
    while let Some(tail) = LINKS.iter().find_map(|link| super::notes::strip(rest, link)) {
        rest = tail.trim_start_matches(edge);
    }
    rest
}

/// The tool that has most to do with what is asked; the only one in any case.
fn fitting<'a, 'b>(tools: &'b [Tool<'a>], asked: &str) -> Option<&'b Tool<'a>> {
    if let [only] = tools {
        return Some(only);
    }
    let fit = |tool: &Tool<'_>| {
        let name = tool.name.replace(['_', '-'], " ");
        2 * shared(asked, &name) + shared(asked, tool.offer.description)
    };
    let best = tools.iter().map(fit).max().filter(|best| *best > 0)?;
    tools.iter().find(|tool| fit(tool) == best)
}

/// What must be given and is not: its name, and what kind of thing it is.
struct Wanted {
    name: String,
    kind: String,
}

fn wants(tool: &Tool<'_>, wanted: &[Wanted]) -> String {
    let list: Vec<String> = wanted
        .iter()
        .map(|one| format!("`{}` ({})", one.name, one.kind))
        .collect();
    let example: Vec<String> = wanted.iter().map(|one| format!("\"{}\": ...", one.name)).collect();
    format!(
        "I'd call `{name}`, but it wants {list}, and I won't guess. Say it like this: ask {name} {{{example}}}",
        name = shown(tool),
        list = list.join(" and "),
        example = example.join(", "),
    )
}

/// An argument as the request describes it.
struct Argument<'a> {
    name: &'a str,
    kind: &'a str,
    options: Vec<&'a str>,
    /// Whether there is no call without it.
    needed: bool,
}

/// All of a tool's arguments.
fn described(parameters: &Value) -> Vec<Argument<'_>> {
    let fields = parameters.get("properties").and_then(Value::as_object);
    let required = parameters.get("required").and_then(Value::as_array);
    let required = |name: &str| required.is_some_and(|names| names.iter().any(|known| known == name));
    let all = fields.into_iter().flatten();
    all.map(|(name, described)| Argument::of(name, described, required(name)))
        .collect()
}

impl<'a> Argument<'a> {
    /// Reads its schema; what may be null may be left out.
    fn of(name: &'a str, described: &'a Value, required: bool) -> Self {
        let choices = described.get("anyOf").and_then(Value::as_array);
        let of_choices = choices.into_iter().flatten().filter_map(|choice| choice.get("type"));
        let kinds = described.get("type").into_iter().chain(of_choices);
        let kinds: Vec<&str> = kinds
            .flat_map(|kind| kind.as_array().map_or(std::slice::from_ref(kind), Vec::as_slice))
            .filter_map(Value::as_str)
            .collect();
        let options = described.get("enum").and_then(Value::as_array);
        Self {
            name,
            kind: kinds.iter().find(|kind| **kind != "null").copied().unwrap_or("any"),
            options: options.into_iter().flatten().filter_map(Value::as_str).collect(),
            needed: required && !kinds.contains(&"null"),
        }
    }
}

/// The arguments of a call, as far as the message gives them; what it lacks where one is needed.
fn arguments(parameters: &Value, words: &str, asked: &str) -> Result<Value, Vec<Wanted>> {
    let all = described(parameters);
    let mut given = match (object_in(words), all.as_slice()) {
        // What has no strict form is asked for as the text of an object.
        (Some(object), [only]) if only.name == "arguments" && only.kind == "string" => {
            Map::from_iter([(only.name.to_owned(), Value::String(Value::Object(object).to_string()))])
        }
        (Some(object), _) => object,
        (None, _) => said(&all, words, asked),
    };
    let wanted: Vec<Wanted> = all
        .iter()
        .filter(|one| one.needed && !given.contains_key(one.name))
        .map(|one| Wanted {
            name: one.name.to_owned(),
            kind: match one.options.as_slice() {
                [] => if one.kind == "string" { "text" } else { one.kind }.to_owned(),
                options => options.join(", "),
            },
        })
        .collect();
    if !wanted.is_empty() {
        return Err(wanted);
    }
    // The strict form has every argument, those that are left out too.
    let required = parameters.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        given.entry(name).or_insert(Value::Null);
    }
    Ok(Value::Object(given))
}

/// The JSON object that stands in a message.
fn object_in(words: &str) -> Option<Map<String, Value>> {
    let text = words.get(words.find('{')?..)?;
    match Deserializer::from_str(text).into_iter::<Value>().next()? {
        Ok(Value::Object(object)) => Some(object),
        Ok(_) | Err(_) => None,
    }
}

/// What plain words give for the arguments.
fn said(all: &[Argument<'_>], words: &str, asked: &str) -> Map<String, Value> {
    let mut given = Map::new();
    let mut numbers = asked.split_whitespace().filter_map(number);
    for one in all {
        let value = labelled(one, words).or_else(|| {
            let option = one.options.iter().find(|option| has_words(asked, option));
            let value = option.map(|option| Value::from(*option));
            match one.kind {
                "integer" | "number" if one.needed => value.or_else(|| numbers.next()),
                _ => value,
            }
        });
        given.extend(value.map(|value| (one.name.to_owned(), value)));
    }
    let open: Vec<&Argument<'_>> = all
        .iter()
        .filter(|one| one.needed && one.kind == "string" && one.options.is_empty() && !given.contains_key(one.name))
        .collect();
    // Which of several words were meant for which of them is not guessed.
    if let [one] = open.as_slice() {
        let text = quotes(asked).into_iter().next().or_else(|| meant(one.name, asked));
        given.extend(text.map(|text| (one.name.to_owned(), Value::String(text))));
    }
    given
}

fn has_words(text: &str, part: &str) -> bool {
    cues::normalise(text).contains(&cues::normalise(part))
}

fn number(word: &str) -> Option<Value> {
    let word = word.trim_matches(|c: char| !c.is_ascii_digit() && c != '-');
    word.parse::<i64>()
        .map(Value::from)
        .or_else(|_| word.parse::<f64>().map(Value::from))
        .ok()
}

/// What stands behind an argument's own name, as in `city: Graz` and `days=3`.
fn labelled(one: &Argument<'_>, words: &str) -> Option<Value> {
    let name = tokens(one.name);
    let said = tokens(words);
    let at = said.windows(name.len().max(1)).find_map(|place| {
        let same = place.iter().zip(&name).all(|(a, b)| a.word == b.word);
        let rest = words.get(place.last()?.end..)?.trim_start();
        rest.strip_prefix([':', '=']).filter(|_| same)
    })?;
    let rest = at.trim_start();
    let text = quotes(rest).into_iter().next().filter(|_| rest.starts_with(['"', '“']));
    let text = text.unwrap_or_else(|| {
        let text = rest.split([',', ';', '\n']).next().unwrap_or_default();
        text.trim().trim_end_matches(['.', '!', '?']).to_owned()
    });
    let first = text.split_whitespace().next()?;
    match one.kind {
        "integer" | "number" => number(first),
        "boolean" => match first.to_lowercase().as_str() {
            "true" | "yes" => Some(Value::Bool(true)),
            "false" | "no" => Some(Value::Bool(false)),
            _ => None,
        },
        "string" => Some(Value::String(text)),
        _ => None,
    }
}

/// What stands between quotation marks.
fn quotes(text: &str) -> Vec<String> {
    let inside = text.split(['"', '“', '”', '„']).skip(1).step_by(2);
    inside
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect()
}

/// The last name in a text: words with a capital, but for those that begin a question or an order.
fn name_in(text: &str) -> Option<String> {
    let mut found: Option<String> = None;
    let mut goes_on = false;
    for word in text.split_whitespace() {
        let core = word.trim_matches(|c: char| !c.is_alphanumeric());
        let plain = core.to_lowercase();
        let capital = core.starts_with(char::is_uppercase) && !listed(AFTER, &plain) && !listed(STARTS, &plain);
        if capital {
            let head = found.filter(|_| goes_on).map(|head| head + " ");
            found = Some(head.unwrap_or_default() + core);
        }
        goes_on = capital && word.ends_with(char::is_alphanumeric);
    }
    found
}

/// What a text that is asked for is most likely to be.
fn meant(name: &str, asked: &str) -> Option<String> {
    if asked.is_empty() {
        return None;
    }
    let kinds: Vec<Token> = tokens(name);
    let is = |list: &str| kinds.iter().any(|kind| listed(list, &kind.word));
    let bare = |text: &str| {
        text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '.' | '?' | '!' | ','))
            .to_owned()
    };
    let shaped = |mark: &str| asked.split_whitespace().find(|word| word.contains(mark)).map(bare);
    if is(WHOLE) {
        return Some(asked.to_owned());
    }
    if is("url, uri, link, address")
        && let Some(found) = shaped("://")
    {
        return Some(found);
    }
    if is("path, file, folder, directory, filename")
        && let Some(found) = shaped("/").or_else(|| shaped("."))
    {
        return Some(found);
    }
    if let Some(name) = name_in(asked) {
        return Some(name);
    }
    let from = BEFORE
        .iter()
        .filter_map(|mark| Some(asked.rfind(mark)? + mark.len()))
        .max();
    let tail = bare(asked.get(from.unwrap_or_default()..)?);
    let words: Vec<&str> = tail.split(' ').collect();
    let more = words
        .iter()
        .rev()
        .take_while(|word| listed(AFTER, &word.to_lowercase()))
        .count();
    let kept = words.get(..words.len() - more)?.join(" ");
    (!kept.is_empty()).then_some(kept)
}

/// What a server answered.
fn answered(done: &Done<'_>) -> String {
    let name = parts(done.tool).map_or_else(|| done.tool.to_owned(), |(server, tool)| format!("{server}.{tool}"));
    match failure(done.output) {
        Some(why) => format!("I called `{name}`, and it came to nothing:\n\n{}", quoted(why)),
        None if done.output.trim().is_empty() => format!("I called `{name}`. It did it, and said nothing."),
        None => format!(
            "I called `{name}`. It says:\n\n> {}",
            super::clip(done.output, MOST_CHARS)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(needed: bool) -> Value {
        if needed {
            json!({ "type": "string" })
        } else {
            json!({ "type": ["string", "null"] })
        }
    }

    fn schema(fields: &Value) -> Value {
        let names: Vec<&String> = fields.as_object().unwrap().keys().collect();
        json!({ "type": "object", "properties": fields, "required": names, "additionalProperties": false })
    }

    /// What is called with what, or which words are told.
    fn step(words: &str) -> Value {
        let days = json!({ "type": ["integer", "null"] });
        let city = json!({ "city": text(true), "days": days });
        let schemas = [
            (
                "mcp__weather__forecast",
                "The weather of the days to come.",
                city.clone(),
            ),
            (
                "mcp__weather__warn_me",
                "Warns of storms.",
                json!({ "city": text(true), "level": { "type": "string", "enum": ["red", "amber"] } }),
            ),
            (
                "mcp__py__add",
                "Adds two numbers.",
                json!({ "a": { "type": "integer" }, "b": { "type": ["integer", "null"] } }),
            ),
            (
                "mcp__notes__search",
                "Finds notes.",
                json!({ "query": text(true), "tag": text(false) }),
            ),
            ("mcp__clock__now", "What time it is.", json!({})),
            (
                "mcp__mail__send",
                "Sends.",
                json!({ "to": text(true), "subject": text(true) }),
            ),
            (
                "mcp__web__fetch_page_2b733164",
                "Reads a page.",
                json!({ "url": text(true) }),
            ),
            ("mcp__loose__any", "Takes anything.", json!({ "arguments": text(true) })),
            ("recall", "Looks up.", json!({ "question": text(true) })),
        ];
        let schemas: Vec<(&str, &str, Value)> = schemas.into_iter().map(|(n, d, s)| (n, d, schema(&s))).collect();
        let offers: Vec<Offer<'_>> = schemas
            .iter()
            .map(|(name, description, parameters)| Offer {
                name,
                description,
                parameters,
            })
            .collect();
        match next(words, &offers, &[], true) {
            Some(Move::Call(tool, calls)) => json!([tool, calls]),
            Some(Move::Tell(told)) => json!(told.words),
            None => Value::Null,
        }
    }

    #[track_caller]
    fn check(words: &str, tool: &str, arguments: &Value) {
        assert_eq!(step(words), json!([tool, [arguments]]), "{words}");
    }

    #[test]
    fn tools_are_called_by_their_names() {
        let forecast = "mcp__weather__forecast";
        let graz = json!({ "city": "Graz", "days": null });
        check(
            "Use the weather server: what is the forecast for tomorrow in Graz?",
            forecast,
            &graz,
        );
        check("ask weather.forecast {\"city\":\"Graz\"}", forecast, &graz);
        check("Please call mcp__weather__forecast for Graz", forecast, &graz);
        check("Run weather forecast: Graz", forecast, &graz);
        check("How is it in Graz? Use the forecast tool.", forecast, &graz);
        let york = json!({ "city": "New York", "days": 3 });
        check("use the forecast tool for New York on Friday, days: 3", forecast, &york);
        check(
            "weather/forecast {\"city\": \"New York\", \"days\": 3} please",
            forecast,
            &york,
        );
        check(
            "ask the weather server for a forecast in bad ischl tomorrow",
            forecast,
            &json!({ "city": "bad ischl", "days": null }),
        );
        check(
            "use weather.warn-me of amber storms in Graz",
            "mcp__weather__warn_me",
            &json!({ "city": "Graz", "level": "amber" }),
        );
        check("Use py to add 40 and 2", "mcp__py__add", &json!({ "a": 40, "b": null }));
        check(
            "ask notes.search: what did I write about rent?",
            "mcp__notes__search",
            &json!({ "query": "what did I write about rent?", "tag": null }),
        );
        check("Use the clock server.", "mcp__clock__now", &json!({}));
        check(
            "use mail.send, to: Anna, subject=Lunch.",
            "mcp__mail__send",
            &json!({ "to": "Anna", "subject": "Lunch" }),
        );
        check(
            "use the web server to read https://example.org/a.",
            "mcp__web__fetch_page_2b733164",
            &json!({ "url": "https://example.org/a" }),
        );
        check(
            "ask loose.any {\"deep\": {\"a\": [1]}}",
            "mcp__loose__any",
            &json!({ "arguments": "{\"deep\":{\"a\":[1]}}" }),
        );
    }

    #[test]
    fn nothing_is_guessed() {
        let told = |words: &str| step(words).as_str().unwrap_or_default().to_owned();
        let wanted = told("use mail.send \"Anna\" \"Lunch\"");
        assert!(
            wanted.contains("`subject` (text)") && wanted.contains("`to` (text)"),
            "{wanted}"
        );
        assert!(told("use the py server").contains("`a` (integer)"));
        assert!(told("use weather.warn_me for Graz").contains("`level` (red, amber)"));
        assert!(told("ask the weather server").contains("`weather.forecast`, `weather.warn_me`"));
        for talk in [
            "The weather forecast says rain.",
            "What time is it now?",
            "I must search my notes.",
            "Add 40 and 2.",
        ] {
            assert_eq!(step(talk), Value::Null, "{talk}");
        }
    }

    #[test]
    fn what_came_of_it_is_told() {
        let told = |output| {
            let done = [Done {
                tool: "mcp__weather__forecast",
                output,
            }];
            match next("use weather.forecast for Graz", &[], &done, true) {
                Some(Move::Tell(told)) => told.words.unwrap_or_default(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(
            told("Rain\nall day."),
            "I called `weather.forecast`. It says:\n\n> Rain all day."
        );
        assert!(told("error: no such city").contains("> no such city"));
    }
}
