//! Gathers log lines into the columns of a block. Borrowed values go in; of a text that is known only its number is kept.

use std::collections::HashMap;
use std::sync::Arc;

use super::fields::{NumberField, TextField};
use super::strings::Strings;
use crate::store::span::{AttributeValue, Resource, Scope};

/// Lines of one block.
pub const BLOCK_ROWS_MAX: usize = 16_384;
/// Bytes of the texts and attributes of one block; no single line may bring more than half of it.
pub const BLOCK_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Attributes of one line, and of one resource; what is beyond is dropped and counted.
pub const ATTRIBUTES_MAX: usize = 256;
/// Largest number that is kept, bits of doubles below 2 included.
pub const NUMBER_MAX: u64 = 1 << 62;

/// A value on its way into a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AttributeRef<'a> {
    Text(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(&'a [u8]),
    /// Arrays and key-value lists.
    Json(&'a [u8]),
}

impl<'a> From<&'a AttributeValue> for AttributeRef<'a> {
    fn from(value: &'a AttributeValue) -> Self {
        match value {
            AttributeValue::Text(text) => Self::Text(text.as_bytes()),
            AttributeValue::Bool(value) => Self::Bool(*value),
            AttributeValue::Int(value) => Self::Int(*value),
            AttributeValue::Double(value) => Self::Double(*value),
            AttributeValue::Bytes(bytes) => Self::Bytes(bytes),
            AttributeValue::Json(text) => Self::Json(text.as_bytes()),
        }
    }
}

/// Bytes of an attribute at rest, without its texts.
const CELL_BYTES: usize = 16;

/// A value inside a block: texts by their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cell {
    Text(u32),
    Json(u32),
    Bool(bool),
    Int(i64),
    /// Its bits.
    Double(u64),
    Bytes(Box<[u8]>),
}

impl Cell {
    /// That it takes at rest, its text apart.
    fn bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => CELL_BYTES + bytes.len(),
            _ => CELL_BYTES,
        }
    }
}

/// An id of a request or stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum IdCell {
    #[default]
    None,
    Raw(u128),
    Text(u32),
}

/// A resource (service, schema) or an instrumentation scope (name, version, schema).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SourceCells {
    pub names: [u32; 3],
    pub attributes: Vec<(u32, Cell)>,
}

/// Sources by their number in the block.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub list: Vec<SourceCells>,
    bytes: usize,
    ids: HashMap<SourceCells, u32, ahash::RandomState>,
}

impl Sources {
    pub fn id(&mut self, cells: SourceCells) -> u32 {
        if let Some(id) = self.ids.get(&cells) {
            return *id;
        }
        let id = self.list.len() as u32;
        self.bytes += cells.attributes.iter().map(|(_, cell)| cell.bytes()).sum::<usize>();
        self.list.push(cells.clone());
        self.ids.insert(cells, id);
        id
    }
}

/// Name of the attribute that holds a body which is no text.
pub(super) const BODY_NAME: u32 = 0;

/// A column is only as long as its last row with a value: what is absent costs nothing.
#[derive(Debug, Default)]
pub struct LogBlockBuilder {
    pub(super) strings: Strings,
    pub(super) resources: Sources,
    pub(super) scopes: Sources,
    pub(super) times_ns: Vec<i64>,
    pub(super) resource: Vec<u32>,
    pub(super) scope: Vec<u32>,
    pub(super) texts: Vec<Vec<u32>>,
    /// One more than the number; 0 is absent.
    pub(super) numbers: Vec<Vec<u64>>,
    pub(super) ids: [Vec<IdCell>; 2],
    pub(super) trace_ids: Vec<u128>,
    pub(super) span_ids: Vec<u128>,
    pub(super) attributes: Vec<(u32, Cell)>,
    attribute_bytes: usize,
    /// Where the attributes of each row end.
    pub(super) attribute_ends: Vec<u32>,
    /// The sources that were asked for last: a batch names the same ones again and again.
    last_resource: Option<(Arc<Resource>, u32)>,
    last_scope: Option<(Arc<Scope>, u32)>,
    attributes_dropped: u64,
}

