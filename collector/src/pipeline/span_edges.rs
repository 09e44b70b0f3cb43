//! Edges from spans, for workloads that tell neither metrics nor logs: each exchange is counted once, when both of its
//! halves have come in, or alone when the other one does not come.
//!
//! What waits for its other half is in memory: a kill loses it, for the graph only; the spans themselves are stored.

mod done;
mod half;
mod labels;
mod links;
mod side;
mod tags;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahash::RandomState;
use parking_lot::Mutex;

use self::done::Done;
use self::half::{Half, Key};
use self::links::{Links, Pairs};
use self::side::{Side, Sides};
use super::edge_rows::ISTIO_BOUNDS;
use crate::ingest::intern::Interner;
use crate::ingest::scrape::EDGES_MAX;
use crate::store::{Edge, Histogram, LinkStep, Span, Totals};

/// How long a half waits for its other one: proxies send what they have every five seconds.
const PAIR_WAIT: Duration = Duration::from_secs(15);
/// Halves that wait; when there are more, the oldest is counted alone.
const PENDING_MAX: usize = 100_000;
/// Places in the queue of halves that have met, before they are taken out.
const MET_KEPT_MAX: usize = 4_096;
/// Edges that are remembered as being in the store's dictionary.
const KNOWN_MAX: usize = 100_000;
/// Edges that need not be made again; with its labels one takes about a kilobyte.
const MADE_MAX: usize = 10_000;

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
    done: Done,
    known: HashSet<[u8; 16], RandomState>,
    /// Edges by what they are made of, so that their labels are written and hashed once.
    made: HashMap<u64, Made, RandomState>,
    sides: Sides,
    names: Interner,
    pairs: Pairs,
}

/// An edge, and the sides whose addresses name it: as long as it is remembered, so are they.
struct Made {
    edge: Arc<Edge>,
    _sides: [Option<Arc<Side>>; 2],
}

/// What some spans add, and what has to be undone when they are not stored.
#[derive(Default)]
pub struct Planned {
    pub added: AddedEdges,
    /// Calls between services.
    pub links: Vec<LinkStep>,
    /// Exchanges that no edge had room for.
    pub without_edge: u64,
    /// Exchanges of pairs of services that there was no room for.
    pub without_link: u64,
    waiting: Vec<Key>,
    /// Halves that waited until now; `None` for what was counted without waiting.
    counted: Vec<(Key, Option<Half>)>,
}

/// What exchanges of one edge and step add.
struct Sum {
    /// Names the edge without its step.
    edge: u64,
    client: Option<Half>,
    server: Option<Half>,
    requests: u64,
    buckets: [u64; ISTIO_BOUNDS.len() + 1],
    duration_ms: f64,
    request_bytes: u64,
    response_bytes: u64,
}

