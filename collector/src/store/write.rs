//! Writes a group of batches in one transaction: what targets said, what that adds to the rollups, spans, blocks, and the
//! counts.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::batch::{Counts, Delivery, Edge, ScrapeBatch, WriteBatch, WriteReport};
use super::block::{EncodedBlock, LEVEL_WRITTEN};
use super::caches::{EdgeRow, SpanNames};
use super::database::{Database, Transaction, Value, int};
use super::dictionary::{lock_new_edges, pin_edges};
use super::exemplar::{self, ExemplarWrite};
use super::metadata::MetadataWrite;
use super::plan::floor;
use super::sample::dictionary as series_dictionary;
use super::sample::index::SeriesRows;
use super::schema::{Family, Slice, create_slice, value_columns};
use super::span_write::EncodedSpans;
use super::tail::insert_facts;
use super::{StoreError, Totals, block_write, bulk, counters, links, outcome, span_write};

/// The door of scrapes.
const SCRAPE: &str = "scrape";

/// What the caches learn when the transaction has been committed.
#[derive(Default)]
pub(super) struct Learnt {
    pub edges: HashMap<[u8; 16], (i64, Arc<Edge>)>,
    pub names: SpanNames,
    /// Hashes of metadata, and when they were written.
    pub metadata: Vec<([u8; 16], i64)>,
}

/// A transaction that is being filled.
pub(super) struct Writing<'a, D: Database> {
    pub database: &'a D,
    pub transaction: Box<dyn Transaction>,
    pub learnt: Learnt,
    /// Of the dictionary whose ids are written; `None` before the first.
    generation: Option<i64>,
}

