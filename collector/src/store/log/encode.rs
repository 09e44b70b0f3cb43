//! Writes the columns of a block: each holds what differs from row to row, and zstd what repeats.

use super::LogStats;
use super::builder::{Cell, IdCell, LogBlockBuilder, SourceCells};
use super::fields::{NumberField, TextField};
use super::varint::{put, put_signed, zigzag};

pub(super) const VERSION: u8 = 1;
/// Codes of columns. A field's code is its place behind the first of its kind.
pub(super) const TEXTS_FROM: u64 = 0;
pub(super) const NUMBERS_FROM: u64 = 512;
pub(super) const IDS_FROM: u64 = 1024;
pub(super) const TRACE_IDS: u64 = 1030;
pub(super) const SPAN_IDS: u64 = 1031;
pub(super) const RESOURCES: u64 = 1032;
pub(super) const SCOPES: u64 = 1033;
pub(super) const ATTRIBUTES: u64 = 1034;
/// How a column is written.
pub(super) const CONSTANT: u8 = 0;
pub(super) const VALUES: u8 = 1;
/// Kinds of ids.
pub(super) const ID_NONE: u8 = 0;
pub(super) const ID_RAW: u8 = 1;
pub(super) const ID_TEXT: u8 = 2;
pub(super) const ID_SAME: u8 = 3;
pub(super) const ID_FIELDS: [TextField; 2] = [TextField::RequestId, TextField::StreamId];
const NOWHERE: u32 = u32::MAX;

/// Writes some rows of a builder; `rows` by time.
pub(super) struct Encoder<'a> {
    from: &'a LogBlockBuilder,
    rows: &'a [u32],
    /// Number in this block by number in the builder: texts that no row here has stay behind.
    numbers: Vec<u32>,
    texts: Vec<u32>,
    columns: Vec<u8>,
    count: u64,
}

impl<'a> Encoder<'a> {
    pub fn new(from: &'a LogBlockBuilder, rows: &'a [u32]) -> Self {
        let mut numbers = vec![NOWHERE; from.strings.len()];
        numbers[0] = 0;
        Self { from, rows, numbers, texts: vec![0], columns: Vec::with_capacity(rows.len() * 64), count: 0 }
    }

    /// The block, before compression.
    pub fn finish(mut self, stats: &LogStats) -> Vec<u8> {
        let from = self.from;
        let resources = self.sources(&from.resources.list);
        let scopes = self.sources(&from.scopes.list);
        self.number_column(RESOURCES, &from.resource, false);
        self.number_column(SCOPES, &from.scope, false);
        for field in TextField::ALL {
            if !field.is_id() {
                self.number_column(TEXTS_FROM + field.index() as u64, &from.texts[field.index()], true);
            }
        }
        for field in NumberField::ALL {
            self.numbers(field);
        }
        self.ids();
        self.attributes();
        let mut out = Vec::with_capacity(self.columns.len() + self.texts.len() * 24);
        put(&mut out, self.rows.len() as u64);
        self.strings(&mut out);
        out.extend(resources);
        out.extend(scopes);
        self.times(&mut out, stats);
        put(&mut out, self.count);
        out.extend(&self.columns);
        out
    }

    fn string(&mut self, id: u32) -> u64 {
        let slot = &mut self.numbers[id as usize];
        if *slot == NOWHERE {
            *slot = self.texts.len() as u32;
            self.texts.push(id);
        }
        u64::from(*slot)
    }

    fn strings(&self, out: &mut Vec<u8>) {
        put(out, self.texts.len() as u64 - 1);
        for id in &self.texts[1..] {
            put(out, self.from.strings.get(*id).len() as u64);
        }
        for id in &self.texts[1..] {
            out.extend(self.from.strings.get(*id).as_bytes());
        }
    }

    fn times(&self, out: &mut Vec<u8>, stats: &LogStats) {
        let times = || self.rows.iter().map(|row| self.from.times_ns[*row as usize]);
        let unit = if times().all(|time| time % 1000 == 0) { 1000 } else { 1 };
        put(out, unit as u64);
        put_signed(out, stats.from_ns / unit);
        let mut before = stats.from_ns;
        for time in times() {
            put(out, (time.wrapping_sub(before) as u64) / unit as u64);
            before = time;
        }
    }

    fn column(&mut self, code: u64, kind: u8, payload: &[u8]) {
        self.count += 1;
        put(&mut self.columns, code);
        self.columns.push(kind);
        put(&mut self.columns, payload.len() as u64);
        self.columns.extend(payload);
    }

