//! Which part of a page is what it is about: what is left out everywhere, what is left out as dressing, and the element
//! that holds the article.
//!
//! Losing a paragraph is worse than keeping a menu: where the signs disagree, more is kept.

use super::dom::{Content, Dom, NodeId};

/// Elements a reader sees nothing of, or that are controls.
const NEVER: &[&str] = &[
    "script", "style", "noscript", "template", "iframe", "object", "embed", "svg", "math", "canvas", "audio", "video",
    "map", "input", "select", "textarea", "button", "datalist", "option", "optgroup", "head", "dialog", "link", "meta",
];
const DRESSING: &[&str] = &["nav", "aside", "footer", "menu"];
const DRESSING_ROLES: &[&str] = &[
    "navigation",
    "banner",
    "contentinfo",
    "search",
    "complementary",
    "dialog",
    "alertdialog",
    "menu",
    "menubar",
    "toolbar",
];
/// Words of a class or an id that name dressing.
const DRESSING_WORDS: &[&str] = &[
    "nav",
    "navbar",
    "navigation",
    "menu",
    "breadcrumb",
    "breadcrumbs",
    "sidebar",
    "cookie",
    "cookies",
    "consent",
    "ad",
    "ads",
    "advert",
    "advertisement",
    "sponsored",
    "share",
    "sharing",
    "social",
    "newsletter",
    "subscribe",
    "popup",
    "modal",
    "pagination",
    "pager",
    "skip",
    "related",
    "recommended",
    "promo",
];
/// Classes of texts for screen readers only.
const HIDDEN_CLASSES: &[&str] = &["visually-hidden", "sr-only", "screen-reader-text", "visuallyhidden"];
/// Letters from which on an element counts as an article.
const ARTICLE_LETTERS: usize = 140;
/// Letters from which on a form is the page itself, as some frameworks wrap all of it in one.
const PAGE_FORM_LETTERS: usize = 1000;

/// Letters of visible text per node.
#[derive(Debug, Clone, Copy, Default)]
struct Letters {
    all: usize,
    in_links: usize,
    has_heading: bool,
    /// The page's own headline.
    has_h1: bool,
    has_article: bool,
}

/// A page with what was found out about it.
pub struct Page<'a> {
    dom: &'a Dom,
    letters: Vec<Letters>,
    body: usize,
}

impl<'a> Page<'a> {
    /// Counts the letters of every element.
    pub fn new(dom: &'a Dom) -> Self {
        let mut page = Self {
            dom,
            letters: vec![Letters::default(); dom.len()],
            body: 0,
        };
        page.count();
        page.body = page.letters(page.body_element()).all;
        page
    }

    /// Whether nobody sees the element, or it is a control.
    pub fn is_hidden(&self, id: NodeId) -> bool {
        is_hidden(self.dom, id)
    }

    /// Whether an element inside the article is not a part of it.
    pub fn is_dressing(&self, id: NodeId) -> bool {
        let name = self.dom.name(id);
        if name.is_empty() {
            return false;
        }
        let letters = self.letters(id);
        // What holds most of the text is the text, whatever it is called.
        let holds_most = letters.all.saturating_sub(letters.in_links).saturating_mul(10) >= self.body.saturating_mul(4);
        if letters.has_article || (holds_most && letters.all >= ARTICLE_LETTERS) {
            return false;
        }
        let role = self.dom.attribute(id, "role").unwrap_or_default();
        if DRESSING.contains(&name) || DRESSING_ROLES.contains(&role) {
            return true;
        }
        match name {
            "form" => letters.all < PAGE_FORM_LETTERS,
            "header" => !letters.has_heading,
            "div" | "section" | "ul" | "ol" | "p" | "span" | "table" => {
                let is_word = |text: &str| {
                    let mut words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
                    words.any(|word| DRESSING_WORDS.contains(&word.to_ascii_lowercase().as_str()))
                };
                let named = |attribute: &str| self.dom.attribute(id, attribute).is_some_and(is_word);
                // A long text that merely is about cookies or menus stays.
                (named("class") || named("id")) && letters.all < PAGE_FORM_LETTERS && !letters.has_h1
            }
            _ => false,
        }
    }

    /// The element that holds the article: what the page marks as its main part, else the element around most
    /// paragraphs, else the body.
    pub fn article(&self) -> NodeId {
        let body = self.body_element();
        let outermost = |wanted: &dyn Fn(NodeId) -> bool, within: NodeId| -> Vec<NodeId> {
            let mut found: Vec<NodeId> = Vec::new();
            for id in self.dom.walk(within, |id| !self.is_hidden(id)) {
                if id != within && wanted(id) && !found.last().is_some_and(|last| self.lies_in(id, *last)) {
                    found.push(id);
                }
            }
            found
        };
        let is_main = |id: NodeId| self.dom.name(id) == "main" || self.dom.attribute(id, "role") == Some("main");
        let is_article = |id: NodeId| self.dom.name(id) == "article";
        let mains = outermost(&is_main, body);
        let top = match mains.as_slice() {
            [main] if self.holds(*main, body, 25) => *main,
            _ => body,
        };
        match outermost(&is_article, top).as_slice() {
            [article] if self.holds(*article, top, 50) => *article,
            _ if top != body => top,
            _ => self.around_paragraphs(body).unwrap_or(body),
        }
    }

