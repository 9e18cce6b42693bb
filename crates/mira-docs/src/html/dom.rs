//! A web page's tree: what html5ever builds, in one vector, so that a tree of any depth is freed without recursion.
//!
//! The number of nodes and the depth are capped: over a cap the parser is fed no more, and the tree says it was cut.

use std::{borrow::Cow, cell::RefCell, rc::Rc};

use html5ever::{
    Attribute, ExpandedName, LocalName, ParseOpts, QualName, local_name, ns, parse_document,
    tendril::{StrTendril, TendrilSink},
    tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink},
};

/// More nodes than any page a person reads has.
const NODES: usize = 500_000;
/// How much is parsed between two looks at the caps.
const STEP_BYTES: usize = 4096;

/// A node's place in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(usize);

impl NodeId {
    /// Its place in a vector with one entry per node.
    pub const fn index(self) -> usize {
        self.0
    }
}

/// What a node is.
#[derive(Debug)]
pub enum Content {
    /// The document, and what stands for a comment or for a node over the cap.
    Nothing,
    /// An element: its local name and its attributes. Elements of SVG and MathML are here too.
    Element {
        name: LocalName,
        attributes: Vec<Attribute>,
    },
    /// Text.
    Text(String),
}

#[derive(Debug)]
struct Node {
    content: Content,
    depth: u32,
    parent: Option<NodeId>,
    before: Option<NodeId>,
    after: Option<NodeId>,
    first: Option<NodeId>,
    last: Option<NodeId>,
}

/// The tree.
#[derive(Debug)]
pub struct Dom {
    nodes: Vec<Node>,
    deepest: u32,
    /// Whether a cap ended the parsing.
    pub truncated: bool,
}

impl Dom {
    /// Parses a page whose elements lie at most `depth` deep in each other.
    pub fn parse(html: &str, depth: u32) -> Self {
        let mut options = ParseOpts::default();
        // As in a browser that runs scripts: what `noscript` says is said to nobody.
        options.tree_builder.scripting_enabled = true;
        let mut parser = parse_document(Sink::new(), options);
        let mut rest = html;
        while !rest.is_empty() {
            let (step, after) = rest.split_at(rest.floor_char_boundary(STEP_BYTES));
            rest = after;
            parser.process(StrTendril::from_slice(step));
            let mut dom = parser.tokenizer.sink.sink.dom.borrow_mut();
            if dom.nodes.len() >= NODES || dom.deepest > depth {
                dom.truncated |= !rest.is_empty();
                break;
            }
        }
        parser.finish()
    }

    /// The document itself.
    pub const ROOT: NodeId = NodeId(0);

    /// What a node is.
    pub fn content(&self, id: NodeId) -> &Content {
        self.node(id).map_or(&Content::Nothing, |node| &node.content)
    }

    /// An element's name in lower case; nothing for other nodes.
    pub fn name(&self, id: NodeId) -> &str {
        match self.content(id) {
            Content::Element { name, .. } => name,
            Content::Nothing | Content::Text(_) => "",
        }
    }

    /// An attribute of an element.
    pub fn attribute(&self, id: NodeId, wanted: &str) -> Option<&str> {
        let Content::Element { attributes, .. } = self.content(id) else {
            return None;
        };
        let found = attributes.iter().find(|attribute| &*attribute.name.local == wanted);
        found.map(|attribute| &*attribute.value)
    }

