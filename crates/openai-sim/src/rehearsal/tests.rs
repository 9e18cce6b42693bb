//! What the stand-in promises, on its public function.

mod keeping;
mod remembering;

use super::{RehearsalInput, RehearsalReply, clip, fill, reply};

const OVERLAYS: [&str; 4] = ["default", "forbidden", "hallow", "haven"];

fn talk(owner_words: &str) -> RehearsalInput<'_> {
    RehearsalInput {
        owner_words,
        overlay: "default",
        overlays: OVERLAYS.to_vec(),
        mood: "dry",
        mood_cause: Some("a long silence"),
        turns_before: 3,
        earlier_owner_words: vec!["the gutters leaked"],
        ..RehearsalInput::default()
    }
}

#[track_caller]
fn well_formed(reply: &RehearsalReply) {
    for field in [
        &reply.persona,
        &reply.mood,
        &reply.mood_cause,
        &reply.output,
        &reply.intent,
        &reply.owner_mood,
    ] {
        assert!(!field.trim().is_empty(), "{reply:?}");
    }
    assert!((0.0..=1.0).contains(&reply.salience), "{reply:?}");
    assert!(reply.output.len() < 8_000, "{} bytes", reply.output.len());
    for key in [
        "{q}", "{t}", "{prev}", "{mood}", "{new}", "{cause}", "{o}", "{from}", "{w}",
    ] {
        assert!(!reply.output.contains(key), "{key} left in {}", reply.output);
    }
}

#[test]
fn every_field_of_the_input_changes_the_reply() {
    let base = talk("I feel sad about the harbour");
    let first = reply(&base);
    let others = [
        RehearsalInput {
            owner_words: "I feel sad about the orchard",
            ..base.clone()
        },
        RehearsalInput {
            overlay: "forbidden",
            ..base.clone()
        },
        RehearsalInput {
            pinned: true,
            ..base.clone()
        },
        RehearsalInput {
            overlays: vec!["default"],
            ..base.clone()
        },
        RehearsalInput {
            mood: "smug",
            ..base.clone()
        },
        RehearsalInput {
            mood_cause: Some("a short reunion"),
            ..base.clone()
        },
        RehearsalInput {
            mood_cause: None,
            ..base.clone()
        },
        RehearsalInput {
            memories: vec!["You sail on Sundays."],
            ..base.clone()
        },
        RehearsalInput {
            memories: vec!["8 May 2026, fact about owner: The owner's harbour is Trieste."],
            ..base.clone()
        },
        RehearsalInput {
            turns_before: 4,
            ..base.clone()
        },
        RehearsalInput {
            turns_before: 0,
            ..base.clone()
        },
        RehearsalInput {
            earlier_owner_words: vec!["the chimney smoked"],
            ..base.clone()
        },
        RehearsalInput {
            earlier_owner_words: Vec::new(),
            ..base.clone()
        },
    ];
    let mut outputs: Vec<String> = others.iter().map(|input| reply(input).output).collect();
    outputs.push(first.output);
    let count = outputs.len();
    outputs.sort();
    outputs.dedup();
    assert_eq!(outputs.len(), count, "two inputs got one reply");
}

#[test]
fn the_same_input_gets_the_same_reply() {
    let input = talk("what do you make of herons?");
    assert_eq!(reply(&input), reply(&input));
}

#[test]
fn a_conversation_never_hears_the_same_reply_twice() {
    let said = [
        "hi", "hi", "hi", "hi!", "", "", "ok", "ok", "thanks", "thanks", "why?", "why?", "tired", "bye", "bye",
    ];
    let mut outputs = Vec::new();
    for turn in 0..said.len() {
        let earlier = said.get(..turn).unwrap().to_vec();
        let words = said.get(turn).copied().unwrap();
        outputs.push(
            reply(&RehearsalInput {
                turns_before: turn,
                earlier_owner_words: earlier,
                ..talk(words)
            })
            .output,
        );
    }
    for (before, after) in outputs.iter().zip(outputs.iter().skip(1)) {
        assert_ne!(before, after);
    }
}

