//! What a page's instructions put where: every letter with its place, its width and its size, in the order of drawing.
//!
//! Only what concerns text is followed: matrices, fonts and spacing, text itself, and forms with text in them. Text
//! that is drawn invisibly counts, since that is how scanned pages carry what was recognised on them; text outside the
//! visible page does not.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    rc::Rc,
    sync::Arc,
};

use hayro_font::{
    CMapResolverFn, Font, FontCache, FontGlyph, FontQuery, FontResolverFn, UNITS_PER_EM,
    hayro_cmap::{self, BfString},
    hayro_syntax::{
        content::{Instruction, UntypedIter},
        object::{self, Array, Dict, Name, Object, ObjectIdentifier, Stream},
        page::{Page, Resources},
    },
    kurbo::{Affine, Point, Vec2},
};

use super::words::{Glyph, Letters};

/// Instructions carried out for one page, forms included.
const INSTRUCTIONS: usize = 5_000_000;
/// Letters kept of one page.
const GLYPHS: usize = 1_000_000;
/// Saved states, and forms in forms.
const SAVED: usize = 256;
const FORMS: u32 = 24;
/// Text farther than this from the visible page is not on it.
const MARGIN: f64 = 4.0;

/// A font and what is known of its codes.
struct Face<'a> {
    font: Font<'a>,
    codes: RefCell<HashMap<u32, (Option<Letters>, Vec2)>>,
}

impl Face<'_> {
    /// What a code says, and how far it advances, in thousandths of the size.
    fn code(&self, code: u32) -> (Option<Letters>, Vec2) {
        if let Some(known) = self.codes.borrow().get(&code) {
            return known.clone();
        }
        let unicode = match self.font.glyph(self.font.map_code(code), code) {
            FontGlyph::Outline(glyph) => glyph.as_unicode(),
            FontGlyph::Type3(glyph) => glyph.as_unicode(),
        };
        let letters = unicode.map(|unicode| match unicode {
            BfString::Char(letter) => Letters::One(letter),
            BfString::String(letters) => Letters::Many(letters),
        });
        let known = (letters, self.font.code_advance(code));
        self.codes.borrow_mut().insert(code, known.clone());
        known
    }
}

/// Reads the letters of a document's pages. Fonts are read once.
pub struct Letterer<'a> {
    fonts: FontCache<'a>,
    faces: RefCell<HashMap<ObjectIdentifier, Option<Rc<Face<'a>>>>>,
    font_resolver: FontResolverFn,
    cmap_resolver: CMapResolverFn,
    forms: u32,
}

impl<'a> Letterer<'a> {
    /// For a document whose forms lie at most `depth` deep in each other.
    pub fn new(depth: u32) -> Self {
        Self {
            fonts: FontCache::new(),
            faces: RefCell::default(),
            // Only the widths and names of the letters are wanted, so that any font of the sort will do.
            font_resolver: Arc::new(|query| match query {
                FontQuery::Standard(font) => Some(font.get_font_data()),
                FontQuery::Fallback(query) => Some(query.pick_standard_font().get_font_data()),
            }),
            cmap_resolver: Arc::new(hayro_cmap::load_embedded),
            forms: depth.min(FORMS),
        }
    }

    /// The letters of a page by the direction they are written in, first those from left to right.
    pub fn glyphs(&self, page: &Page<'a>) -> Vec<Vec<Glyph>> {
        let (width, height) = page.render_dimensions();
        let mut reader = Reader {
            letterer: self,
            state: State::new(Affine::new(page.initial_transform(true).as_coeffs())),
            saved: Vec::new(),
            text: Affine::IDENTITY,
            line: Affine::IDENTITY,
            visible: (f64::from(width), f64::from(height)),
            glyphs: BTreeMap::new(),
            count: 0,
            marks: Vec::new(),
            left: INSTRUCTIONS,
        };
        if let Some(content) = page.page_stream() {
            reader.run(content, page.resources(), self.forms);
        }
        let mut glyphs = reader.glyphs;
        let upright = glyphs.remove(&0).unwrap_or_default();
        std::iter::once(upright).chain(glyphs.into_values()).collect()
    }

