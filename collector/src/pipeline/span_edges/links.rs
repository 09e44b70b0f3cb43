//! Who calls whom among the services, by the names that their spans carry.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ahash::RandomState;

use super::half::Half;
use crate::store::{LINK_STEP_S, LinkStep};

/// Pairs of services that are told apart; a mesh of a thousand services has some thousands.
const PAIRS_MAX: usize = 50_000;

type Pair = (Arc<str>, Arc<str>);

/// Pairs that were told since the start.
#[derive(Default)]
pub(super) struct Pairs(HashSet<Pair, RandomState>);

/// What some exchanges add.
#[derive(Default)]
pub(super) struct Links {
    /// Calls and errors by step.
    sums: HashMap<(i64, Pair), (u64, u64), RandomState>,
    /// Calls of pairs that there was no room for.
    pub without_room: u64,
}

impl Links {
    /// Counts an exchange, if both services are told and are two.
    pub fn count(&mut self, pairs: &mut Pairs, client: Option<&Half>, server: Option<&Half>) {
        let Some(teller) = server.or(client) else { return };
        let parent = client.map(|half| &half.service).or(server.map(|half| &half.remote));
        let child = server.map(|half| &half.service).or(client.map(|half| &half.remote));
        let (Some(parent), Some(child)) = (parent, child) else { return };
        if parent.is_empty() || child.is_empty() || parent == child {
            return;
        }
        let pair = (Arc::clone(parent), Arc::clone(child));
        if !pairs.0.contains(&pair) {
            if pairs.0.len() >= PAIRS_MAX {
                self.without_room += 1;
                return;
            }
            pairs.0.insert(pair.clone());
        }
        let is_error = [client, server].into_iter().flatten().any(|half| half.is_error);
        let t_s = teller.step_s.div_euclid(LINK_STEP_S) * LINK_STEP_S;
        let (calls, errors) = self.sums.entry((t_s, pair)).or_default();
        *calls += 1;
        *errors += u64::from(is_error);
    }

    pub fn steps(self) -> Vec<LinkStep> {
        let step = |((t_s, (parent, child)), (calls, errors))| LinkStep { t_s, parent, child, calls, errors };
        self.sums.into_iter().map(step).collect()
    }
}
