//! Client frames: parsed once, checked whole, turned into what the services understand.

use crate::api::{
    chat_body::{ChatBody, Complaints, Words, check_content, check_file_ids, check_tz, parse_session},
    error::ApiError,
    extract::parse_json,
};
use mira_core::{
    approval::Answer,
    chat::{ChatRequest, Mood},
    ids::{ApprovalId, ClientId, FileId, MessageId, SessionId, TurnId},
    persona::PersonaName,
};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// A client's frame.
#[derive(Debug, PartialEq)]
pub enum ClientMsg {
    /// Login of a socket without cookie or header.
    Auth {
        /// The owner's token.
        token: String,
    },
    /// Something said.
    Chat {
        /// Another session to move to.
        session: Option<SessionId>,
        /// What is said.
        request: Box<ChatRequest>,
    },
    /// Stop a turn.
    Stop {
        /// Which; the running one when absent.
        turn_id: Option<TurnId>,
    },
    /// The owner's word about a call that waits.
    Answer {
        /// Which.
        approval_id: ApprovalId,
        /// Yes or no.
        answer: Answer,
    },
    /// Another reply.
    Regenerate {
        /// To which message.
        message_id: MessageId,
        /// The client's time zone.
        tz: Option<String>,
    },
    /// Say it differently.
    Edit {
        /// Which message.
        message_id: MessageId,
        /// The new words.
        content: String,
        /// The files that go with it; absent keeps those of the message.
        file_ids: Option<Vec<FileId>>,
        /// The client's time zone.
        tz: Option<String>,
    },
    /// Make a branch the session's head.
    Select {
        /// A message of that branch.
        message_id: MessageId,
    },
    /// Pin or release the overlay, nudge the mood.
    SwitchPersona {
        /// Absent leaves the pin as it is, null releases it, a name pins.
        persona: Option<Option<PersonaName>>,
        /// The mood asked for.
        mood: Option<Mood>,
    },
    /// Move the socket to a session.
    Subscribe {
        /// Which.
        session: SessionId,
        /// Resume after this number.
        after: Option<u64>,
    },
    /// The owner is typing.
    Typing {
        /// Whether they still are.
        active: bool,
    },
    /// Are you there?
    Ping,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Auth {
    token: String,
}

#[derive(Deserialize)]
struct Stop {
    #[serde(default)]
    turn_id: Option<String>,
}

#[derive(Deserialize)]
struct OfApproval {
    approval_id: String,
}

#[derive(Deserialize)]
struct OfMessage {
    message_id: String,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    file_ids: Option<Vec<String>>,
    #[serde(default)]
    tz: Option<String>,
}

#[derive(Deserialize)]
struct SwitchPersona {
    #[serde(default, deserialize_with = "present")]
    persona: Option<Option<String>>,
    #[serde(default)]
    mood: Option<String>,
}

#[derive(Deserialize)]
struct Subscribe {
    session_id: String,
    #[serde(default)]
    after: Option<u64>,
}

#[derive(Deserialize)]
struct Typing {
    active: bool,
}

/// A field that is there, be it null.
pub fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

/// Parses one text frame.
pub fn parse(text: &str) -> Result<ClientMsg, ApiError> {
    let body = text.as_bytes();
    let Kind { kind } = parse_borrowed(text)?;
    match kind.as_ref() {
        "auth" => parse_json::<Auth>(body).map(|auth| ClientMsg::Auth { token: auth.token }),
        "chat" => {
            let body: ChatBody = parse_json(body)?;
            let session = body.session()?;
            Ok(ClientMsg::Chat {
                session,
                request: Box::new(body.into_request(Words::Content)?),
            })
        }
        "stop" => {
            let stop: Stop = parse_json(body)?;
            checked(|complaints| ClientMsg::Stop {
                turn_id: complaints.parse("turn_id", stop.turn_id.as_deref()),
            })
        }
        "approve" => of_approval(body, Answer::Approve),
        "deny" => of_approval(body, Answer::Deny),
        "regenerate" => {
            let (message_id, rest) = of_message(body)?;
            let mut complaints = Complaints::default();
            let tz = check_tz(rest.tz, &mut complaints);
            complaints.done().map(|()| ClientMsg::Regenerate { message_id, tz })
        }
        "edit" => {
            let (message_id, rest) = of_message(body)?;
            let mut complaints = Complaints::default();
            let content = check_content("content", rest.content.as_deref().unwrap_or_default(), &mut complaints);
            let file_ids = rest.file_ids.map(|ids| check_file_ids(&ids, &mut complaints));
            let tz = check_tz(rest.tz, &mut complaints);
            complaints.done().map(|()| ClientMsg::Edit {
                message_id,
                content,
                file_ids,
                tz,
            })
        }
        "select" => of_message(body).map(|(message_id, _)| ClientMsg::Select { message_id }),
        "switch_persona" => {
            let switch: SwitchPersona = parse_json(body)?;
            let (persona, mood) = persona_change(switch.persona, switch.mood.as_deref())?;
            Ok(ClientMsg::SwitchPersona { persona, mood })
        }
        "subscribe" => {
            let subscribe: Subscribe = parse_json(body)?;
            Ok(ClientMsg::Subscribe {
                session: parse_session(&subscribe.session_id)?,
                after: subscribe.after,
            })
        }
        "typing" => parse_json::<Typing>(body).map(|typing| ClientMsg::Typing { active: typing.active }),
        "ping" => Ok(ClientMsg::Ping),
        other => Err(ApiError::field(
            "type",
            format!("unknown frame type {:?}", shorten(other)),
        )),
    }
}

/// What a client calls the message in a `chat` frame that was refused: how it knows which one is meant.
pub fn client_id_of(text: &str) -> Option<ClientId> {
    #[derive(Deserialize)]
    struct Named {
        #[serde(rename = "type")]
        kind: String,
        client_id: String,
    }
    let named: Named = parse_json(text.as_bytes()).ok()?;
    (named.kind == "chat").then(|| named.client_id.parse().ok()).flatten()
}

/// A pin and a nudge, as the frame and the REST route take them.
pub fn persona_change(
    persona: Option<Option<String>>,
    mood: Option<&str>,
) -> Result<(Option<Option<PersonaName>>, Option<Mood>), ApiError> {
    let mut complaints = Complaints::default();
    let pin = persona.map(|name| complaints.parse("persona", name.as_deref()));
    let nudge = mood.and_then(Mood::from_text);
    if mood.is_some() && nudge.is_none() {
        complaints.add("mood", "must not be empty");
    }
    if pin.is_none() && mood.is_none() {
        complaints.add("persona", "name an overlay, null to let her choose, or a mood");
    }
    complaints.done().map(|()| (pin, nudge))
}

fn parse_borrowed(text: &str) -> Result<Kind<'_>, ApiError> {
    // The borrowing parse is the fast path; its error is told by the owning one, which names the field.
    serde_json::from_str(text).or_else(|_| {
        #[derive(Deserialize)]
        struct Owned {
            #[serde(rename = "type")]
            kind: String,
        }
        parse_json::<Owned>(text.as_bytes()).map(|owned| Kind {
            kind: Cow::Owned(owned.kind),
        })
    })
}

