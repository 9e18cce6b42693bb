//! What the owner said in this very conversation, where that is asked for: what the prompt holds as it was said is not
//! recalled beside it. It quotes what lies there and says how far back that goes; it makes nothing up.

use super::{clip, cues, notice::FOUND_BY_WORDS, shared, text_of};

/// The longest piece that is quoted, in characters.
const QUOTE_CHARS: usize = 240;
/// How many pieces are quoted at most.
const QUOTED: usize = 2;
/// Two texts that begin with the same so many characters are the same.
const SAME_CHARS: usize = 60;

/// What asks for the beginning.
const FIRST: &str = "\
    did i say first, did i first say, did i tell you first, did i say at first, did i say at the start, did i say at \
    the beginning, did i say in the beginning, first thing i said, first thing i told, first thing i wrote, my first \
    message, my first words, my first sentence, did i begin with, did i start with, did i open with, did this \
    conversation begin, did this conversation start, \
    habe ich zuerst gesagt, habe ich als erstes gesagt";
/// What asks for what was said before the question.
const LAST: &str = "\
    did i just say, did i just tell you, did i say just now, did i say last, did i say before this, did i say before \
    that, did i say a moment ago, last thing i said, last thing i told, last thing i wrote, my last message, my last \
    words, habe ich gerade gesagt, habe ich zuletzt gesagt";

/// What of the conversation is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    First,
    Last,
    /// What has to do with the words of the question.
    Fitting,
}

fn wanted(words: &str) -> Wanted {
    let plain = cues::normalise(words);
    let words = cues::Words::new(&plain);
    if words.any(FIRST) {
        Wanted::First
    } else if words.any(LAST) {
        Wanted::Last
    } else {
        Wanted::Fitting
    }
}

/// Whether a question is about the course of the conversation, whatever its words are about.
pub(super) fn is_asked(words: &str) -> bool {
    wanted(words) != Wanted::Fitting
}

/// What of the owner's `earlier` words, oldest first, answers a question; none where nothing does. What stands among the
/// lines of `memories` already is not told twice.
pub(super) fn said(words: &str, earlier: &[&str], memories: &[&str]) -> Option<String> {
    let plain = cues::normalise(words);
    // Asked twice, the question is no answer.
    let mut others = earlier
        .iter()
        .copied()
        .filter(|said| !said.trim().is_empty() && cues::normalise(said) != plain);
    let (lead, quoted) = match wanted(words) {
        Wanted::First => (
            "As far back as what lies before me goes, you began with this:",
            others.next().into_iter().collect(),
        ),
        Wanted::Last => ("Just before that, you said:", others.next_back().into_iter().collect()),
        Wanted::Fitting => {
            let known = |said: &&str| {
                let mut texts = memories.iter().map(|line| clip(text_of(line), SAME_CHARS));
                texts.any(|text| text == clip(said, SAME_CHARS))
            };
            let new = others.filter(|said| !known(said));
            ("You said it here, in this conversation:", fitting(words, new))
        }
    };
    if quoted.is_empty() {
        let nothing = "Nothing of yours lies before me here but the question itself.";
        return is_asked(words).then(|| nothing.to_owned());
    }
    let lines = quoted.iter().map(|said| format!("> “{}”", clip(said, QUOTE_CHARS)));
    Some(format!(
        "{lead}\n\n{}\n\n{FOUND_BY_WORDS}",
        lines.collect::<Vec<_>>().join("\n>\n")
    ))
}

/// Those that share most words with the question, in the order they were said.
fn fitting<'a>(words: &str, said: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let rated: Vec<(usize, &str)> = said.map(|said| (shared(words, said), said)).collect();
    let best = rated.iter().map(|(shared, _)| *shared).max().unwrap_or_default();
    let fit = rated.into_iter().filter(|(shared, _)| *shared > 0 && *shared == best);
    fit.map(|(_, said)| said).take(QUOTED).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{RehearsalInput, reply};
    use super::*;

    const EARLIER: [&str; 4] = [
        "Hello, I am back from Lisbon.",
        "The heron on the pond is called Egon.",
        "Note: the boiler is loud again.",
        "What did I say first?",
    ];

    /// Which of the earlier words are quoted.
    fn check(words: &str, quoted: &[usize]) {
        let told = said(words, &EARLIER, &[]).unwrap_or_default();
        let found: Vec<usize> = (0..EARLIER.len())
            .filter(|n| EARLIER.get(*n).is_some_and(|said| told.contains(said)))
            .collect();
        assert_eq!(found, quoted, "{words}: {told}");
    }

    #[test]
    fn the_conversation_is_quoted() {
        check("What did I say first?", &[0]);
        check("And what was the first thing I told you?", &[0]);
        check("What did I just say?", &[3]);
        check("What did I tell you about the heron?", &[1]);
        check("Do you remember what I said about boilers?", &[2]);
        check("What did I tell you about my taxes?", &[]);
        assert!(said("What did I say first?", &[], &[]).is_some_and(|told| told.contains("Nothing of yours")));
        assert_eq!(said("What do you know about herons?", &[], &[]), None);
    }

    #[test]
    fn a_reply_uses_it_where_memory_has_nothing_better() {
        let asked = |owner_words, memories: &[&'static str]| {
            let input = RehearsalInput {
                owner_words,
                overlay: "default",
                overlays: vec!["default"],
                memories: memories.to_vec(),
                turns_before: EARLIER.len(),
                earlier_owner_words: EARLIER.to_vec(),
                ..RehearsalInput::default()
            };
            reply(&input).output
        };
        let first = asked("What was the first thing I said?", &[]);
        assert!(
            first.contains("back from Lisbon") && first.contains("rehearsal"),
            "{first}"
        );
        let about = "What did I tell you about the heron?";
        let beside = asked(about, &["8 May 2026, owner: It rains."]);
        assert!(beside.contains("Egon") && !beside.contains("rains"), "{beside}");
        let both = asked(about, &["8 May 2026, owner: The heron came back."]);
        assert!(both.contains("Egon") && both.contains("came back"), "{both}");
        let once = asked(about, &["8 May 2026, owner: The heron on the pond is called Egon."]);
        assert_eq!(once.matches("Egon").count(), 1, "{once}");
        let none = asked("What did I tell you about my taxes?", &[]);
        assert!(none.contains("won't invent"), "{none}");
        // Said in passing, it is not dragged in.
        assert!(!asked("Herons are odd.", &[]).contains("Egon"));
    }
}
