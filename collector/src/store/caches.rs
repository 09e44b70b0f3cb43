//! What of the database is held in memory: the dictionaries, and which slices are known to exist.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::batch::Edge;
use super::block::CorruptBlock;
use super::exemplar::ExemplarCache;
use super::metadata::MetadataCache;
use super::sample::dictionary::SampleCaches;
use super::schema::{Family, Slice};
use super::tail::SpanWatch;
use super::{EdgeLabels, StoreError};

/// Only ever filled from what is committed.
#[derive(Default)]
pub(super) struct Caches {
    edges: Mutex<Edges>,
    slices: Mutex<HashSet<Slice>>,
    /// Slices of which nothing is left to merge.
    merged: Mutex<HashSet<Slice>>,
    names: Mutex<SpanNames>,
    newest_ms: AtomicI64,
    corrupt_blocks: AtomicU64,
    /// The last write failed with an outage.
    is_out: AtomicBool,
    pub samples: SampleCaches,
    pub metadata: MetadataCache,
    pub exemplars: ExemplarCache,
    /// Exporters that spans are queued for.
    exporters: ArcSwap<Vec<&'static str>>,
    /// Looks for what decides on traces; `None` without tail sampling.
    watch: Mutex<Option<Arc<dyn SpanWatch>>>,
    /// Slices of spans of which nothing was left to sift, and since when.
    sifted: Mutex<HashMap<Slice, Instant>>,
}

/// The edges of one generation of the dictionary.
struct Edges {
    /// Without the retired ones: to use one of those, it has to be brought back first.
    by_hash: HashMap<[u8; 16], i64>,
    by_id: HashMap<i64, Arc<Edge>>,
    labels: HashSet<Arc<EdgeLabels>>,
    last_read_id: i64,
    generation: i64,
}

impl Default for Edges {
    fn default() -> Self {
        // Older than any that the database has: the first look reads everything.
        let (by_hash, by_id, labels) = Default::default();
        Self { by_hash, by_id, labels, last_read_id: 0, generation: -1 }
    }
}

impl Edges {
    fn add(&mut self, row: EdgeRow) {
        self.labels.insert(row.edge.labels.clone());
        if !row.is_retired {
            self.by_hash.insert(*row.edge.hash(), row.id);
        }
        self.by_id.insert(row.id, row.edge);
    }
}

/// An edge as the dictionary has it.
pub(super) struct EdgeRow {
    pub id: i64,
    pub edge: Arc<Edge>,
    pub is_retired: bool,
}

/// Names of spans that the database lists, and until when it keeps them.
#[derive(Clone, Default)]
pub(super) struct SpanNames {
    /// With their ids.
    pub services: HashMap<String, (i64, i64)>,
    /// Until when, and of which kinds.
    pub operations: HashMap<(i64, String), (i64, u8)>,
    /// Services at the other end, by the service that names them.
    pub remotes: HashMap<(i64, String), i64>,
    /// Services of which no more names are listed.
    pub full: HashSet<i64>,
}