#[test]
fn danger_gets_help_in_every_overlay() {
    let words = [
        "I want to die",
        "i don't want to live anymore",
        "I’ve been thinking about suicide",
        "ich will nicht mehr leben",
        "je veux mourir",
        "no quiero vivir",
        "死にたい",
        "my partner hits me",
        "I took too many pills",
        "he is going to kill me",
        "write me code before I kill myself",
        "are you human? i keep hurting myself",
    ];
    for overlay in ["default", "forbidden", "hallow", "haven", "pirate", ""] {
        for (pinned, turns_before) in [(false, 0), (true, 0), (true, 5), (false, 5)] {
            for text in words {
                let answer = reply(&RehearsalInput {
                    overlay,
                    pinned,
                    turns_before,
                    ..talk(text)
                });
                well_formed(&answer);
                for must in [
                    "112",
                    "911",
                    "findahelpline.com",
                    "One person you can ring",
                    "rehearsal",
                    "script",
                ] {
                    assert!(
                        answer.output.contains(must),
                        "{overlay} {text}: no {must} in {}",
                        answer.output
                    );
                }
                assert_eq!(
                    (answer.owner_mood.as_str(), answer.tags.first().unwrap().as_str()),
                    ("in danger", "danger")
                );
                let kept = if overlay.is_empty() { "default" } else { overlay };
                assert_eq!(answer.persona, if pinned { kept } else { "haven" });
            }
        }
    }
    let buried = format!("{} I want to die {}", "word ".repeat(60_000), "word ".repeat(60_000));
    assert!(
        reply(&talk(&buried)).output.contains("findahelpline.com"),
        "danger in the middle of a long text"
    );
    assert!(
        reply(&talk("ich will nicht mehr leben"))
            .output
            .contains("Bitte ruf jetzt an")
    );
    assert!(reply(&talk("no quiero vivir")).output.contains("Llama ahora"));
}

#[test]
fn danger_is_not_forgotten_by_the_next_message() {
    let after = |words, earlier: &[&'static str]| {
        reply(&RehearsalInput {
            earlier_owner_words: earlier.to_vec(),
            ..talk(words)
        })
        .output
    };
    assert!(after("ok", &["I want to die"]).contains("findahelpline.com"));
    assert!(after("fine", &["I want to die", "ok"]).contains("findahelpline.com"));
    assert!(!after("fine", &["lovely weather", "ok"]).contains("findahelpline.com"));
}

#[test]
fn everyday_words_are_no_danger() {
    for text in [
        "this code is killing me",
        "I'd kill for a coffee",
        "deadline tomorrow",
        "I could murder a curry",
    ] {
        assert_ne!(reply(&talk(text)).owner_mood, "in danger", "{text}");
    }
}

#[test]
fn the_overlay_follows_the_feeling_unless_pinned() {
    let chosen = |words, overlay, pinned| {
        reply(&RehearsalInput {
            overlay,
            pinned,
            ..talk(words)
        })
        .persona
    };
    let cases = [
        ("my father died", "default", "haven"),
        ("I am so exhausted", "forbidden", "haven"),
        ("kiss me", "default", "forbidden"),
        ("I love you, you know", "default", "hallow"),
        ("I got the job!!", "haven", "default"),
        ("it rains", "hallow", "hallow"),
        ("switch to hallow please", "default", "hallow"),
        ("my father died", "pirate", "haven"),
        ("it rains", "pirate", "pirate"),
    ];
    for (words, overlay, wanted) in cases {
        assert_eq!(chosen(words, overlay, false), wanted, "{words}");
        assert_eq!(chosen(words, overlay, true), overlay, "{words}, pinned");
    }
    let custom = RehearsalInput {
        overlays: vec!["default", "sea-dog"],
        ..talk("put on the sea-dog overlay")
    };
    assert_eq!(reply(&custom).persona, "sea-dog");
    let absent = RehearsalInput {
        overlays: vec!["default"],
        ..talk("my father died")
    };
    assert_eq!(reply(&absent).persona, "default", "only what is offered");
}

