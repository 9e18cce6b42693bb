//! Which candidates say the same.

use std::cmp::Ordering;

/// How many of the best are compared with each other.
pub(super) const COMPARED: usize = 64;
/// The least share of common words, of all words of both, that makes two texts the same.
const SAME: f32 = 0.85;

/// For each text, best first and as the sorted numbers of its stems, the place of a better one that says the same, if
/// there is one. Texts without a word are not the same as anything.
pub(super) fn find_same(texts: &[Vec<u32>]) -> Vec<Option<usize>> {
    let mut kept: Vec<(usize, &[u32])> = Vec::new();
    let mut found = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().enumerate() {
        let same = kept.iter().find(|(_, better)| is_same(better, text)).map(|(at, _)| *at);
        if same.is_none() {
            kept.push((at, text));
        }
        found.push(same);
    }
    found
}

fn is_same(a: &[u32], b: &[u32]) -> bool {
    let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    // Most pairs differ in length alone.
    if few.is_empty() || (few.len() as f32) < SAME * many.len() as f32 {
        return false;
    }
    let common = common(few, many);
    common as f32 >= SAME * (few.len() + many.len() - common) as f32
}

/// How many numbers two sorted lists share.
fn common(mut a: &[u32], mut b: &[u32]) -> usize {
    let mut common = 0;
    while let ([x, rest_of_a @ ..], [y, rest_of_b @ ..]) = (a, b) {
        match x.cmp(y) {
            Ordering::Less => a = rest_of_a,
            Ordering::Greater => b = rest_of_b,
            Ordering::Equal => {
                common += 1;
                (a, b) = (rest_of_a, rest_of_b);
            }
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(texts: &[&str], expect: &[Option<usize>]) {
        let mut all = crate::fusion::words::Stems::default();
        let stems: Vec<_> = texts.iter().map(|text| all.of(text)).collect();
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
