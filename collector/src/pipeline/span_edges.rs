//! Edges from spans, for workloads that tell neither metrics nor logs: each exchange is counted once, when both of its
//! halves have come in, or alone when the other one does not come.
//!
//! What waits for its other half is in memory: a kill loses it, for the graph only; the spans themselves are stored.

mod half;
mod labels;
mod side;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahash::RandomState;
use parking_lot::Mutex;

use self::half::{Half, Key};
use self::side::Sides;
use super::edge_rows::ISTIO_BOUNDS;
use crate::ingest::scrape::EDGES_MAX;
use crate::store::{Edge, Histogram, Span, Totals};

/// How long a half waits for its other one: proxies send what they have every five seconds.
const PAIR_WAIT: Duration = Duration::from_secs(15);
/// Halves that wait; when there are more, the oldest is counted alone.
const PENDING_MAX: usize = 100_000;
/// Exchanges that are remembered as counted, so that a half that is late or sent again is not.
const DONE_MAX: usize = 500_000;
/// Edges that are remembered as being in the store's dictionary.
const KNOWN_MAX: usize = 100_000;

/// Edges with what they carried, by the start of their step.
pub type AddedEdges = Vec<(i64, Arc<Edge>, Totals)>;

/// Pairs the halves of exchanges.
pub struct SpanEdges {
    state: Mutex<State>,
    hasher: RandomState,
    bounds: Arc<[f64]>,
    /// Edges in the store's dictionary.
    edge_count: Box<dyn Fn() -> usize + Send + Sync>,
}

#[derive(Default)]
struct State {
    pending: HashMap<Key, Half, RandomState>,
    by_age: VecDeque<(Instant, Key)>,
    done: HashSet<Key, RandomState>,
    done_by_age: VecDeque<Key>,
    known: HashSet<[u8; 16], RandomState>,
    sides: Sides,
}

/// What some spans add, and what has to be undone when they are not stored.
#[derive(Default)]
pub struct Planned {
    pub added: AddedEdges,
    /// Exchanges that no edge had room for.
    pub without_edge: u64,
    waiting: Vec<Key>,
    /// Halves that waited until now; `None` for what was counted without waiting.
    counted: Vec<(Key, Option<Half>)>,
}

/// What exchanges of one edge and step add.
struct Sum {
    client: Option<Half>,
    server: Option<Half>,
    requests: u64,
    buckets: [u64; ISTIO_BOUNDS.len() + 1],
    duration_ms: f64,
    request_bytes: u64,
    response_bytes: u64,
}

type Sums = HashMap<u64, Sum, RandomState>;

impl SpanEdges {
    #[must_use]
    pub fn new(edge_count: Box<dyn Fn() -> usize + Send + Sync>) -> Self {
        Self { state: Mutex::default(), hasher: RandomState::new(), bounds: Arc::from(ISTIO_BOUNDS), edge_count }
    }

    /// Takes the halves of exchanges out of spans that are about to be stored.
    #[must_use]
    pub fn plan(&self, spans: &[Span]) -> Planned {
        let (mut planned, mut sums, now) = (Planned::default(), Sums::default(), Instant::now());
        let mut state = self.state.lock();
        let state = &mut *state;
        for span in spans {
            let Some((key, half)) = Half::of(span, &mut state.sides) else { continue };
            if state.done.contains(&key) {
                continue;
            }
            self.meet(state, key, half, now, &mut sums, &mut planned);
        }
        while state.pending.len() > PENDING_MAX {
            let Some((_, key)) = state.by_age.pop_front() else { break };
            self.give_up(state, key, &mut sums, &mut planned);
        }
        self.edges(state, sums, &mut planned);
        planned
    }

    /// Counts what has waited long enough, or everything.
    #[must_use]
    pub fn expire(&self, everything: bool) -> Planned {
        let (mut planned, mut sums, now) = (Planned::default(), Sums::default(), Instant::now());
        let mut state = self.state.lock();
        let state = &mut *state;
        while let Some((since, _)) = state.by_age.front()
            && (everything || now.duration_since(*since) >= PAIR_WAIT)
        {
            let Some((_, key)) = state.by_age.pop_front() else { break };
            self.give_up(state, key, &mut sums, &mut planned);
        }
        self.edges(state, sums, &mut planned);
        planned
    }

    /// As if the spans had never been seen: they were not stored, or had been before.
    pub fn undo(&self, planned: Planned) {
        let mut state = self.state.lock();
        for key in planned.waiting {
            state.pending.remove(&key);
        }
        let now = Instant::now();
        for (key, half) in planned.counted {
            state.done.remove(&key);
            if let Some(half) = half {
                state.pending.insert(key, half);
                state.by_age.push_back((now, key));
            }
        }
    }

