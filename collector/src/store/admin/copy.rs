//! Copies all rows of one database into another of either kind, and compares what came out.

use futures_util::TryStreamExt as _;

use super::AdminError;
use super::catalog::{Kind, Table, slices, tables};
use super::digest::Digest;
use crate::store::bulk;
use crate::store::database::{Database, Row, Transaction, Value};
use crate::store::schema::{Dialect, ddl};

/// Rows that are in memory at once, and bytes of theirs.
const ROWS_MAX: usize = 500;
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Tables in which a new database has rows, made by its migrations.
const SEEDED: [&str; 1] = ["store_info"];

/// Told after each table: its name, and its rows.
pub type Progress<'a> = &'a mut (dyn FnMut(&str, u64) + Send);

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    pub tables: u64,
    pub rows: u64,
}

/// Where rows go.
struct Sink<'a, T: Database> {
    target: &'a T,
    transaction: Box<dyn Transaction>,
    /// Commit after each table: for a file that is thrown away when anything fails.
    in_steps: bool,
}

impl<T: Database> Sink<'_, T> {
    async fn step(&mut self) -> Result<(), AdminError> {
        if self.in_steps {
            // In SQLite there is one connection that writes: this one first.
            let next = async { self.target.begin().await };
            let done = std::mem::replace(&mut self.transaction, Box::new(Nothing));
            done.commit().await?;
            self.transaction = next.await?;
        }
        Ok(())
    }
}

/// Copies into a database that has this version's schema and nothing in it.
pub(super) async fn copy<S: Database, T: Database>(
    source: &S,
    target: &T,
    in_steps: bool,
    progress: Progress<'_>,
) -> Result<Copied, AdminError> {
    let mut from = source.begin_read().await?;
    let mut sink = Sink { target, transaction: target.begin().await?, in_steps };
    empty(&mut *sink.transaction, T::DIALECT).await?;
    for slice in slices(&mut *from).await? {
        for statement in ddl(T::DIALECT, slice) {
            sink.transaction.execute(&statement, vec![]).await?;
        }
    }
    sink.step().await?;
    let theirs = tables(&mut *from, S::DIALECT).await?;
    let ours = tables(&mut *sink.transaction, T::DIALECT).await?;
    same_shape(&theirs, &ours)?;
    let mut copied = Copied::default();
    // In the order of the target, which says what refers to what.
    for table in &ours {
        let rows = copy_table(&mut *from, &mut *sink.transaction, T::DIALECT, table).await?;
        sink.step().await?;
        progress(&table.name, rows);
        copied.tables += 1;
        copied.rows += rows;
    }
    if T::DIALECT == Dialect::Postgres {
        continue_sequences(&mut *sink.transaction).await?;
    }
    sink.transaction.commit().await?;
    Ok(copied)
}

/// Refuses a database that holds something, and takes away what its migrations have put in.
async fn empty(transaction: &mut dyn Transaction, dialect: Dialect) -> Result<(), AdminError> {
    for table in tables(transaction, dialect).await? {
        if SEEDED.contains(&table.name.as_str()) {
            transaction.execute(&format!("DELETE FROM {}", table.name), vec![]).await?;
            continue;
        }
        let some = format!("SELECT CAST(1 AS BIGINT) FROM {} LIMIT 1", table.name);
        if !transaction.fetch(&some, vec![]).await?.is_empty() {
            return Err(AdminError::NotEmpty { place: "the target".to_owned() });
        }
    }
    Ok(())
}

fn same_shape(theirs: &[Table], ours: &[Table]) -> Result<(), AdminError> {
    let differs = |table: &Table| AdminError::Shape { table: table.name.clone() };
    let is_among = |table: &Table, tables: &[Table]| tables.iter().any(|other| other.has_shape_of(table));
    match (theirs.iter().find(|table| !is_among(table, ours)), ours.iter().find(|table| !is_among(table, theirs))) {
        (Some(table), _) | (None, Some(table)) => Err(differs(table)),
        (None, None) => Ok(()),
    }
}

