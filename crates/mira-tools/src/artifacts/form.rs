//! How a text is written down apart from its words: a byte order mark, and the ends of its lines. Models see neither and
//! write neither; what they give takes the form of what was there.

use std::borrow::Cow;

const MARK: char = '\u{feff}';

/// The form of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    is_marked: bool,
    /// Each line, as far as it ends, ends with CR and LF. Where they differ there is no form to keep.
    is_windows: bool,
}

impl Form {
    /// That of a text.
    pub(super) fn of(text: &str) -> Self {
        let lines = text.matches('\n').count();
        Self {
            is_marked: text.starts_with(MARK),
            is_windows: lines > 0 && text.matches("\r\n").count() == lines,
        }
    }

    /// A text of this form, or one a model gave, without it.
    pub(super) fn plain(self, text: &str) -> Cow<'_, str> {
        let text = text.strip_prefix(MARK).filter(|_| self.is_marked).unwrap_or(text);
        if self.is_windows && text.contains("\r\n") {
            Cow::Owned(text.replace("\r\n", "\n"))
        } else {
            Cow::Borrowed(text)
        }
    }

    /// What [`Self::plain`] took from a text, given back.
    pub(super) fn dressed(self, plain: &str) -> String {
        let mut text: String = self.is_marked.then_some(MARK).into_iter().collect();
        if self.is_windows {
            text.push_str(&plain.replace('\n', "\r\n"));
        } else {
            text.push_str(plain);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, plain: &str) {
        let form = Form::of(text);
        assert_eq!(form.plain(text), plain, "{text:?}");
        assert_eq!(form.dressed(plain), text, "{text:?}");
    }

    #[test]
    fn marks_and_line_ends_are_form() {
        check("", "");
        check("a", "a");
        check("a\nb\n", "a\nb\n");
        check("a\r\nb\r\n", "a\nb\n");
        check("a\r\nb", "a\nb");
        check("\u{feff}a\r\nb\r", "a\nb\r");
        check("\u{feff}\u{feff}", "\u{feff}");
        // Where ends differ each is a part of its line.
        check("a\r\nb\n", "a\r\nb\n");
    }

    #[test]
    fn what_a_model_gives_takes_the_form() {
        let form = Form::of("\u{feff}a\r\n");
        for given in ["b\nc\n", "b\r\nc\r\n", "\u{feff}b\nc\r\n"] {
            assert_eq!(form.dressed(&form.plain(given)), "\u{feff}b\r\nc\r\n", "{given:?}");
        }
        let none = Form::of("a\n");
        assert_eq!(
            none.dressed(&none.plain("\u{feff}b\r\n")),
            "\u{feff}b\r\n",
            "it may be meant"
        );
    }

    #[test]
    fn no_text_is_lost() {
        let mut texts = vec![String::new()];
        for _ in 0..6 {
            let longer = texts
                .iter()
                .flat_map(|text| ["\u{feff}", "\r", "\n", "a"].map(|next| format!("{text}{next}")));
            texts = longer.collect();
            for text in &texts {
                let form = Form::of(text);
                assert_eq!(form.dressed(&form.plain(text)), *text, "{text:?}");
            }
        }
    }
}
