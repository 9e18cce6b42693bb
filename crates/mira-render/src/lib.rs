//! Markdown to sanitised HTML: a whole message at once ([`render`]) or a reply while it grows ([`LiveHtml`]).
//!
//! Pure: no IO, no clock, no wire format. The style sheet lives in the front end; the classes it may rely on are
//! `language-*` on code blocks, `hl-*` on the spans inside them, `image-link` on links that stand for images,
//! `task-list` on list items with a checkbox, and `cites` on the spans of places that point at sources.
//!
//! Invariants:
//! - Raw HTML in the text is shown as text. The only markup that reaches the output is written by this crate, and even
//!   that passes `sanitize` last, block by block, with a list of what is allowed.
//! - Nothing in the output loads by itself: there are no images, frames, styles or ids. An image becomes a link.
//! - A link goes to http, https or mailto, in a new tab, without referrer; anything else is only its text.
//! - Work is linear in the text: nesting is capped, and so is what is highlighted.
//!
//! The dialect is CommonMark with tables, strikethrough and task lists. There are no footnotes.

mod block;
mod cites;
mod highlight;
mod html;
mod live;
mod mend;
mod sanitize;

pub use cites::Place;
pub use live::LiveHtml;

use cites::{Places, Positions};
use highlight::CodeCache;

/// Renders a whole message. The result is the concatenation of its top-level blocks, each sanitised on its own.
pub fn render(markdown: &str) -> String {
    render_cited(markdown, [])
}

/// Renders a whole message with the places in it that point at sources.
pub fn render_cited(markdown: &str, places: impl IntoIterator<Item = Place>) -> String {
    let (mut text, mut positions, mut cites) = (String::new(), Positions::default(), Places::default());
    positions.append(&mut text, markdown);
    for place in places {
        cites.add(&place, &text, &positions);
    }
    let mut html = String::with_capacity(text.len().saturating_mul(2));
    for block in block::split(&text) {
        let pieces = cites.weave(block, &text, 0);
        html.push_str(&html::block_html(pieces, &mut CodeCache::new()));
    }
    html
}
