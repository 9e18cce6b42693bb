//! Reasoning that some local servers leave inside the text: a leading `<think>…</think>` is not the reply.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Passes text on without a leading block of reasoning.
#[derive(Debug, Default)]
pub(crate) enum ThinkFilter {
    /// Nothing but white space, or a part of the opening tag, so far.
    #[default]
    Start,
    /// The same, with what was held back.
    Held(String),
    /// Inside the block; the end of what came, as far as it may belong to the closing tag.
    Inside(String),
    /// After the block, before its first visible character.
    After,
    /// The reply.
    Open,
}

/// What one delta comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Passed<'a> {
    /// The delta as it is.
    Whole,
    /// This instead of it.
    Part(std::borrow::Cow<'a, str>),
    /// Nothing yet, or nothing at all.
    Nothing,
    /// Nothing: it is reasoning.
    Reasoning,
}

impl ThinkFilter {
    /// Takes one delta.
    pub fn pass<'a>(&mut self, delta: &'a str) -> Passed<'a> {
        match self {
            Self::Open => Passed::Whole,
            Self::Start if !Self::may_begin(delta) => {
                *self = Self::Open;
                Passed::Whole
            }
            Self::Start => {
                *self = Self::Held(String::new());
                self.pass(delta)
            }
            Self::Held(held) => {
                held.push_str(delta);
                if let Some((_, rest)) = held.split_once(OPEN).filter(|_| held.trim_start().starts_with(OPEN)) {
                    let rest = rest.to_owned();
                    *self = Self::Inside(String::new());
                    return self.inside(&rest);
                }
                if Self::may_begin(held) {
                    return Passed::Nothing;
                }
                let held = std::mem::take(held);
                *self = Self::Open;
                Passed::Part(held.into())
            }
            Self::Inside(_) => self.inside(delta),
            Self::After => self.after(delta),
        }
    }

    /// What was held back at the end of the stream.
    pub fn finish(&mut self) -> Option<String> {
        match std::mem::replace(self, Self::Open) {
            Self::Held(held) => Some(held),
            Self::Start | Self::Inside(_) | Self::After | Self::Open => None,
        }
    }

    /// Whether text that begins so may begin with a block.
    fn may_begin(text: &str) -> bool {
        let begun = text.trim_start();
        OPEN.starts_with(begun) || begun.starts_with(OPEN)
    }

    fn inside(&mut self, delta: &str) -> Passed<'static> {
        let Self::Inside(tail) = self else {
            return Passed::Nothing;
        };
        tail.push_str(delta);
        if let Some((_, rest)) = tail.split_once(CLOSE) {
            let rest = rest.to_owned();
            *self = Self::After;
            return match self.after(&rest) {
                Passed::Part(text) => Passed::Part(text.into_owned().into()),
                Passed::Whole => Passed::Part(rest.into()),
                Passed::Nothing | Passed::Reasoning => Passed::Reasoning,
            };
        }
        let mut keep = tail.len().saturating_sub(CLOSE.len());
        while !tail.is_char_boundary(keep) {
            keep += 1;
        }
        tail.drain(..keep);
        Passed::Reasoning
    }

    fn after<'a>(&mut self, delta: &'a str) -> Passed<'a> {
        let visible = delta.trim_start();
        if visible.is_empty() {
            return Passed::Nothing;
        }
        *self = Self::Open;
        Passed::Part(visible.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parts: &[&str]) -> String {
        let mut filter = ThinkFilter::default();
        let mut text = String::new();
        for part in parts {
            match filter.pass(part) {
                Passed::Whole => text.push_str(part),
                Passed::Part(part) => text.push_str(&part),
                Passed::Nothing | Passed::Reasoning => {}
            }
        }
        text.push_str(&filter.finish().unwrap_or_default());
        text
    }

    /// Whole, by characters, and cut in two at every place.
    fn check(input: &str, expect: &str) {
        let chars: Vec<String> = input.chars().map(String::from).collect();
        assert_eq!(read(&[input]), expect);
        assert_eq!(read(&chars.iter().map(String::as_str).collect::<Vec<_>>()), expect);
        for (at, _) in input.char_indices() {
            let (a, b) = input.split_at(at);
            assert_eq!(read(&[a, b]), expect, "{input:?} at {at}");
        }
    }

    #[test]
    fn leading_reasoning_is_left_out() {
        check(
            "<think>é, well</think>\n\nHi <think>you</think>",
            "Hi <think>you</think>",
        );
        check("\n<think></think>Hi", "Hi");
        check("<think> a </thin </think> b", "b");
        check("<think>endless", "");
        check("Hi <think>x</think>", "Hi <think>x</think>");
        check("<thinker>Hi", "<thinker>Hi");
        check("<thi", "<thi");
        check("{\"a\":1}", "{\"a\":1}");
        check(" \n x", " \n x");
        check("", "");
    }
}