async fn copy_table(
    from: &mut dyn Transaction,
    to: &mut dyn Transaction,
    dialect: Dialect,
    table: &Table,
) -> Result<u64, AdminError> {
    let kinds: Vec<Kind> = table.columns.iter().map(|(_, kind)| *kind).collect();
    let select = format!("SELECT {} FROM {}", table.column_names(), table.name);
    let overriding = if dialect == Dialect::Postgres { " OVERRIDING SYSTEM VALUE" } else { "" };
    let into = format!("{} ({}){overriding}", table.name, table.column_names());
    let mut read = Digest::default();
    let mut rows = from.stream(&select);
    let (mut values, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.try_next().await? {
        read.add(&row, &kinds);
        bytes += size(&row);
        values.extend(row.0.into_iter().zip(&kinds).map(|(value, kind)| typed(value, *kind)));
        if values.len() >= ROWS_MAX * kinds.len() || bytes >= BYTES_MAX {
            bulk::insert(dialect, to, &into, "", kinds.len(), std::mem::take(&mut values)).await?;
            bytes = 0;
        }
    }
    drop(rows);
    bulk::insert(dialect, to, &into, "", kinds.len(), values).await?;
    let mut written = Digest::default();
    let mut rows = to.stream(&select);
    while let Some(row) = rows.try_next().await? {
        written.add(&row, &kinds);
    }
    if written == read { Ok(read.rows) } else { Err(AdminError::Differs { table: table.name.clone() }) }
}

/// About, in memory.
fn size(row: &Row) -> usize {
    let one = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Blob(blob) => blob.len(),
        _ => 8,
    };
    row.0.iter().map(one).sum()
}

/// A null has a type on its way to Postgres.
fn typed(value: Value, kind: Kind) -> Value {
    match (value, kind) {
        (Value::Null, Kind::Real) => Value::NullReal,
        (Value::Null, Kind::Text) => Value::NullText,
        (Value::Null, Kind::Blob) => Value::NullBlob,
        (Value::Int(number), Kind::Real) => Value::Real(number as f64),
        (value, _) => value,
    }
}

/// Ids go on behind the largest that was copied.
async fn continue_sequences(transaction: &mut dyn Transaction) -> Result<(), AdminError> {
    let rows = transaction.fetch(SEQUENCES, vec![]).await?;
    for row in &rows {
        let (sequence, table, column) = (row.text(0), row.text(1), row.text(2));
        let largest = transaction.fetch(&format!("SELECT MAX({column}) FROM {table}"), vec![]).await?;
        let largest = largest.first().map_or(0, |row| row.int(0));
        // Several tables may draw from one sequence.
        let sql = format!(
            "SELECT setval('{sequence}', GREATEST({largest}, (SELECT last_value FROM {sequence}))) FROM {sequence} \
             WHERE {largest} > 0"
        );
        transaction.fetch(&sql, vec![]).await?;
    }
    Ok(())
}

/// Sequences of identities and of defaults, and who draws from them.
const SEQUENCES: &str = "SELECT CAST(s.relname AS TEXT), CAST(c.relname AS TEXT), CAST(a.attname AS TEXT) \
     FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_class c ON c.oid = d.refobjid \
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid \
     WHERE d.deptype = 'i' AND s.relnamespace = CAST(current_schema() AS regnamespace) \
     UNION ALL \
     SELECT CAST(s.relname AS TEXT), CAST(c.relname AS TEXT), CAST(a.attname AS TEXT) \
     FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S' \
     JOIN pg_class c ON c.oid = f.adrelid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = f.adnum \
     WHERE s.relnamespace = CAST(current_schema() AS regnamespace)";

/// Stands in between two transactions.
struct Nothing;

#[async_trait::async_trait]
impl Transaction for Nothing {
    async fn execute(&mut self, _: &str, _: Vec<Value>) -> Result<u64, crate::store::StoreError> {
        Err(sqlx::Error::PoolClosed.into())
    }

    async fn fetch(&mut self, _: &str, _: Vec<Value>) -> Result<Vec<Row>, crate::store::StoreError> {
        Err(sqlx::Error::PoolClosed.into())
    }

    fn stream<'a>(&'a mut self, _: &str) -> futures_util::stream::BoxStream<'a, Result<Row, crate::store::StoreError>> {
        Box::pin(futures_util::stream::iter([Err(sqlx::Error::PoolClosed.into())]))
    }

    async fn commit(self: Box<Self>) -> Result<(), crate::store::StoreError> {
        Err(sqlx::Error::PoolClosed.into())
    }
}
