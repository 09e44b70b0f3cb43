//! Makes blocks of what was gathered, one per time slice, and larger ones of many small ones.

use std::collections::BTreeMap;

use super::builder::{Cell, IdCell, LogBlockBuilder, SourceCells};
use super::decode::{Id, LogBlock, MERGED_BYTES_MAX, ROWS_MAX};
use super::encode::{Encoder, ID_FIELDS, VERSION};
use super::fields::{NumberField, TextField};
use super::{CorruptLog, LogStats, summary};
use crate::store::compression::compress;
use crate::store::{EncodedBlock, Family};

/// Seconds of a slice.
const SLICE_NS: i64 = 3_600 * 1_000_000_000;
/// Shards of a cluster's machines.
const SHARDS_MASK: i64 = 15;
/// Compression of a block that is written while its lines wait.
pub const LEVEL_QUICK: i32 = 1;
/// Compression of a block that stays.
pub const LEVEL_DENSE: i32 = 7;

/// The lines of one slice, ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedLogs {
    /// Start of the slice, Unix seconds.
    pub slice_s: i64,
    /// Smallest and largest time, Unix microseconds.
    pub from_us: i64,
    pub to_us: i64,
    pub items: u32,
    pub summary: Vec<u8>,
    pub data: Vec<u8>,
}

impl From<FinishedLogs> for EncodedBlock {
    fn from(logs: FinishedLogs) -> Self {
        // Any row may lie anywhere: the lowest bits of the first time spread them well enough.
        let shard = logs.from_us & SHARDS_MASK;
        let FinishedLogs { slice_s, from_us, to_us, items, summary, data } = logs;
        Self { family: Family::LogBlock, slice_s, shard, from_us, to_us, items, summary, data }
    }
}

impl LogBlockBuilder {
    /// The blocks of all lines, oldest slice first.
    ///
    /// # Errors
    /// When zstd fails, which it only does without memory.
    pub fn finish(&self, level: i32) -> std::io::Result<Vec<FinishedLogs>> {
        let mut slices: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        for (row, time_ns) in self.times_ns.iter().enumerate() {
            slices.entry(time_ns.div_euclid(SLICE_NS)).or_default().push(row as u32);
        }
        slices.into_iter().map(|(slice, rows)| self.finish_slice(slice, rows, level)).collect()
    }

    fn finish_slice(&self, slice: i64, mut rows: Vec<u32>, level: i32) -> std::io::Result<FinishedLogs> {
        rows.sort_by_key(|row| self.times_ns[*row as usize]);
        let time = |row: Option<&u32>| row.map_or(0, |row| self.times_ns[*row as usize]);
        let stats = LogStats { from_ns: time(rows.first()), to_ns: time(rows.last()), rows: rows.len() };
        let plain = Encoder::new(self, &rows).finish(&stats);
        let mut data = vec![VERSION];
        data.extend(compress(&plain, level)?);
        Ok(FinishedLogs {
            slice_s: slice * (SLICE_NS / 1_000_000_000),
            from_us: stats.from_ns.div_euclid(1000),
            to_us: stats.to_ns.div_euclid(1000),
            items: rows.len() as u32,
            summary: summary::summary(self, &rows),
            data,
        })
    }

    /// Would the lines of a block fit in as well? Together they must not become a block that is too large to be read.
    #[must_use]
    pub fn has_room_for(&self, block: &LogBlock) -> bool {
        self.rows() + block.rows() <= ROWS_MAX && self.bytes() + block.bytes() <= MERGED_BYTES_MAX
    }