/// Stores a group. Batches that were stored before are found by their delivery, left out and reported as repeated.
pub(super) async fn write<D: Database>(database: &D, group: &Arc<Vec<WriteBatch>>) -> Result<Vec<WriteReport>, StoreError> {
    let mut repeated = repeats(group);
    let mut may_be_dropped = true;
    loop {
        // Before the transaction, in which everybody else who writes would wait for it.
        let spans = span_write::encoded(database, group, &repeated).await?;
        let slices = ensure_slices(database, group, &repeated, &spans).await?;
        match attempt(database, group, &repeated, &spans).await {
            Ok(Some(reports)) => {
                database.caches().set_unmerged(&slices);
                return Ok(reports);
            }
            // Each turn finds some, so there are as many turns as batches at most.
            Ok(None) => repeated.extend(stored_before(database, group).await?),
            Err(error) if may_be_dropped && is_table_missing(&error) => {
                may_be_dropped = false;
                slices.iter().for_each(|slice| database.caches().forget_slice(*slice));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whoever shares the database dropped a slice that the cache still has.
fn is_table_missing(error: &StoreError) -> bool {
    let StoreError::Query(sqlx::Error::Database(error)) = error else { return false };
    error.code().is_some_and(|code| code == "42P01") || error.message().starts_with("no such table")
}

/// Places of the batches whose delivery is in the database.
async fn stored_before<D: Database>(database: &D, group: &[WriteBatch]) -> Result<Vec<usize>, StoreError> {
    let mut transaction = database.begin_read().await?;
    let mut places = Vec::new();
    for (place, batch) in group.iter().enumerate() {
        let Some(delivery) = batch.delivery else { continue };
        let sql = "SELECT at_ms FROM delivery WHERE delivery_id = $1";
        if !transaction.fetch(sql, vec![Value::Blob(delivery.id.to_vec())]).await?.is_empty() {
            places.push(place);
        }
    }
    Ok(places)
}

fn fresh<'a>(group: &'a [WriteBatch], repeated: &'a HashSet<usize>) -> impl Iterator<Item = &'a WriteBatch> + Clone {
    group.iter().enumerate().filter(|(place, _)| !repeated.contains(place)).map(|(_, batch)| batch)
}

/// Places of the batches that repeat one before them in the group.
fn repeats(group: &[WriteBatch]) -> HashSet<usize> {
    let mut seen = HashSet::new();
    let is_repeat = |(_, batch): &(usize, &WriteBatch)| batch.delivery.is_some_and(|delivery| !seen.insert(delivery));
    group.iter().enumerate().filter(is_repeat).map(|(place, _)| place).collect()
}

/// All in one transaction; `None`, and rolled back, when more batches turn out to be repeated.
async fn attempt<D: Database>(
    database: &D,
    group: &[WriteBatch],
    repeated: &HashSet<usize>,
    spans: &EncodedSpans,
) -> Result<Option<Vec<WriteReport>>, StoreError> {
    let transaction = database.begin().await?;
    let mut writing = Writing { database, transaction, learnt: Learnt::default(), generation: None };
    let mark = outcome::mark();
    if !writing.deliveries(group, repeated, mark).await? {
        return Ok(None);
    }
    let mut reports = Vec::with_capacity(group.len());
    let mut stored = Vec::new();
    for (place, batch) in group.iter().enumerate() {
        let is_repeated = repeated.contains(&place);
        reports.push(writing.batch(batch, is_repeated, &mut stored).await?);
    }
    writing.series(&stored).await?;
    let pushed = writing.pushed(group, repeated, &mut reports).await?;
    let told = stored.iter().flat_map(|(_, scrape)| &scrape.added).chain(&pushed.added);
    writing.rollups(told.chain(fresh(group, repeated).flat_map(|batch| &batch.added))).await?;
    let scraped = stored.iter().map(|(_, scrape)| &scrape.samples);
    let scraped = scraped.chain(fresh(group, repeated).flat_map(|batch| &batch.samples));
    links::add(D::DIALECT, &mut *writing.transaction, fresh(group, repeated).flat_map(|batch| &batch.links)).await?;
    let rows: Vec<&SeriesRows> =
        fresh(group, repeated).flat_map(|batch| &batch.series).chain(scraped.clone().map(|samples| &samples.series)).collect();
    series_dictionary::write::<D>(&mut *writing.transaction, &rows).await?;
    let blocks = fresh(group, repeated).flat_map(|batch| &batch.blocks).chain(&pushed.blocks).map(|write| &write.block);
    let blocks = blocks.chain(scraped.flat_map(|samples| &samples.blocks)).map(|block| (LEVEL_WRITTEN, block));
    let blocks = blocks.chain(spans.blocks.iter().map(|(block, _)| (span_write::level(block), block)));
    block_write::insert::<D>(&mut *writing.transaction, blocks).await?;
    for (block, names) in &spans.blocks {
        span_write::remember_names(&mut writing, names, block.slice().to_s()).await?;
    }
    let facts_id = match &spans.facts {
        Some(facts) => insert_facts::<D>(&mut *writing.transaction, facts, 0).await?,
        None => 0,
    };
    writing.queue_for_exporters(&spans.blocks, facts_id).await?;
    writing.described(group, repeated, &stored, &mut reports).await?;
    let mut counts = Counts::default();
    for report in &reports {
        counts.merge(&report.counts);
    }
    add_counts::<D>(&mut *writing.transaction, &counts).await?;
    outcome::commit(database, writing.transaction, mark).await?;
    remember(database, writing.learnt, writing.generation, &stored);
    rows.into_iter().for_each(|rows| database.caches().samples.committed(rows));
    Ok(Some(reports))
}

/// Makes the slices that the group needs, and returns them.
async fn ensure_slices<D: Database>(
    database: &D,
    group: &[WriteBatch],
    repeated: &HashSet<usize>,
    spans: &EncodedSpans,
) -> Result<BTreeSet<Slice>, StoreError> {
    let mut needed: BTreeSet<Slice> = spans.blocks.iter().map(|(block, _)| block.slice()).collect();
    for batch in fresh(group, repeated) {
        let steps = batch.scrapes.iter().flat_map(|scrape| &scrape.added).chain(&batch.added).map(|(t_s, _, _)| *t_s);
        needed.extend(steps.flat_map(|t_s| Family::ROLLUPS.map(|family| family.slice_at(t_s))));
        let scraped = batch.scrapes.iter().map(|scrape| &scrape.samples).chain(&batch.samples);
        let scraped = scraped.flat_map(|samples| &samples.blocks);
        for pushed in &batch.pushed {
            needed.extend(pushed.slices());
        }
        needed.extend(batch.blocks.iter().map(|write| &write.block).chain(scraped).map(EncodedBlock::slice));
    }
    for slice in &needed {
        if !database.caches().has_slice(*slice) {
            create_slice(database, *slice).await?;
        }
    }
    Ok(needed)
}

fn remember<D: Database>(database: &D, learnt: Learnt, generation: Option<i64>, stored: &[(i64, &ScrapeBatch)]) {
    let caches = database.caches();
    let edges = learnt.edges.into_values().map(|(id, edge)| EdgeRow { id, edge, is_retired: false });
    if let Some(generation) = generation {
        caches.add_edges(generation, edges.collect(), None);
    }
    caches.add_names(learnt.names);
    caches.metadata.wrote(learnt.metadata);
    for (_, scrape) in stored {
        caches.heard_at(scrape.scraped_at_ms);
    }
}

/// Counts blocks and spans of a batch.
fn count_items(batch: &WriteBatch, is_repeated: bool, counts: &mut Counts) {
    for write in &batch.blocks {
        let items = u64::from(write.block.items);
        if is_repeated {
            counts.refuse(write.door, write.signal, "duplicate", items);
        } else {
            counts.add(write.door, write.signal, "stored", items);
        }
    }
    for (door, spans) in &batch.spans {
        let count = spans.len() as u64;
        if is_repeated {
            counts.refuse(door, "spans", "duplicate", count);
        } else {
            counts.add(door, "spans", "stored", count);
        }
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

    /// Writes down which requests these are; false when some were stored before.
    async fn deliveries(&mut self, group: &[WriteBatch], repeated: &HashSet<usize>, mark: Delivery) -> Result<bool, StoreError> {
        // In order, so that two collectors that get the same requests wait for each other in the same order.
        let ids: BTreeSet<Delivery> = fresh(group, repeated).filter_map(|batch| batch.delivery).chain([mark]).collect();
        let now_ms = crate::clock::now_ms();
        let values = ids.iter().flat_map(|delivery| [Value::Blob(delivery.id.to_vec()), now_ms.into()]).collect();
        let into = "delivery (delivery_id, at_ms)";
        let tail = "ON CONFLICT (delivery_id) DO NOTHING";
        let inserted = bulk::insert(D::DIALECT, &mut *self.transaction, into, tail, 2, values).await?;
        Ok(inserted == ids.len() as u64)
    }

    /// What of a batch is written by itself; scrapes that are stored join `stored`.
    async fn batch<'b>(
        &mut self,
        batch: &'b WriteBatch,
        is_repeated: bool,
        stored: &mut Vec<(i64, &'b ScrapeBatch)>,
    ) -> Result<WriteReport, StoreError> {
        let mut report = WriteReport { is_repeated, counts: batch.counts.clone(), ..WriteReport::default() };
        count_items(batch, is_repeated, &mut report.counts);
        for scrape in &batch.scrapes {
            let version = if is_repeated { None } else { self.claim(scrape).await? };
            report.scrapes.push(version.map(|(_, version)| version));
            if let Some((target_id, _)) = version {
                stored.push((target_id, scrape));
                report.counts.merge(&scrape.counts);
            }
        }
        let spans = batch.spans.iter().map(|(_, spans)| spans.len() as u64).sum();
        (report.spans_stored, report.spans_duplicate) = if is_repeated { (0, spans) } else { (spans, 0) };
        Ok(report)
    }

    /// Exemplars and metadata. What scrapes say is counted with the first report: their own counts are merged already.
    async fn described(
        &mut self,
        group: &[WriteBatch],
        repeated: &HashSet<usize>,
        stored: &[(i64, &ScrapeBatch)],
        reports: &mut [WriteReport],
    ) -> Result<(), StoreError> {
        for (place, batch) in group.iter().enumerate() {
            let Some(report) = reports.get_mut(place) else { continue };
            if repeated.contains(&place) {
                for write in &batch.exemplars {
                    report.counts.refuse(write.door, exemplar::SIGNAL, "duplicate", write.exemplars.len() as u64);
                }
                continue;
            }
            for write in &batch.exemplars {
                self.exemplars(write, &mut report.counts).await?;
            }
            self.metadata(batch.metadata.iter(), &mut report.counts).await?;
        }
        let Some(report) = reports.first_mut() else { return Ok(()) };
        let scraped = stored.iter().map(|(_, scrape)| &scrape.samples);
        let scraped = scraped.chain(fresh(group, repeated).flat_map(|batch| &batch.samples));
        for samples in scraped.filter(|samples| !samples.exemplars.is_empty() || !samples.metadata.is_empty()) {
            let exemplars = ExemplarWrite { door: SCRAPE, exemplars: samples.exemplars.clone() };
            report.counts.add(SCRAPE, exemplar::SIGNAL, "received", exemplars.exemplars.len() as u64);
            self.exemplars(&exemplars, &mut report.counts).await?;
            let metadata = MetadataWrite { door: SCRAPE, told: samples.metadata.clone() };
            self.metadata([&metadata].into_iter(), &mut report.counts).await?;
        }
        Ok(())
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

    async fn rollups<'b>(&mut self, added: impl Iterator<Item = &'b (i64, Arc<Edge>, Totals)>) -> Result<(), StoreError> {
        let mut steps: Vec<(i64, i64, &Totals)> = Vec::new();
        for (t_s, edge, totals) in added {
            steps.push((*t_s, self.edge_id(edge).await?, totals));
        }
        for family in Family::ROLLUPS {
            let step_s = family.step_s();
            steps.iter_mut().for_each(|(t_s, _, _)| *t_s = floor(*t_s, step_s));
            // Ordered, so that two collectors that add to the same rows lock them in the same order.
            steps.sort_by_key(|(t_s, edge_id, _)| (*t_s, *edge_id));
            let mut slices: BTreeMap<Slice, Vec<Value>> = BTreeMap::new();
            for same in steps.chunk_by(|(t_s, edge_id, _), (other_s, other_id, _)| (t_s, edge_id) == (other_s, other_id)) {
                let (t_s, edge_id, totals) = same[0];
                let values = slices.entry(family.slice_at(t_s)).or_default();
                values.extend([t_s.into(), edge_id.into()]);
                if same.len() == 1 {
                    values.extend(counters::columns(totals));
                } else {
                    let mut sum = totals.clone();
                    same[1..].iter().for_each(|(_, _, totals)| sum.add(totals));
                    values.extend(counters::columns(&sum));
                }
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
        if self.learnt.edges.is_empty() {
            // All ids are asked for before the first row of a rollup is locked, so nobody waits here for whom others wait.
            lock_new_edges::<D>(&mut *self.transaction).await?;
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

/// Adds to what came in through each door.
pub(super) async fn add_counts<D: Database>(transaction: &mut dyn Transaction, counts: &Counts) -> Result<(), StoreError> {
    let values: Vec<Value> = counts
        .0
        .iter()
        .flat_map(|((door, signal, outcome), count)| {
            [Value::from(*door), Value::from(*signal), Value::from(outcome.as_str()), int(*count)]
        })
        .collect();
    bulk::insert(
        D::DIALECT,
        transaction,
        "ingest_count (door, signal, outcome, total)",
        "ON CONFLICT (door, signal, outcome) DO UPDATE SET total = ingest_count.total + excluded.total",
        4,
        values,
    )
    .await?;
    Ok(())
}

fn bounds_text(bounds: &[f64]) -> String {
    bounds.iter().map(f64::to_string).collect::<Vec<_>>().join(",")
}

/// Reads the column `layout.bounds`.
pub(super) fn parse_bounds(text: &str) -> Arc<[f64]> {
    text.split(',').filter_map(|bound| bound.parse().ok()).collect()
}

/// A commit that changes nothing.
pub(super) async fn probe<D: Database>(database: &D) -> Result<(), StoreError> {
    let mut transaction = database.begin().await?;
    transaction.execute("UPDATE store_info SET believed_ms = believed_ms", vec![]).await?;
    transaction.commit().await
}
