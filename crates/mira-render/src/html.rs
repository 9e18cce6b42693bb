//! One block's events to HTML: what the parser's own writer does, except where it would write something that is not
//! allowed (raw HTML, images, inline styles) or too much (nesting without end).

use pulldown_cmark::{Alignment, CodeBlockKind, CowStr, Event, LinkType, Tag, TagEnd, html as writer};

use crate::cites::Piece;
use crate::highlight::{self, CodeCache};
use crate::sanitize::{SCHEMES, sanitize};

/// Quotes, lists and emphasis inside one another beyond this are flattened. Browsers and the sanitiser slow down with
/// depth, readers do too.
const MAX_DEPTH: usize = 40;
/// A longer address is no link, and a longer title is dropped.
const MAX_ADDRESS_BYTES: usize = 4 * 1024;
const MAX_TITLE_BYTES: usize = 1024;

/// The sanitised HTML of one top-level block.
pub(crate) fn block_html(pieces: Vec<Piece<'_>>, code: &mut CodeCache) -> String {
    let mut rewriter = Rewriter::new(code, pieces.len());
    let tasks: Vec<bool> = (0..pieces.len()).map(|at| is_task(&pieces, at)).collect();
    for (piece, task) in pieces.into_iter().zip(tasks) {
        match piece {
            Piece::Event(event) => rewriter.event(event, task),
            Piece::Markup(html) => rewriter.raw(html),
        }
    }
    let mut html = String::new();
    writer::push_html(&mut html, rewriter.out.into_iter());
    sanitize(&html)
}

/// Whether the event at `at` opens a list item that begins with a checkbox.
fn is_task(pieces: &[Piece<'_>], at: usize) -> bool {
    let mut following = pieces.iter().skip(at).map_while(|piece| match piece {
        Piece::Event(event) => Some(event),
        Piece::Markup(_) => None,
    });
    matches!(following.next(), Some(Event::Start(Tag::Item)))
        && match following.next() {
            Some(Event::TaskListMarker(_)) => true,
            Some(Event::Start(Tag::Paragraph)) => matches!(following.next(), Some(Event::TaskListMarker(_))),
            _ => false,
        }
}

/// Appends `text` as HTML text, fit for attribute values too.
pub(crate) fn escape(text: &str, html: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
        let (plain, special) = rest.split_at(at);
        html.push_str(plain);
        let mut chars = special.chars();
        html.push_str(match chars.next() {
            Some('&') => "&amp;",
            Some('<') => "&lt;",
            Some('>') => "&gt;",
            Some('"') => "&quot;",
            _ => "&#39;",
        });
        rest = chars.as_str();
    }
    html.push_str(rest);
}

struct Rewriter<'a, 'c> {
    out: Vec<Event<'a>>,
    code: &'c mut CodeCache,
    /// For each open container or inline: whether its tags were written.
    written: Vec<bool>,
    depth: usize,
    /// The code block being collected: its language and text.
    block: Option<(Option<String>, String)>,
    /// Inside how many links and images one is; only the outermost is a link, for links do not nest.
    links: usize,
    /// The images one is in: where the alternative text begins in `out`, and the address that stands for an empty one.
    images: Vec<(usize, CowStr<'a>)>,
    alignments: Vec<Alignment>,
    column: usize,
    in_head: bool,
}

impl<'a, 'c> Rewriter<'a, 'c> {
    fn new(code: &'c mut CodeCache, capacity: usize) -> Self {
        Self {
            out: Vec::with_capacity(capacity),
            code,
            written: Vec::new(),
            depth: 0,
            block: None,
            links: 0,
            images: Vec::new(),
            alignments: Vec::new(),
            column: 0,
            in_head: false,
        }
    }

