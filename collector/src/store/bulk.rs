//! Many rows in few statements.

use super::StoreError;
use super::database::{Transaction, Value};
use super::schema::Dialect;

/// Rows per statement, largest first. A handful of sizes, so that the prepared statements can be kept.
const SIZES: [usize; 5] = [500, 100, 20, 5, 1];

/// Inserts rows of `width` values; `tail` says what happens to those that exist. Returns the number of rows changed.
pub(super) async fn insert(
    dialect: Dialect,
    transaction: &mut dyn Transaction,
    into: &str,
    tail: &str,
    width: usize,
    values: Vec<Value>,
) -> Result<u64, StoreError> {
    debug_assert_eq!(values.len() % width.max(1), 0);
    let mut changed = 0;
    let mut values = values.into_iter();
    for size in SIZES {
        let mut sql = None;
        while values.len() >= size * width && values.len() > 0 {
            let sql = sql.get_or_insert_with(|| format!("INSERT INTO {into} VALUES {} {tail}", tuples(dialect, size, width)));
            let chunk: Vec<Value> = values.by_ref().take(size * width).collect();
            changed += transaction.execute(sql, chunk).await?;
        }
    }
    Ok(changed)
}

/// SQLite finds numbered parameters by a linear search, so that thousands of them take seconds; plain ones take none.
fn tuples(dialect: Dialect, rows: usize, width: usize) -> String {
    let mut sql = String::with_capacity(rows * width * 4);
    let mut number = 0;
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..width {
            number += 1;
            if column > 0 {
                sql.push(',');
            }
            match dialect {
                Dialect::Sqlite => sql.push('?'),
                Dialect::Postgres => {
                    sql.push('$');
                    sql.push_str(&number.to_string());
                }
            }
        }
        sql.push(')');
    }
    sql
}
