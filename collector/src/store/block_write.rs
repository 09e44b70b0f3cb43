//! Writes encoded blocks into their slices.

use std::collections::BTreeMap;

use super::block::EncodedBlock;
use super::database::{Database, Transaction, Value};
use super::schema::Slice;
use super::{StoreError, bulk};

const COLUMNS: &str = "(slice_s, shard, level, from_us, to_us, items, summary, data)";

impl EncodedBlock {
    pub(super) fn slice(&self) -> Slice {
        Slice { family: self.family, from_s: self.slice_s }
    }
}

/// Their slices must be there.
pub(super) async fn insert<'a, D: Database>(
    transaction: &mut dyn Transaction,
    blocks: impl Iterator<Item = (u8, &'a EncodedBlock)>,
) -> Result<(), StoreError> {
    let mut slices: BTreeMap<Slice, Vec<Value>> = BTreeMap::new();
    for (level, block) in blocks {
        slices.entry(block.slice()).or_default().extend([
            block.slice_s.into(),
            block.shard.into(),
            i64::from(level).into(),
            block.from_us.into(),
            block.to_us.into(),
            i64::from(block.items).into(),
            Value::Blob(block.summary.clone()),
            Value::Blob(block.data.clone()),
        ]);
    }
    for (slice, values) in slices {
        let into = format!("{} {COLUMNS}", slice.table());
        bulk::insert(D::DIALECT, transaction, &into, "", 8, values).await?;
    }
    Ok(())
}