    fn face(&self, dict: &Dict<'a>) -> Option<Rc<Face<'a>>> {
        let id = dict.obj_id();
        if let Some(known) = id.and_then(|id| self.faces.borrow().get(&id).cloned()) {
            return known;
        }
        let font = self.fonts.font(dict, &self.font_resolver, &self.cmap_resolver);
        let face = font.map(|font| {
            Rc::new(Face {
                font,
                codes: RefCell::default(),
            })
        });
        if let Some(id) = id {
            self.faces.borrow_mut().insert(id, face.clone());
        }
        face
    }
}

/// The part of the graphics state that text depends on.
#[derive(Clone)]
struct State<'a> {
    page: Affine,
    face: Option<Rc<Face<'a>>>,
    size: f64,
    letter_space: f64,
    word_space: f64,
    stretch: f64,
    leading: f64,
    rise: f64,
}

impl State<'_> {
    const fn new(page: Affine) -> Self {
        Self {
            page,
            face: None,
            size: 1.0,
            letter_space: 0.0,
            word_space: 0.0,
            stretch: 1.0,
            leading: 0.0,
            rise: 0.0,
        }
    }
}

/// Marked content that says what its letters stand for.
struct Mark {
    /// What they stand for, where it is said.
    text: Option<String>,
    /// How many letters there were before, by direction.
    before: BTreeMap<i16, usize>,
}

struct Reader<'a, 'l> {
    letterer: &'l Letterer<'a>,
    state: State<'a>,
    saved: Vec<State<'a>>,
    text: Affine,
    line: Affine,
    visible: (f64, f64),
    /// By direction in whole degrees.
    glyphs: BTreeMap<i16, Vec<Glyph>>,
    count: usize,
    marks: Vec<Mark>,
    left: usize,
}

