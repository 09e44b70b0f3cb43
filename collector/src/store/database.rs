//! What the store needs of a database: transactions, queries with plain values, and its dialect.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use sqlx::{Column, TypeInfo, ValueRef};

use super::StoreError;
use super::caches::Caches;
use super::schema::Dialect;

/// A value on its way to or from the database.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Of an integer. Postgres fixes the types of a statement's parameters when it first sees it, so a null has one too.
    Null,
    /// Of a real number.
    NullReal,
    NullText,
    NullBlob,
    Int(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

/// One row of an answer.
#[derive(Clone, Debug)]
pub(super) struct Row(pub Vec<Value>);

/// A database that a store can be built on.
#[async_trait]
pub(super) trait Database: Clone + Send + Sync + 'static {
    const DIALECT: Dialect;

    fn caches(&self) -> &Caches;

    /// Starts a transaction that may write.
    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError>;

    /// Starts a transaction that sees one state of the database from its first query to its end.
    async fn begin_read(&self) -> Result<Box<dyn Transaction>, StoreError>;

    async fn close_pools(&self);
}

/// Rolls back when dropped.
#[async_trait]
pub(super) trait Transaction: Send {
    /// Returns the number of rows that changed. The text holds nothing from outside: names of slices and numbers.
    async fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError>;

    async fn fetch(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, StoreError>;

    /// Rows one by one, however many there are.
    fn stream<'a>(&'a mut self, sql: &str) -> BoxStream<'a, Result<Row, StoreError>>;

    /// An error leaves open whether the transaction was committed.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

impl Row {
    /// An integer; 0 when null, which is how sums of nothing and empty columns read.
    pub fn int(&self, index: usize) -> i64 {
        match self.0.get(index) {
            Some(Value::Int(value)) => *value,
            Some(Value::Real(value)) => *value as i64,
            _ => 0,
        }
    }

    pub fn count(&self, index: usize) -> u64 {
        u64::try_from(self.int(index)).unwrap_or(0)
    }

    pub fn real(&self, index: usize) -> f64 {
        self.opt_real(index).unwrap_or(0.0)
    }

    pub fn opt_real(&self, index: usize) -> Option<f64> {
        match self.0.get(index) {
            Some(Value::Real(value)) => Some(*value),
            Some(Value::Int(value)) => Some(*value as f64),
            _ => None,
        }
    }

    pub fn text(&self, index: usize) -> &str {
        match self.0.get(index) {
            Some(Value::Text(value)) => value,
            _ => "",
        }
    }

    pub fn blob(&self, index: usize) -> &[u8] {
        match self.0.get(index) {
            Some(Value::Blob(value)) => value,
            _ => &[],
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<Option<f64>> for Value {
    fn from(number: Option<f64>) -> Self {
        number.map_or(Self::NullReal, Self::Real)
    }
}

/// Counts beyond what a signed column holds stop there; a mesh needs 10^18 requests for it.
pub(super) fn int(count: u64) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

/// How long the end of a transaction that was given up may take; then its connection is closed.
pub(super) const ROLLBACK_TIME_MAX: Duration = Duration::from_secs(5);

/// Waits for an answer of the database, but not for ever: a network that swallows packets never says no.
pub(super) async fn in_time<T>(
    limit: Option<Duration>,
    answer: impl Future<Output = Result<T, sqlx::Error>> + Send,
) -> Result<T, StoreError> {
    match limit {
        None => Ok(answer.await?),
        Some(limit) => Ok(tokio::time::timeout(limit, answer).await.map_err(|_| StoreError::Silent { limit })??),
    }
}

/// On which statements run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// How long one may take.
    pub limit: Option<Duration>,
    /// Whether they are prepared once and kept: not behind a pooler that hands out another server for each transaction.
    pub keeps_statements: bool,
}

/// Binds by the kind of each value, and reads each column by the type that the database says it has.
///
/// Not on sqlx's own transaction: a connection on which somebody gave up waiting would go back to the pool by way of a
/// ping without a limit, and a database that hangs would take one place after the other.
macro_rules! impl_transaction {
    ($Name:ident, $Db:ty) => {
        /// The connection, and the terms on which statements run on it.
        pub(super) struct $Name(Option<sqlx::pool::PoolConnection<$Db>>, crate::store::database::Terms);

        impl $Name {
            async fn begin(
                pool: &sqlx::Pool<$Db>,
                statement: &'static str,
                terms: crate::store::database::Terms,
            ) -> Result<Self, StoreError> {
                // Made before the statement is sent: whoever stops waiting for it leaves no open transaction behind.
                let mut transaction = Self(Some(pool.acquire().await?), terms);
                let begun = sqlx::raw_sql(statement).execute(transaction.connection()?);
                crate::store::database::in_time(terms.limit, begun).await?;
                Ok(transaction)
            }

            fn connection(&mut self) -> Result<&mut <$Db as sqlx::Database>::Connection, StoreError> {
                self.0.as_deref_mut().ok_or(StoreError::Query(sqlx::Error::PoolClosed))
            }

            fn query(
                sql: &str,
                values: Vec<crate::store::database::Value>,
                keeps: bool,
            ) -> sqlx::query::Query<'static, $Db, <$Db as sqlx::Database>::Arguments> {
                use crate::store::database::Value;
                let mut query = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()));
                // A text without parameters has its numbers inside and will not come again.
                let is_prepared = keeps && !values.is_empty();
                for value in values {
                    query = match value {
                        Value::Null => query.bind(None::<i64>),
                        Value::NullReal => query.bind(None::<f64>),
                        Value::NullText => query.bind(None::<String>),
                        Value::NullBlob => query.bind(None::<Vec<u8>>),
                        Value::Int(value) => query.bind(value),
                        Value::Real(value) => query.bind(value),
                        Value::Text(value) => query.bind(value),
                        Value::Blob(value) => query.bind(value),
                    };
                }
                query.persistent(is_prepared)
            }
        }