    fn meet(&self, state: &mut State, key: Key, half: Half, now: Instant, sums: &mut Sums, planned: &mut Planned) {
        // Nobody that is traced called it.
        if half.is_server && half.is_root {
            self.count(sums, None, Some(half));
            state.remember(key);
            planned.counted.push((key, None));
            return;
        }
        match state.pending.entry(key) {
            Entry::Vacant(free) => {
                free.insert(half);
                state.by_age.push_back((now, key));
                planned.waiting.push(key);
            }
            Entry::Occupied(waiting) if waiting.get().is_server != half.is_server => {
                let other = waiting.remove();
                planned.counted.push((key, Some(other.clone())));
                state.remember(key);
                match half.is_server {
                    true => self.count(sums, Some(other), Some(half)),
                    false => self.count(sums, Some(half), Some(other)),
                }
            }
            // The same half again.
            Entry::Occupied(waiting) if waiting.get().id == half.id => {}
            // A caller that tells no spans of its own calls: several exchanges hang from its one span.
            Entry::Occupied(_) if !half.is_server || state.done.contains(&key.own(&half)) => {}
            Entry::Occupied(_) => {
                let key = key.own(&half);
                self.count(sums, None, Some(half));
                state.remember(key);
                planned.counted.push((key, None));
            }
        }
    }

    fn give_up(&self, state: &mut State, key: Key, sums: &mut Sums, planned: &mut Planned) {
        // What has found its other half is not there any more.
        let Some(half) = state.pending.remove(&key) else { return };
        planned.counted.push((key, Some(half.clone())));
        state.remember(key);
        match half.is_server {
            true => self.count(sums, None, Some(half)),
            false => self.count(sums, Some(half), None),
        }
    }

    fn count(&self, sums: &mut Sums, client: Option<Half>, server: Option<Half>) {
        // The side that answered knows best.
        let Some(teller) = server.as_ref().or(client.as_ref()) else { return };
        if let (Some(client), Some(server)) = (&client, &server)
            && client.side.is_same_workload(&server.side)
        {
            // Between a proxy and its own application: no exchange of the mesh.
            return;
        }
        let side = |half: Option<&Half>| half.map(|half| Arc::as_ptr(&half.side) as usize);
        let host = client.as_ref().map(|client| &*client.host);
        let name = (side(client.as_ref()), side(server.as_ref()), host, teller.step_s, &teller.result);
        let sum = sums.entry(self.hasher.hash_one(name));
        let (ms, request_bytes, response_bytes) = (teller.duration_ms(), teller.request_bytes, teller.response_bytes);
        let sum = sum.or_insert_with(|| Sum {
            client,
            server,
            requests: 0,
            buckets: [0; ISTIO_BOUNDS.len() + 1],
            duration_ms: 0.0,
            request_bytes: 0,
            response_bytes: 0,
        });
        sum.requests += 1;
        sum.buckets[ISTIO_BOUNDS.partition_point(|bound| *bound < ms)] += 1;
        sum.duration_ms += ms;
        sum.request_bytes = sum.request_bytes.saturating_add(request_bytes);
        sum.response_bytes = sum.response_bytes.saturating_add(response_bytes);
    }

    fn edges(&self, state: &mut State, sums: Sums, planned: &mut Planned) {
        if sums.is_empty() {
            return;
        }
        if state.known.len() > KNOWN_MAX {
            state.known.clear();
        }
        let mut room = EDGES_MAX.saturating_sub((self.edge_count)());
        for sum in sums.into_values() {
            let Some(teller) = sum.server.as_ref().or(sum.client.as_ref()) else { continue };
            let step_s = teller.step_s;
            let labels = labels::labels(sum.client.as_ref(), sum.server.as_ref());
            let edge = Edge::new(Arc::new(labels), Arc::clone(&self.bounds));
            if !state.known.contains(edge.hash()) {
                let Some(left) = room.checked_sub(1) else {
                    planned.without_edge += sum.requests;
                    continue;
                };
                room = left;
                state.known.insert(*edge.hash());
            }
            planned.added.push((step_s, Arc::new(edge), sum.totals(&self.bounds)));
        }
    }
}

impl State {
    fn remember(&mut self, key: Key) {
        if self.done.insert(key) {
            self.done_by_age.push_back(key);
        }
        while self.done_by_age.len() > DONE_MAX {
            if let Some(oldest) = self.done_by_age.pop_front() {
                self.done.remove(&oldest);
            }
        }
    }
}

impl Sum {
    fn totals(&self, bounds: &Arc<[f64]>) -> Totals {
        let duration = Histogram { bounds: Arc::clone(bounds), counts: self.buckets.to_vec(), sum: self.duration_ms };
        Totals {
            requests: self.requests,
            duration,
            request_bytes: self.request_bytes as f64,
            response_bytes: self.response_bytes as f64,
            ..Totals::default()
        }
    }
}

#[cfg(test)]
mod tests;
