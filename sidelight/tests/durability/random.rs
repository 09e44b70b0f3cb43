//! Random choices that can be repeated.

use std::sync::atomic::{AtomicU64, Ordering};

/// SplitMix64: every seed is a good one.
pub struct Random(AtomicU64);

impl Random {
    /// From `SIDELIGHT_SEED`, or a fixed one; `what` keeps two tests of one run apart.
    pub fn of(what: &str) -> Self {
        let seed = std::env::var("SIDELIGHT_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0x51de_1197_u64);
        println!("{what}: SIDELIGHT_SEED={seed}");
        Self(AtomicU64::new(what.bytes().fold(seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()))))
    }

    pub fn next(&self) -> u64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `from` on, below `to`.
    pub fn between(&self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from)
    }
}
