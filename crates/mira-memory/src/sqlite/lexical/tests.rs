//! Terms and stems, and what is counted ahead of the first question.

use super::{tables::varint, terms::plain_stems, *};
use crate::{NoFiles, SpeakerNames, recall::warm_up};
use jiff::{Timestamp, tz::TimeZone};
use proptest::prelude::*;
use tokio::sync::mpsc;

#[test]
fn integers_of_fts5() {
    let check = |bytes: &[u8], value: u64, left: usize| {
        let (found, rest) = varint(bytes);
        assert_eq!((found, rest.len()), (value, left), "{bytes:?}");
    };
    check(&[], 0, 0);
    check(&[5, 9], 5, 1);
    check(&[0x81, 0x00], 128, 0);
    check(&[0xff, 0x7f, 1], 16_383, 1);
    check(&[0xff; 9], u64::MAX, 0);
    let id = MemoryId(Uuid::from_u128(0xab));
    let text = format!("7:{}:8100", id.0.as_simple());
    assert_eq!(read_length(&text), Some((7, id, 128)));
    assert_eq!(read_length("7:8"), None);
}

#[test]
fn keys_are_read_digit_by_digit() {
    let check = |list: &str, expect: Option<&[i64]>| {
        let found = keys(&WORDS, list).ok();
        assert_eq!(found.as_deref(), expect, "{list:?}");
    };
    check("", Some(&[]));
    check("7", Some(&[7]));
    check("1,20,20,9223372036854775807", Some(&[1, 20, 20, i64::MAX]));
    for list in ["9223372036854775808", "1,-2", "1;2", "1, 2", "é"] {
        check(list, None);
    }
}

#[test]
fn terms_are_split_by_script() {
    let check = |term: &str, words: &[&str], pairs: usize| {
        let (found, found_pairs) = split_terms(&[term.to_owned()]);
        assert_eq!(
            (found, found_pairs.len()),
            (words.iter().map(ToString::to_string).collect(), pairs),
            "{term:?}"
        );
    };
    check("dog", &["dog"], 0);
    check("a\0b", &["a b"], 0);
    check("\"OR\" NEAR(", &["\"OR\" NEAR("], 0);
    check("東京タワー", &[], 4);
    check("東", &[], 1);
    check("Rust 東京", &["rust"], 1);
    check("🎉", &["🎉"], 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Words that are stemmed here have the stems FTS5 gives them.
    #[test]
    fn stems_are_those_of_fts5(
        words in prop::collection::vec(
            ("[a-zA-Z0-9]{1,9}", "(|s|es|ies|ed|eed|ing|ational|izer|fulness|ement|sion|y|ll|e|iviti|[a-z]{0,40})")
                .prop_map(|(word, ending)| word + &ending),
            1..60,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let asked = runtime.block_on(Terms::new().ask_stems(&words)).unwrap();
        prop_assert_eq!(plain_stems(&words), Some(asked));
        prop_assert_eq!(plain_stems(&["two words".to_owned()]), None);
    }
}

/// A past in which a word is too common to be read place by place: it is counted after a start, not in the first turn that
/// asks for it.
#[tokio::test]
async fn common_words_are_counted_ahead() {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let (_dir, store) = Store::of_a_test().await;
    let (sender, lines) = mpsc::channel(64);
    let feed = async move {
        let at = "2026-01-01T00:00:00Z";
        let header = format!(r#"{{"type":"header","format":"mira-export","version":2,"exported_at":"{at}"}}"#);
        let session = format!(
            r#"{{"type":"session","id":"s","memory":"on","pinned":false,"archived":false,"created_at":"{at}","updated_at":"{at}"}}"#
        );
        let mut all = vec![header, session];
        let mut parent = "null".to_owned();
        for n in 0..2000 {
            let id = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + n);
            let role = if n % 2 == 0 { "user" } else { "assistant" };
            all.push(format!(
                r#"{{"type":"message","id":"{id}","session_id":"s","parent_id":{parent},"role":"{role}","content":"the garden, day {n}","status":"complete","created_at":"{at}"}}"#
            ));
            parent = format!("\"{id}\"");
        }
        all.push(r#"{"type":"end","sessions":0,"messages":0,"moods":0}"#.to_owned());
        for line in all {
            sender.send(line).await.unwrap();
        }
    };
    let ((), report) = tokio::join!(feed, store.import(AccountId::OWNER, &NoFiles, lines, |_| ()));
    report.unwrap();
    while store.write_documents(AccountId::OWNER, 256, now).await.unwrap().left {}
    let counted = || store.terms.counted().common.contains_key("garden");
    assert!(!counted());
    let names = SpeakerNames {
        owner: "Caroline".to_owned(),
        mira: "Melanie".to_owned(),
    };
    warm_up(&store, AccountId::OWNER, &names, &now.to_zoned(TimeZone::UTC))
        .await
        .unwrap();
    assert!(counted());
    store.close().await;
}
