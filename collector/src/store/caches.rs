//! What of the database is held in memory: the dictionaries, and which slices are known to exist.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;

use super::batch::Edge;
use super::schema::Slice;

/// Names from the dictionary of services or operations: id, and until when the database keeps them.
pub(super) type Names<K> = HashMap<K, (i64, i64)>;

/// Only ever filled from what is committed.
#[derive(Default)]
pub(super) struct Caches {
    edges: Mutex<Edges>,
    slices: Mutex<HashSet<Slice>>,
    names: Mutex<SpanNames>,
    newest_ms: AtomicI64,
}

#[derive(Default)]
struct Edges {
    by_hash: HashMap<[u8; 16], i64>,
    by_id: HashMap<i64, Arc<Edge>>,
    last_id: i64,
}

#[derive(Clone, Default)]
pub(super) struct SpanNames {
    pub services: Names<String>,
    pub operations: Names<(i64, String)>,
}

/// Names of operations in memory; when there are more, the cache starts anew.
const OPERATIONS_CACHED_MAX: usize = 20_000;

impl Caches {
    pub fn edge_id(&self, edge: &Edge) -> Option<i64> {
        self.edges.lock().by_hash.get(edge.hash()).copied()
    }

    pub fn edge(&self, id: i64) -> Option<Arc<Edge>> {
        self.edges.lock().by_id.get(&id).cloned()
    }

    pub fn edges(&self) -> Vec<(i64, Arc<Edge>)> {
        self.edges.lock().by_id.iter().map(|(id, edge)| (*id, edge.clone())).collect()
    }

    pub fn edge_count(&self) -> usize {
        self.edges.lock().by_id.len()
    }

    /// Highest id seen.
    pub fn last_edge_id(&self) -> i64 {
        self.edges.lock().last_id
    }

    pub fn add_edges(&self, added: Vec<(i64, Arc<Edge>)>) {
        let mut edges = self.edges.lock();
        for (id, edge) in added {
            edges.by_hash.insert(*edge.hash(), id);
            edges.by_id.insert(id, edge);
            edges.last_id = edges.last_id.max(id);
        }
    }

    pub fn has_slice(&self, slice: Slice) -> bool {
        self.slices.lock().contains(&slice)
    }

    pub fn add_slice(&self, slice: Slice) {
        self.slices.lock().insert(slice);
    }

    pub fn forget_slice(&self, slice: Slice) {
        self.slices.lock().remove(&slice);
    }

    pub fn service(&self, name: &str) -> Option<(i64, i64)> {
        self.names.lock().services.get(name).copied()
    }

    pub fn operation(&self, key: &(i64, String)) -> Option<(i64, i64)> {
        self.names.lock().operations.get(key).copied()
    }

    pub fn add_names(&self, added: SpanNames) {
        let mut names = self.names.lock();
        if names.operations.len() + added.operations.len() > OPERATIONS_CACHED_MAX {
            names.operations.clear();
        }
        names.services.extend(added.services);
        names.operations.extend(added.operations);
    }

    pub fn forget_names(&self) {
        *self.names.lock() = SpanNames::default();
    }

    /// The newest sample of all.
    pub fn newest_ms(&self) -> i64 {
        self.newest_ms.load(Ordering::Relaxed)
    }

    pub fn heard_at(&self, at_ms: i64) {
        self.newest_ms.fetch_max(at_ms, Ordering::Relaxed);
    }
}
