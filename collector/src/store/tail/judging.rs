//! The judge's rows: who judges, facts on their way in, and a sentence as one transaction, so that a crash leaves the facts or
//! the verdicts.

use std::collections::HashSet;
use std::time::Duration;

use super::super::block::{LEVEL_DENSE, LEVEL_WRITTEN};
use super::super::database::{Database, Row, Transaction, Value};
use super::super::leases;
use super::super::schema::{Dialect, create_slice};
use super::super::{EncodedBlock, StoreError, block_write};
use super::TraceId;
use super::facts::{PackedFacts, TraceFacts, pack_carried, read};
use super::verdict::{DENSE_ITEMS, Judged, encode};

/// Facts that nobody has judged for so long hold up no exporter: no collector samples any more.
pub const FACTS_STALE_MS: i64 = 3_600_000;
/// Ids in one statement.
const IDS_MAX: usize = 1_000;
/// Traces of one row that carries them on.
const CARRIED_MAX: usize = 65_536;

/// What the judge finds at his place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bench {
    /// Time of the database, by which facts are dated.
    pub now_ms: i64,
    /// What the rules have counted, as the last judge left it.
    pub state: Vec<u8>,
}

/// A row of facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactsRow {
    pub facts_id: i64,
    pub arrived_ms: i64,
    /// It carries traces of older rows on.
    pub is_carried: bool,
    pub traces: Vec<(TraceId, TraceFacts)>,
}

/// What a judgement changes.
#[derive(Clone, Debug, Default)]
pub struct Sentence {
    pub holder: i64,
    pub judged: Vec<Judged>,
    /// Rows of which nothing is left to judge but what is carried.
    pub done: Vec<i64>,
    pub carried: Vec<(TraceId, TraceFacts)>,
    /// `None` when it is as it was.
    pub state: Option<Vec<u8>>,
}

pub(super) async fn take_bench<D: Database>(database: &D, holder: i64, lease: Duration) -> Result<Option<Bench>, StoreError> {
    let mut transaction = database.begin().await?;
    let now_ms = leases::now(D::DIALECT, &mut *transaction).await?.0;
    let until_ms = now_ms.saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX / 2));
    // SQLite has one collector: whoever was judge before it is gone.
    let may_take = match D::DIALECT {
        Dialect::Sqlite => "",
        Dialect::Postgres => "WHERE trace_judge.holder = excluded.holder OR trace_judge.until_ms < $4",
    };
    let sql = format!(
        "INSERT INTO trace_judge (judge_id, holder, until_ms, state) VALUES (1, $1, $2, $3) \
         ON CONFLICT (judge_id) DO UPDATE SET holder = excluded.holder, until_ms = excluded.until_ms {may_take} RETURNING state"
    );
    let mut values = vec![holder.into(), until_ms.into(), Value::Blob(Vec::new())];
    if D::DIALECT == Dialect::Postgres {
        values.push(now_ms.into());
    }
    let rows = transaction.fetch(&sql, values).await?;
    transaction.commit().await?;
    Ok(rows.first().map(|row| Bench { now_ms, state: row.blob(0).to_vec() }))
}

pub(super) async fn leave_bench<D: Database>(database: &D, holder: i64) -> Result<(), StoreError> {
    let mut transaction = database.begin().await?;
    transaction.execute("UPDATE trace_judge SET until_ms = 0 WHERE holder = $1", vec![holder.into()]).await?;
    transaction.commit().await
}

/// In the transaction that stores the spans; the id of the row.
pub async fn insert_facts<D: Database>(
    transaction: &mut dyn Transaction,
    facts: &PackedFacts,
    origin_id: i64,
) -> Result<i64, StoreError> {
    let now = leases::now_sql(D::DIALECT);
    let sql =
        format!("INSERT INTO trace_facts (arrived_ms, origin_id, traces, data) VALUES ({now}, $1, $2, $3) RETURNING facts_id");
    let values = vec![origin_id.into(), i64::from(facts.traces).into(), Value::Blob(facts.data.clone())];
    let rows = transaction.fetch(&sql, values).await?;
    rows.first().map(|row| row.int(0)).ok_or(StoreError::Query(sqlx::Error::RowNotFound))
}

/// Blocks whose facts have a smaller id hold no trace that is still to be judged.
pub async fn ready_before(transaction: &mut dyn Transaction, now_ms: i64) -> Result<i64, StoreError> {
    let sql = "SELECT MIN(CASE WHEN origin_id = 0 THEN facts_id ELSE origin_id END) FROM trace_facts WHERE arrived_ms > $1";
    let rows = transaction.fetch(sql, vec![(now_ms - FACTS_STALE_MS).into()]).await?;
    Ok(match rows.first().and_then(|row| row.0.first()) {
        Some(Value::Int(id)) => *id,
        _ => i64::MAX,
    })
}

