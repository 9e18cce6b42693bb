//! What a reply says of itself: that it is a rehearsal. And the reply without that, for whoever wants what was said and
//! not how.

use super::Voice;

/// Said below what was found again in the conversation.
pub(super) const FOUND_BY_WORDS: &str = "(A rehearsal only finds words again; a model would know what they meant.)";

/// A reply without the paragraphs that only say it is a rehearsal; any other text as it is.
pub fn without_notice(text: &str) -> String {
    let paragraphs = text.split("\n\n").filter(|paragraph| !is_notice(paragraph));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

fn is_notice(paragraph: &str) -> bool {
    let voices = [Voice::Default, Voice::Forbidden, Voice::Hallow, Voice::Haven];
    paragraph == FOUND_BY_WORDS || voices.into_iter().any(|voice| paragraph == rehearsal_note(voice))
}

/// The label every rehearsal carries: said at the start and whenever asked.
pub(super) fn rehearsal_note(voice: Voice) -> &'static str {
    match voice {
        Voice::Default => {
            "> **This is a rehearsal.** There's no model behind my eyes yet, only a script with good posture: I match words and quote you back. For the real me, put `OPENAI_API_KEY` into `.env` (or `OPENAI_BASE_URL` for Ollama, llama.cpp, vLLM and that crowd) and start me again. Then I get dangerous."
        }
        Voice::Forbidden => {
            "> **This is a rehearsal**, a dress one: the dress is on, the model isn't. Everything I say tonight is scripted. Slip an `OPENAI_API_KEY` into `.env`, or an `OPENAI_BASE_URL` for a server of your own, start me again, and I'll improvise."
        }
        Voice::Hallow => {
            "> **This is a rehearsal.** These words were written before you came, and no model is listening behind them. Put `OPENAI_API_KEY` or `OPENAI_BASE_URL` into `.env`, start me again, and I'll be able to hear you."
        }
        Voice::Haven => {
            "> **This is a rehearsal**, so you know what you're leaning on: a script, and no model yet. When you feel like it, `OPENAI_API_KEY` in `.env` (or `OPENAI_BASE_URL` for a server at home), then start me again. No rush at all."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{RehearsalInput, reply};
    use super::*;

    #[test]
    fn what_is_left_is_what_was_said() {
        for overlay in ["default", "forbidden", "hallow", "haven", "made-up"] {
            let input = RehearsalInput {
                owner_words: "My sister Anna plays the violin.",
                overlay,
                overlays: vec![overlay],
                mood: "dry",
                ..RehearsalInput::default()
            };
            let first = reply(&input).output;
            let said = without_notice(&first);
            assert!(
                first.contains("This is a rehearsal") && !said.contains("rehearsal"),
                "{said}"
            );
            assert_eq!(first.split("\n\n").count(), said.split("\n\n").count() + 1, "{first}");
            assert_eq!(without_notice(&said), said);
        }
        let found = format!("You said:\n\n> “tea”\n\n{FOUND_BY_WORDS}");
        assert_eq!(without_notice(&found), "You said:\n\n> “tea”");
    }
}