    /// The node it lies in.
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        self.node(id)?.parent
    }

    /// What lies directly in it, in order.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        let first = self.node(id).and_then(|node| node.first);
        std::iter::successors(first, |id| self.node(*id)?.after)
    }

    /// Everything that lies in it, itself first, in the order of the page. What `enter` refuses is left out with all
    /// that is in it.
    pub fn walk(&self, top: NodeId, enter: impl Fn(NodeId) -> bool) -> impl Iterator<Item = NodeId> {
        let mut next = Some(top);
        std::iter::from_fn(move || {
            loop {
                let id = next?;
                let entered = enter(id);
                let inside = self.node(id)?.first.filter(|_| entered);
                next = inside.or_else(|| self.following(id, top));
                if entered {
                    return Some(id);
                }
            }
        })
    }

    /// All nodes under `top`, each after everything that lies in it.
    pub fn inside_out(&self, top: NodeId) -> Vec<NodeId> {
        let mut ids: Vec<NodeId> = self.walk(top, |_| true).collect();
        // In the order of the page a node comes before what is in it; backwards it comes after.
        ids.reverse();
        ids
    }

    /// The text of everything in it, as it is written.
    pub fn text(&self, top: NodeId) -> String {
        let mut text = String::new();
        for id in self.walk(top, |_| true) {
            match self.content(id) {
                Content::Text(piece) => text.push_str(piece),
                Content::Element { name, .. } if &**name == "br" => text.push('\n'),
                Content::Element { .. } | Content::Nothing => {}
            }
        }
        text
    }

    /// How many nodes there are; the index of every id is below.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The next node that does not lie in `id`, within `top`.
    fn following(&self, id: NodeId, top: NodeId) -> Option<NodeId> {
        let mut at = id;
        while at != top {
            let node = self.node(at)?;
            if node.after.is_some() {
                return node.after;
            }
            at = node.parent?;
        }
        None
    }

    fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0)
    }

    fn change(&mut self, id: Option<NodeId>, change: impl FnOnce(&mut Node)) {
        if let Some(node) = id.and_then(|id| self.nodes.get_mut(id.0)) {
            change(node);
        }
    }

    /// A new node outside the tree. Over the cap it is the last one, which then lies nowhere.
    fn add(&mut self, content: Content) -> NodeId {
        if self.nodes.len() <= NODES {
            let content = if self.nodes.len() == NODES {
                Content::Nothing
            } else {
                content
            };
            self.nodes.push(Node {
                content,
                depth: 0,
                parent: None,
                before: None,
                after: None,
                first: None,
                last: None,
            });
        }
        NodeId(self.nodes.len() - 1)
    }

    fn detach(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(id.0) else {
            return;
        };
        let (parent, before, after) = (node.parent.take(), node.before.take(), node.after.take());
        self.change(before, |node| node.after = after);
        self.change(after, |node| node.before = before);
        self.change(parent, |node| {
            if node.first == Some(id) {
                node.first = after;
            }
            if node.last == Some(id) {
                node.last = before;
            }
        });
    }

    /// Puts `id` into `parent`, in front of `sibling` or last.
    fn place(&mut self, id: NodeId, parent: NodeId, sibling: Option<NodeId>) {
        if id.0 >= NODES || parent.0 >= NODES || id == parent {
            return;
        }
        self.detach(id);
        let before = match sibling {
            Some(sibling) => self.node(sibling).and_then(|node| node.before),
            None => self.node(parent).and_then(|node| node.last),
        };
        let depth = self.node(parent).map_or(0, |node| node.depth).saturating_add(1);
        self.deepest = self.deepest.max(depth);
        self.change(Some(id), |node| {
            (node.parent, node.before, node.after, node.depth) = (Some(parent), before, sibling, depth);
        });
        self.change(before, |node| node.after = Some(id));
        self.change(sibling, |node| node.before = Some(id));
        self.change(Some(parent), |node| {
            if before.is_none() {
                node.first = Some(id);
            }
            if sibling.is_none() {
                node.last = Some(id);
            }
        });
    }

    fn place_text(&mut self, text: &str, parent: NodeId, sibling: Option<NodeId>) {
        let before = match sibling {
            Some(sibling) => self.node(sibling).and_then(|node| node.before),
            None => self.node(parent).and_then(|node| node.last),
        };
        let neighbour = before.and_then(|id| self.nodes.get_mut(id.0));
        if let Some(Content::Text(already)) = neighbour.map(|node| &mut node.content) {
            already.push_str(text);
        } else {
            let id = self.add(Content::Text(text.to_owned()));
            self.place(id, parent, sibling);
        }
    }

    fn insert(&mut self, new: NodeOrText<Handle>, parent: NodeId, sibling: Option<NodeId>) {
        match new {
            NodeOrText::AppendNode(handle) => self.place(handle.id, parent, sibling),
            NodeOrText::AppendText(text) => self.place_text(&text, parent, sibling),
        }
    }
}

