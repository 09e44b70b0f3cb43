//! Writes one batch in one transaction: what targets said, what that adds to the rollups, spans, and the counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::batch::{Counts, Edge, ScrapeBatch, WriteBatch, WriteReport};
use super::caches::{EdgeRow, SpanNames};
use super::database::{Database, Transaction, Value, int};
use super::dictionary::pin_edges;
use super::plan::floor;
use super::schema::{Family, Slice, create_slice, value_columns};
use super::{StoreError, Totals, bulk, counters, span_write};

/// What the caches learn when the transaction has been committed.
#[derive(Default)]
pub(super) struct Learnt {
    pub edges: HashMap<[u8; 16], (i64, Arc<Edge>)>,
    pub names: SpanNames,
}

/// A transaction that is being filled.
pub(super) struct Writing<'a, D: Database> {
    pub database: &'a D,
    pub transaction: Box<dyn Transaction>,
    pub learnt: Learnt,
    /// Of the dictionary whose ids are written; `None` before the first.
    generation: Option<i64>,
}

pub(super) async fn write<D: Database>(database: &D, batch: &WriteBatch) -> Result<WriteReport, StoreError> {
    ensure_slices(database, batch).await?;
    let transaction = database.begin().await?;
    let mut writing = Writing { database, transaction, learnt: Learnt::default(), generation: None };
    let mut report = WriteReport::default();
    let mut counts = batch.counts.clone();
    let mut stored = Vec::new();
    for scrape in &batch.scrapes {
        let version = writing.claim(scrape).await?;
        report.scrapes.push(version.map(|(_, version)| version));
        if let Some((target_id, _)) = version {
            stored.push((target_id, scrape));
            counts.merge(&scrape.counts);
        }
    }
    writing.series(&stored).await?;
    writing.rollups(&stored).await?;
    for (door, spans) in &batch.spans {
        let inserted = span_write::insert(&mut writing, spans).await?;
        let duplicate = spans.len() as u64 - inserted;
        counts.add(door, "spans", "stored", inserted);
        counts.refuse(door, "spans", "duplicate", duplicate);
        report.spans_stored += inserted;
        report.spans_duplicate += duplicate;
    }
    writing.counts(&counts).await?;
    writing.transaction.commit().await?;
    remember(database, writing.learnt, writing.generation, &stored);
    report.counts = counts;
    Ok(report)
}

/// Makes the slices that the batch needs.
async fn ensure_slices<D: Database>(database: &D, batch: &WriteBatch) -> Result<(), StoreError> {
    let steps = batch.scrapes.iter().flat_map(|scrape| &scrape.added).map(|(t_s, _, _)| *t_s);
    let rollups = steps.flat_map(|t_s| Family::ROLLUPS.map(|family| family.slice_at(t_s)));
    let spans = batch.spans.iter().flat_map(|(_, spans)| spans).map(span_write::slice_of);
    let needed: BTreeSet<Slice> = rollups.chain(spans).collect();
    for slice in needed {
        if !database.caches().has_slice(slice) {
            create_slice(database, slice).await?;
        }
    }
    Ok(())
}

fn remember<D: Database>(database: &D, learnt: Learnt, generation: Option<i64>, stored: &[(i64, &ScrapeBatch)]) {
    let caches = database.caches();
    let edges = learnt.edges.into_values().map(|(id, edge)| EdgeRow { id, edge, is_retired: false });
    if let Some(generation) = generation {
        caches.add_edges(generation, edges.collect());
    }
    caches.add_names(learnt.names);
    for (_, scrape) in stored {
        caches.heard_at(scrape.scraped_at_ms);
    }
}

