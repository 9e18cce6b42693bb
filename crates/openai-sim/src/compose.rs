//! From a plan to the items of an answer, the same for both model endpoints.
//!
//! Lives here: fitting to what was asked, cutting into pieces, cutting short. Not here: the wire forms.

use serde_json::Value;

use crate::asked::{Asked, Want};
use crate::fit::{self, Fitted};
use crate::hosted::{Annotation, HostedItem, Maker};
use crate::json;
use crate::plan::{Answer, Ending, Plan};
use crate::shelf::Shelf;
use crate::tokens::{self, Piece};

/// Prefix of the emulator's encrypted reasoning, before it is encoded; what comes back is checked against it.
const SEAL: &str = "openai-sim reasoning ";

/// A text in the pieces it is streamed in.
#[derive(Debug, Clone)]
pub(crate) struct Pieces {
    pub text: String,
    pub cut: Vec<Piece>,
}

impl Pieces {
    fn new(fitted: Fitted) -> Self {
        let cut = tokens::pieces(&fitted.text, fitted.words.as_ref());
        Self { text: fitted.text, cut }
    }

    fn plain(text: &str) -> Self {
        Self::new(Fitted {
            text: text.to_owned(),
            words: None,
        })
    }

    fn shorten(&mut self, tokens: usize) {
        self.cut.truncate(tokens);
        self.text.truncate(self.cut.last().map_or(0, |piece| piece.end));
    }

    /// The pieces with their text.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Piece)> {
        let mut rest = self.text.as_str();
        let mut start = 0;
        self.cut.iter().filter_map(move |piece| {
            let (now, later) = rest.split_at_checked(piece.end - start)?;
            rest = later;
            start = piece.end;
            Some((now, *piece))
        })
    }
}

/// One item of the output.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Reasoning {
        id: String,
        summary: String,
        encrypted: Option<String>,
    },
    Unknown {
        id: String,
    },
    Hosted(Box<HostedItem>),
    Message {
        id: String,
        pieces: Pieces,
        refusal: bool,
        annotations: Vec<Annotation>,
    },
    Call {
        id: String,
        call_id: String,
        name: String,
        pieces: Pieces,
    },
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Composition {
    pub items: Vec<Item>,
    pub ending: Ending,
    /// Tokens that take the time of one, for answers that are not streamed.
    pub paced: u32,
    pub output_tokens: u64,
    pub reasoning_tokens: u64,
}

/// Names and times of one answer.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    /// 32 hexadecimal digits, different for every answer.
    pub hex: String,
    pub created: u64,
}

/// Composes the answer of `plan`. `words` are the owner's, without directives.
pub(crate) fn compose(asked: &Asked<'_>, plan: &Plan, words: &str, stamp: &Stamp, shelf: &Shelf) -> Composition {
    let hex = &stamp.hex;
    let mut items = Vec::new();
    // A call made after reasoning is marked, so that a client that sends it back without is found out.
    let mark = if plan.reasoning.is_some() { "r" } else { "" };
    let mut reasoning_tokens = 0;
    if let Some(summary) = &plan.reasoning {
        let id = format!("rs_{hex}");
        reasoning_tokens = tokens::estimate(summary.len()) + 64;
        let encrypted = asked.encrypted_reasoning.then(|| seal(&id));
        items.push(Item::Reasoning {
            id,
            summary: summary.clone(),
            encrypted,
        });
    }
    if plan.unknown {
        items.push(Item::Unknown {
            id: format!("holo_{hex}"),
        });
    }
    let maker = Maker::new(asked, shelf, stamp, mark);
    let hosted = maker.calls(&plan.hosted).into_iter();
    items.extend(hosted.map(|call| Item::Hosted(Box::new(call))));
    let mut said = said(asked, plan, words, &format!("{hex}{mark}"));
    if let Some(Item::Message {
        pieces,
        annotations,
        refusal: false,
        ..
    }) = &mut said
    {
        let quoted = matches!(plan.answer, Answer::Structured(_)) && pieces.text.starts_with('{');
        *annotations = maker.annotations(&plan.cites, &pieces.text, quoted);
    }
    items.extend(said);
    // The legacy form has one call at a time.
    let most = if asked.legacy { 1 } else { usize::MAX };
    for (index, call) in plan.calls.iter().enumerate().take(most) {
        items.push(Item::Call {
            id: format!("fc_{hex}{mark}{index:02}"),
            call_id: call
                .call_id
                .clone()
                .unwrap_or_else(|| format!("call_{}{index:02}", hex.get(..22).unwrap_or(hex))),
            name: call.name.clone(),
            pieces: Pieces::plain(&call.arguments),
        });
    }
    let mut composition = Composition {
        items,
        ending: plan.ending.clone(),
        paced: 0,
        output_tokens: 0,
        reasoning_tokens,
    };
    composition.cut_short(asked.max_tokens, plan.ending_after);
    composition.count();
    composition
}