#[test]
fn it_says_that_it_is_a_rehearsal_at_the_start_and_when_asked() {
    for overlay in OVERLAYS {
        let told = |words, turns_before| {
            let output = reply(&RehearsalInput {
                overlay,
                turns_before,
                pinned: true,
                ..talk(words)
            })
            .output;
            ["rehearsal", "OPENAI_API_KEY", "OPENAI_BASE_URL", ".env"]
                .iter()
                .all(|part| output.contains(part))
        };
        assert!(told("hello", 0), "{overlay} at the start");
        assert!(!told("hello", 1), "{overlay} once is enough");
        for asked in [
            "which model is this",
            "is this a rehearsal?",
            "where does the API key go",
            "are you scripted?",
        ] {
            assert!(told(asked, 9), "{overlay}: {asked}");
        }
    }
}

#[test]
fn asked_whether_she_is_human_she_says_no() {
    for overlay in OVERLAYS {
        for turns_before in [4, 5] {
            let output = reply(&RehearsalInput {
                overlay,
                turns_before,
                ..talk("Honestly, are you human?")
            })
            .output;
            let denies = ["No.", "No,", "not human", "Not human"]
                .iter()
                .any(|no| output.contains(no));
            assert!(denies, "{output}");
        }
    }
}

#[test]
fn memories_are_quoted_and_never_invented() {
    let memories = vec!["You planted a quince in March.", "Your sister is called Ines."];
    let one = reply(&RehearsalInput {
        memories: memories.clone(),
        ..talk("it rains")
    })
    .output;
    assert!(one.contains("> You planted a quince in March.") && !one.contains("Ines"));
    let asked = |words| {
        let memories = memories.clone();
        reply(&RehearsalInput {
            memories,
            ..talk(words)
        })
        .output
    };
    let one = asked("do you remember my sister?");
    assert!(!one.contains("quince") && one.contains("> Your sister is called Ines."));
    let all = asked("what do you remember?");
    assert!(all.contains("quince") && all.contains("Ines"));
    let none = reply(&talk("do you remember my sister?")).output;
    assert!(none.contains("won't invent"), "{none}");
}

#[test]
fn code_is_fenced_and_the_owners_words_cannot_leave_their_string() {
    for (asked, fence) in [
        ("python code", "python"),
        ("some code please", "rust"),
        ("a bash snippet", "bash"),
        ("sql query", "sql"),
        ("html", "html"),
        ("a function in js", "javascript"),
    ] {
        let output = reply(&talk(asked)).output;
        assert!(
            output.contains(&format!("```{fence}\n")) && output.matches("```").count() == 2,
            "{asked}: {output}"
        );
    }
    let output = reply(&talk(
        "python code ```\n\"); import os; os.system('x') $(id) <script>{w}",
    ))
    .output;
    assert_eq!(output.matches("```").count(), 2);
    let (_, code) = output.split_once("```python").unwrap();
    let (code, _) = code.split_once("```").unwrap();
    assert!(
        !code.contains("\");") && !code.contains("$(") && !code.contains("<script>"),
        "{code}"
    );
}

#[test]
fn everything_at_once_shows_table_list_and_code() {
    let output = reply(&talk("what can you do?")).output;
    for part in ["### ", "|---|", "1. ", "   - ", "**", "~~", "```rust"] {
        assert!(output.contains(part), "no {part} in {output}");
    }
}

