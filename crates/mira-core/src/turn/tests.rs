//! The machine: heads, endings, checkpoints, tools and citations in the middle.

use super::*;
use crate::tool::CallStatus;
use uuid::Uuid;

fn meta(persona: &str) -> ReplyMeta {
    ReplyMeta {
        persona: persona.parse().unwrap(),
        mood: Mood::from_text("calm").unwrap(),
        mood_cause: None,
        intent: None,
        owner_mood: None,
        tags: vec![],
        salience: None,
        remember: Vec::new(),
    }
}

fn turn(forced: Option<&str>) -> Turn {
    let forced = forced.map(|name| name.parse().unwrap());
    Turn::new(
        TurnId(Uuid::nil()),
        MessageId(Uuid::nil()),
        forced,
        false,
        meta("default"),
    )
}

fn finished(ending: Ending) -> ModelEvent {
    let usage = Usage::default();
    ModelEvent::Finished(Box::new(Finished {
        meta: meta("haven"),
        ending,
        model: "m".into(),
        usage,
    }))
}

/// Runs events and checks the law over all that clients are told.
fn run(forced: Option<&str>, events: Vec<ModelEvent>) -> (Vec<TurnEvent>, End) {
    let (mut turn, mut out) = (turn(forced), Vec::new());
    for event in events {
        if let Step::End(end) = turn.on_model(event, &mut out) {
            let mut law = laws::Law::default();
            for event in &out {
                law.check(event).unwrap();
            }
            return (out, *end);
        }
    }
    let end = turn.interrupt(Interruption::Stop, None);
    (out, end)
}

#[test]
fn text_before_a_head_opens_with_the_fallback() {
    let (events, end) = run(None, vec![ModelEvent::Text("hi".into()), finished(Ending::Whole)]);
    assert!(matches!(&events[0], TurnEvent::Persona { head, .. } if head.persona.as_str() == "default"));
    assert_eq!(events[1], TurnEvent::Chunk("hi".into()));
    assert_eq!(end.outcome, Outcome::Complete);
    assert_eq!(end.draft.unwrap().meta.persona.as_str(), "haven");
}

#[test]
fn a_forced_overlay_wins() {
    let head = Head {
        persona: "haven".parse().unwrap(),
        mood: Mood::from_text("soft").unwrap(),
        mood_cause: None,
    };
    let (events, end) = run(
        Some("hallow"),
        vec![
            ModelEvent::Head(head),
            ModelEvent::Text("hi".into()),
            finished(Ending::Whole),
        ],
    );
    assert!(matches!(&events[0], TurnEvent::Persona { head, .. } if head.persona.as_str() == "hallow"));
    assert_eq!(end.draft.unwrap().meta.persona.as_str(), "hallow");
}

#[test]
fn endings() {
    let empty = run(None, vec![finished(Ending::Whole)]).1;
    assert_eq!(
        (empty.outcome, empty.draft.is_none(), empty.failure.is_some()),
        (Outcome::Failed, true, true)
    );
    let short = run(
        None,
        vec![ModelEvent::Text("a".into()), finished(Ending::CutShort("x".into()))],
    )
    .1;
    assert_eq!(
        (short.outcome, short.draft.unwrap().status),
        (Outcome::Interrupted, MessageStatus::Interrupted)
    );
    let stopped = run(None, vec![ModelEvent::Text("a".into())]).1;
    assert_eq!(
        (stopped.outcome, stopped.draft.unwrap().status),
        (Outcome::Stopped, MessageStatus::Stopped)
    );
    assert_eq!(
        run(None, vec![]).1,
        End {
            draft: None,
            failure: None,
            outcome: Outcome::Stopped,
            usage: None,
        }
    );
}

#[test]
fn checkpoints_take_each_byte_and_each_citation_once() {
    fn unstored(turn: &Turn) -> Option<(&str, Vec<u32>)> {
        let left = turn.unstored()?;
        Some((
            left.text,
            left.citations.iter().map(|citation| citation.index).collect(),
        ))
    }
    let (mut turn, mut out) = (turn(None), Vec::new());
    assert_eq!(unstored(&turn), None);
    for part in ["a", "bé"] {
        turn.on_model(ModelEvent::Text(part.into()), &mut out);
    }
    assert_eq!(unstored(&turn), Some(("abé", vec![])));
    turn.mark_stored(1, 0);
    assert_eq!(unstored(&turn), Some(("bé", vec![])));
    turn.mark_stored(100, 0);
    assert_eq!(unstored(&turn), None);
    // A provider tells of places in text that is stored already.
    let source = |title: &str| Source {
        title: title.to_owned(),
        ..Source::default()
    };
    turn.cite(source("one"), Some((0, 1)), &mut out);
    turn.cite(source("two"), None, &mut out);
    assert_eq!(unstored(&turn), Some(("", vec![1, 2])));
    turn.mark_stored(0, 1);
    assert_eq!(unstored(&turn), Some(("", vec![2])));
    turn.mark_stored(0, 100);
    assert_eq!(unstored(&turn), None);
}

