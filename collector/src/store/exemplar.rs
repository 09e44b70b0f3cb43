//! Exemplars: single events that a sample counts, with labels that lead to them, such as the id of a trace.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::database::{Database, Value};
use super::sample::dictionary::fresh_index;
use super::sample::index::Series;
use super::sample::matcher::Matcher;
use super::write::Writing;
use super::{Counts, Labels, StoreError, bulk};

/// The newest that are kept, as many as in Prometheus.
pub const EXEMPLARS_MAX: usize = 100_000;
/// Characters of the names and values of one exemplar, as in OpenMetrics.
pub const LABEL_CHARS_MAX: usize = 128;
/// How many may be there beyond the newest before they are dropped.
const BEYOND_MAX: usize = EXEMPLARS_MAX / 10;
/// Series that are asked for in one statement.
const IDS_PER_STATEMENT: usize = 500;
/// In `GET /api/ingest`.
pub const SIGNAL: &str = "exemplars";

#[derive(Clone, Debug)]
pub struct Exemplar {
    pub series: Arc<Series>,
    pub t_ms: i64,
    pub value: f64,
    /// A JSON object.
    pub labels: String,
}

/// What came through a door.
#[derive(Clone, Debug)]
pub struct ExemplarWrite {
    pub door: &'static str,
    pub exemplars: Vec<Exemplar>,
}

/// Which exemplars are wanted: of the series that all matchers of one of the lists want, over a closed stretch of time.
#[derive(Clone, Debug)]
pub struct ExemplarQuery {
    pub selectors: Vec<Vec<Matcher>>,
    pub from_ms: i64,
    pub to_ms: i64,
}

/// Exemplars of a series, oldest first: time, value and labels.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesExemplars {
    pub labels: Labels,
    pub exemplars: Vec<(i64, f64, String)>,
}

/// How many were written since the oldest were dropped.
#[derive(Default)]
pub(super) struct ExemplarCache(AtomicUsize);

/// The labels as they are kept.
///
/// # Errors
/// When they are longer than OpenMetrics allows.
pub fn labels_text<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> Result<String, &'static str> {
    let labels: BTreeMap<&str, &str> = labels.filter(|(_, value)| !value.is_empty()).collect();
    let chars: usize = labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
    if chars > LABEL_CHARS_MAX {
        return Err("label_limit");
    }
    serde_json::to_string(&labels).map_err(|_| "label_limit")
}

impl<D: Database> Writing<'_, D> {
    /// Writes those that are not there yet, and counts.
    pub async fn exemplars(&mut self, write: &ExemplarWrite, counts: &mut Counts) -> Result<(), StoreError> {
        if write.exemplars.is_empty() {
            return Ok(());
        }
        let row =
            |one: &Exemplar| [one.series.id.into(), one.t_ms.into(), Value::Text(one.labels.clone()), Value::Real(one.value)];
        let into = "exemplar (series_id, t_ms, labels, value)";
        let tail = "ON CONFLICT (series_id, t_ms, labels) DO NOTHING";
        let values = write.exemplars.iter().flat_map(row).collect();
        let stored = bulk::insert(D::DIALECT, &mut *self.transaction, into, tail, 4, values).await?;
        let all = write.exemplars.len() as u64;
        counts.add(write.door, SIGNAL, "stored", stored);
        counts.refuse(write.door, SIGNAL, "duplicate", all.saturating_sub(stored));
        let written = &self.database.caches().exemplars.0;
        if written.fetch_add(write.exemplars.len(), Ordering::Relaxed) >= BEYOND_MAX {
            written.store(0, Ordering::Relaxed);
            let sql = format!(
                "DELETE FROM exemplar WHERE t_ms < (SELECT t_ms FROM exemplar ORDER BY t_ms DESC LIMIT 1 OFFSET {EXEMPLARS_MAX})"
            );
            self.transaction.execute(&sql, vec![]).await?;
        }
        Ok(())
    }
}

pub(super) async fn read<D: Database>(database: &D, query: &ExemplarQuery) -> Result<Vec<SeriesExemplars>, StoreError> {
    let index = fresh_index(database).await?;
    let mut ids: Vec<i64> = query.selectors.iter().flat_map(|matchers| index.select(matchers)).map(|series| series.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut by_labels: BTreeMap<Labels, Vec<(i64, f64, String)>> = BTreeMap::new();
    let mut transaction = database.begin_read().await?;
    for some in ids.chunks(IDS_PER_STATEMENT) {
        let places: Vec<String> = (3..3 + some.len()).map(|n| format!("${n}")).collect();
        let sql = format!(
            "SELECT series_id, t_ms, value, labels FROM exemplar WHERE t_ms >= $1 AND t_ms <= $2 AND series_id IN ({})",
            places.join(", ")
        );
        let times = [query.from_ms.into(), query.to_ms.into()];
        for row in transaction.fetch(&sql, times.into_iter().chain(some.iter().map(|id| (*id).into())).collect()).await? {
            if let Some(series) = index.get(row.int(0)) {
                let exemplars = by_labels.entry(index.labels(&series)).or_default();
                exemplars.push((row.int(1), row.real(2), row.text(3).to_owned()));
            }
        }
    }
    let series = |(labels, mut exemplars): (Labels, Vec<(i64, f64, String)>)| {
        exemplars.sort_by_key(|(t_ms, _, _)| *t_ms);
        SeriesExemplars { labels, exemplars }
    };
    Ok(by_labels.into_iter().map(series).collect())
}

/// Forgets those that are older than samples are kept.
pub(super) async fn forget<D: Database>(database: &D, before_s: i64) -> Result<(), StoreError> {
    let mut transaction = database.begin().await?;
    transaction.execute("DELETE FROM exemplar WHERE t_ms < $1", vec![before_s.saturating_mul(1000).into()]).await?;
    transaction.commit().await
}
