//! What the owner asks to have kept, judged by the gate that judges it in Mira.

use super::super::{Move, Offer, RehearsalInput, next, reply};
use super::talk;
use mira_core::{
    gate::{GateInput, Verdict, judge},
    memory::FactNote,
};
use serde_json::Value;

/// What the gate says of it.
fn verdict(words: &str, about: &str, topic: &str, text: &str) -> Verdict {
    let note = FactNote::tidy(about, topic, text, None).unwrap();
    judge(
        &note,
        &GateInput {
            owner_text: words,
            recalled: &[],
            reply: "",
            live: &[],
            replaces: None,
            untrusted: false,
            exposed: false,
        },
    )
}

/// What `remember` is called with, and what the gate says of it.
fn asked(words: &str) -> Vec<(String, Verdict)> {
    let parameters = Value::Null;
    let offer = Offer {
        name: "remember",
        description: "",
        parameters: &parameters,
    };
    let Some(Move::Call(tool, calls)) = next(words, &[offer], &[], 0) else {
        return Vec::new();
    };
    assert_eq!(tool, "remember");
    let field = |call: &Value, name: &str| call[name].as_str().unwrap().to_owned();
    let judged = |call: &Value| {
        let text = field(call, "text");
        let verdict = verdict(words, &field(call, "about"), &field(call, "topic"), &text);
        (text, verdict)
    };
    calls.iter().map(judged).collect()
}

const ASKED: [(&str, &[&str]); 40] = [
    (
        "Remember that my wedding is on 3 June.",
        &["The owner's wedding is on 3 June."],
    ),
    (
        "Remember that my sister visits on Friday.",
        &["The owner's sister visits on Friday."],
    ),
    (
        "remember my appointment on Tuesday at nine",
        &["The owner's appointment on Tuesday at nine."],
    ),
    (
        "Please remember that I parked the car on level 3.",
        &["The owner parked the car on level 3."],
    ),
    (
        "Hey Mira, remember that our landlord is called Herr Huber.",
        &["The owner's landlord is called Herr Huber."],
    ),
    (
        "Remember: the boiler is serviced in May",
        &["The boiler is serviced in May."],
    ),
    (
        "Remember this: my locker is number 14.",
        &["The owner's locker is number 14."],
    ),
    (
        "Don't forget that my mother’s flat has no lift.",
        &["The owner's mother's flat has no lift."],
    ),
    (
        "Keep in mind that I don't eat before noon.",
        &["The owner does not eat before noon."],
    ),
    (
        "Make a note that we fly to Oslo on the 4th of July",
        &["The owner flies to Oslo on the 4th of July."],
    ),
    (
        "Note that Anna's birthday is on 12 March.",
        &["Anna's birthday is on 12 March."],
    ),
    (
        "Remember that I can't drive at night.",
        &["The owner cannot drive at night."],
    ),
    ("remember I hate coriander", &["The owner hates coriander."]),
    (
        "remember that I'm allergic to walnuts!",
        &["The owner is allergic to walnuts."],
    ),
    (
        "Remember that I've lent Tom my drill.",
        &["The owner has lent Tom their drill."],
    ),
    (
        "Remember that my daughter Ida and my son Jan share a room.",
        &["The owner's daughter Ida and the owner's son Jan share a room."],
    ),
    (
        "Remember that the dentist gave me an appointment on Monday.",
        &["The dentist gave the owner an appointment on Monday."],
    ),
    (
        "Remember that my wife and I met in Lisbon.",
        &["The owner's wife and the owner met in Lisbon."],
    ),
    (
        "Remember that I usually swim on Thursdays and work from home on Fridays.",
        &["The owner usually swims on Thursdays and works from home on Fridays."],
    ),
    ("Remember that Tom owes me 40 euros.", &["Tom owes the owner 40 euros."]),
    (
        "Remember that I was born in Linz but grew up in Wels.",
        &["The owner was born in Linz but grew up in Wels."],
    ),
    (
        "Remember that I live in Graz, and my brother lives in Rome.",
        &["The owner lives in Graz.", "The owner's brother lives in Rome."],
    ),
    (
        "Remember that it is my neighbour Piet who keeps bees.",
        &["It is the owner's neighbour Piet who keeps bees."],
    ),
    (
        "Remember that on Sundays I call my mum.",
        &["On Sundays the owner calls their mum."],
    ),
    ("Remember Anna visits.", &["The owner said: “Anna visits”"]),
    ("Remember that the car is ours.", &["The car is the owner's."]),
    ("Remember to buy milk.", &["The owner wants to buy milk."]),
    (
        "Please remember to send my sister the keys on Monday",
        &["The owner wants to send their sister the keys on Monday."],
    ),
    (
        "Don't forget to check the oven!",
        &["The owner wants to check the oven."],
    ),
    ("Remember to call me Max.", &["The owner wants to be called Max."]),
    (
        "Hello. Remember that my shoe size is 43, please.",
        &["The owner's shoe size is 43."],
    ),
    (
        "Remember that my mother-in-law's train arrives at Graz main station at ten on Saturday and that somebody has to fetch her",
        &[
            "The owner's mother-in-law's train arrives at Graz main station at ten on Saturday and that somebody has to fetch her.",
        ],
    ),
    (
        "Remember that the key to the cellar of the house in the Hauptstraße hangs behind the door",
        &["The key to the cellar of the house in the Hauptstraße hangs behind the door."],
    ),
    (
        "Can you remember that my sister is called Ana?",
        &["The owner's sister is called Ana."],
    ),
    (
        "Hey Mira, could you please remember that I parked the car on level 3?",
        &["The owner parked the car on level 3."],
    ),
    (
        "Would you make a note that Anna's birthday is on 12 March?",
        &["Anna's birthday is on 12 March."],
    ),
    (
        "Will you remember to water the plants?",
        &["The owner wants to water the plants."],
    ),
    (
        "Remember that our landlord is called Herr Huber, ok?",
        &["The owner's landlord is called Herr Huber."],
    ),
    (
        "Merk dir: der Schlüssel liegt unter der Matte",
        &["The owner said: “der Schlüssel liegt unter der Matte”"],
    ),
    (
        "Merk dir bitte, dass meine Oma am Freitag in Wien ist und ich nicht zu Hause bin.",
        &["The owner said: “dass meine Oma am Freitag in Wien ist und ich nicht zu Hause bin”"],
    ),
];

