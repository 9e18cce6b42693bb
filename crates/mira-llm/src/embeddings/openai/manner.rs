//! How a server wants to be asked: which optional parameters, how many texts at once and how long ones. It begins with
//! what OpenAI documents and is corrected by refusals; no server's or model's name stands here.

use crate::{client::WHOLE_BYTES, error::LlmError, refusal::Refusal};

/// Documented limits of one request: inputs, tokens of one input, tokens in all.
const INPUTS: usize = 2_048;
const TOKENS_EACH: usize = 8_192;
const TOKENS: usize = 300_000;
/// Shorter than this a text is not cut for a server's sake while fewer texts at once may help as well.
const LONG_TOKENS: usize = 256;
/// A server that refuses so short a text means something else.
const FEWEST_TOKENS: usize = 32;
/// Bytes a number of a vector takes at most in an answer, written in digits.
const BYTES_PER_NUMBER: usize = 24;
const BYTES_PER_VECTOR: usize = 128;

/// Sixths of a token, the unit of the careful count below.
const SIXTHS: usize = 6;
const ASCII: usize = 3;
const PER_BYTE: usize = 4;

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manner {
    /// Whether the length of the vectors is asked for.
    pub dimensions: bool,
    /// Whether vectors are asked for as bytes; an answer in numbers is read as well.
    pub base64: bool,
    pub limits: Limits,
}

/// The size of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limits {
    pub inputs: usize,
    /// Of one text, in sixths of a token.
    each: usize,
}

impl Manner {
    /// What to try first.
    pub fn new(dimension: usize) -> Self {
        let answer = dimension.saturating_mul(BYTES_PER_NUMBER) + BYTES_PER_VECTOR;
        Self {
            dimensions: true,
            base64: true,
            limits: Limits {
                inputs: INPUTS.min(WHOLE_BYTES / answer).max(1),
                each: TOKENS_EACH * SIXTHS,
            },
        }
    }

    /// How to ask for the same texts after a refusal; nothing if that would change nothing.
    pub fn after(&self, error: &LlmError, batch: &[&str]) -> Option<Self> {
        match error {
            LlmError::BadRequest {
                status,
                code,
                param,
                message,
            } => {
                let refusal = Refusal::new(*status, code.as_deref(), param.as_deref(), message);
                self.without_refused(&refusal)
                    .or_else(|| self.smaller(&refusal.lower, batch))
                    .or_else(|| self.plainer(&refusal))
            }
            LlmError::ContextTooLong { message } => self
                .smaller(&message.to_lowercase(), batch)
                .or_else(|| self.shorter(batch))
                .or_else(|| self.fewer(batch)),
            _ => None,
        }
    }

    /// Without the parameter that the refusal names.
    fn without_refused(&self, refusal: &Refusal<'_>) -> Option<Self> {
        let names = |words: &[&str]| {
            words
                .iter()
                .any(|word| refusal.param_is(word) || refusal.lower.contains(word))
        };
        if self.dimensions && names(&["dimensions", "matryoshka", "output_dimension"]) {
            Some(self.without_dimensions())
        } else if self.base64 && names(&["encoding_format", "base64"]) {
            Some(self.without_base64())
        } else {
            None
        }
    }

    /// Smaller, where the refusal speaks of size.
    fn smaller(&self, lower: &str, batch: &[&str]) -> Option<Self> {
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if says(&[
            "batch",
            "per request",
            "array too long",
            "too many inputs",
            "number of inputs",
        ]) {
            self.fewer(batch)
        } else if says(&[
            "too long",
            "too large",
            "maximum length",
            "max length",
            "token limit",
            "exceed",
        ]) {
            self.shorter(batch).or_else(|| self.fewer(batch))
        } else {
            None
        }
    }

    /// With fewer parameters, where the refusal names none and is not about the input.
    fn plainer(&self, refusal: &Refusal<'_>) -> Option<Self> {
        if refusal.param_is("input") || refusal.param_is("model") || refusal.status == 404 {
            None
        } else if self.dimensions {
            Some(self.without_dimensions())
        } else if self.base64 {
            Some(self.without_base64())
        } else {
            None
        }
    }

    fn without_dimensions(&self) -> Self {
        Self {
            dimensions: false,
            ..self.clone()
        }
    }

    fn without_base64(&self) -> Self {
        Self {
            base64: false,
            ..self.clone()
        }
    }

    /// Half as many texts.
    fn fewer(&self, batch: &[&str]) -> Option<Self> {
        let inputs = batch.len() / 2;
        (inputs > 0).then(|| self.limited(inputs, self.limits.each))
    }

    /// Texts half as long as the longest of these.
    fn shorter(&self, batch: &[&str]) -> Option<Self> {
        let longest = batch.iter().map(|text| sixths(text)).max()?;
        let least = if batch.len() > 1 { LONG_TOKENS } else { FEWEST_TOKENS };
        let each = longest / 2;
        (each >= least * SIXTHS).then(|| self.limited(self.limits.inputs, each))
    }

    fn limited(&self, inputs: usize, each: usize) -> Self {
        Self {
            limits: Limits { inputs, each },
            ..self.clone()
        }
    }
}