impl<'a> Reader<'a, '_> {
    fn run(&mut self, content: &[u8], resources: &Resources<'a>, forms: u32) {
        let mut instructions = UntypedIter::new(content);
        while let Some(instruction) = instructions.next() {
            if self.left == 0 || self.count >= GLYPHS {
                return;
            }
            self.left -= 1;
            self.instruct(&instruction, resources, forms);
        }
    }

    /// Carries out one instruction. What has the wrong operands does nothing.
    fn instruct(&mut self, instruction: &Instruction<'_, '_>, resources: &Resources<'a>, forms: u32) -> Option<()> {
        let number = |index: usize| number(instruction, index);
        match &**instruction.operator {
            b"q" if self.saved.len() < SAVED => self.saved.push(self.state.clone()),
            b"Q" => self.state = self.saved.pop()?,
            b"cm" => self.state.page *= matrix(instruction)?,
            b"BT" => (self.text, self.line) = (Affine::IDENTITY, Affine::IDENTITY),
            b"Tf" => {
                self.state.size = number(1)?;
                self.state.face = resources
                    .get_font(name(instruction, 0)?)
                    .and_then(|dict| self.letterer.face(&dict));
            }
            b"gs" => self.set_from(&resources.get_ext_g_state(name(instruction, 0)?)?)?,
            b"Tc" => self.state.letter_space = number(0)?,
            b"Tw" => self.state.word_space = number(0)?,
            b"Tz" => self.state.stretch = number(0)? / 100.0,
            b"TL" => self.state.leading = number(0)?,
            b"Ts" => self.state.rise = number(0)?,
            b"Td" => self.next_line(number(0)?, number(1)?),
            b"TD" => {
                self.state.leading = -number(1)?;
                self.next_line(number(0)?, number(1)?);
            }
            b"Tm" => {
                self.line = matrix(instruction)?;
                self.text = self.line;
            }
            b"T*" => self.next_line(0.0, -self.state.leading),
            b"Tj" => self.show(string(instruction, 0)?),
            b"'" => {
                self.next_line(0.0, -self.state.leading);
                self.show(string(instruction, 0)?);
            }
            b"\"" => {
                (self.state.word_space, self.state.letter_space) = (number(0)?, number(1)?);
                self.next_line(0.0, -self.state.leading);
                self.show(string(instruction, 2)?);
            }
            b"TJ" => match instruction.operands().next()? {
                Object::Array(parts) => self.show_all(parts),
                _ => return None,
            },
            b"Do" if forms > 0 => {
                let form = resources.get_x_object(name(instruction, 0)?)?;
                self.form(&form, resources, forms - 1)?;
            }
            b"BDC" => self.begin_mark(instruction, resources),
            b"BMC" => self.marks.push(Mark {
                text: None,
                before: BTreeMap::new(),
            }),
            b"EMC" => self.end_mark()?,
            _ => {}
        }
        Some(())
    }

    fn set_from(&mut self, dict: &Dict<'a>) -> Option<()> {
        let font = dict.get::<Array<'a>>(b"Font")?;
        let mut parts = font.iter::<Object<'a>>();
        let face = parts.next()?.into_dict()?;
        self.state.size = f64::from(parts.next()?.into_f32()?);
        self.state.face = self.letterer.face(&face);
        Some(())
    }

    fn form(&mut self, form: &Stream<'a>, outer: &Resources<'a>, forms: u32) -> Option<()> {
        let dict = form.dict();
        if dict.get::<Name<'_>>(b"Subtype")?.as_str() != "Form" {
            return None;
        }
        let content = form.decoded_data().ok()?;
        let own = dict.get::<Dict<'a>>(b"Resources").map(Resources::new);
        let before = (
            self.state.clone(),
            self.text,
            self.line,
            self.saved.len(),
            self.marks.len(),
        );
        if let Some(matrix) = dict.get::<[f64; 6]>(b"Matrix") {
            self.state.page *= Affine::new(matrix);
        }
        self.run(&content, own.as_ref().unwrap_or(outer), forms);
        self.saved.truncate(before.3);
        self.marks.truncate(before.4);
        (self.state, self.text, self.line) = (before.0, before.1, before.2);
        Some(())
    }

    fn next_line(&mut self, x: f64, y: f64) {
        self.line *= Affine::translate((x, y));
        self.text = self.line;
    }

    fn show_all(&mut self, parts: &Array<'_>) {
        for part in parts.iter::<Object<'_>>() {
            match part {
                Object::String(text) => self.show(&text),
                Object::Number(number) => {
                    let is_upright = self.state.face.as_ref().is_none_or(|face| face.font.is_horizontal());
                    let by = -number.as_f64() / f64::from(UNITS_PER_EM) * self.state.size;
                    self.advance(if is_upright {
                        (by * self.state.stretch, 0.0)
                    } else {
                        (0.0, by)
                    });
                }
                _ => {}
            }
        }
    }

    fn show(&mut self, text: &object::String<'_>) {
        let Some(face) = self.state.face.clone() else {
            return;
        };
        let bytes = text.as_bytes();
        let is_upright = face.font.is_horizontal();
        let mut at = 0;
        while at < bytes.len() && self.count < GLYPHS {
            let (code, length) = face.font.read_code(bytes, at);
            if length == 0 {
                return;
            }
            at += length;
            let (letters, advance) = face.code(code);
            let word_space = if code == 32 && length == 1 {
                self.state.word_space
            } else {
                0.0
            };
            let along = if is_upright { advance.x } else { advance.y };
            let own = along / f64::from(UNITS_PER_EM) * self.state.size;
            // The space after a letter is none of it: some programs set the spaces between words that way.
            let spaced = own + self.state.letter_space;
            let stretch = self.state.stretch;
            let step = |by: f64| if is_upright { (by * stretch, 0.0) } else { (0.0, by) };
            if let Some(letters) = letters {
                self.place(letters, step(own));
            }
            self.advance(step(spaced + word_space));
        }
    }

    fn advance(&mut self, by: (f64, f64)) {
        self.text *= Affine::translate(by);
    }

    /// Keeps a letter with its place, in coordinates whose x axis is the direction it is written in.
    fn place(&mut self, letters: Letters, step: (f64, f64)) {
        let full = self.state.page * self.text * Affine::translate((0.0, self.state.rise));
        let (start, end) = (full * Point::ZERO, full * Point::new(step.0, step.1));
        let [x_right, x_down, y_right, y_down, ..] = full.as_coeffs();
        let is_upright = step.1 == 0.0;
        let (along, across) = if is_upright {
            ((x_right, x_down), (y_right, y_down))
        } else {
            ((-y_right, -y_down), (x_right, x_down))
        };
        let size = across.0.hypot(across.1) * self.state.size.abs();
        let (width, height) = self.visible;
        let is_inside = start.x > -MARGIN && start.y > -MARGIN && start.x < width + MARGIN && start.y < height + MARGIN;
        let is_somewhere = is_inside && size.is_finite() && size > 0.0 && end.x.is_finite() && end.y.is_finite();
        if !is_somewhere {
            return;
        }
        let sign = if is_upright {
            self.state.size.signum() * self.state.stretch.signum()
        } else {
            1.0
        };
        let degrees = match (along.1 * sign).atan2(along.0 * sign).to_degrees().round() {
            -180.0 => 180.0,
            degrees => degrees,
        };
        let (sine, cosine) = degrees.to_radians().sin_cos();
        let turned = |point: Point| (point.x * cosine + point.y * sine, point.y * cosine - point.x * sine);
        let ((x0, y), (x1, _)) = (turned(start), turned(end));
        self.count += 1;
        self.glyphs.entry(whole(degrees)).or_default().push(Glyph {
            text: letters,
            x0: single(x0.min(x1)),
            x1: single(x1.max(x0)),
            y: single(y),
            size: single(size),
        });
    }

    fn begin_mark(&mut self, instruction: &Instruction<'_, '_>, resources: &Resources<'a>) {
        let text = |dict: &Dict<'_>| {
            dict.get::<object::String<'_>>(b"ActualText")
                .map(|text| super::string(text.as_bytes()))
        };
        let text = match instruction.operands().nth(1) {
            Some(Object::Dict(dict)) => text(dict),
            Some(Object::Name(name)) => resources.properties.get::<Dict<'a>>(name).and_then(|dict| text(&dict)),
            _ => None,
        };
        let before = match text {
            Some(_) => self
                .glyphs
                .iter()
                .map(|(degrees, glyphs)| (*degrees, glyphs.len()))
                .collect(),
            None => BTreeMap::new(),
        };
        self.marks.push(Mark { text, before });
    }

    /// Letters that stand for something else are replaced by it, if they are on one line.
    fn end_mark(&mut self) -> Option<()> {
        let Mark { text, before } = self.marks.pop()?;
        let text = text?;
        let since = |degrees: &i16| before.get(degrees).copied().unwrap_or(0);
        let mut changed = self
            .glyphs
            .iter_mut()
            .filter(|(degrees, glyphs)| glyphs.len() > since(degrees));
        let (degrees, glyphs) = changed.next()?;
        if changed.next().is_some() {
            return None;
        }
        let drawn = glyphs.get(since(degrees)..)?;
        let (first, last) = (drawn.first()?, drawn.last()?);
        if drawn.iter().any(|glyph| (glyph.y - first.y).abs() > 0.5 * first.size)
            || text.split_whitespace().nth(1).is_some()
        {
            return None;
        }
        let one = Glyph {
            text: Letters::Many(text),
            x1: last.x1,
            ..first.clone()
        };
        glyphs.truncate(since(degrees));
        glyphs.push(one);
        Some(())
    }
}