fn of_message(body: &[u8]) -> Result<(MessageId, OfMessage), ApiError> {
    let rest: OfMessage = parse_json(body)?;
    let id = rest.message_id.parse();
    id.map(|id| (id, rest))
        .map_err(|error: mira_core::ids::IdError| ApiError::field("message_id", error.to_string()))
}

fn of_approval(body: &[u8], answer: Answer) -> Result<ClientMsg, ApiError> {
    let of: OfApproval = parse_json(body)?;
    of.approval_id
        .parse()
        .map(|approval_id| ClientMsg::Answer { approval_id, answer })
        .map_err(|error: mira_core::ids::IdError| ApiError::field("approval_id", error.to_string()))
}

fn checked(make: impl FnOnce(&mut Complaints) -> ClientMsg) -> Result<ClientMsg, ApiError> {
    let mut complaints = Complaints::default();
    let message = make(&mut complaints);
    complaints.done().map(|()| message)
}

fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(frame: &str, expect: Result<&str, (u16, &str)>) {
        let found = parse(frame).map(|message| format!("{message:?}")).map_err(|error| {
            let problem = error.problem(None);
            (
                problem.status,
                problem.errors.first().map(|e| e.field.clone()).unwrap_or_default(),
            )
        });
        match (found, expect) {
            (Ok(found), Ok(start)) => assert!(found.starts_with(start), "{frame}: {found}"),
            (found, expect) => {
                assert_eq!(
                    found.map(|_| ""),
                    expect.map(|_| "").map_err(|(s, f)| (s, f.to_owned())),
                    "{frame}"
                );
            }
        }
    }

    #[test]
    fn frames() {
        let id = "01890000-0000-7000-8000-000000000000";
        check(r#"{"type":"ping"}"#, Ok("Ping"));
        check(r#"{"type":"p\u0069ng","more":1}"#, Ok("Ping"));
        check(r#"{"type":"chat","content":"hi"}"#, Ok("Chat { session: None"));
        check(r#"{"type":"chat","content":" \n"}"#, Err((422, "content")));
        check(r#"{"type":"chat"}"#, Err((422, "content")));
        check(r#"{"type":"chat","content":5}"#, Err((422, "content")));
        check(
            r#"{"type":"chat","content":"x","session_id":"../x"}"#,
            Err((422, "session_id")),
        );
        check(r#"{"type":"chat","content":"x","tz":"Mars/Base"}"#, Err((422, "tz")));
        check(
            r#"{"type":"chat","content":"x","metadata":{"selection":{"start_line":0,"end_line":1}}}"#,
            Err((422, "metadata.selection.start_line")),
        );
        check(r#"{"type":"nonsense"}"#, Err((422, "type")));
        check(r#"{"content":"x"}"#, Err((422, "type")));
        check("[1]", Err((422, "")));
        check("hello", Err((400, "")));
        check("", Err((400, "")));
        check(
            &format!(r#"{{"type":"edit","message_id":"{id}","content":"new"}}"#),
            Ok("Edit"),
        );
        check(
            &format!(r#"{{"type":"edit","message_id":"{id}","content":"new","file_ids":[]}}"#),
            Ok(&format!(
                r#"Edit {{ message_id: MessageId({id}), content: "new", file_ids: Some([])"#
            )),
        );
        check(
            &format!(r#"{{"type":"edit","message_id":"{id}","content":"new","file_ids":["nope"]}}"#),
            Err((422, "file_ids")),
        );
        check(
            &format!(r#"{{"type":"edit","message_id":"{id}"}}"#),
            Err((422, "content")),
        );
        check(r#"{"type":"regenerate","message_id":"nope"}"#, Err((422, "message_id")));
        check(
            &format!(r#"{{"type":"deny","approval_id":"{id}"}}"#),
            Ok("Answer { approval_id: ApprovalId(01890000-0000-7000-8000-000000000000), answer: Deny"),
        );
        check(r#"{"type":"approve","approval_id":"nope"}"#, Err((422, "approval_id")));
        check(r#"{"type":"approve"}"#, Err((422, "approval_id")));
        check(
            r#"{"type":"switch_persona","persona":null}"#,
            Ok("SwitchPersona { persona: Some(None)"),
        );
        check(
            r#"{"type":"switch_persona","mood":"calm"}"#,
            Ok("SwitchPersona { persona: None, mood: Some"),
        );
        check(r#"{"type":"switch_persona"}"#, Err((422, "persona")));
        check(
            r#"{"type":"switch_persona","persona":"No Such"}"#,
            Err((422, "persona")),
        );
        check(
            r#"{"type":"subscribe","session_id":"eternal","after":-1}"#,
            Err((422, "after")),
        );
    }

    #[test]
    fn a_refused_message_is_named() {
        let named = |frame: &str| client_id_of(frame).map(|id| id.as_str().to_owned());
        let a = || Some("a".to_owned());
        assert_eq!(named(r#"{"type":"chat","content":" ","client_id":"a"}"#), a());
        assert_eq!(named(r#"{"type":"chat","content":5,"client_id":"a"}"#), a());
        assert_eq!(named(r#"{"type":"chat","content":"x","client_id":7}"#), None);
        assert_eq!(named(r#"{"type":"chat","content":"x","client_id":""}"#), None);
        assert_eq!(named(r#"{"type":"stop","turn_id":"x","client_id":"a"}"#), None);
        assert_eq!(named(r#"["chat","a"]"#), None);
        assert_eq!(named(r#"{"type":"chat","client_id":"a""#), None);
    }

    proptest! {
        #[test]
        fn any_frame_is_answered(frame in any::<String>()) {
            drop(parse(&frame));
            drop(client_id_of(&frame));
        }
    }
}
