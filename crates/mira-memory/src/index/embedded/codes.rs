//! Small codes of unit vectors and the arithmetic on them: how a row is kept in memory, and what its cosine with a query
//! is, nearly. Pure; plain loops over slices that the compiler turns into vector instructions.
//!
//! Up to [`BYTE_DIMENSIONS`] numbers a vector is kept in sixteen bits a number, of which a scan reads the upper eight;
//! with the lower eight a cosine is exact but for rounding (about 0.00001). Longer ones are kept in four bits a number,
//! which tells a cosine to about 0.002, and, for a first pass that is a tenth as expensive, one sign bit a number. Before
//! that they are turned ([`turned`]), which changes no cosine: models have numbers that are large in every text and others
//! that say little, and a sign should tell as much as any other (as in RaBitQ, arXiv:2405.12497).
//!
//! Each row has one factor, chosen so that the code's cosine with its own vector comes out as 1; so neither rows nor
//! queries need be of length 1 to the last digit.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a scan's part is made for the plainest processor"
)]

use std::borrow::Cow;

/// The longest vectors kept as bytes.
pub(super) const BYTE_DIMENSIONS: usize = 512;

/// The largest of the sixteen-bit codes.
const WORD_STEPS: f32 = 32_767.0;
/// The middle of the numbers that share their upper eight bits with 0.
const LOW_MIDDLE: f32 = 127.5;
/// Twice the middle of the nibble codes 0..=15, which is no code itself.
const NIBBLE_ZERO_TWICE: i32 = 15;
/// The largest number of a query's code: so small that a few products add up within sixteen bits.
const QUERY_STEPS: f32 = 127.0;
/// Where nibble codes saturate, in root mean squares of the vector: optimal for normally distributed numbers, which those
/// of a turned vector nearly are.
const CLIP: f32 = 2.7;

/// How rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A byte a number to scan, and another to be exact.
    Bytes,
    /// Four bits a number, and sign bits.
    Nibbles,
}

impl Form {
    pub(crate) fn of(dimension: usize) -> Self {
        if dimension <= BYTE_DIMENSIONS {
            Self::Bytes
        } else {
            Self::Nibbles
        }
    }

    /// Bytes of a row that scans read.
    pub(crate) fn code_bytes(self, dimension: usize) -> usize {
        match self {
            Self::Bytes => dimension,
            Self::Nibbles => dimension.div_ceil(2),
        }
    }

    /// Bytes of a row that make it exact.
    pub(super) fn rest_bytes(self, dimension: usize) -> usize {
        match self {
            Self::Bytes => dimension,
            Self::Nibbles => 0,
        }
    }

    /// Words of a row's sign bits.
    pub(super) fn sign_words(self, dimension: usize) -> usize {
        match self {
            Self::Bytes => 0,
            Self::Nibbles => dimension.div_ceil(64),
        }
    }

    /// The code of a vector that is not zero.
    pub(crate) fn encode(self, vector: &[f32]) -> Code {
        match self {
            Self::Bytes => encode_bytes(vector),
            Self::Nibbles => encode_nibbles(vector),
        }
    }
}

/// A row's code.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Code {
    /// The numbers, as many bytes as [`Form::code_bytes`] says.
    pub codes: Vec<u8>,
    /// What makes them exact, as many bytes as [`Form::rest_bytes`] says.
    pub rest: Vec<u8>,
    /// The signs, as many words as [`Form::sign_words`] says.
    pub signs: Vec<u64>,
    /// What a product of codes is multiplied with.
    pub factor: f32,
}

fn length(vector: &[f32]) -> f32 {
    dot_exact(vector, vector).sqrt()
}

/// The factor that makes the code's cosine with its own vector 1.
fn factor(vector: &[f32], decoded: impl Iterator<Item = f32>) -> f32 {
    let own: f32 = vector.iter().zip(decoded).map(|(x, c)| x * c).sum();
    if own > 0.0 { length(vector) / own } else { 0.0 }
}

