//! Where a reply points at sources: annotations of its text, their places counted anew from the text of the answer
//! (which may be an object in JSON) to the text of the reply.
//!
//! Source: `start_index` and `end_index` count characters of the part they stand in; the end is exclusive in practice,
//! whatever the schema says, and both are clamped.

use crate::speech::Speech;
use mira_core::{
    chat::one_line,
    citation::Source,
    model::{HostedEvent, HostedFile},
};
use serde::Deserialize;
use serde_json::Value;

/// The most citations of one answer.
const MOST_CITATIONS: usize = 200;
/// The longest title or address, in characters.
const LINE_CHARS: usize = 2_000;

/// A part of an output item: the place of the item and the part's own.
type PartPlace = (u64, u64);

/// The citations of one answer.
#[derive(Debug, Default)]
pub(super) struct Citations {
    /// Where each part begins in what was heard, in bytes.
    parts: Vec<(PartPlace, usize)>,
    /// How many annotations of a part were taken.
    taken: Vec<(PartPlace, usize)>,
    /// Those whose text has not come yet.
    waiting: Vec<(PartPlace, Annotation)>,
    told: usize,
}

#[derive(Deserialize)]
struct Added {
    #[serde(default)]
    output_index: Option<u64>,
    #[serde(default)]
    content_index: Option<u64>,
    #[serde(default)]
    annotation: Option<Value>,
}

/// The message an annotation stands in, once it is whole.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<Vec<Value>>,
}

/// An annotation of any type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Annotation {
    #[serde(rename = "type")]
    kind: String,
    url: Option<String>,
    title: Option<String>,
    container_id: Option<String>,
    file_id: Option<String>,
    filename: Option<String>,
    start_index: Option<usize>,
    end_index: Option<usize>,
}

impl Annotation {
    /// One that does not look as expected is passed over.
    fn read(value: &Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }
}

impl Citations {
    /// A piece of text of this part is about to be heard.
    pub fn part(&mut self, item: Option<u64>, part: Option<u64>, speech: &Speech) {
        let place = (item.unwrap_or(0), part.unwrap_or(0));
        if self.parts.last().is_none_or(|(last, _)| *last != place) && self.base(place).is_none() {
            self.parts.push((place, speech.heard_bytes()));
        }
    }

    /// An annotation was added.
    pub fn added(&mut self, data: &[u8], speech: &mut Speech) {
        let Ok(added) = serde_json::from_slice::<Added>(data) else {
            return;
        };
        let place = (added.output_index.unwrap_or(0), added.content_index.unwrap_or(0));
        self.count(place);
        if let Some(annotation) = added.annotation.as_ref().and_then(Annotation::read) {
            self.take(place, annotation, speech);
        }
    }

    /// A message is whole: what was not announced one by one stands in it.
    pub fn message(&mut self, item: &str, place: Option<u64>, speech: &mut Speech) {
        let Ok(Message { content: Some(parts) }) = serde_json::from_str(item) else {
            return;
        };
        for (index, part) in (0_u64..).zip(&parts) {
            let place = (place.unwrap_or(0), index);
            let listed = part.get("annotations").and_then(Value::as_array);
            let seen = self
                .taken
                .iter()
                .find(|(known, _)| *known == place)
                .map_or(0, |(_, n)| *n);
            for annotation in listed.into_iter().flatten().skip(seen) {
                self.count(place);
                if let Some(annotation) = Annotation::read(annotation) {
                    self.take(place, annotation, speech);
                }
            }
        }
        self.finish(speech);
    }

    /// No more text comes: places beyond its end are clamped.
    pub fn finish(&mut self, speech: &mut Speech) {
        for (place, annotation) in std::mem::take(&mut self.waiting) {
            self.tell(place, annotation, speech);
        }
    }

    fn base(&self, place: PartPlace) -> Option<usize> {
        self.parts
            .iter()
            .find(|(known, _)| *known == place)
            .map(|(_, base)| *base)
    }

    fn count(&mut self, place: PartPlace) {
        match self.taken.iter_mut().find(|(known, _)| *known == place) {
            Some((_, n)) => *n += 1,
            None => self.taken.push((place, 1)),
        }
    }

    /// Tells an annotation once its text is there.
    fn take(&mut self, place: PartPlace, annotation: Annotation, speech: &mut Speech) {
        if self.told + self.waiting.len() >= MOST_CITATIONS {
            return;
        }
        let heard = self.base(place).map_or(0, |base| speech.chars_since(base));
        if annotation.end_index.is_some_and(|end| end > heard) {
            self.waiting.push((place, annotation));
        } else {
            self.tell(place, annotation, speech);
        }
    }

    fn tell(&mut self, place: PartPlace, annotation: Annotation, speech: &mut Speech) {
        let range = match (self.base(place), annotation.start_index, annotation.end_index) {
            (Some(base), Some(start), Some(end)) if start <= end => speech.place(base, start, end),
            _ => None,
        };
        let short = |text: Option<String>| {
            text.map(|text| one_line(&text, LINE_CHARS))
                .filter(|text| !text.is_empty())
        };
        let name = short(annotation.filename);
        let (source, file) = match (&*annotation.kind, short(annotation.url), annotation.file_id) {
            ("url_citation", Some(url), _) if url.starts_with("https://") || url.starts_with("http://") => {
                let title = short(annotation.title).unwrap_or_else(|| url.clone());
                let source = Source {
                    url: Some(url),
                    title,
                    ..Source::default()
                };
                (source, None)
            }
            ("container_file_citation", _, Some(id)) => {
                let Some(container) = annotation.container_id else {
                    return;
                };
                let name = name.unwrap_or_else(|| id.clone());
                (titled(&name), Some(HostedFile::There { container, id, name }))
            }
            ("file_citation", _, Some(id)) => {
                let name = name.unwrap_or_else(|| id.clone());
                (titled(&name), Some(HostedFile::Given { id, name }))
            }
            _ => return,
        };
        self.told += 1;
        speech.hosted(HostedEvent::Cited {
            source,
            file,
            place: range,
        });
    }
}

fn titled(name: &str) -> Source {
    Source {
        title: name.to_owned(),
        ..Source::default()
    }
}
