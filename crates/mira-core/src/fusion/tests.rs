//! The ranking, on sentences of our own.

#![expect(clippy::float_cmp, reason = "tests")]

use super::*;
use crate::{ids::MemoryId, memory::MemoryKind};
use jiff::Zoned;
use proptest::prelude::*;
use rank::Corpus;
use std::collections::HashMap;
use uuid::Uuid;

const NAMES: Names<'static> = Names {
    owner: "Nora",
    mira: "Mira",
};

fn now() -> Zoned {
    "2023-07-01T12:00[UTC]".parse().unwrap()
}

fn id(n: u128) -> MemoryId {
    MemoryId(Uuid::from_u128(n))
}

fn said(n: u128, voice: Voice, text: &str, bm25: f32, cosine: Option<f32>) -> Candidate {
    Candidate {
        id: id(n),
        kind: MemoryKind::Message,
        voice,
        session: Some("s".parse().unwrap()),
        at: "2023-05-08T13:56:00Z".parse().unwrap(),
        text: text.to_owned(),
        pinned: false,
        stands_in: false,
        bm25,
        cosine,
        before: None,
    }
}

fn ranked(question: &str, candidates: &[Candidate]) -> Vec<Ranked> {
    let question = Question::read(question, NAMES, &now()).unwrap();
    let stems: Vec<String> = question.words.iter().map(|word| stem::stem(word)).collect();
    let df: HashMap<&str, u64> = stems.iter().map(|stem| (stem.as_str(), 3)).collect();
    let scored = vec![3; question.words.len()];
    rank(
        &question,
        &Corpus::new(100, &question.words, &df, &scored),
        candidates,
        10,
    )
}

/// The order of the ids and the first reason.
fn check(question: &str, candidates: &[Candidate], order: &[u128], why: &str) {
    let ranked = ranked(question, candidates);
    let ids: Vec<u128> = ranked.iter().map(|one| one.id.0.as_u128()).collect();
    assert_eq!((ids.as_slice(), ranked[0].why.as_str()), (order, why), "{question}");
}

#[test]
fn the_scale_is_absolute() {
    // Measured by hand: ln(1 + 97.5 / 3.5) x 2.2.
    assert!((ceiling(100, &[3]) - 7.398).abs() < 0.01);
    assert_eq!(ceiling(0, &[]), 0.0);
    let alone = ranked("violin?", &[said(1, Voice::Mira, "violin", 3.0, Some(0.3))]);
    let beside = ranked(
        "violin?",
        &[
            said(1, Voice::Mira, "violin", 3.0, Some(0.3)),
            said(2, Voice::Mira, "cello", 0.5, Some(0.29)),
        ],
    );
    assert_eq!(alone[0].scores, beside[0].scores);
    assert_eq!(
        (alone[0].scores.lexical, alone[0].scores.cosine),
        (3.0 / ceiling(100, &[3]), 0.3)
    );
}

#[test]
fn whom_the_question_names_comes_first() {
    let both = [
        said(1, Voice::Mira, "The violin stands in the corner.", 3.0, Some(0.3)),
        said(2, Voice::Owner, "The violin stands in the hall.", 3.0, Some(0.3)),
    ];
    check("Where is my violin?", &both, &[2, 1], "says “violin”, said by you");
    check("Where is your violin?", &both, &[1, 2], "says “violin”, said by Mira");
    let fact = Candidate {
        kind: MemoryKind::Fact,
        session: None,
        ..said(3, Voice::Other("Tom".to_owned()), "Plays the cello.", 0.5, Some(0.5))
    };
    check(
        "What does Tom play?",
        &[fact],
        &[3],
        "says “play”, similar meaning, about Tom",
    );
}

#[test]
fn an_answer_comes_before_its_question() {
    let question = said(1, Voice::Mira, "And which instruments do you play?", 4.0, Some(0.5));
    let answer = Candidate {
        before: Some(Before {
            text: question.text.clone(),
            cosine: question.cosine,
        }),
        ..said(2, Voice::Owner, "Clarinet, since I was ten.", 3.8, Some(0.4))
    };
    check(
        "What instruments do I play?",
        &[question, answer],
        &[2, 1],
        "similar meaning, said by you",
    );
}

#[test]
fn times_and_months_count_where_they_are_asked_for() {
    let none = said(1, Voice::Owner, "Painted the fence with Tom.", 2.0, Some(0.3));
    let time = said(2, Voice::Owner, "Painted the fence last Tuesday.", 2.0, Some(0.3));
    check(
        "When did I paint the fence?",
        &[none.clone(), time.clone()],
        &[2, 1],
        "says “paint” and “fence”, said by you",
    );
    let june = Candidate {
        at: "2023-06-08T13:56:00Z".parse().unwrap(),
        ..none.clone()
    };
    let none = Candidate { id: id(3), ..none };
    check(
        "Which fence was it in June?",
        &[none, june],
        &[1, 3],
        "says “fence”, from June 2023",
    );
}