fn said(asked: &Asked<'_>, plan: &Plan, words: &str, suffix: &str) -> Option<Item> {
    let id = format!("msg_{suffix}");
    let (pieces, refusal) = match &plan.answer {
        Answer::Nothing => return None,
        Answer::Refusal(words) => (Pieces::plain(words), true),
        Answer::Text(text) => (Pieces::plain(text), false),
        Answer::Structured(reply) => (
            match asked.want {
                Want::Json(schema) => Pieces::new(fit::fit(schema, reply, words)),
                Want::Function { parameters, .. } => Pieces::new(fit::fit(Some(parameters), reply, words)),
                Want::Text => match fit::schema_in(&asked.last_text) {
                    Some(schema) => Pieces::new(fit::fit(Some(&schema), reply, words)),
                    None => Pieces::plain(&reply.output),
                },
            },
            false,
        ),
    };
    // Plain words are the arguments only where nothing else is called.
    let beside = matches!(plan.answer, Answer::Text(_)) && !plan.calls.is_empty();
    let as_text = matches!(plan.answer, Answer::Text(_));
    match asked.want {
        Want::Function { name, forced, .. } if !refusal && !beside && (forced || !as_text) => Some(Item::Call {
            id: format!("fc_{suffix}"),
            call_id: format!("call_{}", suffix.get(..24).unwrap_or(suffix)),
            name: name.to_owned(),
            pieces,
        }),
        Want::Function { .. } | Want::Json(_) | Want::Text => Some(Item::Message {
            id,
            pieces,
            refusal,
            annotations: Vec::new(),
        }),
    }
}

impl Composition {
    fn pieces_mut(&mut self) -> impl Iterator<Item = &mut Pieces> {
        self.items.iter_mut().filter_map(|item| match item {
            Item::Message { pieces, .. } | Item::Call { pieces, .. } => Some(pieces),
            Item::Reasoning { .. } | Item::Unknown { .. } | Item::Hosted(_) => None,
        })
    }

    fn cut_short(&mut self, most: Option<usize>, after: Option<usize>) {
        let total: usize = self.pieces_mut().map(|pieces| pieces.cut.len()).sum();
        let mut left = total;
        if self.ending != Ending::Completed {
            left = after.unwrap_or(total / 2).min(total);
        }
        if let Some(most) = most.filter(|most| *most < left) {
            left = most;
            self.ending = Ending::Incomplete("max_output_tokens".to_owned());
        }
        if left == total {
            return;
        }
        for pieces in self.pieces_mut() {
            pieces.shorten(left);
            left -= pieces.cut.len();
        }
        // What was not begun is not there; the first item is, so that a cut before any token still has its place.
        let mut begun = 0;
        self.items.retain(|item| match item {
            Item::Message { pieces, .. } | Item::Call { pieces, .. } => {
                begun += 1;
                begun == 1 || !pieces.cut.is_empty()
            }
            Item::Reasoning { .. } | Item::Unknown { .. } | Item::Hosted(_) => true,
        });
    }

    fn count(&mut self) {
        let mut bytes = 0;
        let mut paced = 0;
        for pieces in self.pieces_mut() {
            bytes += pieces.text.len();
            paced += pieces.cut.iter().filter(|piece| piece.paced).count();
        }
        self.paced = u32::try_from(paced).unwrap_or(u32::MAX);
        self.output_tokens = tokens::estimate(bytes) + self.reasoning_tokens;
    }

    /// Bytes of text in all, to size buffers by.
    pub(crate) fn size(&self) -> (usize, usize) {
        self.items.iter().fold((16, 4096), |(events, bytes), item| match item {
            Item::Message { pieces, .. } | Item::Call { pieces, .. } => (
                events + pieces.cut.len() + 4,
                bytes + pieces.cut.len() * 300 + pieces.text.len() * 6,
            ),
            Item::Hosted(call) => (events + call.events.len() + 2, bytes + 4096),
            Item::Reasoning { .. } | Item::Unknown { .. } => (events + 8, bytes + 2048),
        })
    }
}

fn seal(id: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(format!("{SEAL}{id}"))
}

/// Whether this is the encrypted reasoning the emulator gave out for this item.
pub(crate) fn is_sealed(encrypted: &str, id: &str) -> bool {
    encrypted == seal(id)
}

/// The line that pads a delta so that its length says nothing of its text: 1 to 16 characters.
pub(crate) fn push_obfuscation(out: &mut Vec<u8>, salt: u64) {
    const ALPHABET: &[u8] = b"kQ3vXz81LmPw0RtYb6Nc";
    let drawn = tokens::mix(salt);
    let length = usize::try_from(drawn % 16 + 1).unwrap_or(1);
    json::push_raw(out, ",\"obfuscation\":\"");
    let start = usize::try_from((drawn >> 8) % 4).unwrap_or(0);
    out.extend(ALPHABET.iter().skip(start).take(length));
    out.push(b'"');
}

/// A JSON object from pairs, for small parts that are written once per answer.
pub(crate) fn push_pairs(out: &mut Vec<u8>, pairs: &[(&str, &Value)]) {
    for (key, value) in pairs {
        out.push(b',');
        json::push(out, *key);
        out.push(b':');
        json::push(out, *value);
    }
}