fn number(instruction: &Instruction<'_, '_>, index: usize) -> Option<f64> {
    match instruction.operands().nth(index)? {
        Object::Number(number) => Some(number.as_f64()),
        _ => None,
    }
}

fn name<'b, 'c>(instruction: &Instruction<'b, 'c>, index: usize) -> Option<&'b Name<'c>> {
    match instruction.operands().nth(index)? {
        Object::Name(name) => Some(name),
        _ => None,
    }
}

fn string<'b, 'c>(instruction: &Instruction<'b, 'c>, index: usize) -> Option<&'b object::String<'c>> {
    match instruction.operands().nth(index)? {
        Object::String(text) => Some(text),
        _ => None,
    }
}

fn matrix(instruction: &Instruction<'_, '_>) -> Option<Affine> {
    let mut numbers = [0.0; 6];
    for (index, place) in numbers.iter_mut().enumerate() {
        *place = number(instruction, index)?;
    }
    Some(Affine::new(numbers))
}

#[expect(clippy::cast_possible_truncation, reason = "places on a page need no more")]
const fn single(number: f64) -> f32 {
    number as f32
}

#[expect(clippy::cast_possible_truncation, reason = "an angle from -180 to 180")]
const fn whole(degrees: f64) -> i16 {
    degrees as i16
}