    /// The body, or the document where there is none.
    pub fn body_element(&self) -> NodeId {
        let root = Dom::ROOT;
        let html = self.dom.children(root).find(|id| self.dom.name(*id) == "html");
        let body = html.and_then(|html| self.dom.children(html).find(|id| self.dom.name(*id) == "body"));
        body.or(html).unwrap_or(root)
    }

    fn lies_in(&self, id: NodeId, outer: NodeId) -> bool {
        std::iter::successors(Some(id), |id| self.dom.parent(*id)).any(|id| id == outer)
    }

    /// Whether `part` is an article's length and holds at least `percent` of the text of `whole`.
    fn holds(&self, part: NodeId, whole: NodeId, percent: usize) -> bool {
        let (part, whole) = (self.letters(part).all, self.letters(whole).all);
        part >= ARTICLE_LETTERS && part.saturating_mul(100) >= whole.saturating_mul(percent)
    }

    /// The element with the most paragraphs directly in it, if it holds most of what the page says outside links.
    fn around_paragraphs(&self, body: NodeId) -> Option<NodeId> {
        let mut scores = vec![0_usize; self.dom.len()];
        for id in self.dom.walk(body, |id| !self.is_hidden(id) && !self.is_dressing(id)) {
            if !matches!(self.dom.name(id), "p" | "pre" | "blockquote") {
                continue;
            }
            let letters = self.letters(id);
            let said = letters.all.saturating_sub(letters.in_links);
            let parent = self.dom.parent(id);
            let grandparent = parent.and_then(|id| self.dom.parent(id));
            for (holder, share) in [(parent, said), (grandparent, said / 2)] {
                if let Some(score) = holder.and_then(|id| scores.get_mut(id.index())) {
                    *score = score.saturating_add(share);
                }
            }
        }
        let best = self
            .dom
            .walk(body, |id| !self.is_hidden(id))
            .filter(|id| scores.get(id.index()).is_some_and(|score| *score > 0))
            .max_by_key(|id| scores.get(id.index()).copied().unwrap_or(0))?;
        let letters = self.letters(body);
        let said = letters.all.saturating_sub(letters.in_links);
        let inside = self.letters(best);
        let said_inside = inside.all.saturating_sub(inside.in_links);
        (said_inside.saturating_mul(100) >= said.saturating_mul(70) && said_inside >= ARTICLE_LETTERS).then_some(best)
    }

    fn letters(&self, id: NodeId) -> Letters {
        self.letters.get(id.index()).copied().unwrap_or_default()
    }

    fn count(&mut self) {
        for id in self.dom.inside_out(Dom::ROOT) {
            let mut sum = Letters::default();
            match self.dom.content(id) {
                Content::Text(text) => sum.all = text.chars().filter(|letter| !letter.is_whitespace()).count(),
                Content::Nothing | Content::Element { .. } => {
                    if self.is_hidden(id) {
                        continue;
                    }
                    for child in self.dom.children(id) {
                        let child = self.letters(child);
                        sum.all = sum.all.saturating_add(child.all);
                        sum.in_links = sum.in_links.saturating_add(child.in_links);
                        sum.has_heading |= child.has_heading;
                        sum.has_h1 |= child.has_h1;
                        sum.has_article |= child.has_article;
                    }
                }
            }
            match self.dom.name(id) {
                "a" => sum.in_links = sum.all,
                "h1" => (sum.has_heading, sum.has_h1) = (true, true),
                "h2" => sum.has_heading = true,
                "article" | "main" => sum.has_article = true,
                _ => {}
            }
            if let Some(place) = self.letters.get_mut(id.index()) {
                *place = sum;
            }
        }
    }
}

fn is_hidden(dom: &Dom, id: NodeId) -> bool {
    if NEVER.contains(&dom.name(id)) {
        return true;
    }
    let has = |name: &str| dom.attribute(id, name);
    if has("hidden").is_some_and(|value| value != "until-found") || has("aria-hidden") == Some("true") {
        return true;
    }
    if has("class").is_some_and(|classes| {
        classes
            .split_ascii_whitespace()
            .any(|class| HIDDEN_CLASSES.contains(&class))
    }) {
        return true;
    }
    has("style").is_some_and(|style| {
        let style: String = style.chars().filter(|letter| !letter.is_whitespace()).collect();
        let style = style.to_ascii_lowercase();
        style.contains("display:none") || style.contains("visibility:hidden")
    })
}