/// The number of two bytes.
#[inline(always)]
fn word(high: u8, low: u8) -> f32 {
    f32::from(i16::from_be_bytes([high, low]))
}

fn encode_bytes(vector: &[f32]) -> Code {
    let peak = vector.iter().fold(0_f32, |peak, x| peak.max(x.abs()));
    let scale = if peak > 0.0 { WORD_STEPS / peak } else { 0.0 };
    let (codes, rest): (Vec<u8>, Vec<u8>) = vector
        .iter()
        .map(|x| {
            let [high, low] = rounded(x * scale).to_be_bytes();
            (high, low)
        })
        .unzip();
    let factor = factor(vector, codes.iter().zip(&rest).map(|(&high, &low)| word(high, low)));
    Code {
        codes,
        rest,
        signs: Vec::new(),
        factor,
    }
}

/// The nearest whole number. Not by `round`, which is a call of a function where the processor has no instruction.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within -32767..=32767 by the scale; cutting off a positive number plus a half is rounding"
)]
fn rounded(x: f32) -> i16 {
    ((x + 32_768.5) as u16).wrapping_sub(32_768).cast_signed()
}

/// The nearest of the sixteen levels -7.5, -6.5, ..., 7.5, counted from 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is below 0 becomes 0 and what is above 15 becomes 15: clipping is meant"
)]
fn level(x: f32, per_step: f32) -> u8 {
    ((x * per_step + 8.0) as u8).min(15)
}

fn level_value(level: u8) -> f32 {
    f32::from(level) - NIBBLE_ZERO_TWICE as f32 / 2.0
}

/// Rounds of [`turned`]: two mix every number with every other where a block is at least as large as the root of the
/// dimension, as it is with the dimensions that models have.
const TURNS: u64 = 2;

/// The vector in a space that is turned at random, always the same way: signs are flipped and numbers mixed in blocks by
/// the Hadamard transform, each block the largest power of two by which the dimension can be divided, and once more with
/// the blocks mixed. Of an odd dimension there is nothing to mix.
fn turned(vector: &[f32]) -> Vec<f32> {
    let block = 1 << vector.len().trailing_zeros().min(usize::BITS - 1);
    let scale = 1.0 / (block as f32).sqrt();
    let mut turned = vector.to_vec();
    for turn in 0..TURNS {
        for (word, numbers) in (0_u64..).zip(turned.chunks_mut(64)) {
            let flips = scattered(turn << 32 | word);
            for (bit, x) in (0_u32..).zip(numbers) {
                let flip = u32::from(flips >> bit & 1 == 1) << 31;
                *x = f32::from_bits((*x * scale).to_bits() ^ flip);
            }
        }
        for numbers in turned.chunks_exact_mut(block) {
            hadamard(numbers);
        }
        let across = |place: usize| turned.iter().skip(place).step_by(block);
        turned = (0..block).flat_map(across).copied().collect();
    }
    turned
}