#[test]
fn a_tool_in_the_middle_is_part_of_the_reply() {
    let (mut turn, mut out) = (turn(None), Vec::new());
    turn.on_model(ModelEvent::Text("Let me look.".into()), &mut out);
    let asked = AskedCalls {
        usage: Usage {
            input_tokens: 5,
            ..Usage::default()
        },
        ..AskedCalls::default()
    };
    assert!(matches!(
        turn.on_model(ModelEvent::Calls(Box::new(asked)), &mut out),
        Step::Call(_)
    ));
    assert_eq!(turn.take_round(), "Let me look.");
    let call = ToolCall {
        id: ToolCallId(Uuid::nil()),
        tool: "recall".into(),
        arguments: "{}".into(),
        effect: crate::tool::Effect::Read,
        outcome: None,
    };
    turn.begin_call(call.clone(), &mut out);
    turn.begin_call(
        ToolCall {
            id: ToolCallId(Uuid::from_u128(1)),
            ..call.clone()
        },
        &mut out,
    );
    turn.end_call(call.id, CallOutcome::unsuccessful(CallStatus::Denied, "no"), &mut out);
    turn.end_call(
        call.id,
        CallOutcome::unsuccessful(CallStatus::Failed, "again"),
        &mut out,
    );
    turn.abort_calls("cut off", &[], &mut out);
    turn.on_model(ModelEvent::Text("Here.".into()), &mut out);
    let Step::End(end) = turn.on_model(finished(Ending::Whole), &mut out) else {
        panic!("it ends")
    };
    let mut law = laws::Law::default();
    for event in &out {
        law.check(event).unwrap();
    }
    let draft = end.draft.unwrap();
    assert_eq!(draft.content, "Let me look.\n\nHere.");
    assert_eq!(draft.usage.unwrap().input_tokens, 5);
    assert_eq!(draft.meta.persona.as_str(), "default", "what was shown first stands");
    let ended: Vec<_> = draft
        .calls
        .iter()
        .map(|call| call.outcome.as_ref().unwrap().status)
        .collect();
    assert_eq!(ended, [CallStatus::Denied, CallStatus::Failed]);
}

fn source(url: &str) -> Source {
    Source {
        url: Some(url.to_owned()),
        title: "A page".into(),
        ..Source::default()
    }
}

#[test]
fn pointers_become_citations_after_the_chunk_that_completes_them() {
    let (mut turn, mut out) = (turn(None), Vec::new());
    turn.on_model(ModelEvent::Text("Först [1].".into()), &mut out);
    turn.take_round();
    assert_eq!(
        turn.take_sources(vec![source("https://a.example/"), source("https://b.example/")]),
        [1, 2]
    );
    assert_eq!(turn.take_sources(vec![source("https://b.example/")]), [2]);
    for text in ["Så [", "2", "] och [1, 3].", " Slut"] {
        turn.on_model(ModelEvent::Text(text.into()), &mut out);
    }
    turn.cite(source("https://c.example/"), Some((3, 6)), &mut out);
    turn.cite(source("https://c.example/"), None, &mut out);
    turn.cite(source("https://c.example/"), None, &mut out);
    let told: Vec<String> = out
        .iter()
        .map(|event| match event {
            TurnEvent::Chunk(text) => text.clone(),
            TurnEvent::Citation(it) => format!("{}@{:?}-{:?}", it.index, it.start, it.end),
            other => format!("{other:?}").chars().take(7).collect(),
        })
        .collect();
    assert_eq!(
        told,
        [
            "Persona",
            // Nothing was read by then.
            "Först [1].",
            "\n\nSå [",
            "2",
            "] och [1, 3].",
            "2@Some(15)-Some(18)",
            "1@Some(23)-Some(29)",
            " Slut",
            "3@Some(15)-Some(18)",
            "3@None-None",
        ]
    );
    let Step::End(end) = turn.on_model(finished(Ending::Whole), &mut out) else {
        panic!("it ends")
    };
    let mut law = laws::Law::default();
    for event in &out {
        law.check(event).unwrap();
    }
    let draft = end.draft.unwrap();
    let place: Vec<char> = draft.content.chars().skip(15).take(3).collect();
    assert_eq!(String::from_iter(place), "[2]");
    assert_eq!(draft.citations.len(), 4);
}

#[test]
fn tokens_of_a_turn_without_words_are_not_lost() {
    let (mut turn, mut out) = (turn(None), Vec::new());
    let usage = Usage {
        input_tokens: 5,
        ..Usage::default()
    };
    let asked = AskedCalls {
        usage,
        ..AskedCalls::default()
    };
    turn.on_model(ModelEvent::Calls(Box::new(asked)), &mut out);
    let end = turn.interrupt(Interruption::Stop, None);
    assert_eq!((end.draft, end.usage), (None, Some(usage)));
}