#[test]
fn what_is_asked_for_is_kept() {
    let mut wrong = Vec::new();
    for (words, expect) in ASKED {
        let got = asked(words);
        let kept = got.iter().all(|(_, verdict)| matches!(verdict, Verdict::Keep { .. }));
        let texts: Vec<&str> = got.iter().map(|(text, _)| text.as_str()).collect();
        if !kept || texts != expect {
            wrong.push(format!("{words}\n  {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_no_fact_is_refused_with_a_word_for_it() {
    for (words, why) in [
        ("Remember that I'm tired.", "it will not be true tomorrow"),
        (
            "Remember that my password is hunter2.",
            "it holds a password, a key or the number of a card",
        ),
        (
            "Remember to call me on Friday.",
            "it is a task of the moment, not a fact",
        ),
        (
            "Remember that you promised me a story.",
            "it is a task of the moment, not a fact",
        ),
    ] {
        let got = asked(words);
        let reasons: Vec<&str> = got
            .iter()
            .filter_map(|(_, verdict)| match verdict {
                Verdict::Reject(reason) => Some(reason.as_str()),
                Verdict::Keep { .. } | Verdict::Merge(_) => None,
            })
            .collect();
        assert_eq!(reasons, [why], "{words}: {got:?}");
    }
    for talk in [
        "Do you remember that?",
        "Do you remember that my sister is called Ana?",
        "Can you remember what my sister is called?",
        "Can you remember my sister's name?",
        "Can you remember that night in Rome?",
        "Can you remember that song we were dancing to?",
        "Can you remember the name of the restaurant we were at?",
        "Remember that my sister is in Rome?",
        "Remember me.",
        "Remember when we met?",
        "Remember what I said.",
        "I remember that my sister was there.",
        "> Remember that my sister sails.",
    ] {
        assert_eq!(asked(talk), [], "{talk}");
    }
}

/// Without a tool it is answered as what is told, not as a question after a memory.
#[test]
fn a_polite_request_is_no_question() {
    let asked = reply(&talk("Can you remember that my sister is called Ana?"));
    assert_eq!(asked.remember.len(), 1, "{asked:?}");
    let told = reply(&talk("Please remember that my sister is called Ana."));
    assert_eq!((asked.intent, asked.tags.first()), (told.intent, told.tags.first()));
    let question = reply(&talk("Can you remember my sister's name?"));
    let tag = question.tags.first().map(String::as_str);
    assert_eq!((question.remember.len(), tag), (0, Some("memory")));
}

/// What is told in passing and has a day or a place of its own becomes a fact too.
#[test]
fn what_is_told_in_passing_is_kept_as_it_was_put() {
    for (said, fact) in [
        (
            "My daughter Ida starts school in September.",
            "The owner's daughter Ida starts school in September.",
        ),
        (
            "I moved from Bergen to Leeds last year.",
            "The owner moved from Bergen to Leeds last year.",
        ),
        (
            "My sister visits us on Friday",
            "The owner's sister visits the owner on Friday.",
        ),
        ("We're flying to Oslo in May", "The owner is flying to Oslo in May."),
        (
            "I live in Leeds and work as a nurse.",
            "The owner lives in Leeds and works as a nurse.",
        ),
    ] {
        let notes = reply(&talk(said)).remember;
        let texts: Vec<&str> = notes.iter().map(|note| note.text.as_str()).collect();
        assert_eq!(texts, [fact], "{said}");
        let judged = notes
            .iter()
            .map(|note| verdict(said, &note.about, &note.topic, &note.text));
        for verdict in judged {
            assert!(matches!(verdict, Verdict::Keep { .. }), "{said}: {verdict:?}");
        }
    }
    for said in [
        "I may go out on a limb",
        "If I move in May I'll cry",
        "My head hurts since Monday",
        "I think it was last week",
    ] {
        assert_eq!(reply(&talk(said)).remember, [], "{said}");
    }
}

#[test]
fn a_question_that_something_came_up_for_is_not_waved_away() {
    for overlay in super::OVERLAYS {
        let said = |memories: &[&'static str]| {
            reply(&RehearsalInput {
                overlay,
                pinned: true,
                memories: memories.to_vec(),
                ..talk("Who keeps bees?")
            })
            .output
        };
        let (with, without) = (
            said(&["8 May 2026, fact about owner: The owner's best friend Tomasz is a beekeeper."]),
            said(&[]),
        );
        let claims = [
            "making it up",
            "No idea",
            "don't know",
            "no answer",
            "bluff",
            "hold my tongue",
        ];
        let waves = |text: &str| claims.iter().any(|claim| text.contains(claim));
        assert!(
            with.contains("> Your best friend Tomasz is a beekeeper.") && !waves(&with),
            "{with}"
        );
        assert_ne!(with, without);
    }
}
