//! Markdown to sanitised HTML: a whole message at once ([`render`]) or a reply while it grows ([`LiveHtml`]).
//!
//! Pure: no IO, no clock, no wire format. The style sheet lives in the front end; the classes it may rely on are
//! `language-*` on code blocks, `hl-*` on the spans inside them, `image-link` on links that stand for images, and
//! `task-list` on list items with a checkbox.
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
mod highlight;
mod html;
mod live;
mod mend;
mod sanitize;

pub use live::LiveHtml;

use highlight::CodeCache;

/// Renders a whole message. The result is the concatenation of its top-level blocks, each sanitised on its own.
pub fn render(markdown: &str) -> String {
    let text = block::normalize(markdown);
    let mut html = String::with_capacity(text.len().saturating_mul(2));
    for block in block::split(&text) {
        html.push_str(&html::block_html(block.events, &mut CodeCache::new()));
    }
    html
}
