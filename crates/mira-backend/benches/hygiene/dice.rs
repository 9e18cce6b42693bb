//! Chance with a seed, and the half of the phrases a seed may use.

/// Deterministic random numbers (SplitMix64).
#[derive(Debug, Clone)]
pub struct Dice {
    state: u64,
    half: usize,
}

impl Dice {
    /// Even seeds are for tuning and see one half of every list of phrases and values, odd seeds are for judging and see
    /// the other: what was tuned on one is judged on words it has not met.
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995,
            half: usize::try_from(seed % 2).unwrap_or(0),
        }
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `sides`.
    pub fn below(&mut self, sides: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(sides.max(1)).unwrap_or(1)).unwrap_or(0)
    }

    /// True so many times of a hundred.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// This seed's half of a list.
    pub fn half<'a, T>(&self, list: &'a [T]) -> Vec<&'a T> {
        let parity = self.half;
        list.iter()
            .enumerate()
            .filter(|(at, _)| at % 2 == parity)
            .map(|(_, item)| item)
            .collect()
    }

    /// One of this seed's half of a list.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let half = self.half(list);
        let at = self.below(half.len());
        half.get(at).copied()
    }

    /// One of a list, all of it.
    pub fn any<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let at = self.below(list.len());
        list.get(at)
    }
}
