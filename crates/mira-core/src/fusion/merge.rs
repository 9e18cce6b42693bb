//! Which candidates say the same.

use std::collections::HashSet;

/// How many of the best are compared with each other.
pub(super) const COMPARED: usize = 64;
/// The least share of common words, of all words of both, that makes two texts the same.
const SAME: f32 = 0.85;

/// For each text, best first and by its stems, the place of a better one that says the same, if there is one. Texts
/// without a word are not the same as anything.
pub(super) fn find_same(texts: &[HashSet<String>]) -> Vec<Option<usize>> {
    let mut kept: Vec<(usize, &HashSet<String>)> = Vec::new();
    let find = |(at, text)| {
        let same = kept.iter().find(|(_, better)| is_same(better, text)).map(|(at, _)| *at);
        if same.is_none() {
            kept.push((at, text));
        }
        same
    };
    texts.iter().enumerate().map(find).collect()
}

fn is_same(a: &HashSet<String>, b: &HashSet<String>) -> bool {
    let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    // Most pairs differ in length alone.
    if few.is_empty() || (few.len() as f32) < SAME * many.len() as f32 {
        return false;
    }
    let common = few.iter().filter(|stem| many.contains(*stem)).count();
    common as f32 >= SAME * (few.len() + many.len() - common) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(texts: &[&str], expect: &[Option<usize>]) {
        let stems: Vec<_> = texts.iter().map(|text| crate::fusion::words::stems(text)).collect();
        assert_eq!(find_same(&stems), expect);
    }

    #[test]
    fn the_same_is_found() {
        check(
            &[
                "My dog is called Biscuit.",
                "my dog is called biscuit!!",
                "My cat is called Biscuit.",
            ],
            &[None, Some(0), None],
        );
        check(&["", "?!", "ok", "OK."], &[None, None, None, Some(2)]);
        check(
            &[
                "We walked the dogs by the river again",
                "We walk the dog by the river again",
            ],
            &[None, Some(0)],
        );
    }
}
