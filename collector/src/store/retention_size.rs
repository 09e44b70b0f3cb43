//! Keeps each signal's blocks below the bytes that it may have: the oldest slices go first, then the oldest blocks.

use super::StoreError;
use super::block_read::table;
use super::database::{Database, Row};
use super::retention::{Retention, drop_one};
use super::schema::{Dialect, Family, Slice, slices_between};

/// Of a row beside its blobs, with its part of the indexes.
const ROW_BYTES: u64 = 150;
/// Blocks that are deleted in one transaction.
const DELETED_MAX: usize = 1_000;

/// Drops slices until each family fits, and returns them.
pub(super) async fn shrink<D: Database>(database: &D, retention: &Retention) -> Result<Vec<Slice>, StoreError> {
    let mut dropped = Vec::new();
    for family in Family::BLOCKS {
        let Some(max) = retention.max_bytes(family) else { continue };
        let mut sizes = sizes(database, family).await?;
        let mut total: u64 = sizes.iter().map(|(_, bytes)| bytes).sum();
        sizes.reverse();
        while total > max
            && sizes.len() > 1
            && let Some((slice, bytes)) = sizes.pop()
        {
            drop_one(database, slice).await?;
            total -= bytes;
            dropped.push(slice);
        }
        if let Some((slice, _)) = sizes.pop().filter(|_| total > max) {
            delete_oldest(database, slice, total - max).await?;
        }
    }
    Ok(dropped)
}

/// Oldest first.
async fn sizes<D: Database>(database: &D, family: Family) -> Result<Vec<(Slice, u64)>, StoreError> {
    let mut transaction = database.begin_read().await?;
    let mut sizes = Vec::new();
    for slice in slices_between(&mut *transaction, family, i64::MIN, i64::MAX).await? {
        let sql = format!(
            "SELECT COUNT(*), CAST(SUM(length(summary) + length(data)) AS BIGINT) FROM {} WHERE slice_s = $1",
            table(D::DIALECT, slice)
        );
        let rows = transaction.fetch(&sql, vec![slice.from_s.into()]).await?;
        sizes.push((slice, rows.first().map_or(0, |row| row.count(0) * ROW_BYTES + row.count(1))));
    }
    Ok(sizes)
}

/// The newest slice alone is too large: its oldest blocks go.
async fn delete_oldest<D: Database>(database: &D, slice: Slice, mut excess: u64) -> Result<(), StoreError> {
    let table = table(D::DIALECT, slice);
    while excess > 0 {
        let mut transaction = database.begin().await?;
        let sql = format!(
            "SELECT block_id, CAST(length(summary) + length(data) AS BIGINT) FROM {table} WHERE slice_s = $1 \
             ORDER BY to_us, block_id LIMIT {DELETED_MAX}"
        );
        let rows = transaction.fetch(&sql, vec![slice.from_s.into()]).await?;
        let mut gone = Vec::new();
        for row in &rows {
            if excess == 0 {
                break;
            }
            gone.push(row.int(0).to_string());
            excess = excess.saturating_sub(bytes(row));
        }
        if gone.is_empty() {
            return Ok(());
        }
        let sql = format!("DELETE FROM {table} WHERE slice_s = $1 AND block_id IN ({})", gone.join(","));
        transaction.execute(&sql, vec![slice.from_s.into()]).await?;
        transaction.commit().await?;
    }
    Ok(())
}

fn bytes(row: &Row) -> u64 {
    row.count(1) + ROW_BYTES
}

/// Bytes of the blocks of each signal.
pub(super) async fn block_bytes<D: Database>(database: &D) -> Result<Vec<(Family, u64)>, StoreError> {
    let mut all = Vec::new();
    for family in Family::BLOCKS {
        all.push((family, sizes(database, family).await?.iter().map(|(_, bytes)| bytes).sum()));
    }
    Ok(all)
}

/// Free pages of the file are given back from this share of all on, and when there are so many.
const FREE_SHARE: u64 = 4;
const FREE_PAGES_MIN: u64 = 2_000;
/// Pages that are given back in one transaction.
const PAGES: u64 = 1_000;
/// Transactions of one turn.
const TURNS: u64 = 100;

/// Makes the file of SQLite smaller when much of it is free. What is free is used again in any case. A file that was made
/// by the first version keeps its size until `sidelight db compact`.
pub(super) async fn give_back<D: Database>(database: &D) -> Result<(), StoreError> {
    if D::DIALECT == Dialect::Postgres {
        return Ok(());
    }
    for turn in 0..TURNS {
        let mut transaction = database.begin().await?;
        let mut numbers = [0; 3];
        for (number, name) in numbers.iter_mut().zip(["auto_vacuum", "freelist_count", "page_count"]) {
            let rows = transaction.fetch(&format!("PRAGMA {name}"), vec![]).await?;
            *number = rows.first().map_or(0, |row| row.count(0));
        }
        let [auto_vacuum, free, all] = numbers;
        let is_worth_it = free >= FREE_PAGES_MIN && free * FREE_SHARE >= all;
        // Once begun, it goes on to the end.
        if auto_vacuum != INCREMENTAL || free == 0 || (turn == 0 && !is_worth_it) {
            return Ok(());
        }
        transaction.fetch(&format!("PRAGMA incremental_vacuum({PAGES})"), vec![]).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// As `PRAGMA auto_vacuum` answers.
const INCREMENTAL: u64 = 2;
