//! Calls between services, counted from spans as they come in: who depends on whom, without reading a span.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bulk;
use super::database::{Database, Transaction, Value};
use super::schema::Dialect;
use super::{StoreError, Window};

/// Seconds of one step.
pub const LINK_STEP_S: i64 = 300;
/// Links of one answer; with more, the busiest are told.
const LINKS_MAX: usize = 50_000;

/// Calls of one service by another in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkStep {
    /// Start of the step.
    pub t_s: i64,
    pub parent: Arc<str>,
    pub child: Arc<str>,
    pub calls: u64,
    pub errors: u64,
}

/// Calls of one service by another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceLink {
    pub parent: String,
    pub child: String,
    pub calls: u64,
    pub errors: u64,
}

/// Adds to the links, within the transaction of the spans that told of them.
pub(super) async fn add(
    dialect: Dialect,
    transaction: &mut dyn Transaction,
    links: impl Iterator<Item = &LinkStep>,
) -> Result<(), StoreError> {
    // Each key once and in one order: a statement must not meet a row twice, nor two writers each other's.
    let mut sums: BTreeMap<(i64, &str, &str), (i64, i64)> = BTreeMap::new();
    for link in links {
        let (calls, errors) = sums.entry((link.t_s, &link.parent, &link.child)).or_default();
        *calls += link.calls as i64;
        *errors += link.errors as i64;
    }
    if sums.is_empty() {
        return Ok(());
    }
    let values = sums.into_iter().flat_map(|((t_s, parent, child), (calls, errors))| {
        [Value::from(t_s), parent.into(), child.into(), calls.into(), errors.into()]
    });
    let update = "ON CONFLICT (t_s, parent, child) DO UPDATE SET calls = service_link.calls + excluded.calls, \
                  errors = service_link.errors + excluded.errors";
    bulk::insert(dialect, transaction, "service_link (t_s, parent, child, calls, errors)", update, 5, values.collect()).await?;
    Ok(())
}

/// Links of the steps that touch a window, by their names.
pub(super) async fn read<D: Database>(database: &D, window: Window) -> Result<Vec<ServiceLink>, StoreError> {
    let from_s = window.from_ms.div_euclid(1000).div_euclid(LINK_STEP_S) * LINK_STEP_S;
    let to_s = window.to_ms.div_euclid(1000);
    let sql = format!(
        "SELECT parent, child, CAST(SUM(calls) AS BIGINT) AS calls, CAST(SUM(errors) AS BIGINT) FROM service_link \
         WHERE t_s >= $1 AND t_s <= $2 GROUP BY parent, child ORDER BY 3 DESC LIMIT {LINKS_MAX}"
    );
    let rows = database.begin_read().await?.fetch(&sql, vec![from_s.into(), to_s.into()]).await?;
    let mut links: Vec<ServiceLink> = rows
        .iter()
        .map(|row| ServiceLink {
            parent: row.text(0).to_owned(),
            child: row.text(1).to_owned(),
            calls: row.count(2),
            errors: row.count(3),
        })
        .collect();
    links.sort();
    Ok(links)
}

/// Forgets the steps before a time.
pub(super) async fn forget<D: Database>(database: &D, before_s: i64) -> Result<(), StoreError> {
    let mut transaction = database.begin().await?;
    transaction.execute("DELETE FROM service_link WHERE t_s < $1", vec![before_s.into()]).await?;
    transaction.commit().await
}
