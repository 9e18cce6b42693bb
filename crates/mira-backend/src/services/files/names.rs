//! Names of files, made fit to be shown. A name is never a path here.

use unicode_normalization::UnicodeNormalization;

/// The longest name, in bytes.
const NAME_BYTES: usize = 255;
/// The longest ending that a name keeps when it is cut, in bytes: what follows its last dot says what it is.
const ENDING_BYTES: usize = 16;

/// A name for showing: the last part of a path, one line, nothing that hides or turns what follows.
pub(super) fn tidy_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept: String = last.nfc().filter(|c| !c.is_control() && !misleads(*c)).collect();
    let kept = kept.trim();
    if kept.is_empty() || kept.chars().all(|c| c == '.') {
        return "file".to_owned();
    }
    if kept.len() <= NAME_BYTES {
        return kept.to_owned();
    }
    let ending = kept.rfind('.').and_then(|dot| kept.get(dot..));
    let ending = ending.filter(|ending| ending.len() <= ENDING_BYTES).unwrap_or_default();
    let stem = kept.get(..kept.floor_char_boundary(NAME_BYTES - ending.len()));
    format!("{}{ending}", stem.unwrap_or_default().trim_end())
}

/// Whether a sign is not seen, breaks the line or turns the direction of what follows.
fn misleads(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, tidy: &str) {
        assert_eq!(tidy_name(name), tidy, "{name:?}");
    }

    #[test]
    fn names_are_for_showing() {
        check("report.pdf", "report.pdf");
        check("../../etc/passwd", "passwd");
        check("C:\\Users\\me\\plan.docx", "plan.docx");
        check("a\r\nb\u{0}.txt", "ab.txt");
        check("a\u{2028}b\u{2029}c.txt", "abc.txt");
        check("invoice\u{202e}fdp.exe", "invoicefdp.exe");
        check("a\u{e0041}b\u{ad}\u{3164}.txt", "ab.txt");
        check("e\u{301}.md", "é.md");
        check("سلام.txt", "سلام.txt");
        check("", "file");
        check("..", "file");
        check("/", "file");
        check("\u{200f} \u{3164}", "file");
    }

    #[test]
    fn a_cut_name_keeps_its_ending() {
        let long = |stem: &str, times: usize, ending: &str| format!("{}{ending}", stem.repeat(times));
        check(&long("a", 300, ".pdf"), &long("a", 251, ".pdf"));
        check(&long("ü", 400, ".MD"), &long("ü", 126, ".MD"));
        check(&long("ü", 400, ""), &long("ü", 127, ""));
        // What follows the dot is no ending.
        check(&long("a.b", 100, ""), &long("a.b", 85, ""));
        check(&format!("x.{}", "y".repeat(300)), &format!("x.{}", "y".repeat(253)));
        check(
            &format!("{} {}.txt", "a".repeat(250), "b".repeat(9)),
            &format!("{}.txt", "a".repeat(250)),
        );
        check(&"a".repeat(255), &"a".repeat(255));
    }
}