    /// Adds all lines of a block.
    ///
    /// # Errors
    /// When a column cannot be read; then nothing was added.
    pub fn append(&mut self, block: &LogBlock) -> Result<(), CorruptLog> {
        let texts = TextField::ALL.into_iter().filter(|field| !field.is_id());
        let texts = texts.map(|field| Ok((field, block.text_column(field)?))).collect::<Result<Vec<_>, CorruptLog>>()?;
        let numbers = NumberField::ALL.into_iter().map(|field| Ok((field, block.number_column(field)?)));
        let numbers = numbers.collect::<Result<Vec<_>, CorruptLog>>()?;
        let ids = ID_FIELDS.into_iter().map(|field| Ok((field, block.id_column(field)?)));
        let ids = ids.collect::<Result<Vec<_>, CorruptLog>>()?;
        let (resources, scopes) = (block.resource_column()?, block.scope_column()?);
        let (trace_ids, span_ids, attributes) = (block.trace_ids()?, block.span_ids()?, block.attribute_cells()?);

        let strings: Vec<u32> = (0..block.text_count()).map(|id| self.intern(block.text(id as u32).as_bytes())).collect();
        let string = |id: u32| strings.get(id as usize).copied().unwrap_or(0);
        let move_source = |(names, cells): &([u32; 3], Vec<(u32, Cell)>)| SourceCells {
            names: names.map(string),
            attributes: cells.iter().map(|(name, cell)| (string(*name), moved(cell, string))).collect(),
        };
        let my_resources: Vec<u32> = block.resources.iter().map(|source| self.resources.id(move_source(source))).collect();
        let my_scopes: Vec<u32> = block.scopes.iter().map(|source| self.scopes.id(move_source(source))).collect();
        for (row, time_ns) in block.times_ns.iter().enumerate() {
            for (field, column) in &texts {
                if let id @ 1.. = column.at(row) {
                    self.text_id(*field, string(id));
                }
            }
            for (field, column) in &numbers {
                if let Some(number) = column.at(row).checked_sub(1) {
                    self.number(*field, number);
                }
            }
            for (field, column) in &ids {
                match column.at(row) {
                    Id::None => {}
                    Id::Raw(raw) => self.id_cell(*field, IdCell::Raw(raw)),
                    Id::Text(id) => self.id_cell(*field, IdCell::Text(string(id))),
                }
            }
            if let Id::Raw(trace_id) = trace_ids.at(row) {
                let span_id = match span_ids.at(row) {
                    Id::Raw(id) => Some((id as u64).to_be_bytes()),
                    _ => None,
                };
                self.trace(trace_id.to_be_bytes(), span_id);
            }
            for (name, cell) in attributes.get(row).into_iter().flatten() {
                self.attribute_cell(string(*name), moved(cell, string));
            }
            let resource = my_resources.get(resources.at(row) as usize).copied();
            let scope = (scopes.at(row) as usize).checked_sub(1).and_then(|scope| my_scopes.get(scope)).copied();
            let resource = resource.unwrap_or_else(|| self.resources.id(SourceCells { names: [0; 3], attributes: Vec::new() }));
            self.end(*time_ns, resource, scope);
        }
        Ok(())
    }
}

fn moved(cell: &Cell, string: impl Fn(u32) -> u32) -> Cell {
    match cell {
        Cell::Text(id) => Cell::Text(string(*id)),
        Cell::Json(id) => Cell::Json(string(*id)),
        other => other.clone(),
    }
}

/// Makes as few blocks as possible of many. Names the one that cannot be read by its place.
pub fn merge<'a>(blocks: impl Iterator<Item = &'a [u8]>) -> Result<Vec<FinishedLogs>, (usize, CorruptLog)> {
    let failed = |place| move |_| (place, CorruptLog("it cannot be compressed again"));
    let (mut merged, mut builder, mut last) = (Vec::new(), LogBlockBuilder::new(), 0);
    for (place, data) in blocks.enumerate() {
        let block = LogBlock::open(data).map_err(|corrupt| (place, corrupt))?;
        if !builder.is_empty() && !builder.has_room_for(&block) {
            merged.extend(std::mem::take(&mut builder).finish(LEVEL_DENSE).map_err(failed(place))?);
            builder = LogBlockBuilder::new();
        }
        builder.append(&block).map_err(|corrupt| (place, corrupt))?;
        last = place;
    }
    if !builder.is_empty() {
        merged.extend(builder.finish(LEVEL_DENSE).map_err(failed(last))?);
    }
    Ok(merged)
}
