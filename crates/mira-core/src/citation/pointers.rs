//! Finding the places in a growing text that point at sources: `[1]`, `[1, 2]`, `[1][2]`. Code is passed over: a span
//! between backticks, a fenced block.

/// The longest inside of a pair of brackets that can be a pointer, in characters.
const MOST_INSIDE: usize = 48;
/// The most digits of a number.
const MOST_DIGITS: usize = 4;

/// A place that may point at sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    /// Where the opening bracket stands, in code points from the text's beginning.
    pub start: u32,
    /// After the closing bracket.
    pub end: u32,
    /// The numbers, as they stand there, each once.
    pub numbers: Vec<u32>,
}

/// Where code goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    /// Not in code.
    None,
    /// In a span that so many backticks close.
    Span(usize),
    /// In a block that a line of so many of these marks closes.
    Fence(char, usize),
}

/// Reads a text piece by piece.
#[derive(Debug, Clone)]
pub struct Pointers {
    /// Code points read.
    at: u32,
    /// The opening bracket and what stands behind it so far.
    open: Option<(u32, String)>,
    code: Code,
    /// The backticks or tildes just read.
    run: Option<(char, usize)>,
    /// Whether that run stood at the beginning of its line.
    run_leads: bool,
    /// Whether only blanks stand on the line so far.
    line_is_blank: bool,
    escaped: bool,
}

impl Default for Pointers {
    fn default() -> Self {
        Self {
            at: 0,
            open: None,
            code: Code::None,
            run: None,
            run_leads: false,
            line_is_blank: true,
            escaped: false,
        }
    }
}

impl Pointers {
    /// Code points read so far.
    pub fn position(&self) -> u32 {
        self.at
    }

    /// Reads on; the pointers that this piece completes.
    pub fn read(&mut self, text: &str) -> Vec<Pointer> {
        let mut found = Vec::new();
        for c in text.chars() {
            self.step(c, &mut found);
            self.at = self.at.saturating_add(1);
        }
        found
    }

    fn step(&mut self, c: char, found: &mut Vec<Pointer>) {
        if std::mem::take(&mut self.escaped) && c != '\n' {
            self.open = None;
            self.line_is_blank = false;
            return;
        }
        if self.extend_run(c) {
            self.open = None;
            return;
        }
        self.end_run();
        match c {
            '\n' => {
                // A span of code does not outlast its paragraph.
                if self.line_is_blank && matches!(self.code, Code::Span(_)) {
                    self.code = Code::None;
                }
                self.line_is_blank = true;
                self.open = None;
            }
            '\\' if self.code == Code::None => {
                self.escaped = true;
                self.open = None;
            }
            '[' if self.code == Code::None => self.open = Some((self.at, String::new())),
            ']' if self.code == Code::None => {
                if let Some((start, inside)) = self.open.take()
                    && let Some(numbers) = numbers(&inside)
                {
                    let end = self.at.saturating_add(1);
                    found.push(Pointer { start, end, numbers });
                }
            }
            other => {
                if let Some((_, inside)) = &mut self.open {
                    inside.push(other);
                    if inside.len() > MOST_INSIDE {
                        self.open = None;
                    }
                }
            }
        }
        if !c.is_whitespace() {
            self.line_is_blank = false;
        }
    }

    /// Whether the character goes on with, or begins, a run of marks that code may begin or end with.
    fn extend_run(&mut self, c: char) -> bool {
        if c != '`' && c != '~' {
            return false;
        }
        match &mut self.run {
            Some((mark, length)) if *mark == c => *length += 1,
            _ => {
                self.end_run();
                self.run = Some((c, 1));
                self.run_leads = self.line_is_blank;
            }
        }
        true
    }

    fn end_run(&mut self) {
        let Some((mark, length)) = self.run.take() else { return };
        self.line_is_blank = false;
        let leads_fence = self.run_leads && length >= 3;
        self.code = match self.code {
            Code::None if leads_fence => Code::Fence(mark, length),
            Code::None if mark == '`' => Code::Span(length),
            Code::Span(open) if mark == '`' && open == length => Code::None,
            Code::Fence(open, least) if leads_fence && open == mark && length >= least => Code::None,
            other => other,
        };
    }
}

/// The numbers between a pair of brackets; `None` where something else stands there.
fn numbers(inside: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    for part in inside.split([',', ';']) {
        let digits = part.trim_matches(' ');
        if digits.is_empty() || digits.len() > MOST_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number = digits.parse().ok()?;
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found is the same however the text is split.
    fn check(text: &str, expect: &[(u32, u32, &[u32])]) {
        let expect: Vec<Pointer> = expect
            .iter()
            .map(|&(start, end, numbers)| Pointer {
                start,
                end,
                numbers: numbers.to_vec(),
            })
            .collect();
        assert_eq!(Pointers::default().read(text), expect, "{text:?}");
        for (at, _) in text.char_indices() {
            let (mut pointers, (left, right)) = (Pointers::default(), text.split_at(at));
            let mut found = pointers.read(left);
            found.extend(pointers.read(right));
            assert_eq!(found, expect, "{text:?} at {at}");
        }
        let (mut pointers, mut found) = (Pointers::default(), Vec::new());
        for c in text.chars() {
            found.extend(pointers.read(c.encode_utf8(&mut [0; 4])));
        }
        assert_eq!(found, expect, "{text:?} char by char");
        assert_eq!(pointers.position() as usize, text.chars().count());
    }

    #[test]
    fn what_points() {
        check("It rains [1].", &[(9, 12, &[1])]);
        check("Ünïcode 🦀[12], so.", &[(9, 13, &[12])]);
        check(
            "Both [1, 2] and [3;4] and [5][6]",
            &[(5, 11, &[1, 2]), (16, 21, &[3, 4]), (26, 29, &[5]), (29, 32, &[6])],
        );
        check("[1,1, 2]", &[(0, 8, &[1, 2])]);
        check("[[1]", &[(1, 4, &[1])]);
    }

    #[test]
    fn what_does_not() {
        for text in [
            "[]", "[a]", "[1", "1]", "[1 2]", "[1,]", "[-1]", "[^1]", "[12345]", r"\[1]", "[1\n]", "[1`]`",
        ] {
            check(text, &[]);
        }
        check(&format!("[{}]", "1,".repeat(60)), &[]);
    }

    #[test]
    fn code_is_passed_over() {
        check("`a[1]` b [2]", &[(9, 12, &[2])]);
        check("``a`[1]`` [2]", &[(10, 13, &[2])]);
        check("```\nx[1]\n```\n[2]", &[(13, 16, &[2])]);
        check("~~~ py\nx[1]\n~~~\n[2]", &[(16, 19, &[2])]);
        check("it`s fine\n\n[1]", &[(11, 14, &[1])]);
        check("```\n``\n[1]\n````\n[2]", &[(16, 19, &[2])]);
    }
}