    fn event(&mut self, event: Event<'a>, task: bool) {
        match event {
            Event::Start(tag) => self.start(tag, task),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.block {
                Some((_, code)) => code.push_str(&text),
                None => self.out.push(Event::Text(text)),
            },
            // Raw HTML is shown, not obeyed.
            Event::Html(text) | Event::InlineHtml(text) => self.out.push(Event::Text(text)),
            other @ (Event::Code(_)
            | Event::SoftBreak
            | Event::HardBreak
            | Event::Rule
            | Event::TaskListMarker(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::FootnoteReference(_)) => self.out.push(other),
        }
    }

    fn raw(&mut self, html: impl Into<CowStr<'a>>) {
        self.out.push(Event::InlineHtml(html.into()));
    }

    fn start(&mut self, tag: Tag<'a>, task: bool) {
        match tag {
            Tag::CodeBlock(kind) => {
                let language = match kind {
                    CodeBlockKind::Fenced(info) => highlight::language(&info),
                    CodeBlockKind::Indented => None,
                };
                self.block = Some((language, String::new()));
            }
            Tag::HtmlBlock => self.raw("<pre><code>"),
            Tag::Link {
                link_type,
                dest_url,
                mut title,
                id,
            } => {
                let written = self.links == 0 && (link_type == LinkType::Email || is_allowed(&dest_url));
                self.links += 1;
                self.written.push(written);
                if written {
                    if title.len() > MAX_TITLE_BYTES {
                        title = "".into();
                    }
                    self.out.push(Event::Start(Tag::Link {
                        link_type,
                        dest_url,
                        title,
                        id,
                    }));
                }
            }
            Tag::Image { dest_url, title, .. } => self.start_image(dest_url, &title),
            Tag::Table(ref alignments) => {
                self.alignments.clone_from(alignments);
                self.out.push(Event::Start(tag));
            }
            Tag::TableHead | Tag::TableRow => {
                self.in_head = tag == Tag::TableHead;
                self.column = 0;
                self.out.push(Event::Start(tag));
            }
            Tag::TableCell => self.start_cell(),
            Tag::Paragraph | Tag::Heading { .. } => self.out.push(Event::Start(tag)),
            Tag::Item if task => self.nest(Event::InlineHtml("<li class=\"task-list\">".into())),
            _ => self.nest(Event::Start(tag)),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::HtmlBlock => self.raw("</code></pre>\n"),
            TagEnd::Link => {
                self.links = self.links.saturating_sub(1);
                if self.written.pop() == Some(true) {
                    self.out.push(Event::End(tag));
                }
            }
            TagEnd::Image => self.end_image(),
            TagEnd::Paragraph
            | TagEnd::Heading(_)
            | TagEnd::Table
            | TagEnd::TableHead
            | TagEnd::TableRow
            | TagEnd::TableCell => self.out.push(Event::End(tag)),
            _ => {
                self.depth = self.depth.saturating_sub(1);
                if self.written.pop() == Some(true) {
                    self.out.push(Event::End(tag));
                }
            }
        }
    }

    /// Opens a container or an inline, unless there are too many around it.
    fn nest(&mut self, start: Event<'a>) {
        let written = self.depth < MAX_DEPTH;
        self.depth += 1;
        self.written.push(written);
        // Without its tags, what it holds must still not run into what stands before.
        self.out.push(if written { start } else { Event::SoftBreak });
    }

    fn start_cell(&mut self) {
        let align = match self.alignments.get(self.column) {
            Some(Alignment::Left) => " align=\"left\"",
            Some(Alignment::Center) => " align=\"center\"",
            Some(Alignment::Right) => " align=\"right\"",
            Some(Alignment::None) | None => "",
        };
        self.column += 1;
        self.raw(format!("<{}{align}>", if self.in_head { "th" } else { "td" }));
    }

    /// An image is a link with its alternative text, so that nothing is fetched before a click.
    fn start_image(&mut self, address: CowStr<'a>, title: &str) {
        let written = self.links == 0 && is_allowed(&address);
        self.links += 1;
        self.written.push(written);
        if written {
            let mut html = String::from("<a class=\"image-link\" href=\"");
            escape(&address, &mut html);
            if (1..=MAX_TITLE_BYTES).contains(&title.len()) {
                html.push_str("\" title=\"");
                escape(title, &mut html);
            }
            html.push_str("\">");
            self.raw(html);
        }
        self.images.push((self.out.len(), address));
    }

    fn end_image(&mut self) {
        self.links = self.links.saturating_sub(1);
        let written = self.written.pop() == Some(true);
        if let Some((begin, address)) = self.images.pop()
            && self.out.len() == begin
        {
            self.out.push(Event::Text(address));
        }
        if written {
            self.raw("</a>");
        }
    }

    fn end_code(&mut self) {
        let Some((language, code)) = self.block.take() else {
            return;
        };
        let mut html = String::from("<pre><code");
        if let Some(language) = &language {
            html.push_str(" class=\"language-");
            html.push_str(language);
            html.push('"');
        }
        html.push('>');
        html.push_str(&self.code.highlight(language.as_deref(), &code));
        html.push_str("</code></pre>\n");
        self.raw(html);
    }
}

/// Whether an address is one to link to. The sanitiser decides again, on the finished HTML.
fn is_allowed(address: &str) -> bool {
    address.len() <= MAX_ADDRESS_BYTES
        && address.split_once(':').is_some_and(|(scheme, rest)| {
            SCHEMES.iter().any(|allowed| scheme.eq_ignore_ascii_case(allowed))
                && (scheme.eq_ignore_ascii_case("mailto") || rest.starts_with("//"))
        })
}
