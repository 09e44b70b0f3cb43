//! Numbers that are the same in every run.

/// Mixes a number until nothing of it can be seen in the result (SplitMix64).
pub fn mix(number: u64, salt: u64) -> u64 {
    let mut z = number ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A sequence of them.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0, 1)
    }

    /// From 0 to below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// Many small and few large ones, as times and sizes are: up to `scale` times 2 to the 6th.
    pub fn skewed(&mut self, scale: u64) -> u64 {
        let octave = self.below(7).min(self.below(7)).min(self.below(7));
        (scale << octave) / 2 + self.below(scale << octave)
    }
}

/// Text of a version 4 UUID.
pub fn uuid(number: u64, salt: u64) -> String {
    let (high, low) = (mix(number, salt), mix(number, salt.wrapping_add(0x51)));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | (low >> 50),
        low & 0xffff_ffff_ffff
    )
}
