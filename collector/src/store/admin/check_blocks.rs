//! Decodes every block, and looks for the series that its samples belong to.

use std::collections::HashSet;

use futures_util::TryStreamExt as _;

use super::AdminError;
use super::check::{CheckReport, TOLD_MAX};
use crate::store::database::Transaction;
use crate::store::log::LogBlock;
use crate::store::sample::block::read;
use crate::store::schema::{Family, Slice};
use crate::store::span_block;
use crate::store::tail::verdict_items;

pub(super) async fn check(
    transaction: &mut dyn Transaction,
    slices: &[Slice],
    report: &mut CheckReport,
) -> Result<(), AdminError> {
    let known = transaction.fetch("SELECT series_id FROM metric_series", vec![]).await?;
    let known: HashSet<i64> = known.iter().map(|row| row.int(0)).collect();
    for slice in slices.iter().filter(|slice| Family::BLOCKS.contains(&slice.family)) {
        let (mut broken, mut unknown) = (0, HashSet::new());
        let mut rows = transaction.stream(&format!("SELECT block_id, items, data FROM {}", slice.table()));
        while let Some(row) = rows.try_next().await? {
            report.blocks += 1;
            let (block_id, items, data) = (row.int(0), row.count(1), row.blob(2).to_vec());
            let family = slice.family;
            // Packed data takes its time; everybody else on this thread goes on meanwhile.
            let decoded = tokio::task::spawn_blocking(move || decode(family, &data)).await;
            let what = match decoded.map_err(|error| error.to_string()).and_then(|decoded| decoded) {
                Ok((found, series)) => {
                    unknown.extend(series.into_iter().filter(|series| !known.contains(series)));
                    report.items += found;
                    (found != items).then(|| format!("block {block_id} has {found} items, not {items}"))
                }
                Err(error) => Some(format!("block {block_id} cannot be decoded: {error}")),
            };
            if let Some(what) = what {
                broken += 1;
                if broken <= TOLD_MAX {
                    report.find(&slice.table(), what);
                }
            }
        }
        if broken > TOLD_MAX {
            report.find(&slice.table(), format!("{} more blocks of this kind", broken - TOLD_MAX));
        }
        if !unknown.is_empty() {
            report.find(&slice.table(), format!("samples of {} series that are not in metric_series", unknown.len()));
        }
    }
    Ok(())
}

/// Items of a block, and the series of its samples.
fn decode(family: Family, data: &[u8]) -> Result<(u64, HashSet<i64>), String> {
    let mut series = HashSet::new();
    let items = match family {
        Family::SpanBlock => span_block::decode(data).map_err(|error| error.to_string())?.len() as u64,
        Family::LogBlock => {
            let block = LogBlock::open(data).map_err(|error| error.to_string())?;
            let rows: Vec<u32> = (0..u32::try_from(block.rows()).unwrap_or(u32::MAX)).collect();
            block.records(&rows).map_err(|error| error.to_string())?.len() as u64
        }
        Family::SampleBlock => {
            let mut samples = 0;
            let mut count = |id: i64, times: &[i64], _: &[f64]| {
                series.insert(id);
                samples += times.len() as u64;
            };
            read(data, &|_| true, &mut count).map_err(|error| error.to_string())?;
            samples
        }
        Family::VerdictBlock => verdict_items(data).map_err(|error| error.to_string())?,
        Family::TenSeconds | Family::Minute | Family::Hour => 0,
    };
    Ok((items, series))
}
