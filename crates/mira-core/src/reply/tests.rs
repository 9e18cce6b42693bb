//! The reader at every split, with broken and hostile streams.

#![expect(clippy::string_slice, reason = "splits fall on character boundaries")]

use super::*;
use proptest::prelude::*;

fn personas() -> Vec<PersonaName> {
    ["default", "haven"].iter().map(|n| n.parse().unwrap()).collect()
}

fn fallback() -> ReplyMeta {
    ReplyMeta {
        persona: "default".parse().unwrap(),
        mood: Mood::from_text("calm").unwrap(),
        mood_cause: None,
        intent: None,
        owner_mood: None,
        tags: vec![],
        salience: None,
        remember: Vec::new(),
    }
}

/// Reads a stream given in parts; adjacent texts are joined, since a split may fall anywhere.
fn read(parts: &[&str]) -> (Option<Head>, String, ReadReply) {
    let mut reader = ReplyReader::new(personas(), fallback());
    let mut out = Vec::new();
    for part in parts {
        reader.push(part, &mut out);
    }
    let end = reader.finish(&mut out);
    let (mut head, mut text) = (None, String::new());
    for piece in out {
        match piece {
            ReplyPiece::Head(h) => {
                assert!(head.is_none() && text.is_empty(), "head comes first and once");
                head = Some(h);
            }
            ReplyPiece::Text(t) => {
                assert!(!t.is_empty() && head.is_some());
                text.push_str(&t);
            }
        }
    }
    (head, text, end)
}

const WHOLE: &str = r#"{"persona":"haven","mood":"soft","mood_cause":"you are tired","output":"Hé \"you\"\n\ud83d\ude00 {x} \\ end","intent":"rest","owner_mood":"tired","tags":["Sleep","sleep","home"],"salience":0.7,"remember":[{"about":"user","topic":"Sleep","text":" Sleeps\nbadly. ","replaces":2},{"text":""},"junk",7]}"#;

#[test]
fn a_whole_reply() {
    let (head, text, end) = read(&[WHOLE]);
    let head = head.unwrap();
    assert_eq!((head.persona.as_str(), head.mood.as_str()), ("haven", "soft"));
    assert_eq!(text, "Hé \"you\"\n😀 {x} \\ end");
    assert_eq!(end.shape, Shape::Whole);
    assert_eq!(end.meta.tags, ["sleep", "home"]);
    assert_eq!(end.meta.salience, Some(Salience::clamped(0.7)));
    let note = FactNote::tidy("owner", "sleep", "Sleeps badly.", Some(2));
    assert_eq!(end.meta.remember, note.into_iter().collect::<Vec<_>>());
    assert_eq!(end.meta.owner_mood.as_deref(), Some("tired"));
}

#[test]
fn every_split_gives_the_same() {
    let odd = [
        WHOLE,
        "plain words, no JSON",
        "```json\n{\"persona\":\"haven\",\"mood\":\"x\",\"output\":\"hi\"}\n```",
        "```rust\nfn main() {}\n```",
        "{smiles} hello",
        "{\"text\": \"no output here\"}",
        "{\"output\": 12}",
        "{\"output\": null, \"persona\":\"haven\"}",
        "{\"output\":\"lone \\ud83d and \\udc00 and \\u00zz and \\u0000\"}",
        "{\"extra\":{\"output\":\"nested\",\"a\":[1,\"]\"]},\"output\":\"real\"}",
        "{\"persona\":\"haven\",\"output\":\"cut he",
        "{\"persona\":\"nobody\",\"mood\":\"\",\"output\":\"x\",}",
        "  \n",
        "",
        "`",
    ];
    for stream in odd {
        let whole = read(&[stream]);
        for at in (0..=stream.len()).filter(|&at| stream.is_char_boundary(at)) {
            assert_eq!(read(&[&stream[..at], &stream[at..]]), whole, "{stream:?} split at {at}");
        }
        let single: Vec<String> = stream.chars().map(String::from).collect();
        let single: Vec<&str> = single.iter().map(String::as_str).collect();
        assert_eq!(read(&single), whole, "{stream:?} by characters");
    }
}

fn check(stream: &str, text: &str, shape: Shape) {
    let (_, got, end) = read(&[stream]);
    assert_eq!((got.as_str(), end.shape), (text, shape), "{stream:?}");
}

#[test]
fn broken_replies_keep_their_words() {
    check("just talking", "just talking", Shape::Plain);
    check("{smiles} hello", "{smiles} hello", Shape::Plain);
    check("{\"text\":\"a\"}", "{\"text\":\"a\"}", Shape::Plain);
    check("{\"output\":12}", "{\"output\":12}", Shape::Plain);
    check("{\"output\":\"a\" oops", "a", Shape::Whole);
    check("{\"output\":\"cut", "cut", Shape::Truncated);
    check("{\"persona\":\"haven\"", "", Shape::Truncated);
    check("{\"output\":\"\"}", "", Shape::Whole);
    check("```json\n{\"output\":\"fenced\"}\n```", "fenced", Shape::Whole);
    check("```js\ncode\n```", "```js\ncode\n```", Shape::Plain);
    check("{\"output\":\"raw\nnewline\"}", "raw\nnewline", Shape::Whole);
}

#[test]
fn an_unknown_overlay_or_empty_mood_falls_back() {
    let (head, _, end) = read(&[r#"{"persona":"nobody","mood":" ","output":"x"}"#]);
    assert_eq!(head.unwrap().mood.as_str(), "calm");
    assert_eq!(end.meta.persona.as_str(), "default");
}

#[test]
fn schema_is_strict_and_ordered() {
    let text = schema(&personas());
    let value: Value = serde_json::from_str(&text).unwrap();
    let keys: Vec<&String> = value["properties"].as_object().unwrap().keys().collect();
    let expect = [
        "persona",
        "mood",
        "mood_cause",
        "output",
        "intent",
        "owner_mood",
        "tags",
        "salience",
        "remember",
    ];
    assert_eq!(keys, expect);
    assert_eq!(value["required"], serde_json::json!(expect));
    assert_eq!(value["additionalProperties"], Value::Bool(false));
    assert!(!metadata_schema(&personas()).contains("\"output\""));
    serde_json::from_str::<Value>(&metadata_schema(&personas())).unwrap();
}

#[test]
fn metadata_alone() {
    let meta = read_metadata(
        "```json\n{\"persona\":\"haven\",\"mood\":\"warm\"}\n```",
        &personas(),
        &fallback(),
    );
    assert_eq!((meta.persona.as_str(), meta.mood.as_str()), ("haven", "warm"));
    assert_eq!(read_metadata("nonsense } {", &personas(), &fallback()), fallback());
}

proptest! {
    #[test]
    fn any_text_survives_the_trip(output in any::<String>(), cut in 0usize..400, mood in any::<String>()) {
        let stream = serde_json::json!({"persona": "haven", "mood": mood, "output": output}).to_string();
        let mut at = cut.min(stream.len());
        while !stream.is_char_boundary(at) { at -= 1; }
        let (_, text, end) = read(&[&stream[..at], &stream[at..]]);
        prop_assert_eq!(text, output.replace('\0', "\u{fffd}").replace(['\u{8}', '\u{c}'], " "));
        prop_assert_eq!(end.shape, Shape::Whole);
    }

    #[test]
    fn garbage_never_panics_and_never_depends_on_splits(stream in "[{}\\[\\]\",:\\\\a-u0-9 `\n]{0,60}", cut in 0usize..60) {
        let at = cut.min(stream.len());
        prop_assert_eq!(read(&[&stream]), read(&[&stream[..at], &stream[at..]]));
    }
}
