//! What targets say of their metrics: type, help and unit. Each text is kept once, however many targets say it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

use super::database::{Database, Value};
use super::write::Writing;
use super::{Counts, StoreError, bulk};

/// Texts that are kept; beyond this, new ones are refused and counted.
pub const METADATA_MAX: usize = 50_000;
/// Bytes of a help text; what is longer is cut there.
pub const HELP_BYTES_MAX: usize = 2_048;
/// A text that is told again is written anew after this time.
const RENEWED_S: i64 = 6 * 3600;
/// In `GET /api/ingest`: texts that are new, or were told again after a long time.
const SIGNAL: &str = "metadata";

/// What is said of one metric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metadata {
    pub metric: Arc<str>,
    /// As Prometheus names it: `counter`, `gauge`, …, `unknown`.
    pub kind: Arc<str>,
    pub help: Arc<str>,
    pub unit: Arc<str>,
}

impl Metadata {
    #[must_use]
    pub fn new(metric: &str, kind: &str, help: &str, unit: &str) -> Self {
        let help = &help[..help.floor_char_boundary(HELP_BYTES_MAX)];
        let kind = if kind.is_empty() || kind == "untyped" { "unknown" } else { kind };
        Self { metric: metric.into(), kind: kind.into(), help: help.into(), unit: unit.into() }
    }

    fn hash(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        for text in [&self.metric, &self.kind, &self.help, &self.unit] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        let mut hash = [0; 16];
        hash.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        hash
    }
}

/// What came through a door.
#[derive(Clone, Debug)]
pub struct MetadataWrite {
    pub door: &'static str,
    pub told: Arc<[Metadata]>,
}

/// When each text was last written, in Unix seconds.
#[derive(Default)]
pub(super) struct MetadataCache(Mutex<HashMap<[u8; 16], i64>>);

impl MetadataCache {
    pub fn wrote(&self, written: Vec<([u8; 16], i64)>) {
        self.0.lock().extend(written);
    }

    /// They are not kept any more.
    fn forget(&self, before_s: i64) {
        self.0.lock().retain(|_, at_s| *at_s >= before_s);
    }
}

impl<D: Database> Writing<'_, D> {
    /// Writes what is new; what the cache learns when it is durable joins what was learnt.
    pub async fn metadata(&mut self, told: impl Iterator<Item = &MetadataWrite>, counts: &mut Counts) -> Result<(), StoreError> {
        let now_s = crate::clock::now_ms() / 1000;
        let mut new: BTreeMap<[u8; 16], &Metadata> = BTreeMap::new();
        {
            let known = self.database.caches().metadata.0.lock();
            for write in told {
                for one in write.told.iter() {
                    let hash = one.hash();
                    let at_s = known.get(&hash);
                    if new.contains_key(&hash) || at_s.is_some_and(|at_s| now_s - at_s < RENEWED_S) {
                        continue;
                    }
                    counts.add(write.door, SIGNAL, "received", 1);
                    if at_s.is_none() && known.len() + new.len() >= METADATA_MAX {
                        counts.refuse(write.door, SIGNAL, "metadata_limit", 1);
                    } else {
                        counts.add(write.door, SIGNAL, "stored", 1);
                        new.insert(hash, one);
                    }
                }
            }
        }
        let row = |(hash, one): (&[u8; 16], &&Metadata)| {
            let texts = [&one.metric, &one.kind, &one.help, &one.unit].map(|text| Value::from(&**text));
            [Value::Blob(hash.to_vec())].into_iter().chain(texts).chain([now_s.into()])
        };
        let into = "metric_metadata (metadata_hash, metric, kind, help, unit, heard_s)";
        let tail = "ON CONFLICT (metadata_hash) DO UPDATE SET heard_s = excluded.heard_s";
        bulk::insert(D::DIALECT, &mut *self.transaction, into, tail, 6, new.iter().flat_map(row).collect()).await?;
        self.learnt.metadata.extend(new.into_keys().map(|hash| (hash, now_s)));
        Ok(())
    }
}

/// All that is kept, of one metric or of all, by the metrics' names.
pub(super) async fn read<D: Database>(database: &D, metric: Option<&str>) -> Result<Vec<Metadata>, StoreError> {
    let only = if metric.is_some() { "WHERE metric = $1" } else { "" };
    let sql = format!("SELECT metric, kind, help, unit FROM metric_metadata {only}");
    let rows = database.begin_read().await?.fetch(&sql, metric.map(Value::from).into_iter().collect()).await?;
    let text = |text: &str| -> Arc<str> { text.into() };
    let one = |row: &super::database::Row| Metadata {
        metric: text(row.text(0)),
        kind: text(row.text(1)),
        help: text(row.text(2)),
        unit: text(row.text(3)),
    };
    let mut all: Vec<Metadata> = rows.iter().map(one).collect();
    all.sort();
    Ok(all)
}

/// Forgets what was not told for as long as samples are kept.
pub(super) async fn forget<D: Database>(database: &D, before_s: i64) -> Result<(), StoreError> {
    let before_s = before_s.saturating_sub(RENEWED_S);
    let mut transaction = database.begin().await?;
    transaction.execute("DELETE FROM metric_metadata WHERE heard_s < $1", vec![before_s.into()]).await?;
    transaction.commit().await?;
    database.caches().metadata.forget(before_s);
    Ok(())
}