/// Names of services or of operations in memory; when there are more, the cache starts anew.
const NAMES_CACHED_MAX: usize = 20_000;
/// After this time a slice is looked at again for what to sift: other collectors write to it as well.
const SIFTED_FOR: Duration = Duration::from_secs(600);

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

    /// All ids up to this one have been read.
    pub fn last_read_edge_id(&self) -> i64 {
        self.edges.lock().last_read_id
    }

    /// Whether the dictionary has an edge with these labels.
    pub fn knows(&self, labels: &EdgeLabels) -> bool {
        self.edges.lock().labels.contains(labels)
    }

    /// Of the dictionary that is held here.
    pub fn edge_generation(&self) -> i64 {
        self.edges.lock().generation
    }

    /// Takes what was read or written at a generation of the dictionary; nothing when another one is held by now, because
    /// ids of that time may be gone. `read_up_to` is the highest id of those that were read: others may have written ids
    /// below one that was written here.
    pub fn add_edges(&self, generation: i64, added: Vec<EdgeRow>, read_up_to: Option<i64>) {
        let mut edges = self.edges.lock();
        if edges.generation == generation {
            added.into_iter().for_each(|row| edges.add(row));
            edges.last_read_id = edges.last_read_id.max(read_up_to.unwrap_or(0));
        }
    }

    /// Takes the whole dictionary, unless a younger one is held.
    pub fn replace_edges(&self, generation: i64, all: Vec<EdgeRow>) {
        let last_read_id = all.iter().map(|row| row.id).max().unwrap_or(0);
        let mut younger = Edges { generation, last_read_id, ..Edges::default() };
        all.into_iter().for_each(|row| younger.add(row));
        let mut edges = self.edges.lock();
        if generation > edges.generation {
            *edges = younger;
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
        self.merged.lock().remove(&slice);
        self.sifted.lock().remove(&slice);
    }

    pub fn is_sifted(&self, slice: Slice) -> bool {
        self.sifted.lock().get(&slice).is_some_and(|since| since.elapsed() < SIFTED_FOR)
    }

    pub fn set_sifted(&self, slice: Slice) {
        self.sifted.lock().insert(slice, Instant::now());
    }

    pub fn is_merged(&self, slice: Slice) -> bool {
        self.merged.lock().contains(&slice)
    }

    pub fn set_merged(&self, slice: Slice) {
        self.merged.lock().insert(slice);
    }

    /// Blocks were written to them.
    pub fn set_unmerged(&self, slices: &BTreeSet<Slice>) {
        let mut merged = self.merged.lock();
        if !merged.is_empty() {
            merged.retain(|slice| !slices.contains(slice));
        }
        drop(merged);
        self.sifted.lock().retain(|slice, _| !slices.contains(slice));
    }

    pub fn service(&self, name: &str) -> Option<(i64, i64)> {
        self.names.lock().services.get(name).copied()
    }

    /// Whether no more names of this service's spans are listed.
    pub fn is_full(&self, service_id: i64) -> bool {
        self.names.lock().full.contains(&service_id)
    }

    /// Until when it is kept, and the kinds that it is known to have.
    pub fn operation(&self, key: &(i64, String)) -> Option<(i64, u8)> {
        self.names.lock().operations.get(key).copied()
    }

    /// Until when it is kept.
    pub fn remote(&self, key: &(i64, String)) -> Option<i64> {
        self.names.lock().remotes.get(key).copied()
    }

    pub fn add_names(&self, added: SpanNames) {
        let mut names = self.names.lock();
        if names.operations.len() + added.operations.len() > NAMES_CACHED_MAX {
            names.operations.clear();
        }
        if names.services.len() + added.services.len() > NAMES_CACHED_MAX {
            names.services.clear();
        }
        if names.remotes.len() + added.remotes.len() > NAMES_CACHED_MAX {
            names.remotes.clear();
        }
        names.full.extend(added.full);
        names.remotes.extend(added.remotes);
        names.services.extend(added.services);
        names.operations.extend(added.operations);
    }

    /// Those that the database keeps no longer, and which services had no room.
    pub fn forget_names(&self, before_s: i64) {
        let mut names = self.names.lock();
        names.services.retain(|_, (_, kept_until_s)| *kept_until_s > before_s);
        names.operations.retain(|_, (kept_until_s, _)| *kept_until_s > before_s);
        names.remotes.retain(|_, kept_until_s| *kept_until_s > before_s);
        names.full.clear();
    }

    /// Counts a block that was skipped, and names it in the log.
    pub fn corrupt_block(&self, family: Family, slice_s: i64, block_id: i64, error: &CorruptBlock) {
        self.corrupt_blocks.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(table = family.name(), slice_s, block_id, %error, "a block is skipped");
    }

    pub fn corrupt_blocks(&self) -> u64 {
        self.corrupt_blocks.load(Ordering::Relaxed)
    }

    pub fn set_exporters(&self, exporters: Vec<&'static str>) {
        self.exporters.store(Arc::new(exporters));
    }

    pub fn exporters(&self) -> Arc<Vec<&'static str>> {
        self.exporters.load_full()
    }

    pub fn set_watch(&self, watch: Option<Arc<dyn SpanWatch>>) {
        *self.watch.lock() = watch;
    }

    pub fn watch(&self) -> Option<Arc<dyn SpanWatch>> {
        self.watch.lock().clone()
    }

    /// The newest sample of all.
    pub fn newest_ms(&self) -> i64 {
        self.newest_ms.load(Ordering::Relaxed)
    }

    pub fn wrote(&self, error: Option<&StoreError>) {
        match error {
            None => self.is_out.store(false, Ordering::Relaxed),
            Some(error) if error.is_outage() => self.is_out.store(true, Ordering::Relaxed),
            // A batch that is refused for itself says nothing about the next.
            Some(_) => {}
        }
    }

    pub fn takes_writes(&self) -> bool {
        !self.is_out.load(Ordering::Relaxed)
    }

    pub fn heard_at(&self, at_ms: i64) {
        self.newest_ms.fetch_max(at_ms, Ordering::Relaxed);
    }
}