/// What the parser holds of a node: its place, and its name, which it asks for all the time.
#[derive(Clone)]
struct Handle {
    id: NodeId,
    name: Rc<QualName>,
}

struct Sink {
    dom: RefCell<Dom>,
    nameless: Rc<QualName>,
}

impl Sink {
    fn new() -> Self {
        let mut dom = Dom {
            nodes: Vec::new(),
            deepest: 0,
            truncated: false,
        };
        dom.add(Content::Nothing);
        Self {
            dom: RefCell::new(dom),
            nameless: Rc::new(QualName::new(None, ns!(), local_name!(""))),
        }
    }

    fn nothing(&self) -> Handle {
        Handle {
            id: self.dom.borrow_mut().add(Content::Nothing),
            name: Rc::clone(&self.nameless),
        }
    }
}

impl TreeSink for Sink {
    type Handle = Handle;
    type Output = Dom;
    type ElemName<'a> = ExpandedName<'a>;

    fn finish(self) -> Dom {
        self.dom.into_inner()
    }

    fn parse_error(&self, _message: Cow<'static, str>) {}

    fn get_document(&self) -> Handle {
        Handle {
            id: NodeId(0),
            name: Rc::clone(&self.nameless),
        }
    }

    fn elem_name<'a>(&'a self, target: &'a Handle) -> ExpandedName<'a> {
        target.name.expanded()
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, _flags: ElementFlags) -> Handle {
        let content = Content::Element {
            name: name.local.clone(),
            attributes,
        };
        Handle {
            id: self.dom.borrow_mut().add(content),
            name: Rc::new(name),
        }
    }

    fn create_comment(&self, _text: StrTendril) -> Handle {
        self.nothing()
    }

    fn create_pi(&self, _target: StrTendril, _data: StrTendril) -> Handle {
        self.nothing()
    }

    fn append(&self, parent: &Handle, child: NodeOrText<Handle>) {
        self.dom.borrow_mut().insert(child, parent.id, None);
    }

    fn append_based_on_parent_node(&self, element: &Handle, previous: &Handle, child: NodeOrText<Handle>) {
        let mut dom = self.dom.borrow_mut();
        match dom.parent(element.id) {
            Some(parent) => dom.insert(child, parent, Some(element.id)),
            None => dom.insert(child, previous.id, None),
        }
    }

    fn append_doctype_to_document(&self, _name: StrTendril, _public_id: StrTendril, _system_id: StrTendril) {}

    // What stands in a template is not shown; the template itself is left out when the page is written.
    fn get_template_contents(&self, target: &Handle) -> Handle {
        target.clone()
    }

    fn same_node(&self, x: &Handle, y: &Handle) -> bool {
        x.id == y.id
    }

    fn set_quirks_mode(&self, _mode: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &Handle, new: NodeOrText<Handle>) {
        let mut dom = self.dom.borrow_mut();
        if let Some(parent) = dom.parent(sibling.id) {
            dom.insert(new, parent, Some(sibling.id));
        }
    }

    fn add_attrs_if_missing(&self, target: &Handle, new: Vec<Attribute>) {
        self.dom.borrow_mut().change(Some(target.id), |node| {
            if let Content::Element { attributes, .. } = &mut node.content {
                for attribute in new {
                    if attributes.iter().all(|known| known.name != attribute.name) {
                        attributes.push(attribute);
                    }
                }
            }
        });
    }

    fn remove_from_parent(&self, target: &Handle) {
        self.dom.borrow_mut().detach(target.id);
    }

    fn reparent_children(&self, node: &Handle, new_parent: &Handle) {
        let mut dom = self.dom.borrow_mut();
        while let Some(child) = dom.node(node.id).and_then(|node| node.first) {
            dom.place(child, new_parent.id, None);
            if dom.parent(child) == Some(node.id) {
                // Refused: the new parent is over the cap.
                dom.detach(child);
            }
        }
    }
}
