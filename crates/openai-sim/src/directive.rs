//! Directives: what a last user message may order in `[[sim: ...]]`, where the configuration allows it.
//!
//! The list of directives is in the crate's documentation. Words that are not known are ignored, so that a text
//! meant for a newer emulator still works.

use std::time::Duration;

use crate::hosted::{Cite, HostedCall, MadeFile, PIXEL};
use crate::plan::{Answer, Call, Ending, Fault, HttpFault, Plan, Reply, Split};
use crate::tokens;

/// Most words a directive may order; a longer reply is cut to it.
const MOST_TOKENS: usize = 200_000;

/// A fault that comes after a count of events.
type FaultAfter = fn(usize) -> Fault;

/// The pairs found in a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Directives {
    pairs: Vec<(String, String)>,
}

/// Takes every `[[sim: ...]]` out of `words`: the words without them, and what they said.
pub(crate) fn take(words: &str) -> (String, Option<Directives>) {
    let mut plain = String::with_capacity(words.len());
    let mut found = Directives::default();
    let mut any = false;
    let mut rest = words;
    while let Some((before, after)) = rest.split_once("[[sim:") {
        let Some((inside, behind)) = after.split_once("]]") else {
            break;
        };
        plain.push_str(before);
        read_pairs(inside, &mut found.pairs);
        any = true;
        rest = behind;
    }
    plain.push_str(rest);
    (plain.trim().to_owned(), any.then_some(found))
}

fn read_pairs(text: &str, pairs: &mut Vec<(String, String)>) {
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let mut key = String::new();
        while let Some(c) = chars.next_if(|c| !c.is_whitespace() && *c != '=') {
            key.push(c);
        }
        let mut value = String::new();
        if chars.next_if_eq(&'=').is_some() {
            if chars.next_if_eq(&'"').is_some() {
                read_quoted(&mut chars, &mut value);
            } else {
                while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                    value.push(c);
                }
            }
        }
        if key.is_empty() && chars.peek().is_none() {
            return;
        }
        pairs.push((key, value));
    }
}

fn read_quoted(chars: &mut impl Iterator<Item = char>, value: &mut String) {
    while let Some(c) = chars.next() {
        match c {
            '"' => return,
            '\\' => match chars.next() {
                Some('n') => value.push('\n'),
                Some(escaped) => value.push(escaped),
                None => return,
            },
            plain => value.push(plain),
        }
    }
}

impl Directives {
    fn get(&self, key: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok()
    }

    fn count(&self, key: &str) -> Option<usize> {
        self.get(key)?.parse().ok()
    }

    fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// For how many requests with the same words the faults hold; every one when `None`.
    pub(crate) fn times(&self) -> Option<u64> {
        self.number("times")
    }

    /// Changes what is said: these hold in every request.
    pub(crate) fn shape(&self, plan: &mut Plan, words: &str) {
        if let Answer::Structured(reply) = &mut plan.answer {
            self.shape_reply(reply, words);
        }
        if let Some(text) = self.get("raw") {
            plan.answer = Answer::Text(text.to_owned());
        }
        if let Some(name) = self.get("call") {
            let arguments = self.get("args").unwrap_or("{}").to_owned();
            plan.answer = Answer::Nothing;
            plan.calls = vec![Call {
                name: name.to_owned(),
                arguments,
                call_id: None,
            }];
        }
        self.shape_hosted(plan);
        if let Some(summary) = self.get("reasoning") {
            plan.reasoning = Some(
                if summary.is_empty() {
                    "Thinking it over."
                } else {
                    summary
                }
                .to_owned(),
            );
        }
        if let Some(rate) = self.number("rate").filter(|rate| *rate > 0) {
            plan.token_interval = Some(Duration::from_nanos(1_000_000_000 / rate));
        }
        if let Some(milliseconds) = self.number("first_ms") {
            plan.first_token_delay = Some(Duration::from_millis(milliseconds));
        }
        if let Some(milliseconds) = self.number("headers_ms") {
            plan.headers_delay = Duration::from_millis(milliseconds);
        }
        if let Some(bytes) = self.count("split") {
            plan.split = Split::Every(bytes.max(1));
        }
        if let Some(seed) = self.number("seed") {
            plan.split = Split::Random(seed);
        }
        plan.unknown |= self.has("unknown");
    }

    /// Calls of the server's own tools.
    fn shape_hosted(&self, plan: &mut Plan) {
        let url = self.get("url").unwrap_or("https://example.org/");
        let search = self.get("web").map(|query| HostedCall::search(query, &[url]));
        let makes = self.get("makes");
        let run = self.get("run").map(|code| {
            let made = makes.map(|name| MadeFile::new(name, "image/png", PIXEL));
            HostedCall::run(code, self.get("logs").unwrap_or_default(), made.into_iter().collect())
        });
        let look = self.get("look").map(HostedCall::look);
        let draw = self.get("draw").map(|prompt| HostedCall::draw(prompt, PIXEL));
        let calls = [search, run, look, draw].into_iter().flatten();
        plan.hosted
            .extend(calls.map(|call| if self.has("fails") { call.failing() } else { call }));
        if let Some(words) = self.get("cite") {
            let cite = match (makes, self.get("given")) {
                (Some(name), _) => Cite::made(words, name),
                (None, Some(name)) => Cite::given(words, name),
                (None, None) => Cite::url(words, url, "The page"),
            };
            plan.cites.push(cite);
        }
    }

