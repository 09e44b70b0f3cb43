//! Samples at rest: a scrape as one row of values, and many scrapes as columns whose series share their times.

use std::collections::HashMap;

pub use super::bytes::Damaged;
use super::bytes::{Reader, put, zigzag};
use super::numbers::{NumberReader, NumberWriter};
use super::pack::{pack, unpack};
use super::times::{put_times, take_times};

/// Series of one block; a query reads whole blocks.
pub const SERIES_MAX: usize = 512;
/// Series of one row; more than a target may have.
const ROW_SERIES_MAX: usize = 4_000_000;
/// Samples of one block of columns; what claims to have more is damaged.
const SAMPLES_MAX: usize = 8_000_000;

const ROW: u8 = 1;
const COLUMNS: u8 = 2;
/// A row lives until it is compacted.
const ROW_LEVEL: i32 = 1;
const COLUMNS_LEVEL: i32 = 3;

/// Takes the id, times and values of one series.
pub type Visit<'a> = dyn FnMut(i64, &[i64], &[f64]) + 'a;

/// One series of a block of columns.
#[derive(Clone, Debug)]
pub struct Column {
    pub series: i64,
    /// Index of its times.
    pub times: usize,
    pub values: Vec<f64>,
}

/// Series and the times that they share.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    pub times: Vec<Vec<i64>>,
    pub series: Vec<Column>,
    by_times: HashMap<Vec<i64>, usize>,
}

impl Columns {
    /// Adds a series with ascending times; series that follow each other should resemble each other.
    pub fn push(&mut self, series: i64, times: Vec<i64>, values: Vec<f64>) {
        debug_assert_eq!(times.len(), values.len());
        let next = self.times.len();
        let times = match self.by_times.get(&times) {
            Some(index) => *index,
            None => {
                self.times.push(times.clone());
                self.by_times.insert(times, next);
                next
            }
        };
        self.series.push(Column { series, times, values });
    }
}

/// All series of one scrape, by ascending id.
#[must_use]
pub fn encode_row(t_ms: i64, values: &[(i64, f64)]) -> Vec<u8> {
    debug_assert!(values.is_sorted_by_key(|(series, _)| *series));
    let mut raw = Vec::with_capacity(values.len() * 3 + 32);
    put(&mut raw, zigzag(t_ms));
    put_ids(&mut raw, values.iter().map(|(series, _)| *series));
    // Buckets of a histogram follow each other, so that most differences are small.
    let mut last = 0i64;
    let mut others = Vec::new();
    for (_, value) in values {
        match as_whole(*value) {
            Some(number) => {
                put(&mut raw, zigzag(number - last) + 1);
                last = number;
            }
            None => {
                raw.push(0);
                others.extend_from_slice(&value.to_bits().to_le_bytes());
            }
        }
    }
    raw.extend_from_slice(&others);
    let mut out = vec![ROW];
    pack(&mut out, &raw, ROW_LEVEL);
    out
}

fn as_whole(value: f64) -> Option<i64> {
    let number = value as i64;
    (number.unsigned_abs() < 1 << 53 && (number as f64).to_bits() == value.to_bits()).then_some(number)
}

/// Many times of many series.
#[must_use]
pub fn encode_columns(columns: &Columns) -> Vec<u8> {
    let mut head = Vec::with_capacity(1024);
    put(&mut head, columns.times.len() as u64);
    for times in &columns.times {
        put_times(&mut head, times);
    }
    put(&mut head, columns.series.len() as u64);
    let (mut numbers, mut last) = (NumberWriter::default(), 0i64);
    for column in &columns.series {
        put(&mut head, zigzag(column.series.wrapping_sub(last)));
        last = column.series;
        put(&mut head, column.times as u64);
        numbers.put(column.times, &column.values);
    }
    let mut out = vec![COLUMNS];
    let streams = &numbers.streams;
    for raw in [&head, &streams.heads, &streams.steps, &streams.bits] {
        let mut packed = Vec::new();
        pack(&mut packed, raw, COLUMNS_LEVEL);
        put(&mut out, packed.len() as u64);
        out.extend_from_slice(&packed);
    }
    out
}

/// Reads a block of either kind: each series that is wanted, with its times and values.
pub fn read(block: &[u8], wanted: &dyn Fn(i64) -> bool, each: &mut Visit<'_>) -> Result<(), Damaged> {
    match block.split_first() {
        Some((&ROW, packed)) => read_row(&unpack(packed)?, wanted, each),
        Some((&COLUMNS, rest)) => read_columns(rest, wanted, each),
        _ => Err(Damaged("it is of no known kind")),
    }
}

