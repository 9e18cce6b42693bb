//! What the stand-in makes of what Mira remembers.

use super::{RehearsalInput, reply, talk};

#[test]
fn questions_are_answered_from_memory() {
    let output = reply(&RehearsalInput {
        memories: vec![
            "3 May 2026, owner: I bought a violin last week",
            "8 May 2026, fact about owner: The owner's sister is called Anna.",
            "1 May 2026, Mira: Sisters are the best conspirators.",
        ],
        ..talk("What is my sister's name again?")
    })
    .output;
    assert!(
        output.contains("> Your sister is called Anna. (8 May 2026)"),
        "{output}"
    );
    assert!(!output.contains("violin"), "{output}");
    // Her own echo of what was corrected since shares the most words, and comes last.
    let output = reply(&RehearsalInput {
        memories: vec![
            "1 May 2026, Mira: “My sister is called Ana.” You can't just say sister to me, not that sister's name.",
            "1 May 2026, owner: My sister is called Ana.",
            "8 May 2026, fact about owner: The owner's sister is called Anna.",
        ],
        ..talk("What is my sister called?")
    })
    .output;
    let told = (
        output.find("> Your sister is called Anna."),
        output.find("> You, 1 May"),
    );
    assert!(
        told.0.is_some() && told.0 < told.1 && !output.contains("> I,"),
        "{output}"
    );
    let answer = reply(&RehearsalInput {
        memories: vec!["8 May 2026, fact about owner: The owner moved to Graz."],
        ..talk("Where do I live?")
    });
    assert_eq!(answer.tags.first().map(String::as_str), Some("memory"));
    assert!(
        answer.output.contains("> You moved to Graz. (8 May 2026)"),
        "{answer:?}"
    );
    let output = reply(&RehearsalInput {
        memories: vec![
            "8 May 2026, fact about owner: The owner has two cats.",
            "1 May 2026, Mira: Cats!",
        ],
        ..talk("do you remember anything?")
    })
    .output;
    assert!(
        output.contains("> You have two cats. (8 May 2026)") && output.contains("> I, 1 May 2026: Cats!"),
        "{output}"
    );
}

#[test]
fn what_is_forgotten_is_not_said_again_by_mood_or_thread() {
    let asked = |errand| {
        reply(&RehearsalInput {
            errand,
            mood_cause: Some("what was said to me: “I am allergic to walnuts.”"),
            earlier_owner_words: vec!["I am allergic to walnuts."],
            ..talk("Please forget that I have an allergy")
        })
    };
    let told = asked(Some("Forgotten, for good: 1 thing is gone from me."));
    assert_eq!(told.output, "Forgotten, for good: 1 thing is gone from me.");
    assert!(asked(None).output.contains("walnuts"), "else her mood tells of it");
}
