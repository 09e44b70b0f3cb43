//! Answers what groups of edges carried, step by step.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::database::{Database, Transaction};
use super::dictionary::refresh_edges;
use super::plan::{DroppedBefore, Part, floor};
use super::read::{dropped, newest_ms, sum, tables_of};
use super::schema::{Dialect, Family, value_columns};
use super::{EdgeGroups, EdgeLabels, SeriesAnswer, StepTotals, StoreError, Totals, Window, counters};

/// Steps of one series; a longer one gets longer steps.
const STEPS_MAX: i64 = 2_000;

pub(super) async fn series<D: Database>(
    database: &D,
    window: Window,
    step_s: u64,
    groups: EdgeGroups,
) -> Result<SeriesAnswer, StoreError> {
    let mut transaction = database.begin_read().await?;
    let newest_ms = newest_ms(database, &mut *transaction).await?;
    let dropped = dropped(&mut *transaction).await?;
    let (family, step_s) = step(window, i64::try_from(step_s).unwrap_or(i64::MAX), dropped);
    let from_s = floor(window.from_ms.div_euclid(1000), step_s);
    let to_s = floor((window.to_ms + 999).div_euclid(1000) + step_s - 1, step_s).max(from_s);
    let to_ms = (to_s * 1000).min(window.to_ms.max(newest_ms)).max(from_s * 1000);
    let window = Window { from_ms: from_s * 1000, to_ms };
    refresh_edges(database, &mut *transaction).await?;
    let sets = edge_sets(database, &*groups);
    let mut points: BTreeMap<(i64, u8), Totals> = BTreeMap::new();
    let part = Part { family, from_s, to_s };
    if let Some(sql) = series_sql(D::DIALECT, &mut *transaction, part, &sets, step_s).await? {
        for row in transaction.fetch(&sql, vec![]).await? {
            let Some(set) = usize::try_from(row.int(0)).ok().and_then(|index| sets.get(index)) else { continue };
            let totals = counters::read(&row, 2, &set.bounds);
            points.entry((row.int(1) * step_s, set.group)).or_default().add(&totals);
        }
    }
    let points = points.into_iter().map(|((t_s, group), totals)| StepTotals { t_ms: t_s * 1000, group, totals }).collect();
    Ok(SeriesAnswer { window, step_s: step_s.unsigned_abs(), points })
}

/// Edges of one group whose histograms have the same bounds, so that the database can sum them.
struct EdgeSet {
    group: u8,
    bounds: Arc<[f64]>,
    ids: Vec<i64>,
}

fn edge_sets<D: Database>(database: &D, groups: &(dyn Fn(&EdgeLabels) -> Option<u8> + Send + Sync)) -> Vec<EdgeSet> {
    let mut sets: Vec<EdgeSet> = Vec::new();
    for (id, edge) in database.caches().edges() {
        let Some(group) = groups(&edge.labels) else { continue };
        match sets.iter_mut().find(|set| set.group == group && set.bounds == edge.bounds) {
            Some(set) => set.ids.push(id),
            None => sets.push(EdgeSet { group, bounds: edge.bounds.clone(), ids: vec![id] }),
        }
    }
    sets
}

/// Sums per set and step; `None` when there is nothing to ask.
async fn series_sql(
    dialect: Dialect,
    transaction: &mut dyn Transaction,
    part: Part,
    sets: &[EdgeSet],
    step_s: i64,
) -> Result<Option<String>, StoreError> {
    let tables = tables_of(dialect, transaction, part).await?;
    if sets.is_empty() || tables.is_empty() {
        return Ok(None);
    }
    let members: Vec<String> =
        sets.iter().enumerate().flat_map(|(index, set)| set.ids.iter().map(move |id| format!("({id},{index})"))).collect();
    let columns: Vec<String> = value_columns().collect();
    let steps: Vec<String> = tables
        .iter()
        .map(|table| {
            let (columns, from_s, to_s) = (columns.join(", "), part.from_s, part.to_s);
            format!("SELECT t, edge_id, {columns} FROM {table} WHERE t >= {from_s} AND t < {to_s}")
        })
        .collect();
    let sums: Vec<String> = columns.iter().map(|name| sum(name)).collect();
    Ok(Some(format!(
        "WITH members (edge_id, set_id) AS (VALUES {}) SELECT CAST(set_id AS BIGINT), t / {step_s}, {} FROM ({}) AS steps \
         JOIN members ON members.edge_id = steps.edge_id GROUP BY set_id, t / {step_s}",
        members.join(","),
        sums.join(", "),
        steps.join(" UNION ALL ")
    )))
}

/// The coarsest family whose steps divide the wanted one, and the step itself, rounded up to what is kept.
fn step(window: Window, wanted_s: i64, dropped: DroppedBefore) -> (Family, i64) {
    let from_s = window.from_ms.div_euclid(1000);
    let seconds = (window.to_ms - window.from_ms).div_euclid(1000).max(1);
    let wanted_s = wanted_s.clamp(1, seconds.max(10)).max(seconds.div_euclid(STEPS_MAX));
    let kept = |family: &Family, before: i64| before <= floor(from_s, family.step_s());
    let finest = Family::ROLLUPS.iter().zip(dropped).find(|(family, before)| kept(family, *before));
    let finest = finest.map_or(Family::Hour, |(family, _)| *family);
    let step_s = floor(wanted_s + finest.step_s() - 1, finest.step_s());
    let divides = |family: &&Family| step_s % family.step_s() == 0;
    let family = Family::ROLLUPS.iter().rev().find(divides).copied().unwrap_or(finest);
    (family.max(finest), step_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_rounded_up_to_what_is_kept() {
        let nothing = [i64::MIN; 3];
        let hour = Window { from_ms: 0, to_ms: 3_600_000 };
        assert_eq!(step(hour, 60, nothing), (Family::Minute, 60));
        assert_eq!(step(hour, 15, nothing), (Family::TenSeconds, 20));
        assert_eq!(step(hour, 90, nothing), (Family::TenSeconds, 90));
        assert_eq!(step(hour, 90, [7200, 0, 0]), (Family::Minute, 120));
        assert_eq!(step(hour, 0, [7200, 7200, 0]), (Family::Hour, 3600));
        assert_eq!(step(Window { from_ms: 0, to_ms: 400_000_000 }, 10, nothing).1, 200);
    }
}