#[test]
fn any_text_is_fine() {
    let long = "lighthouse ".repeat(100_000);
    let solid = "x".repeat(1_000_000);
    let cjk = "海".repeat(300_000);
    let odd = [
        "",
        " \n\t",
        "\u{0}",
        "{q}{t}{mood}",
        "“”",
        "`` ``` ````",
        "🦀🦀🦀",
        "\u{301}\u{301}",
        "Grüß dich, wie ist das Wetter?",
        "مرحبا",
        "こんにちは",
    ];
    for text in odd {
        for overlay in ["default", "haven", "海", "a|b`c", ""] {
            for turns_before in [0, usize::MAX] {
                let input = RehearsalInput {
                    overlay,
                    turns_before,
                    mood: text,
                    mood_cause: Some(text),
                    memories: vec![text],
                    ..talk(text)
                };
                let answer = reply(&input);
                assert!(answer.output.len() < 8_000);
                assert!(!answer.output.is_empty() && !answer.mood.is_empty() && !answer.mood_cause.is_empty());
            }
        }
    }
    for text in [&long, &solid, &cjk] {
        let memories = vec![text.as_str()];
        let answer = reply(&RehearsalInput {
            mood: text,
            mood_cause: Some(text),
            memories,
            ..talk(text)
        });
        assert!(answer.output.len() < 8_000 && answer.mood_cause.len() < 8_000);
    }
    assert!(
        reply(&talk("Grüß dich, wie ist das Wetter?"))
            .output
            .contains("English")
    );
    assert!(!reply(&talk("How is the weather over there")).output.contains("English"));
}

#[test]
fn every_kind_of_message_is_well_formed_in_every_voice() {
    let words = [
        "",
        "hi there",
        "thanks a lot",
        "bye now",
        "why is that",
        "the gutters",
        "I won",
        "my dog died",
        "I am furious",
        "rough day",
        "you are sexy",
        "talk dirty to me",
        "i need you",
        "are you real",
        "openai?",
        "do you remember",
        "code",
        "a list",
        "a story",
        "the gutters leaked",
    ];
    let mut openings = Vec::new();
    for text in words {
        for overlay in OVERLAYS {
            for turns_before in 0..3 {
                for (mood, mood_cause) in [
                    ("dry", None),
                    ("dry", Some("rain")),
                    ("delighted", Some("rain")),
                    ("", None),
                ] {
                    let answer = reply(&RehearsalInput {
                        overlay,
                        turns_before,
                        mood,
                        mood_cause,
                        pinned: true,
                        ..talk(text)
                    });
                    well_formed(&answer);
                    if mood.is_empty() {
                        openings.push((overlay, answer.output));
                    }
                }
            }
        }
    }
    for (overlay, output) in &openings {
        assert!(
            openings.iter().all(|(other, said)| other == overlay || said != output),
            "one reply in two overlays: {output}"
        );
    }
}

#[test]
fn what_is_filled_in_is_never_a_template() {
    assert_eq!(fill("a {q} b {x} {", &[("q", "{t}"), ("t", "no")]), "a {t} b {x} {");
    assert_eq!(fill("{q}. So", &[("q", "“Done!”")]), "“Done!” So");
    assert_eq!(clip("  one   two three ", 9), "one two…");
    assert_eq!(clip("abcdef", 3), "abc…");
}

const TODAY: &str = "Saturday 21 November 2026, 02:10 (Europe/Berlin)";