fn read_row(raw: &[u8], wanted: &dyn Fn(i64) -> bool, each: &mut Visit<'_>) -> Result<(), Damaged> {
    let mut reader = Reader::new(raw);
    let t_ms = reader.signed()?;
    let ids = take_ids(&mut reader)?;
    let mut numbers = reader;
    let mut others_at = reader;
    // The values that are no whole numbers stand behind all the others.
    for _ in 0..ids.len() {
        others_at.number()?;
    }
    let mut last = 0i64;
    for id in ids {
        let value = match numbers.number()? {
            0 => f64::from_bits(others_at.bits()?),
            number => {
                last = last.wrapping_add(super::bytes::unzigzag(number - 1));
                last as f64
            }
        };
        if wanted(id) {
            each(id, &[t_ms], &[value]);
        }
    }
    if others_at.is_empty() { Ok(()) } else { Err(Damaged("something follows its end")) }
}

fn read_columns(block: &[u8], wanted: &dyn Fn(i64) -> bool, each: &mut Visit<'_>) -> Result<(), Damaged> {
    let mut reader = Reader::new(block);
    let mut streams = Vec::with_capacity(4);
    for _ in 0..4 {
        let length = reader.count(block.len())?;
        streams.push(unpack(reader.take(length)?)?);
    }
    let [head, heads, steps, bits] = streams.as_slice() else { return Err(Damaged("it ends too early")) };
    let mut head = Reader::new(head);
    let times_count = head.count(SAMPLES_MAX)?;
    let mut times: Vec<Vec<i64>> = Vec::new();
    let mut room = SAMPLES_MAX;
    for _ in 0..times_count {
        let next = take_times(&mut head, room)?;
        room = room.saturating_sub(next.len());
        times.push(next);
    }
    let series_count = head.count(SAMPLES_MAX)?;
    let mut numbers = NumberReader::new(heads, steps, bits);
    let (mut series, mut room, mut values) = (0i64, SAMPLES_MAX, Vec::new());
    for _ in 0..series_count {
        series = series.wrapping_add(head.signed()?);
        let times = times.get(head.count(times_count)?).ok_or(Damaged("a series has no times"))?;
        room = room.checked_sub(times.len()).ok_or(Damaged("it has too many samples"))?;
        numbers.take(times.len(), &mut values)?;
        if wanted(series) {
            each(series, times, &values);
        }
    }
    Ok(())
}

/// Appends ascending ids as runs of neighbours.
fn put_ids(out: &mut Vec<u8>, ids: impl Iterator<Item = i64>) {
    let mut runs: Vec<(i64, u64)> = Vec::new();
    for id in ids {
        match runs.last_mut() {
            Some((first, count)) if *first + *count as i64 == id => *count += 1,
            _ => runs.push((id, 1)),
        }
    }
    put(out, runs.len() as u64);
    let mut end = 0;
    for (first, count) in runs {
        put(out, first.wrapping_sub(end) as u64);
        put(out, count);
        end = first.wrapping_add(count as i64);
    }
}

fn take_runs(reader: &mut Reader<'_>) -> Result<Vec<(i64, i64)>, Damaged> {
    let count = reader.count(ROW_SERIES_MAX)?;
    let (mut runs, mut end, mut room) = (Vec::new(), 0i64, ROW_SERIES_MAX);
    for _ in 0..count {
        let first = end.wrapping_add(reader.number()? as i64);
        let length = reader.count(room)?;
        room -= length;
        end = first.checked_add(length as i64).ok_or(Damaged("an id is too large"))?;
        runs.push((first, end));
    }
    Ok(runs)
}

fn take_ids(reader: &mut Reader<'_>) -> Result<Vec<i64>, Damaged> {
    Ok(take_runs(reader)?.into_iter().flat_map(|(first, end)| first..end).collect())
}

/// What a search prunes by: the ids of the series of a block.
#[must_use]
pub fn summary(mut ids: Vec<i64>) -> Vec<u8> {
    ids.sort_unstable();
    ids.dedup();
    let mut out = Vec::new();
    put_ids(&mut out, ids.into_iter());
    out
}

/// Whether a block may have one of the series, which are given in ascending order. A summary that cannot be read may
/// have all.
#[must_use]
pub fn may_have(summary: &[u8], wanted: &[i64]) -> bool {
    let Ok(runs) = take_runs(&mut Reader::new(summary)) else { return true };
    runs.into_iter().any(|(first, end)| {
        let at = wanted.partition_point(|id| *id < first);
        wanted.get(at).is_some_and(|id| *id < end)
    })
}

#[cfg(test)]
mod tests;