/// What some spans add.
#[derive(Default)]
struct Sums {
    edges: HashMap<u64, Sum, RandomState>,
    links: Links,
}

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
            let Some((key, half)) = Half::of(span, &mut state.sides, &mut state.names) else { continue };
            if state.done.contains(&key) {
                continue;
            }
            self.meet(state, key, half, now, &mut sums, &mut planned);
        }
        while state.pending.len() > PENDING_MAX {
            let Some((_, key)) = state.by_age.pop_front() else { break };
            self.give_up(state, key, &mut sums, &mut planned);
        }
        state.forget_met();
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
            self.count(state, sums, None, Some(half));
            state.done.insert(&key);
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
                state.done.insert(&key);
                match half.is_server {
                    true => self.count(state, sums, Some(other), Some(half)),
                    false => self.count(state, sums, Some(half), Some(other)),
                }
            }
            // The same half again.
            Entry::Occupied(waiting) if waiting.get().id == half.id => {}
            // A caller that tells no spans of its own calls: several exchanges hang from its one span.
            Entry::Occupied(_) if !half.is_server || state.done.contains(&key.own(&half)) => {}
            Entry::Occupied(_) => {
                let key = key.own(&half);
                self.count(state, sums, None, Some(half));
                state.done.insert(&key);
                planned.counted.push((key, None));
            }
        }
    }

    fn give_up(&self, state: &mut State, key: Key, sums: &mut Sums, planned: &mut Planned) {
        // What has found its other half is not there any more.
        let Some(half) = state.pending.remove(&key) else { return };
        planned.counted.push((key, Some(half.clone())));
        state.done.insert(&key);
        match half.is_server {
            true => self.count(state, sums, None, Some(half)),
            false => self.count(state, sums, Some(half), None),
        }
    }

    fn count(&self, state: &mut State, sums: &mut Sums, client: Option<Half>, server: Option<Half>) {
        // The side that answered knows best.
        let Some(teller) = server.as_ref().or(client.as_ref()) else { return };
        if let (Some(client), Some(server)) = (&client, &server)
            && client.side.is_same_workload(&server.side)
        {
            // Between a proxy and its own application: no exchange of the mesh.
            return;
        }
        sums.links.count(&mut state.pairs, client.as_ref(), server.as_ref());
        let side = |half: Option<&Half>| half.map(|half| Arc::as_ptr(&half.side) as usize);
        let host = [&client, &server].into_iter().flatten().map(|half| &*half.host).find(|host| !host.is_empty());
        let edge = self.hasher.hash_one((side(client.as_ref()), side(server.as_ref()), host, &teller.result));
        let sum = sums.edges.entry(self.hasher.hash_one((edge, teller.step_s)));
        let (ms, request_bytes, response_bytes) = (teller.duration_ms(), teller.request_bytes, teller.response_bytes);
        let sum = sum.or_insert_with(|| Sum {
            edge,
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
        planned.without_link += sums.links.without_room;
        planned.links.extend(sums.links.steps());
        if sums.edges.is_empty() {
            return;
        }
        if state.known.len() > KNOWN_MAX {
            state.known.clear();
        }
        let mut room = EDGES_MAX.saturating_sub((self.edge_count)());
        for sum in sums.edges.into_values() {
            match self.edge(state, &sum, &mut room) {
                Some((step_s, edge)) => planned.added.push((step_s, edge, sum.totals(&self.bounds))),
                None => planned.without_edge += sum.requests,
            }
        }
    }

    /// The edge of a sum and its step; `None` when the dictionary has no room for it.
    fn edge(&self, state: &mut State, sum: &Sum, room: &mut usize) -> Option<(i64, Arc<Edge>)> {
        let step_s = sum.server.as_ref().or(sum.client.as_ref())?.step_s;
        if let Some(made) = state.made.get(&sum.edge) {
            return Some((step_s, Arc::clone(&made.edge)));
        }
        let labels = labels::labels(sum.client.as_ref(), sum.server.as_ref());
        let edge = Arc::new(Edge::new(Arc::new(labels), Arc::clone(&self.bounds)));
        if !state.known.contains(edge.hash()) {
            *room = room.checked_sub(1)?;
            state.known.insert(*edge.hash());
        }
        if state.made.len() >= MADE_MAX {
            state.made.clear();
        }
        let side = |half: &Option<Half>| half.as_ref().map(|half| Arc::clone(&half.side));
        let made = Made { edge: Arc::clone(&edge), _sides: [side(&sum.client), side(&sum.server)] };
        state.made.insert(sum.edge, made);
        Some((step_s, edge))
    }
}

impl State {
    /// Drops what does not wait any more, when most of it is that: halves mostly meet within a second.
    fn forget_met(&mut self) {
        if self.by_age.len() > 2 * self.pending.len() + MET_KEPT_MAX {
            let Self { pending, by_age, .. } = self;
            by_age.retain(|(_, key)| pending.contains_key(key));
            by_age.shrink_to(by_age.len() + MET_KEPT_MAX);
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