    fn sources(&mut self, sources: &[SourceCells]) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, sources.len() as u64);
        for source in sources {
            for name in source.names {
                let name = self.string(name);
                put(&mut out, name);
            }
            self.cells(&mut out, &source.attributes);
        }
        out
    }

    /// Small numbers that repeat: each row names the place of its value in a list, or 0 for the next that is new there.
    fn number_column(&mut self, code: u64, column: &[u32], are_texts: bool) {
        if column.is_empty() {
            return;
        }
        let largest = column.iter().copied().max().unwrap_or(0) as usize;
        let mut places = vec![0u32; largest + 1];
        let mut list = Vec::new();
        let mut body = Vec::with_capacity(self.rows.len() + 16);
        for row in self.rows {
            let value = column.get(*row as usize).copied().unwrap_or(0);
            let place = &mut places[value as usize];
            if *place == 0 {
                list.push(value);
                *place = list.len() as u32;
                body.push(0);
            } else {
                put(&mut body, u64::from(*place));
            }
        }
        if list.len() == 1 && list[0] == 0 {
            return;
        }
        let mut payload = Vec::with_capacity(body.len() + list.len() * 2);
        put(&mut payload, list.len() as u64);
        for value in &list {
            let value = if are_texts { self.string(*value) } else { u64::from(*value) };
            put(&mut payload, value);
        }
        if list.len() == 1 {
            return self.column(code, CONSTANT, &payload);
        }
        payload.extend(body);
        self.column(code, VALUES, &payload);
    }

    fn numbers(&mut self, field: NumberField) {
        let column = &self.from.numbers[field.index()];
        let at = |column: &[u64], row: u32| column.get(row as usize).copied().unwrap_or(0);
        let Some(first) = self.rows.first().map(|row| at(column, *row)) else { return };
        let mut payload = Vec::with_capacity(self.rows.len() * 2);
        if self.rows.iter().all(|row| at(column, *row) == first) {
            if first != 0 {
                put(&mut payload, first);
                self.column(NUMBERS_FROM + field.index() as u64, CONSTANT, &payload);
            }
            return;
        }
        let base = field.base().map(|base| &*self.from.numbers[base.index()]);
        for row in self.rows {
            let value = match (at(column, *row), base.map_or(0, |base| at(base, *row))) {
                (0, _) => 0,
                (value, 0) if base.is_some() => zigzag(value as i64) + 1,
                (value, 0) => value,
                (value, base) => zigzag(value as i64 - base as i64) + 1,
            };
            put(&mut payload, value);
        }
        self.column(NUMBERS_FROM + field.index() as u64, VALUES, &payload);
    }

    fn ids(&mut self) {
        let from = self.from;
        let at = |column: &[IdCell], row: u32| column.get(row as usize).copied().unwrap_or_default();
        for (index, column) in from.ids.iter().enumerate() {
            let (mut kinds, mut raws, mut texts) = (Vec::with_capacity(self.rows.len()), Vec::new(), Vec::new());
            for row in self.rows {
                let cell = at(column, *row);
                let is_same = index > 0 && cell == at(&from.ids[0], *row);
                kinds.push(match cell {
                    IdCell::None => ID_NONE,
                    _ if is_same => ID_SAME,
                    IdCell::Raw(raw) => {
                        raws.extend(raw.to_be_bytes());
                        ID_RAW
                    }
                    IdCell::Text(id) => {
                        let id = self.string(id);
                        put(&mut texts, id);
                        ID_TEXT
                    }
                });
            }
            self.id_column(IDS_FROM + index as u64, kinds, &raws, &texts);
        }
        for (code, column, width) in [(TRACE_IDS, &from.trace_ids, 16), (SPAN_IDS, &from.span_ids, 8)] {
            let values = self.rows.iter().map(|row| column.get(*row as usize).copied().unwrap_or(0));
            let kinds = values.clone().map(|value| if value == 0 { ID_NONE } else { ID_RAW }).collect();
            let raws: Vec<u8> =
                values.filter(|value| *value != 0).flat_map(|value| value.to_be_bytes().into_iter().skip(16 - width)).collect();
            self.id_column(code, kinds, &raws, &[]);
        }
    }

    fn id_column(&mut self, code: u64, kinds: Vec<u8>, raws: &[u8], texts: &[u8]) {
        let Some(first) = kinds.first().copied() else { return };
        let is_constant = kinds.iter().all(|kind| *kind == first);
        if is_constant && first == ID_NONE {
            return;
        }
        let mut payload = if is_constant { vec![first] } else { kinds };
        payload.extend(raws);
        payload.extend(texts);
        self.column(code, if is_constant { CONSTANT } else { VALUES }, &payload);
    }

    fn attributes(&mut self) {
        if self.from.attribute_ends.is_empty() {
            return;
        }
        let (from, mut payload) = (self.from, Vec::new());
        for row in self.rows {
            self.cells(&mut payload, from.attributes_of(*row as usize));
        }
        self.column(ATTRIBUTES, VALUES, &payload);
    }

    fn cells(&mut self, out: &mut Vec<u8>, cells: &[(u32, Cell)]) {
        put(out, cells.len() as u64);
        for (name, cell) in cells {
            let name = self.string(*name);
            put(out, name);
            match cell {
                Cell::Text(id) => {
                    out.push(0);
                    let id = self.string(*id);
                    put(out, id);
                }
                Cell::Json(id) => {
                    out.push(1);
                    let id = self.string(*id);
                    put(out, id);
                }
                Cell::Bool(value) => out.extend([2, u8::from(*value)]),
                Cell::Int(value) => {
                    out.push(3);
                    put_signed(out, *value);
                }
                Cell::Double(bits) => {
                    out.push(4);
                    out.extend(bits.to_le_bytes());
                }
                Cell::Bytes(bytes) => {
                    out.push(5);
                    put(out, bytes.len() as u64);
                    out.extend(&**bytes);
                }
            }
        }
    }
}