impl<D: Database> Writing<'_, D> {
    /// Moves the target to its next version, if it still is at the one that the scrape was compared with.
    async fn claim(&mut self, scrape: &ScrapeBatch) -> Result<Option<(i64, i64)>, StoreError> {
        let sql = if scrape.version == 0 {
            "INSERT INTO target (target_key, namespace, version, scraped_at_ms, uptime_s, started_at_s) \
             VALUES ($1, $2, $3 + 1, $4, $5, $6) ON CONFLICT (target_key) DO NOTHING RETURNING target_id, version"
        } else {
            "UPDATE target SET namespace = $2, version = version + 1, scraped_at_ms = $4, uptime_s = $5, started_at_s = $6 \
             WHERE target_key = $1 AND version = $3 RETURNING target_id, version"
        };
        let values = vec![
            Value::from(&*scrape.target),
            Value::from(&*scrape.namespace),
            scrape.version.into(),
            scrape.scraped_at_ms.into(),
            scrape.uptime_s.into(),
            scrape.started_at_s.into(),
        ];
        let rows = self.transaction.fetch(sql, values).await?;
        Ok(rows.first().map(|row| (row.int(0), row.int(1))))
    }

    async fn series(&mut self, stored: &[(i64, &ScrapeBatch)]) -> Result<(), StoreError> {
        let mut values = Vec::new();
        for (target_id, scrape) in stored {
            for edge in &scrape.gone {
                let edge_id = self.edge_id(edge).await?;
                self.transaction
                    .execute(
                        "DELETE FROM series WHERE target_id = $1 AND edge_id = $2",
                        vec![(*target_id).into(), edge_id.into()],
                    )
                    .await?;
            }
            for (edge, totals) in &scrape.counters {
                let edge_id = self.edge_id(edge).await?;
                values.extend([(*target_id).into(), edge_id.into(), Value::Blob(counters::encode(totals))]);
            }
        }
        bulk::insert(
            D::DIALECT,
            &mut *self.transaction,
            "series (target_id, edge_id, counters)",
            "ON CONFLICT (target_id, edge_id) DO UPDATE SET counters = excluded.counters",
            3,
            values,
        )
        .await?;
        Ok(())
    }

    async fn rollups(&mut self, stored: &[(i64, &ScrapeBatch)]) -> Result<(), StoreError> {
        for family in Family::ROLLUPS {
            // Ordered, so that two collectors that add to the same rows lock them in the same order.
            let mut rows: BTreeMap<(i64, i64), Totals> = BTreeMap::new();
            for (t_s, edge, totals) in stored.iter().flat_map(|(_, scrape)| &scrape.added) {
                let edge_id = self.edge_id(edge).await?;
                rows.entry((floor(*t_s, family.step_s()), edge_id)).or_default().add(totals);
            }
            let mut slices: BTreeMap<Slice, Vec<Value>> = BTreeMap::new();
            for ((t_s, edge_id), totals) in &rows {
                let values = slices.entry(family.slice_at(*t_s)).or_default();
                values.extend([(*t_s).into(), (*edge_id).into()]);
                values.extend(counters::columns(totals));
            }
            for (slice, values) in slices {
                self.add_to_slice(slice, values).await?;
            }
        }
        Ok(())
    }

    async fn add_to_slice(&mut self, slice: Slice, values: Vec<Value>) -> Result<(), StoreError> {
        let columns: Vec<String> = value_columns().collect();
        let table = slice.table();
        let sums: Vec<String> = columns
            .iter()
            // Null stands for zero in both rows, and stays null.
            .map(|c| format!("{c} = COALESCE({table}.{c} + excluded.{c}, {table}.{c}, excluded.{c})"))
            .collect();
        let into = format!("{table} (t, edge_id, {})", columns.join(", "));
        let tail = format!("ON CONFLICT (t, edge_id) DO UPDATE SET {}", sums.join(", "));
        bulk::insert(D::DIALECT, &mut *self.transaction, &into, &tail, columns.len() + 2, values).await?;
        Ok(())
    }

    async fn counts(&mut self, counts: &Counts) -> Result<(), StoreError> {
        let values: Vec<Value> = counts
            .0
            .iter()
            .flat_map(|((door, signal, outcome), count)| {
                [Value::from(*door), Value::from(*signal), Value::from(outcome.as_str()), int(*count)]
            })
            .collect();
        bulk::insert(
            D::DIALECT,
            &mut *self.transaction,
            "ingest_count (door, signal, outcome, total)",
            "ON CONFLICT (door, signal, outcome) DO UPDATE SET total = ingest_count.total + excluded.total",
            4,
            values,
        )
        .await?;
        Ok(())
    }

    async fn edge_id(&mut self, edge: &Arc<Edge>) -> Result<i64, StoreError> {
        if self.generation.is_none() {
            self.generation = Some(pin_edges(self.database, &mut *self.transaction).await?);
        }
        if let Some(id) = self.database.caches().edge_id(edge) {
            return Ok(id);
        }
        if let Some((id, _)) = self.learnt.edges.get(edge.hash()) {
            return Ok(*id);
        }
        let id = self.insert_edge(edge).await?;
        self.learnt.edges.insert(*edge.hash(), (id, edge.clone()));
        Ok(id)
    }

    async fn insert_edge(&mut self, edge: &Edge) -> Result<i64, StoreError> {
        let layout_id = self
            .id(
                "INSERT INTO layout (bounds) VALUES ($1) ON CONFLICT (bounds) DO UPDATE SET bounds = excluded.bounds \
                 RETURNING layout_id",
                vec![Value::Text(bounds_text(&edge.bounds))],
            )
            .await?;
        let names = super::EdgeLabels::NAMES;
        let places: Vec<String> = (4..4 + names.len()).map(|n| format!("${n}")).collect();
        let sql = format!(
            "INSERT INTO edge (edge_hash, layout_id, created_at_ms, {}) VALUES ($1, $2, $3, {}) \
             ON CONFLICT (edge_hash) DO UPDATE SET retired = 0 RETURNING edge_id",
            names.join(", "),
            places.join(", ")
        );
        let mut values = vec![Value::Blob(edge.hash().to_vec()), layout_id.into(), crate::clock::now_ms().into()];
        values.extend(edge.labels.values().into_iter().map(|value| Value::from(&**value)));
        self.id(&sql, values).await
    }

    /// Runs a statement that answers one id.
    pub async fn id(&mut self, sql: &str, values: Vec<Value>) -> Result<i64, StoreError> {
        let rows = self.transaction.fetch(sql, values).await?;
        rows.first().map(|row| row.int(0)).ok_or(StoreError::Query(sqlx::Error::RowNotFound))
    }
}

fn bounds_text(bounds: &[f64]) -> String {
    bounds.iter().map(f64::to_string).collect::<Vec<_>>().join(",")
}

/// Reads the column `layout.bounds`.
pub(super) fn parse_bounds(text: &str) -> Arc<[f64]> {
    text.split(',').filter_map(|bound| bound.parse().ok()).collect()
}