    fn shape_reply(&self, reply: &mut Reply, words: &str) {
        if self.has("echo") {
            words.clone_into(&mut reply.output);
        }
        if let Some(tokens) = self.count("tokens") {
            reply.output = tokens::filler(tokens.min(MOST_TOKENS));
        }
        if let Some(text) = self.get("output") {
            text.clone_into(&mut reply.output);
        }
        if let Some(persona) = self.get("persona") {
            persona.clone_into(&mut reply.persona);
        }
        if let Some(mood) = self.get("mood") {
            mood.clone_into(&mut reply.mood);
        }
        if let Some(cause) = self.get("cause") {
            reply.mood_cause = Some(cause.to_owned());
        }
        if let Some(fact) = self.get("remember") {
            *reply = reply
                .clone()
                .remember("owner", self.get("topic").unwrap_or_default(), fact, None);
        }
    }

    /// Adds what goes wrong: these hold as often as `times` says.
    pub(crate) fn spoil(&self, plan: &mut Plan) {
        if let Some(status) = self.get("status").and_then(|status| status.parse().ok()) {
            let mut http = HttpFault::new(status);
            http.retry_after = self.get("retry_after").map(str::to_owned);
            http.retry_after_ms = self.number("retry_after_ms");
            http.html = self.has("html");
            if let Some(code) = self.get("code") {
                http.code = Some(code.to_owned());
            }
            plan.http = Some(http);
        }
        let faults: [(&str, FaultAfter); 5] = [
            ("cut", Fault::Cut),
            ("cut_inside", Fault::CutInside),
            ("close", Fault::Close),
            ("stall", Fault::Stall),
            ("garbage", Fault::Garbage),
        ];
        for (key, fault) in faults {
            if let Some(events) = self.count(key) {
                plan.fault = Some(fault(events));
            }
        }
        if let Some(words) = self.get("refuse") {
            plan.answer = Answer::Refusal(
                if words.is_empty() {
                    "I can't help with that."
                } else {
                    words
                }
                .to_owned(),
            );
        }
        if let Some(reason) = self.get("incomplete") {
            let reason = if reason.is_empty() { "max_output_tokens" } else { reason };
            plan.ending = Ending::Incomplete(reason.to_owned());
        }
        if let Some(code) = self.get("failed") {
            let code = if code.is_empty() { "server_error" } else { code };
            let message = "The model failed to answer.".to_owned();
            plan.ending = Ending::Failed {
                code: code.to_owned(),
                message,
            };
        }
        match self.get("error") {
            Some("nested") => plan.ending = Ending::ErrorNested,
            Some(_) => plan.ending = Ending::ErrorFlat,
            None => {}
        }
        if let Some(after) = self.count("after") {
            plan.ending_after = Some(after);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, words: &str, pairs: &[(&str, &str)]) {
        let (plain, found) = take(text);
        assert_eq!(plain, words);
        let got = found.unwrap_or_default().pairs;
        let expect: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(got, expect);
    }

    #[test]
    fn directives_are_taken_out_of_the_words() {
        check("hello", "hello", &[]);
        check("hi [[sim:tokens=5 echo]]", "hi", &[("tokens", "5"), ("echo", "")]);
        check(
            "[[sim: output=\"a \\\"b\\\"\\nc\" split=1 ]] hi",
            "hi",
            &[("output", "a \"b\"\nc"), ("split", "1")],
        );
        check("[[sim:a]] x [[sim:b=]]", "x", &[("a", ""), ("b", "")]);
        check("open [[sim: never closed", "open [[sim: never closed", &[]);
        check("[[sim:=x]]", "", &[]);
    }

    #[test]
    fn directives_change_the_plan() {
        let (words, found) = take("hey [[sim:echo status=429 retry_after=1 cut=3 incomplete rate=20 persona=haven]]");
        let found = found.unwrap();
        let mut plan = Plan::reply("x");
        found.shape(&mut plan, &words);
        found.spoil(&mut plan);
        let mut reply = Reply::new("hey").persona("haven");
        reply.mood_cause = None;
        assert_eq!(plan.answer, Answer::Structured(Box::new(reply)));
        let mut http = HttpFault::new(429);
        http.retry_after = Some("1".to_owned());
        assert_eq!(plan.http, Some(http));
        assert_eq!(plan.fault, Some(Fault::Cut(3)));
        assert_eq!(plan.ending, Ending::Incomplete("max_output_tokens".to_owned()));
        assert_eq!(plan.token_interval, Some(Duration::from_millis(50)));
    }
}
