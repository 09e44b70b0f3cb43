//! What takes how much room, table by table.

use serde::Serialize;

use super::AdminError;
use super::catalog::{slices, tables};
use crate::store::database::{Database, Transaction};
use crate::store::schema::{Dialect, Family};

#[derive(Clone, Debug, Serialize)]
pub struct Stats {
    /// `sqlite` or `postgres`.
    pub kind: &'static str,
    pub bytes: u64,
    pub tables: Vec<TableStats>,
}

#[derive(Clone, Debug, Serialize)]
pub struct TableStats {
    pub name: String,
    /// What the table is a slice of, and its time in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_s: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_s: Option<i64>,
    pub rows: u64,
    /// Spans, logs or samples in the blocks of the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// With its indexes.
    pub bytes: u64,
}

impl Stats {
    /// Tables, rows, items and bytes per family, and of everything else as `dictionaries`.
    #[must_use]
    pub fn by_family(&self) -> Vec<(&'static str, u64, u64, u64, u64)> {
        let mut families: Vec<(&'static str, u64, u64, u64, u64)> = Vec::new();
        for table in &self.tables {
            let name = table.family.unwrap_or("dictionaries");
            let sums = match families.iter_mut().position(|(known, ..)| *known == name) {
                Some(place) => &mut families[place],
                None => {
                    families.push((name, 0, 0, 0, 0));
                    let last = families.len() - 1;
                    &mut families[last]
                }
            };
            sums.1 += 1;
            sums.2 += table.rows;
            // Of rows of their own, each is an item.
            sums.3 += table.items.unwrap_or(table.rows);
            sums.4 += table.bytes;
        }
        families.sort_by_key(|(_, _, _, _, bytes)| std::cmp::Reverse(*bytes));
        families
    }
}

pub(super) async fn stats<D: Database>(database: &D) -> Result<Stats, AdminError> {
    let mut transaction = database.begin_read().await?;
    let slices = slices(&mut *transaction).await?;
    let sizes = sizes(&mut *transaction, D::DIALECT).await?;
    let mut stats = Vec::new();
    for table in tables(&mut *transaction, D::DIALECT).await? {
        let slice = slices.iter().find(|slice| slice.table() == table.name);
        let is_block = slice.is_some_and(|slice| Family::BLOCKS.contains(&slice.family));
        let items = if is_block { "CAST(COALESCE(SUM(items), 0) AS BIGINT)" } else { "CAST(0 AS BIGINT)" };
        let row = transaction.fetch(&format!("SELECT COUNT(*), {items} FROM {}", table.name), vec![]).await?;
        let count = |index| row.first().map_or(0, |row| row.count(index));
        stats.push(TableStats {
            family: slice.map(|slice| slice.family.name()),
            from_s: slice.map(|slice| slice.from_s),
            to_s: slice.map(|slice| slice.to_s()),
            rows: count(0),
            items: is_block.then(|| count(1)),
            bytes: sizes.iter().find(|(name, _)| *name == table.name).map_or(0, |(_, bytes)| *bytes),
            name: table.name,
        });
    }
    let kind = if D::DIALECT == Dialect::Sqlite { "sqlite" } else { "postgres" };
    Ok(Stats { kind, bytes: sizes.iter().map(|(_, bytes)| bytes).sum(), tables: stats })
}

/// Bytes of each table with its indexes.
async fn sizes(transaction: &mut dyn Transaction, dialect: Dialect) -> Result<Vec<(String, u64)>, AdminError> {
    let sql = match dialect {
        Dialect::Sqlite => {
            "SELECT m.tbl_name, SUM(s.pgsize) FROM dbstat s JOIN sqlite_master m ON m.name = s.name \
             WHERE s.aggregate = TRUE GROUP BY m.tbl_name"
        }
        Dialect::Postgres => {
            "SELECT CAST(c.relname AS TEXT), pg_total_relation_size(c.oid) FROM pg_class c \
             WHERE c.relnamespace = CAST(current_schema() AS regnamespace) AND c.relkind = 'r'"
        }
    };
    let rows = transaction.fetch(sql, vec![]).await?;
    Ok(rows.iter().map(|row| (row.text(0).to_owned(), row.count(1))).collect())
}