        impl Drop for $Name {
            fn drop(&mut self) {
                let Some(mut connection) = self.0.take() else { return };
                let Ok(runtime) = tokio::runtime::Handle::try_current() else {
                    return connection.close_on_drop();
                };
                runtime.spawn(async move {
                    let rollback = sqlx::raw_sql("ROLLBACK").execute(&mut *connection);
                    let limit = crate::store::database::ROLLBACK_TIME_MAX;
                    if !matches!(tokio::time::timeout(limit, rollback).await, Ok(Ok(_))) {
                        connection.close_on_drop();
                    }
                });
            }
        }

        #[async_trait::async_trait]
        impl crate::store::database::Transaction for $Name {
            async fn execute(&mut self, sql: &str, values: Vec<crate::store::database::Value>) -> Result<u64, StoreError> {
                let crate::store::database::Terms { limit, keeps_statements } = self.1;
                let changed = Self::query(sql, values, keeps_statements).execute(self.connection()?);
                Ok(crate::store::database::in_time(limit, changed).await?.rows_affected())
            }

            async fn fetch(
                &mut self,
                sql: &str,
                values: Vec<crate::store::database::Value>,
            ) -> Result<Vec<crate::store::database::Row>, StoreError> {
                let crate::store::database::Terms { limit, keeps_statements } = self.1;
                let rows = Self::query(sql, values, keeps_statements).fetch_all(self.connection()?);
                crate::store::database::in_time(limit, rows).await?.iter().map(crate::store::database::decode).collect()
            }

            fn stream<'a>(
                &'a mut self,
                sql: &str,
            ) -> futures_util::stream::BoxStream<'a, Result<crate::store::database::Row, StoreError>> {
                use futures_util::StreamExt as _;
                match self.0.as_deref_mut() {
                    None => futures_util::stream::iter([Err(StoreError::Query(sqlx::Error::PoolClosed))]).boxed(),
                    Some(connection) => {
                        Self::query(sql, vec![], false).fetch(connection).map(|row| crate::store::database::decode(&row?)).boxed()
                    }
                }
            }

            async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
                let limit = self.1.limit;
                let committed = sqlx::raw_sql("COMMIT").execute(self.connection()?);
                crate::store::database::in_time(limit, committed).await?;
                // Back to the pool: there is nothing left to roll back.
                drop(self.0.take());
                Ok(())
            }
        }
    };
}
pub(super) use impl_transaction;

pub(super) fn decode<R>(row: &R) -> Result<Row, StoreError>
where
    R: sqlx::Row,
    usize: sqlx::ColumnIndex<R>,
    for<'r> i64: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    for<'r> f64: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    for<'r> String: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    for<'r> Vec<u8>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    row.columns()
        .iter()
        .map(|column| {
            let index = column.ordinal();
            let raw = row.try_get_raw(index)?;
            if raw.is_null() {
                return Ok(Value::Null);
            }
            Ok(match raw.type_info().name() {
                "INTEGER" | "INT8" => Value::Int(row.try_get_unchecked(index)?),
                "REAL" | "FLOAT8" => Value::Real(row.try_get_unchecked(index)?),
                "BLOB" | "BYTEA" => Value::Blob(row.try_get_unchecked(index)?),
                "TEXT" | "VARCHAR" => Value::Text(row.try_get_unchecked(index)?),
                other => {
                    let source = format!("a column of type {other} has to be cast").into();
                    return Err(sqlx::Error::ColumnDecode { index: index.to_string(), source });
                }
            })
        })
        .collect::<Result<_, sqlx::Error>>()
        .map(Row)
        .map_err(StoreError::from)
}