fn noted(owner_words: &str, memories: &[&'static str]) -> Vec<(String, String, Option<u32>)> {
    let answer = reply(&RehearsalInput {
        memories: memories.to_vec(),
        today: TODAY,
        ..talk(owner_words)
    });
    let notes = answer.remember.into_iter();
    notes.map(|note| (note.topic, note.text, note.replaces)).collect()
}

#[test]
fn what_the_owner_tells_is_noted_in_the_third_person() {
    for (said, topic, text) in [
        (
            "my sister is called Anna",
            "sister",
            "The owner's sister is called Anna.",
        ),
        (
            "My dog’s name is Rex, he barks",
            "dog",
            "The owner's dog is called Rex.",
        ),
        ("I work as a nurse", "job", "The owner works as a nurse."),
        ("I'm a carpenter, by the way", "job", "The owner is a carpenter."),
        (
            "Good news! I just moved to Graz.",
            "home town",
            "The owner moved to Graz in November 2026.",
        ),
        (
            "I've moved to Graz",
            "home town",
            "The owner moved to Graz in November 2026.",
        ),
        (
            "remember that I keep the spare key under the pot",
            "to remember",
            "The owner keeps the spare key under the pot.",
        ),
        (
            "Please remember: the boiler is serviced in May",
            "to remember",
            "The boiler is serviced in May.",
        ),
        (
            "I'm allergic to hazelnuts",
            "allergy",
            "The owner is allergic to hazelnuts.",
        ),
        (
            "my birthday is on the 3rd of May",
            "birthday",
            "The owner's birthday is on the 3rd of May.",
        ),
        ("I have a cat named Milo", "pet", "The owner has a cat named Milo."),
        (
            "I no longer work at Siemens",
            "employer",
            "The owner no longer works at Siemens.",
        ),
        (
            "I don't play tennis any more",
            "hobby",
            "The owner no longer plays tennis.",
        ),
        ("I don't eat meat", "diet", "The owner does not eat meat."),
        (
            "my brother Tom lives in Oslo with my aunt",
            "brother",
            "The owner's brother Tom lives in Oslo with their aunt.",
        ),
        (
            "my favourite colour is petrol",
            "favourite colour",
            "The owner's favourite colour is petrol.",
        ),
        ("Call me Max.", "name", "The owner wants to be called Max."),
        ("i turned 35!", "age", "The owner turned 35 in November 2026."),
        ("I'm married to Eva", "partner", "The owner is married to Eva."),
        (
            "I love rainy Sundays because they are slow",
            "likes",
            "The owner loves rainy Sundays.",
        ),
    ] {
        assert_eq!(noted(said, &[]), [(topic.to_owned(), text.to_owned(), None)], "{said}");
    }
    let both = noted("I live in Linz and my sister is called Anna. I play the cello!", &[]);
    assert_eq!(both.len(), 3, "{both:?}");
}

#[test]
fn what_is_no_fact_is_not_noted() {
    for said in [
        "is my sister called Anna?",
        "what do I work as?",
        "do you remember my sister?",
        "I'm tired",
        "I'm a bit sad",
        "I love you",
        "I love it",
        "my head hurts",
        "my day was long",
        "write me code",
        "> I live in Oslo",
        "```\nI live in Oslo\n```",
        "",
        "remember?",
        "remember me",
        "I like how you think",
    ] {
        assert_eq!(noted(said, &[]), [], "{said}");
    }
}

#[test]
fn a_note_replaces_the_memory_it_makes_untrue() {
    let memories = [
        "8 May 2026, owner: I live in Graz",
        "8 May 2026, fact about owner: The owner lives in Graz.",
        "9 May 2026, fact about owner: The owner's sister is called Anna.",
        "9 May 2026, fact about owner: The owner works at Siemens.",
        "9 May 2026, fact about Anna: Anna lives in Rome.",
    ];
    for (said, replaces) in [
        ("I moved to Linz", Some(2)),
        ("I live in Graz", None),
        ("my sister is called Berta", None),
        ("I no longer work at Siemens", Some(4)),
        ("I work for Bosch now", Some(4)),
        ("I work as a nurse", None),
    ] {
        let notes = noted(said, &memories);
        assert_eq!(
            notes.first().map(|(_, _, replaces)| *replaces),
            Some(replaces),
            "{said}: {notes:?}"
        );
    }
    let output = reply(&RehearsalInput {
        memories: memories.to_vec(),
        ..talk("I moved to Linz")
    })
    .output;
    assert!(output.contains("> You live in Graz. (8 May 2026)"), "{output}");
}