impl Limits {
    /// The first texts of `rest` that fit into one request, each cut to what fits; at least one.
    pub fn batch<'a>(&self, rest: &[&'a str]) -> Vec<&'a str> {
        let mut total = 0;
        rest.iter()
            .take(self.inputs)
            .map(|text| cut(text, self.each))
            .take_while(|text| {
                let first = total == 0;
                total += sixths(text);
                first || total <= TOKENS * SIXTHS
            })
            .collect()
    }

    /// The longest text, in tokens.
    pub fn tokens_each(&self) -> usize {
        self.each / SIXTHS
    }
}

/// A careful count: half a token for a letter of ASCII, two thirds for each byte of any other, which no text but noise
/// exceeds in the tokenizer of the embedding models. A good estimate ([`mira_core::budget`]) would be too low half of
/// the time, and a text of this length loses nothing by its last page.
fn sixths_of(c: char) -> usize {
    if c.is_ascii() { ASCII } else { c.len_utf8() * PER_BYTE }
}

fn sixths(text: &str) -> usize {
    text.chars().map(sixths_of).sum()
}

/// The beginning of a text that costs at most `most`.
fn cut(text: &str, most: usize) -> &str {
    // A byte costs 4 at most.
    if text.len() * PER_BYTE <= most {
        return text;
    }
    let mut total = 0;
    let end = text.char_indices().find_map(|(at, c)| {
        total += sixths_of(c);
        (total > most).then_some(at)
    });
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, param: Option<&str>, message: &str) -> LlmError {
        LlmError::BadRequest {
            status,
            code: None,
            param: param.map(str::to_owned),
            message: message.to_owned(),
        }
    }

    fn check(error: &LlmError, batch: &[&str], expect: impl Fn(&Manner) -> Option<Manner>) {
        let manner = Manner::new(8);
        assert_eq!(manner.after(error, batch), expect(&manner), "{error:?}");
    }

    #[test]
    fn a_refusal_changes_what_it_names() {
        let one = &["a"][..];
        let no_dimensions = |manner: &Manner| Some(manner.without_dimensions());
        let no_base64 = |manner: &Manner| Some(manner.without_base64());
        check(
            &refused(400, Some("dimensions"), "This model does not support it."),
            one,
            no_dimensions,
        );
        check(
            &refused(400, None, "Model \"x\" does not support matryoshka representation"),
            one,
            no_dimensions,
        );
        check(&refused(422, None, "encoding_format: only float"), one, no_base64);
        check(&refused(400, None, "bad request"), one, no_dimensions);
        check(&refused(400, Some("input"), "bad input"), one, |_| None);
        check(&refused(404, None, "no such page"), one, |_| None);
        check(&LlmError::Quota, one, |_| None);
        check(&LlmError::CutOff, one, |_| None);
    }

    #[test]
    fn every_parameter_is_given_up_once() {
        let refusal = refused(400, None, "bad request");
        let second = Manner::new(8).after(&refusal, &["a"]).unwrap();
        let third = second.after(&refusal, &["a"]).unwrap();
        assert!(!third.dimensions && !third.base64);
        assert_eq!(third.after(&refusal, &["a"]), None);
    }

    #[test]
    fn a_refused_size_is_halved() {
        let long = "x".repeat(2_000);
        let batch = &[long.as_str(), "a", "b", "c"][..];
        let too_long = LlmError::ContextTooLong {
            message: "maximum context length is 512 tokens".into(),
        };
        let limited = |inputs, each| move |manner: &Manner| Some(manner.limited(inputs, each));
        let inputs = Manner::new(8).limits.inputs;
        check(&too_long, batch, limited(inputs, 3_000));
        check(&too_long, &["a", "b", "c", "d"], limited(2, TOKENS_EACH * SIXTHS));
        check(&too_long, &["a"], |_| None);
        check(
            &refused(422, None, "batch size 4 > maximum allowed batch size 2"),
            batch,
            limited(2, TOKENS_EACH * SIXTHS),
        );
        check(
            &refused(400, Some("input"), "input is too long"),
            batch,
            limited(inputs, 3_000),
        );
    }

    #[test]
    fn batches_keep_the_limits() {
        let limits = Manner::new(3_072).limits;
        assert_eq!(limits.inputs, 227, "an answer in digits fits");
        assert_eq!(Manner::new(256).limits.inputs, INPUTS);
        let page = "word ".repeat(10_000);
        let texts = vec![page.as_str(); 100];
        let batch = limits.batch(&texts);
        assert_eq!(batch.len(), TOKENS / TOKENS_EACH);
        assert!(batch.iter().all(|text| text.len() == TOKENS_EACH * 2));
        assert_eq!(limits.batch(&["a"; 500]).len(), 227);
        assert!(limits.batch(&[]).is_empty());
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("日本", 12), "日");
        assert_eq!(cut("日本", 11), "");
        assert_eq!(cut("日本", 24), "日本");
        assert_eq!(cut("ab日", 8), "ab");
        assert_eq!(cut("ab", 3), "a");
    }
}
