//! Exchanges that were counted, so that a half that is late or sent again is not.

use std::collections::{HashSet, VecDeque};

use ahash::RandomState;

use super::half::Key;

/// Exchanges that are remembered.
const DONE_MAX: usize = 500_000;

/// By hashes of their keys, which take a third of the memory: of half a million in 64 bits no two are alike, and nobody
/// outside knows the hash.
#[derive(Default)]
pub(super) struct Done {
    hashes: HashSet<u64, RandomState>,
    by_age: VecDeque<u64>,
    hasher: RandomState,
}

impl Done {
    pub fn contains(&self, key: &Key) -> bool {
        self.hashes.contains(&self.hasher.hash_one(key))
    }

    pub fn insert(&mut self, key: &Key) {
        let hash = self.hasher.hash_one(key);
        if self.hashes.insert(hash) {
            self.by_age.push_back(hash);
        }
        while self.by_age.len() > DONE_MAX {
            if let Some(oldest) = self.by_age.pop_front() {
                self.hashes.remove(&oldest);
            }
        }
    }

    pub fn remove(&mut self, key: &Key) {
        self.hashes.remove(&self.hasher.hash_one(key));
    }
}