impl LogBlockBuilder {
    #[must_use]
    pub fn new() -> Self {
        Self {
            texts: vec![Vec::new(); TextField::ALL.len()],
            numbers: vec![Vec::new(); NumberField::ALL.len()],
            ..Self::default()
        }
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.times_ns.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.times_ns.is_empty()
    }

    /// Takes no more lines.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.rows() >= BLOCK_ROWS_MAX || self.bytes() >= BLOCK_BYTES_MAX / 2
    }

    /// Bytes of its texts and attributes: what its rows do not bound.
    pub(super) fn bytes(&self) -> usize {
        self.strings.bytes() + self.attribute_bytes + self.resources.bytes + self.scopes.bytes
    }

    /// Attributes that were beyond [`ATTRIBUTES_MAX`].
    #[must_use]
    pub fn attributes_dropped(&self) -> u64 {
        self.attributes_dropped
    }

    /// The number of a text in this block.
    pub fn intern(&mut self, text: &[u8]) -> u32 {
        self.strings.intern(text)
    }

    /// The text behind a number.
    #[must_use]
    pub fn string(&self, id: u32) -> &str {
        self.strings.get(id)
    }

    /// The number of a resource in this block.
    pub fn resource(&mut self, resource: &Arc<Resource>) -> u32 {
        match &self.last_resource {
            Some((last, id)) if Arc::ptr_eq(last, resource) => *id,
            _ => {
                let id = self.source([&resource.service, &resource.schema_url, ""], &resource.attributes);
                let id = self.resources.id(id);
                self.last_resource = Some((Arc::clone(resource), id));
                id
            }
        }
    }

    /// The number of an instrumentation scope in this block.
    pub fn scope(&mut self, scope: &Arc<Scope>) -> u32 {
        match &self.last_scope {
            Some((last, id)) if Arc::ptr_eq(last, scope) => *id,
            _ => {
                let id = self.source([&scope.name, &scope.version, &scope.schema_url], &scope.attributes);
                let id = self.scopes.id(id);
                self.last_scope = Some((Arc::clone(scope), id));
                id
            }
        }
    }

    fn source(&mut self, names: [&str; 3], attributes: &[(Arc<str>, AttributeValue)]) -> SourceCells {
        let names = names.map(|name| self.strings.intern(name.as_bytes()));
        let attributes = attributes.iter().take(ATTRIBUTES_MAX);
        let attributes = attributes.map(|(name, value)| (self.strings.intern(name.as_bytes()), self.cell(value.into())));
        SourceCells { names, attributes: attributes.collect() }
    }

    fn cell(&mut self, value: AttributeRef<'_>) -> Cell {
        match value {
            AttributeRef::Text(text) => Cell::Text(self.strings.intern(text)),
            AttributeRef::Json(text) => Cell::Json(self.strings.intern(text)),
            AttributeRef::Bool(value) => Cell::Bool(value),
            AttributeRef::Int(value) => Cell::Int(value),
            AttributeRef::Double(value) => Cell::Double(value.to_bits()),
            AttributeRef::Bytes(bytes) => Cell::Bytes(bytes.into()),
        }
    }

    /// Sets a text of the line that is being filled.
    pub fn text(&mut self, field: TextField, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        if !field.is_id() {
            let id = self.strings.intern(text);
            return self.text_id(field, id);
        }
        let cell = match parse_uuid(text) {
            Some(raw) => IdCell::Raw(raw),
            None => IdCell::Text(self.strings.intern(text)),
        };
        self.id_cell(field, cell);
    }

    /// Sets a text by its number.
    pub fn text_id(&mut self, field: TextField, id: u32) {
        let row = self.times_ns.len();
        set(&mut self.texts[field.index()], row, id);
    }

    pub(super) fn id_cell(&mut self, field: TextField, cell: IdCell) {
        let row = self.times_ns.len();
        set(&mut self.ids[usize::from(field == TextField::StreamId)], row, cell);
    }

    /// Sets a number of the line that is being filled.
    pub fn number(&mut self, field: NumberField, number: u64) {
        let row = self.times_ns.len();
        set(&mut self.numbers[field.index()], row, number.min(NUMBER_MAX) + 1);
    }

    /// Sets the trace that the line that is being filled belongs to.
    pub fn trace(&mut self, trace_id: [u8; 16], span_id: Option<[u8; 8]>) {
        let row = self.times_ns.len();
        set(&mut self.trace_ids, row, u128::from_be_bytes(trace_id));
        if let Some(span_id) = span_id {
            set(&mut self.span_ids, row, u64::from_be_bytes(span_id).into());
        }
    }

    /// Adds an attribute to the line that is being filled.
    pub fn attribute(&mut self, name: &[u8], value: AttributeRef<'_>) {
        if name.is_empty() {
            self.attributes_dropped += 1;
            return;
        }
        let name = self.strings.intern(name);
        let cell = self.cell(value);
        self.attribute_cell(name, cell);
    }

    /// Sets a body that is no text.
    pub(super) fn body(&mut self, value: AttributeRef<'_>) {
        let cell = self.cell(value);
        self.attribute_cell(BODY_NAME, cell);
    }

    pub(super) fn attribute_cell(&mut self, name: u32, cell: Cell) {
        let row = self.times_ns.len();
        let before = self.attribute_end(row);
        if self.attributes.len() - before >= ATTRIBUTES_MAX {
            self.attributes_dropped += 1;
            return;
        }
        self.attribute_bytes += cell.bytes();
        self.attributes.push((name, cell));
    }

    /// Where the attributes of the rows before this one end.
    fn attribute_end(&self, row: usize) -> usize {
        match row.checked_sub(1) {
            Some(before) => self.attribute_ends.get(before).or(self.attribute_ends.last()).map_or(0, |end| *end as usize),
            None => 0,
        }
    }

    pub(super) fn attributes_of(&self, row: usize) -> &[(u32, Cell)] {
        let end = self.attribute_end(row + 1);
        &self.attributes[self.attribute_end(row)..end]
    }

    /// The number of a text of the line that is being filled; 0 when it has none.
    #[must_use]
    pub fn filled_text(&self, field: TextField) -> u32 {
        self.texts[field.index()].get(self.times_ns.len()).copied().unwrap_or(0)
    }

    /// A number of the line that is being filled.
    #[must_use]
    pub fn filled_number(&self, field: NumberField) -> Option<u64> {
        self.numbers[field.index()].get(self.times_ns.len()).copied().unwrap_or(0).checked_sub(1)
    }

    /// Ends the line that is being filled.
    pub fn end(&mut self, time_ns: i64, resource: u32, scope: Option<u32>) {
        let row = self.times_ns.len();
        if self.attributes.len() > self.attribute_end(row) {
            let before = self.attribute_end(row) as u32;
            self.attribute_ends.resize(row, before);
            self.attribute_ends.push(self.attributes.len() as u32);
        }
        if let Some(scope) = scope {
            set(&mut self.scope, row, scope + 1);
        }
        self.resource.push(resource);
        self.times_ns.push(time_ns);
    }

    /// Takes back what was set since the last line ended.
    pub fn discard(&mut self) {
        let row = self.times_ns.len();
        self.texts.iter_mut().for_each(|column| column.truncate(row));
        self.numbers.iter_mut().for_each(|column| column.truncate(row));
        self.ids.iter_mut().for_each(|column| column.truncate(row));
        self.trace_ids.truncate(row);
        self.span_ids.truncate(row);
        self.scope.truncate(row);
        let gone = self.attributes.drain(self.attribute_end(row)..);
        self.attribute_bytes -= gone.map(|(_, cell)| cell.bytes()).sum::<usize>();
    }
}

fn set<T: Copy + Default>(column: &mut Vec<T>, row: usize, value: T) {
    if column.len() <= row {
        column.resize(row, T::default());
        column.push(value);
    } else {
        column[row] = value;
    }
}

/// Reads a UUID in its canonical form, lower case: only what can be written again as it came.
pub(super) fn parse_uuid(text: &[u8]) -> Option<u128> {
    if text.len() != 36 {
        return None;
    }
    let mut value = 0u128;
    for (index, byte) in text.iter().enumerate() {
        if matches!(index, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        value = value << 4 | u128::from(digit);
    }
    Some(value)
}

pub(super) fn uuid_text(value: u128) -> String {
    let hex = format!("{value:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