#[test]
fn what_was_said_then_comes_first() {
    let on = |n: u128, day: &str, text: &str, cosine| Candidate {
        at: format!("{day}T13:56:00Z").parse().unwrap(),
        ..said(n, Voice::Mira, text, 0.0, cosine)
    };
    let fence = |n, day| on(n, day, "Painted the fence with Tom.", Some(0.3));
    check(
        "Which fence was it yesterday?",
        &[
            fence(1, "2023-06-30"),
            on(2, "2023-06-29", "Painted the green fence.", Some(0.3)),
        ],
        &[1, 2],
        "says “fence”, from 30 June 2023",
    );
    // Nothing else is asked: what has nothing to do with the words comes up, what was said at other times does not.
    check(
        "What did we talk about yesterday?",
        &[
            on(1, "2023-06-30", "Tom came by.", None),
            on(2, "2023-06-29", "Tom called.", Some(0.05)),
        ],
        &[1],
        "from 30 June 2023",
    );
    // Where something else is asked, a time alone is too little.
    check(
        "What about the fence yesterday?",
        &[on(1, "2023-06-30", "Tom came by.", None), fence(2, "2023-01-02")],
        &[2],
        "says “fence”",
    );
}

#[test]
fn without_embeddings_words_alone_rank() {
    let list = [
        said(1, Voice::Owner, "Nothing of that.", 0.0, None),
        said(2, Voice::Owner, "A violin.", 2.0, None),
        said(3, Voice::Owner, "My violin has four strings.", 4.0, None),
    ];
    check("violin", &list, &[3, 2], "says “violin”");
    // The whole of the words is worth less than the whole of words and meaning, and more than the words' part.
    let scores = ranked("violin", &list)[0].scores;
    assert!(scores.total - scores.bonus > weights::LEXICAL * scores.lexical);
}

#[test]
fn what_has_nothing_to_do_with_it_stays_away() {
    let list = [
        said(1, Voice::Owner, "The weather is fine.", 0.0, Some(0.15)),
        said(2, Voice::Owner, "I tune the violin.", 2.0, Some(0.2)),
    ];
    check("violin strings", &list, &[2], "says “violin”");
    assert_eq!(
        ranked("violin", &[said(1, Voice::Owner, "x", 0.0, Some(f32::NAN))]),
        vec![]
    );
}

#[test]
fn what_is_said_twice_is_marked() {
    let list = [
        said(1, Voice::Owner, "My violin is from Cremona.", 3.0, Some(0.4)),
        said(2, Voice::Owner, "my violin is from Cremona!", 2.9, Some(0.4)),
        said(3, Voice::Owner, "My cello is from Graz.", 1.0, Some(0.4)),
    ];
    let same: Vec<Option<MemoryId>> = ranked("violin", &list).iter().map(|one| one.same_as).collect();
    assert_eq!(same, [None, Some(id(1)), None]);
}

#[test]
fn only_the_best_are_kept() {
    let mut list: Vec<Candidate> = (1..=15_u8)
        .map(|n| said(n.into(), Voice::Owner, &format!("violin {n}"), f32::from(n) / 3.0, None))
        .collect();
    list.push(said(16, Voice::Owner, "Violin, 15.", 4.9, None));
    let ids: Vec<u128> = ranked("violin", &list).iter().map(|one| one.id.0.as_u128()).collect();
    assert_eq!(ids, [15, 16, 14, 13, 12, 11, 10, 9, 8, 7, 6]);
}

#[test]
fn equals_always_come_in_the_same_order() {
    let a = said(1, Voice::Owner, "Violin one.", 2.0, None);
    let b = Candidate {
        at: "2024-05-08T13:56:00Z".parse().unwrap(),
        ..said(2, Voice::Owner, "Violin two.", 2.0, None)
    };
    let c = said(3, Voice::Owner, "Violin three.", 2.0, None);
    let order: Vec<u128> = vec![2, 3, 1];
    for list in [[a.clone(), b.clone(), c.clone()], [c, b, a]] {
        check("violin", &list, &order, "says “violin”");
    }
}

#[test]
fn scripts_without_spaces_are_read_by_pairs() {
    let list = [said(1, Voice::Owner, "東京タワーへ行きました。", 2.0, Some(0.1))];
    check("東京タワーはいつ？", &list, &[1], "says “東京” and “京タ”");
}

#[test]
fn pinned_and_neighbours_are_said() {
    let list = [Candidate {
        pinned: true,
        ..said(1, Voice::Owner, "Yes, that one.", 2.0, Some(0.1))
    }];
    check("violin", &list, &[1], "from the same stretch of talk, pinned");
    let list = [Candidate {
        kind: MemoryKind::Fact,
        stands_in: true,
        ..said(1, Voice::Mira, "Sold it.", 2.0, Some(0.5))
    }];
    check("violin", &list, &[1], "newer than what was found");
}

proptest! {
    #[test]
    fn any_text_can_be_asked_and_found(question in "\\PC{0,80}|.{0,40}", text in ".{0,80}", bm25 in -1.0f32..50.0, cosine in -1.0f32..1.0) {
        let Some(asked) = Question::read(&question, NAMES, &now()) else {
            prop_assert!(!question.chars().any(char::is_alphanumeric));
            return Ok(());
        };
        prop_assert!(!asked.words.is_empty() && asked.words.len() <= 32);
        let corpus = Corpus::new(1, &asked.words, &HashMap::new(), &[1]);
        let candidate = said(1, Voice::Owner, &text, bm25, Some(cosine));
        for one in rank(&asked, &corpus, &[candidate], 10) {
            prop_assert!(one.scores.total.is_finite() && (0.0..=1.0).contains(&one.scores.lexical));
            prop_assert!(!one.why.is_empty());
        }
    }
}
