//! Reads everything and tells what does not fit together.

use futures_util::TryStreamExt as _;
use serde::Serialize;

use super::AdminError;
use super::catalog::{slices, tables};
use super::{check_blocks, check_rollups};
use crate::store::database::{Database, Transaction};
use crate::store::schema::{Dialect, Family, Slice};

/// Findings of one kind that are told; more are only counted.
pub(super) const TOLD_MAX: usize = 20;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Table.
    pub place: String,
    pub what: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    pub tables: u64,
    pub rows: u64,
    pub blocks: u64,
    /// Spans, logs and samples in the blocks.
    pub items: u64,
    pub findings: Vec<Finding>,
}

impl CheckReport {
    pub(super) fn find(&mut self, place: &str, what: impl Into<String>) {
        self.findings.push(Finding { place: place.to_owned(), what: what.into() });
    }
}

/// All of it in one transaction: a collector that goes on writing is not seen.
pub(super) async fn check<D: Database>(database: &D) -> Result<CheckReport, AdminError> {
    let mut transaction = database.begin_read().await?;
    let transaction = &mut *transaction;
    let mut report = CheckReport::default();
    if D::DIALECT == Dialect::Sqlite {
        check_file(transaction, &mut report).await?;
    }
    read_all(transaction, D::DIALECT, &mut report).await?;
    let listed = check_slices(transaction, D::DIALECT, &mut report).await?;
    check_references(transaction, &listed, &mut report).await?;
    check_counts(transaction, &mut report).await?;
    check_rollups::check(transaction, &listed, &mut report).await?;
    check_blocks::check(transaction, &listed, &mut report).await?;
    Ok(report)
}

/// Pages, indexes, and whatever else SQLite knows of itself.
async fn check_file(transaction: &mut dyn Transaction, report: &mut CheckReport) -> Result<(), AdminError> {
    for row in transaction.fetch("PRAGMA integrity_check(20)", vec![]).await? {
        if row.text(0) != "ok" {
            report.find("file", row.text(0));
        }
    }
    for row in transaction.fetch("PRAGMA foreign_key_check", vec![]).await? {
        report.find(row.text(0), format!("row {} refers to nothing in {}", row.int(1), row.text(2)));
    }
    Ok(())
}

/// Postgres checks its pages when they are read, values when they are told.
async fn read_all(transaction: &mut dyn Transaction, dialect: Dialect, report: &mut CheckReport) -> Result<(), AdminError> {
    for table in tables(transaction, dialect).await? {
        report.tables += 1;
        let mut rows = transaction.stream(&format!("SELECT {} FROM {}", table.column_names(), table.name));
        loop {
            match rows.try_next().await {
                Ok(Some(_)) => report.rows += 1,
                Ok(None) => break,
                Err(error) => {
                    report.find(&table.name, format!("cannot be read: {error}"));
                    return Err(error.into());
                }
            }
        }
    }
    Ok(())
}

/// Slices are tables, and tables of slices are listed. Returns those that are both.
async fn check_slices(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    report: &mut CheckReport,
) -> Result<Vec<Slice>, AdminError> {
    let names: Vec<String> = tables(transaction, dialect).await?.into_iter().map(|table| table.name).collect();
    let (there, missing): (Vec<Slice>, Vec<Slice>) =
        slices(transaction).await?.into_iter().partition(|slice| names.contains(&slice.table()));
    for slice in missing {
        report.find(&slice.table(), "is listed as a slice, but there is no such table");
    }
    for name in names {
        let number = name.rsplit_once('_').filter(|(_, number)| number.trim_start_matches('-').parse::<i64>().is_ok());
        let is_slice = number.is_some_and(|(family, _)| Family::ALL.iter().any(|known| known.name() == family));
        if is_slice && !there.iter().any(|slice| slice.table() == name) {
            report.find(&name, "is the table of a slice that is not listed");
        }
    }
    Ok(there)
}

/// Ids have their entry in the dictionary.
async fn check_references(
    transaction: &mut dyn Transaction,
    slices: &[Slice],
    report: &mut CheckReport,
) -> Result<(), AdminError> {
    let mut references: Vec<(String, &str, &str)> = vec![
        ("edge".to_owned(), "layout_id", "layout"),
        ("series".to_owned(), "edge_id", "edge"),
        ("series".to_owned(), "target_id", "target"),
        ("pushed_state".to_owned(), "target_id", "target"),
        ("operation".to_owned(), "service_id", "service"),
        ("remote_service".to_owned(), "service_id", "service"),
    ];
    for slice in slices {
        if Family::ROLLUPS.contains(&slice.family) {
            references.push((slice.table(), "edge_id", "edge"));
        }
    }
    for (table, column, dictionary) in references {
        let sql =
            format!("SELECT COUNT(DISTINCT {column}) FROM {table} WHERE {column} NOT IN (SELECT {column} FROM {dictionary})");
        let missing = transaction.fetch(&sql, vec![]).await?.first().map_or(0, |row| row.int(0));
        if missing > 0 {
            report.find(&table, format!("{missing} values of {column} are not in {dictionary}"));
        }
    }
    Ok(())
}

/// Whatever came in was stored or refused.
async fn check_counts(transaction: &mut dyn Transaction, report: &mut CheckReport) -> Result<(), AdminError> {
    let sql = "SELECT door, signal, CAST(SUM(CASE WHEN outcome = 'received' THEN total ELSE 0 END) AS BIGINT), \
               CAST(SUM(CASE WHEN outcome = 'stored' OR outcome LIKE 'refused:%' THEN total ELSE 0 END) AS BIGINT) \
               FROM ingest_count GROUP BY door, signal";
    for row in transaction.fetch(sql, vec![]).await? {
        if row.int(2) != row.int(3) {
            let (door, signal, received, accounted) = (row.text(0), row.text(1), row.int(2), row.int(3));
            report.find("ingest_count", format!("{door}: {received} {signal} received, {accounted} stored or refused"));
        }
    }
    Ok(())
}