/// The Hadamard transform of a power of two of numbers, in place; it makes them longer by the root of their count.
fn hadamard(numbers: &mut [f32]) {
    let mut half = 1;
    while half < numbers.len() {
        for pair in numbers.chunks_exact_mut(2 * half) {
            let (left, right) = pair.split_at_mut(half);
            for (a, b) in left.iter_mut().zip(right) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
}

/// Bits that look random (SplitMix64).
fn scattered(seed: u64) -> u64 {
    let z = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn encode_nibbles(vector: &[f32]) -> Code {
    let vector = turned(vector);
    let rms = (vector.iter().map(|x| x * x).sum::<f32>() / vector.len().max(1) as f32).sqrt();
    let rms = if rms > 0.0 { rms } else { 1.0 };
    let per_step = 8.0 / (CLIP * rms);
    let levels: Vec<u8> = vector.iter().map(|&x| level(x, per_step)).collect();
    let factor = factor(&vector, levels.iter().map(|&l| level_value(l)));
    let half = vector.len().div_ceil(2);
    let (low, high) = levels.split_at(half);
    let high = high.iter().copied().chain(std::iter::repeat(0));
    let codes = low.iter().zip(high).map(|(&low, high)| low | high << 4).collect();
    Code {
        codes,
        rest: Vec::new(),
        signs: signs(&vector),
        factor,
    }
}

/// One bit a number, set where it is negative.
fn signs(vector: &[f32]) -> Vec<u64> {
    vector
        .chunks(64)
        .map(|chunk| {
            chunk
                .iter()
                .enumerate()
                .fold(0, |word, (i, x)| word | u64::from(*x < 0.0) << i)
        })
        .collect()
}

/// A query, ready to be multiplied with rows.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// The query in full, of length 1.
    whole: Vec<f32>,
    /// The first half of the numbers for nibbles, all of them for bytes.
    low: Vec<i16>,
    /// The second half for nibbles, as long as the first.
    high: Vec<i16>,
    signs: Vec<u64>,
    /// What the middle of the codes adds to each product.
    offset: f32,
    /// What a product is multiplied with beside the row's factor.
    unit: f32,
}

impl Query {
    pub(crate) fn new(form: Form, vector: &[f32]) -> Self {
        let length = length(vector);
        let whole: Vec<f32> = if length > 0.0 {
            vector.iter().map(|x| x / length).collect()
        } else {
            vector.to_vec()
        };
        let (middle, step) = match form {
            Form::Bytes => (-LOW_MIDDLE / 256.0, 256.0),
            Form::Nibbles => (NIBBLE_ZERO_TWICE as f32 / 2.0, 1.0),
        };
        let coded = match form {
            Form::Bytes => Cow::Borrowed(&whole),
            Form::Nibbles => Cow::Owned(turned(&whole)),
        };
        let peak = coded.iter().fold(0_f32, |peak, x| peak.max(x.abs()));
        let scale = if peak > 0.0 { QUERY_STEPS / peak } else { 0.0 };
        let mut low: Vec<i16> = coded.iter().map(|x| rounded(x * scale)).collect();
        let sum: i32 = low.iter().map(|&x| i32::from(x)).sum();
        let (high, signs) = match form {
            Form::Bytes => (Vec::new(), Vec::new()),
            Form::Nibbles => {
                let mut high = low.split_off(vector.len().div_ceil(2));
                high.resize(low.len(), 0);
                (high, signs(&coded))
            }
        };
        drop(coded);
        Self {
            whole,
            low,
            high,
            signs,
            offset: middle * sum as f32,
            unit: if scale > 0.0 { step / scale } else { 0.0 },
        }
    }

    /// The cosine with a row by its upper bytes, nearly.
    #[inline(always)]
    pub(crate) fn with_bytes(&self, codes: &[u8], factor: f32) -> f32 {
        (dot(codes, &self.low) as f32 - self.offset) * self.unit * factor
    }

    /// The cosine with a row by all its bytes.
    #[inline(always)]
    pub(super) fn with_words(&self, codes: &[u8], rest: &[u8], factor: f32) -> f32 {
        let words = codes.iter().zip(rest).map(|(&high, &low)| word(high, low));
        words.zip(&self.whole).map(|(word, x)| word * x).sum::<f32>() * factor
    }

    /// The cosine with a row of nibbles, nearly.
    #[inline(always)]
    pub(crate) fn with_nibbles(&self, codes: &[u8], factor: f32) -> f32 {
        (dot_nibbles(codes, &self.low, &self.high) as f32 - self.offset) * self.unit * factor
    }

    /// The cosine with a vector.
    pub(super) fn with(&self, vector: &[f32]) -> f32 {
        let length = length(vector);
        if length > 0.0 {
            (dot_exact(vector, &self.whole) / length).clamp(-1.0, 1.0)
        } else {
            0.0
        }
    }

    /// In how many signs a row differs.
    #[inline(always)]
    pub(super) fn differs(&self, signs: &[u64]) -> u32 {
        signs.iter().zip(&self.signs).map(|(a, b)| (a ^ b).count_ones()).sum()
    }
}

/// Numbers side by side in the loops below.
const LANES: usize = 16;
/// Steps of [`dot_nibbles`] whose two products each add up within sixteen bits: 8 x 2 x 15 x 127 = 30,480.
const NIBBLE_STEPS: usize = 8;

/// The product of signed bytes with a query.
#[inline(always)]
fn dot(codes: &[u8], query: &[i16]) -> i32 {
    let product = |c: u8, q: i16| i32::from(c.cast_signed()) * i32::from(q);
    let (code_blocks, code_rest) = codes.as_chunks::<{ 2 * LANES }>();
    let (query_blocks, query_rest) = query.as_chunks::<{ 2 * LANES }>();
    let mut sums = [0_i32; 2 * LANES];
    for (codes, query) in code_blocks.iter().zip(query_blocks) {
        for (sum, (&c, &q)) in sums.iter_mut().zip(codes.iter().zip(query)) {
            *sum += product(c, q);
        }
    }
    let rest = code_rest.iter().zip(query_rest).map(|(&c, &q)| product(c, q));
    sums.iter().sum::<i32>() + rest.sum::<i32>()
}

/// The product of nibbles with the two halves of a query.
#[inline(always)]
fn dot_nibbles(codes: &[u8], low: &[i16], high: &[i16]) -> i32 {
    const BLOCK: usize = NIBBLE_STEPS * LANES;
    let products = |c: u8, l: i16, h: i16| {
        let low = i16::from(c & 15).wrapping_mul(l);
        low.wrapping_add(i16::from(c >> 4).wrapping_mul(h))
    };
    let mut total = 0;
    for (codes, (low, high)) in codes.chunks(BLOCK).zip(low.chunks(BLOCK).zip(high.chunks(BLOCK))) {
        let (codes, code_rest) = codes.as_chunks::<LANES>();
        let (low, low_rest) = low.as_chunks::<LANES>();
        let (high, high_rest) = high.as_chunks::<LANES>();
        let mut sums = [0_i16; LANES];
        for (codes, (low, high)) in codes.iter().zip(low.iter().zip(high)) {
            for (sum, (&c, (&l, &h))) in sums.iter_mut().zip(codes.iter().zip(low.iter().zip(high))) {
                *sum = sum.wrapping_add(products(c, l, h));
            }
        }
        let rest = code_rest.iter().zip(low_rest.iter().zip(high_rest));
        total += sums.iter().map(|&sum| i32::from(sum)).sum::<i32>();
        total += rest.map(|(&c, (&l, &h))| i32::from(products(c, l, h))).sum::<i32>();
    }
    total
}

/// The product of two vectors, in sums that can be made at once.
fn dot_exact(a: &[f32], b: &[f32]) -> f32 {
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0_f32; LANES];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Unit vectors whose numbers look random.
    fn vector(dimension: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let raw: Vec<f32> = (0..dimension)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / 8_388_608.0 - 1.0
            })
            .collect();
        let norm = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
        raw.iter().map(|x| x / norm).collect()
    }

    /// The cosine by codes is within `error` of the exact one.
    fn check(dimension: usize, error: f32) {
        let form = Form::of(dimension);
        for seed in 0..20 {
            let (a, b) = (vector(dimension, seed), vector(dimension, seed + 100));
            let mixed: Vec<f32> = a.iter().zip(&b).map(|(a, b)| (a + b) / 2_f32.sqrt()).collect();
            for (row, q) in [(&a, &a), (&a, &b), (&a, &mixed), (&mixed, &b)] {
                let code = form.encode(row);
                assert_eq!(code.codes.len(), form.code_bytes(dimension));
                assert_eq!(code.rest.len(), form.rest_bytes(dimension));
                assert_eq!(code.signs.len(), form.sign_words(dimension));
                let query = Query::new(form, q);
                let near = match form {
                    Form::Bytes => query.with_bytes(&code.codes, code.factor),
                    Form::Nibbles => query.with_nibbles(&code.codes, code.factor),
                };
                let exact = query.with(row);
                assert!((near - exact).abs() < error, "{dimension}: {near} for {exact}");
                if form == Form::Bytes {
                    let words = query.with_words(&code.codes, &code.rest, code.factor);
                    assert!((words - exact).abs() < 0.00003, "{dimension}: {words} for {exact}");
                }
            }
        }
    }

    #[test]
    fn codes_are_near() {
        check(1, 0.01);
        check(2, 0.02);
        check(7, 0.02);
        check(33, 0.01);
        check(256, 0.005);
        check(512, 0.005);
        check(513, 0.02);
        check(1536, 0.012);
        check(3072, 0.01);
    }

    #[test]
    fn signs_differ_as_vectors_do() {
        let a = vector(3072, 1);
        let minus: Vec<f32> = a.iter().map(|x| -x).collect();
        let query = Query::new(Form::Nibbles, &a);
        assert_eq!(query.differs(&Form::Nibbles.encode(&a).signs), 0);
        assert_eq!(query.differs(&Form::Nibbles.encode(&minus).signs), 3072);
        let half = query.differs(&Form::Nibbles.encode(&vector(3072, 2)).signs);
        assert!((1300..1770).contains(&half), "{half}");
    }

    #[test]
    fn turning_keeps_angles() {
        for dimension in [1, 7, 513, 768, 1000, 1536, 3072, 4096] {
            let (a, b) = (vector(dimension, 1), vector(dimension, 2));
            let mixed: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + b / 2.0).collect();
            let (before, after) = (dot_exact(&a, &mixed), dot_exact(&turned(&a), &turned(&mixed)));
            assert!((before - after).abs() < 1e-4, "{dimension}: {before}, {after}");
        }
    }

    /// Vectors whose numbers say the same many times over, and such with one number that is large in all: their signs,
    /// taken as they are, would tell next to nothing.
    #[test]
    fn signs_tell_the_angle_of_vectors_that_are_not_random() {
        let over = |seed: u32| -> Vec<f32> { vector(256, seed).into_iter().cycle().take(3072).collect() };
        let peaked = |seed: u32| -> Vec<f32> {
            let flat = vec![0.02; 3072];
            let mut peaked: Vec<f32> = vector(3072, seed).iter().zip(flat).map(|(x, y)| x + y).collect();
            peaked[7] = 1.0;
            peaked
        };
        let off = |a: &[f32], b: &[f32]| {
            let cosine = dot_exact(a, b) / (length(a) * length(b));
            let differ = Query::new(Form::Nibbles, a).differs(&Form::Nibbles.encode(b).signs);
            (std::f32::consts::PI * differ as f32 / 3072.0 - cosine.acos()).abs()
        };
        for seed in 0..20 {
            for (a, b) in [(over(seed), over(seed + 100)), (peaked(seed), peaked(seed + 100))] {
                assert!(off(&a, &b) < 0.12, "{seed}: {}", off(&a, &b));
            }
        }
    }

    #[test]
    fn products_of_nibbles_fit_into_sixteen_bits() {
        let codes = [0xFF; NIBBLE_STEPS * LANES];
        let each = |x: i16| -> i32 { codes.iter().map(|_| 2 * 15 * i32::from(x)).sum() };
        for x in [127, -127] {
            let query = [x; NIBBLE_STEPS * LANES];
            assert_eq!(dot_nibbles(&codes, &query, &query), each(x));
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        for dimension in [512, 4096, 65_536] {
            let flat = vec![1.0 / (dimension as f32).sqrt(); dimension];
            let minus: Vec<f32> = flat.iter().map(|x| -x).collect();
            let form = Form::of(dimension);
            for row in [&flat, &minus] {
                let code = form.encode(row);
                let query = Query::new(form, &flat);
                let near = match form {
                    Form::Bytes => query.with_bytes(&code.codes, code.factor),
                    Form::Nibbles => query.with_nibbles(&code.codes, code.factor),
                };
                assert!((near - query.with(row)).abs() < 0.006, "{dimension}: {near}");
            }
        }
        let zero = Query::new(Form::Bytes, &[0.0; 8]);
        assert!(zero.with_bytes(&[127; 8], 1.0).abs() < f32::EPSILON);
    }
}
