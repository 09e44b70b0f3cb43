//! Checks that a coarse step is the sum of the fine steps in it.

use super::AdminError;
use super::check::{CheckReport, TOLD_MAX};
use crate::store::database::Transaction;
use crate::store::read::dropped;
use crate::store::schema::{Family, REALS, Slice, value_columns};

/// Where the finer family was dropped there is nothing to compare.
pub(super) async fn check(
    transaction: &mut dyn Transaction,
    slices: &[Slice],
    report: &mut CheckReport,
) -> Result<(), AdminError> {
    let dropped = dropped(transaction).await?;
    for (index, pair) in Family::ROLLUPS.windows(2).enumerate() {
        let [fine, coarse] = [pair[0], pair[1]];
        let step = coarse.step_s();
        let from_s = dropped[index].max(dropped[index + 1]).max(0).div_euclid(step).saturating_add(1).saturating_mul(step);
        let from_s = if dropped[index] == i64::MIN && dropped[index + 1] == i64::MIN { 0 } else { from_s };
        let Some(sql) = sql(fine, coarse, slices, from_s) else { continue };
        for row in transaction.fetch(&sql, vec![]).await? {
            let what = format!("step {} of edge {} is not the sum of its steps in {}", row.int(0), row.int(1), fine.name());
            report.find(coarse.name(), what);
        }
    }
    Ok(())
}

/// Whole numbers only: real ones are rounded differently with every order of adding.
fn sql(fine: Family, coarse: Family, slices: &[Slice], from_s: i64) -> Option<String> {
    let columns: Vec<String> = value_columns().filter(|name| !REALS.contains(&name.as_str())).collect();
    let step = coarse.step_s();
    let mut parts = Vec::new();
    for slice in slices.iter().filter(|slice| slice.family == fine || slice.family == coarse) {
        let sign = if slice.family == fine { "" } else { "-" };
        let values: Vec<String> = columns.iter().map(|name| format!("{sign}COALESCE({name}, 0) AS {name}")).collect();
        parts.push(format!("SELECT t - t % {step} AS step_s, edge_id, {} FROM {}", values.join(", "), slice.table()));
    }
    let differs: Vec<String> = columns.iter().map(|name| format!("SUM({name}) <> 0")).collect();
    (!parts.is_empty()).then(|| {
        format!(
            "SELECT step_s, edge_id FROM ({}) AS both_families WHERE step_s >= {from_s} GROUP BY step_s, edge_id \
             HAVING {} ORDER BY step_s, edge_id LIMIT {TOLD_MAX}",
            parts.join(" UNION ALL "),
            differs.join(" OR ")
        )
    })
}