/// What was left behind when nobody sampled any more.
pub async fn forget_facts<D: Database>(database: &D, before_ms: i64) -> Result<(), StoreError> {
    let rows = database
        .begin_read()
        .await?
        .fetch("SELECT facts_id FROM trace_facts WHERE arrived_ms < $1 LIMIT 1", vec![before_ms.into()])
        .await?;
    if rows.is_empty() {
        return Ok(());
    }
    let mut transaction = database.begin().await?;
    transaction.execute("DELETE FROM trace_facts WHERE arrived_ms < $1", vec![before_ms.into()]).await?;
    transaction.commit().await
}

pub(super) async fn facts<D: Database>(
    database: &D,
    known: &HashSet<i64>,
    traces_max: u64,
) -> Result<(Vec<FactsRow>, HashSet<i64>), StoreError> {
    let mut transaction = database.begin_read().await?;
    let rows = transaction.fetch("SELECT facts_id, traces FROM trace_facts ORDER BY facts_id", vec![]).await?;
    let all: HashSet<i64> = rows.iter().map(|row| row.int(0)).collect();
    let mut traces = 0;
    let is_taken = |row: &&Row| {
        let is_taken = traces < traces_max;
        traces += row.count(1);
        is_taken
    };
    let fresh = rows.iter().filter(|row| !known.contains(&row.int(0))).take_while(is_taken);
    let fresh: Vec<i64> = fresh.map(|row| row.int(0)).collect();
    let mut found = Vec::new();
    for ids in fresh.chunks(IDS_MAX) {
        let sql = format!(
            "SELECT facts_id, arrived_ms, origin_id, data FROM trace_facts WHERE facts_id IN ({}) ORDER BY facts_id",
            list(ids)
        );
        found.extend(transaction.fetch(&sql, vec![]).await?);
    }
    drop(transaction);
    let unpacked = tokio::task::spawn_blocking(move || found.iter().map(row).collect::<Vec<_>>()).await?;
    Ok((unpacked, all))
}

/// A row that cannot be read knows nothing: its traces are kept.
fn row(row: &Row) -> FactsRow {
    let (facts_id, arrived_ms) = (row.int(0), row.int(1));
    let traces = read(row.blob(3), facts_id, arrived_ms).unwrap_or_else(|error| {
        tracing::warn!(facts_id, %error, "traces are kept without a verdict");
        Vec::new()
    });
    FactsRow { facts_id, arrived_ms, is_carried: row.int(2) != 0, traces }
}

pub(super) async fn pronounce<D: Database>(database: &D, sentence: &Sentence) -> Result<bool, StoreError> {
    let blocks = encode(&sentence.judged);
    for block in &blocks {
        if !database.caches().has_slice(block.slice()) {
            create_slice(database, block.slice()).await?;
        }
    }
    let result = attempt(database, sentence, &blocks).await;
    let slices = blocks.iter().map(EncodedBlock::slice);
    match &result {
        Ok(_) => database.caches().set_unmerged(&slices.collect()),
        // One of them may have been dropped by another collector: the next attempt makes it again.
        Err(_) => slices.for_each(|slice| database.caches().forget_slice(slice)),
    }
    result
}

async fn attempt<D: Database>(database: &D, sentence: &Sentence, blocks: &[EncodedBlock]) -> Result<bool, StoreError> {
    let mut transaction = database.begin().await?;
    // Holds the row until the end: nobody becomes judge meanwhile.
    let sql = "UPDATE trace_judge SET state = COALESCE($2, state) WHERE holder = $1";
    let state = sentence.state.clone().map_or(Value::NullBlob, Value::Blob);
    if transaction.execute(sql, vec![sentence.holder.into(), state]).await? == 0 {
        return Ok(false);
    }
    let mut deleted = 0;
    for ids in sentence.done.chunks(IDS_MAX) {
        let sql = format!("DELETE FROM trace_facts WHERE facts_id IN ({})", list(ids));
        deleted += transaction.execute(&sql, vec![]).await?;
    }
    if deleted != sentence.done.len() as u64 {
        return Ok(false);
    }
    let level = |block: &EncodedBlock| if block.items >= DENSE_ITEMS { LEVEL_DENSE } else { LEVEL_WRITTEN };
    block_write::insert::<D>(&mut *transaction, blocks.iter().map(|block| (level(block), block))).await?;
    for traces in sentence.carried.chunks(CARRIED_MAX) {
        let origin_id = traces.iter().map(|(_, facts)| facts.origin_id).min().unwrap_or_default();
        let packed = pack_carried(&traces.iter().map(|(id, facts)| (*id, facts)).collect::<Vec<_>>())?;
        insert_facts::<D>(&mut *transaction, &packed, origin_id).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

fn list(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}
