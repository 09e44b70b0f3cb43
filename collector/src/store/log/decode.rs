//! Reads a block of logs: column by column, only those that are asked for. No bytes make it panic or fill the memory.

use std::cell::OnceCell;
use std::sync::Arc;

use super::CorruptLog;
use super::builder::{BLOCK_BYTES_MAX, BLOCK_ROWS_MAX, Cell, uuid_text};
use super::encode::{
    ATTRIBUTES, CONSTANT, ID_FIELDS, ID_NONE, ID_RAW, ID_SAME, ID_TEXT, IDS_FROM, NUMBERS_FROM, RESOURCES, SCOPES, SPAN_IDS,
    TEXTS_FROM, TRACE_IDS, VERSION,
};
use super::fields::{NumberField, TextField};
use super::record::{AccessFields, LogRecord, observed_ns};
use super::varint::{Reader, unzigzag};
use crate::store::compression::decompress;
use crate::store::span::{AttributeValue, Attributes, Resource, Scope};

/// Bytes of a block after decompression.
const DECODED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Rows of a block that is the sum of others.
pub(super) const ROWS_MAX: usize = 4 * BLOCK_ROWS_MAX;
/// Bytes of the texts and attributes of such a block.
pub(super) const MERGED_BYTES_MAX: usize = 2 * BLOCK_BYTES_MAX;

/// A value per row.
#[derive(Clone, Debug)]
pub(super) enum Column<T> {
    Constant(T),
    Values(Vec<T>),
}

impl<T: Copy + Default> Column<T> {
    pub fn at(&self, row: usize) -> T {
        match self {
            Self::Constant(value) => *value,
            Self::Values(values) => values.get(row).copied().unwrap_or_default(),
        }
    }
}

/// An id of a row, texts by their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Id {
    #[default]
    None,
    Raw(u128),
    Text(u32),
}

pub(super) type Cells = Vec<(u32, Cell)>;

struct Section {
    code: u64,
    kind: u8,
    from: usize,
    to: usize,
}

/// A block in memory.
pub struct LogBlock {
    data: Vec<u8>,
    rows: usize,
    /// Where each text lies in `data`; the first is the empty one.
    texts: Vec<(u32, u32)>,
    pub(super) resources: Vec<([u32; 3], Cells)>,
    pub(super) scopes: Vec<([u32; 3], Cells)>,
    pub(super) times_ns: Vec<i64>,
    sections: Vec<Section>,
    made_resources: OnceCell<Vec<Arc<Resource>>>,
    made_scopes: OnceCell<Vec<Arc<Scope>>>,
}

impl LogBlock {
    /// Reads what the store kept.
    ///
    /// # Errors
    /// When it is no block, or larger than one can be.
    pub fn open(data: &[u8]) -> Result<Self, CorruptLog> {
        let [VERSION, frame @ ..] = data else { return Err(CorruptLog("its version is not known")) };
        let size = zstd::zstd_safe::get_frame_content_size(frame).ok().flatten().unwrap_or(u64::MAX);
        if size > DECODED_BYTES_MAX as u64 {
            return Err(CorruptLog("it is too large"));
        }
        let data = decompress(frame, size as usize).map_err(|_| CorruptLog("it is no zstd"))?;
        Self::parse(data)
    }

    /// What compression held.
    pub(crate) fn parse(data: Vec<u8>) -> Result<Self, CorruptLog> {
        let mut reader = Reader(&data);
        let rows = reader.count()?;
        if rows == 0 || rows > ROWS_MAX {
            return Err(CorruptLog("it has no rows or too many"));
        }
        let texts = texts(&data, &mut reader)?;
        let resources = sources(&mut reader, texts.len())?;
        let scopes = sources(&mut reader, texts.len())?;
        let times_ns = times(&mut reader, rows)?;
        let mut sections = Vec::new();
        for _ in 0..reader.count()? {
            let (code, kind) = (reader.varint()?, reader.byte()?);
            let length = reader.count()?;
            let from = data.len() - reader.0.len();
            reader.take(length)?;
            sections.push(Section { code, kind, from, to: from + length });
        }
        let (made_resources, made_scopes) = (OnceCell::new(), OnceCell::new());
        Ok(Self { rows, texts, resources, scopes, times_ns, sections, data, made_resources, made_scopes })
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn text_count(&self) -> usize {
        self.texts.len()
    }

    /// Bytes in memory and at rest, before compression.
    pub(super) fn bytes(&self) -> usize {
        self.data.len()
    }

    pub(super) fn text(&self, id: u32) -> &str {
        let place = self.texts.get(id as usize).copied().unwrap_or_default();
        self.data.get(place.0 as usize..place.1 as usize).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    fn section(&self, code: u64) -> Option<(u8, Reader<'_>)> {
        let section = self.sections.iter().find(|section| section.code == code)?;
        Some((section.kind, Reader(&self.data[section.from..section.to])))
    }

    pub(super) fn text_column(&self, field: TextField) -> Result<Column<u32>, CorruptLog> {
        self.listed(TEXTS_FROM + field.index() as u64, self.texts.len())
    }

    pub(super) fn resource_column(&self) -> Result<Column<u32>, CorruptLog> {
        self.listed(RESOURCES, self.resources.len().max(1))
    }

    /// One more than the number of the scope; 0 is none.
    pub(super) fn scope_column(&self) -> Result<Column<u32>, CorruptLog> {
        self.listed(SCOPES, self.scopes.len() + 1)
    }

    /// A column of small numbers below `limit`.
    fn listed(&self, code: u64, limit: usize) -> Result<Column<u32>, CorruptLog> {
        let Some((kind, mut reader)) = self.section(code) else { return Ok(Column::Constant(0)) };
        let mut list = Vec::new();
        for _ in 0..reader.count()? {
            list.push(below(reader.varint()?, limit)?);
        }
        if kind == CONSTANT {
            return Ok(Column::Constant(list.first().copied().unwrap_or(0)));
        }
        let (mut values, mut next) = (Vec::with_capacity(self.rows), 0);
        for _ in 0..self.rows {
            let place = match reader.varint()? {
                0 => {
                    next += 1;
                    next - 1
                }
                place => place as usize - 1,
            };
            values.push(*list.get(place).ok_or(CorruptLog("a row names a value that is not there"))?);
        }
        Ok(Column::Values(values))
    }

    /// One more than each number; 0 where there is none.
    pub(super) fn number_column(&self, field: NumberField) -> Result<Column<u64>, CorruptLog> {
        let Some((kind, mut reader)) = self.section(NUMBERS_FROM + field.index() as u64) else {
            return Ok(Column::Constant(0));
        };
        if kind == CONSTANT {
            return Ok(Column::Constant(reader.varint()?));
        }
        let base = field.base().map(|base| self.number_column(base)).transpose()?;
        let mut values = Vec::with_capacity(self.rows);
        for row in 0..self.rows {
            values.push(match (reader.varint()?, &base) {
                (0, _) => 0,
                (value, None) => value,
                (value, Some(base)) => (base.at(row) as i64).wrapping_add(unzigzag(value - 1)) as u64,
            });
        }
        Ok(Column::Values(values))
    }

    pub(super) fn id_column(&self, field: TextField) -> Result<Column<Id>, CorruptLog> {
        let index = u64::from(field == TextField::StreamId);
        self.ids(IDS_FROM + index, 16)
    }

    pub(super) fn trace_ids(&self) -> Result<Column<Id>, CorruptLog> {
        self.ids(TRACE_IDS, 16)
    }

    pub(super) fn span_ids(&self) -> Result<Column<Id>, CorruptLog> {
        self.ids(SPAN_IDS, 8)
    }

    fn ids(&self, code: u64, width: usize) -> Result<Column<Id>, CorruptLog> {
        let Some((kind, mut reader)) = self.section(code) else { return Ok(Column::Constant(Id::None)) };
        let constant = [reader.0.first().copied().unwrap_or(ID_NONE)];
        let kinds: &[u8] = if kind == CONSTANT { reader.take(1).map(|_| &constant[..])? } else { reader.take(self.rows)? };
        let kind_at = |row: usize| if kinds.len() == 1 { kinds[0] } else { kinds[row] };
        let raws = (0..self.rows).filter(|row| kind_at(*row) == ID_RAW).count();
        let mut raw = reader.take(raws * width)?.chunks_exact(width);
        let others = match (0..self.rows).any(|row| kind_at(row) == ID_SAME) && code == IDS_FROM + 1 {
            true => self.ids(IDS_FROM, 16)?,
            false => Column::Constant(Id::None),
        };
        let mut values = Vec::with_capacity(self.rows);
        for row in 0..self.rows {
            values.push(match kind_at(row) {
                ID_NONE => Id::None,
                ID_RAW => Id::Raw(raw.next().unwrap_or_default().iter().fold(0, |value, byte| value << 8 | u128::from(*byte))),
                ID_TEXT => Id::Text(below(reader.varint()?, self.texts.len())?),
                ID_SAME => others.at(row),
                _ => return Err(CorruptLog("an id is of no known kind")),
            });
        }
        Ok(Column::Values(values))
    }

    pub(super) fn attribute_cells(&self) -> Result<Vec<Cells>, CorruptLog> {
        let Some((_, mut reader)) = self.section(ATTRIBUTES) else { return Ok(vec![Vec::new(); self.rows]) };
        (0..self.rows).map(|_| cells(&mut reader, self.texts.len())).collect()
    }

    pub(super) fn id_text(&self, id: Id) -> String {
        match id {
            Id::None => String::new(),
            Id::Raw(raw) => uuid_text(raw),
            Id::Text(id) => self.text(id).to_owned(),
        }
    }

    fn value(&self, cell: &Cell) -> AttributeValue {
        match cell {
            Cell::Text(id) => AttributeValue::Text(self.text(*id).into()),
            Cell::Json(id) => AttributeValue::Json(self.text(*id).into()),
            Cell::Bool(value) => AttributeValue::Bool(*value),
            Cell::Int(value) => AttributeValue::Int(*value),
            Cell::Double(bits) => AttributeValue::Double(f64::from_bits(*bits)),
            Cell::Bytes(bytes) => AttributeValue::Bytes(bytes.to_vec()),
        }
    }

    fn attributes(&self, cells: &[(u32, Cell)]) -> Attributes {
        cells.iter().map(|(name, cell)| (self.text(*name).into(), self.value(cell))).collect()
    }

    fn resource(&self, number: u32) -> Arc<Resource> {
        let made = self.made_resources.get_or_init(|| {
            let make = |(names, cells): &([u32; 3], Cells)| Resource {
                service: self.text(names[0]).into(),
                schema_url: self.text(names[1]).into(),
                attributes: self.attributes(cells),
            };
            self.resources.iter().map(make).map(Arc::new).collect()
        });
        made.get(number as usize).cloned().unwrap_or_default()
    }

    fn scope(&self, number: u32) -> Arc<Scope> {
        let made = self.made_scopes.get_or_init(|| {
            let make = |(names, cells): &([u32; 3], Cells)| Scope {
                name: self.text(names[0]).into(),
                version: self.text(names[1]).into(),
                schema_url: self.text(names[2]).into(),
                attributes: self.attributes(cells),
            };
            self.scopes.iter().map(make).map(Arc::new).collect()
        });
        (number as usize).checked_sub(1).and_then(|index| made.get(index)).cloned().unwrap_or_default()
    }

    /// The lines at some places, in that order.
    ///
    /// # Errors
    /// When a column cannot be read.
    pub fn records(&self, rows: &[u32]) -> Result<Vec<LogRecord>, CorruptLog> {
        let texts = TextField::ALL.into_iter().filter(|field| !field.is_id());
        let texts: Vec<_> = texts.map(|field| Ok((field, self.text_column(field)?))).collect::<Result<_, CorruptLog>>()?;
        let numbers = NumberField::ALL.into_iter().map(|field| Ok((field, self.number_column(field)?)));
        let numbers: Vec<_> = numbers.collect::<Result<_, CorruptLog>>()?;
        let ids = ID_FIELDS.into_iter().map(|field| Ok((field, self.id_column(field)?)));
        let ids: Vec<_> = ids.collect::<Result<_, CorruptLog>>()?;
        let (resources, scopes) = (self.resource_column()?, self.scope_column()?);
        let (trace_ids, span_ids, attributes) = (self.trace_ids()?, self.span_ids()?, self.attribute_cells()?);
        let mut records = Vec::with_capacity(rows.len());
        for row in rows.iter().map(|row| *row as usize) {
            let Some(time_ns) = self.times_ns.get(row).copied() else { continue };
            let mut record = LogRecord {
                time_ns,
                resource: self.resource(resources.at(row)),
                scope: self.scope(scopes.at(row)),
                trace_id: raw(trace_ids.at(row)).map(u128::to_be_bytes),
                span_id: raw(span_ids.at(row)).map(|id| (id as u64).to_be_bytes()),
                ..LogRecord::default()
            };
            for (field, column) in &texts {
                let text = self.text(column.at(row));
                match field {
                    _ if text.is_empty() => {}
                    TextField::Body => record.body = Some(AttributeValue::Text(text.into())),
                    TextField::SeverityText => record.severity_text = text.into(),
                    TextField::EventName => record.event_name = text.into(),
                    _ => record.access.texts.push((*field, text.into())),
                }
            }
            for (field, column) in &ids {
                let text = self.id_text(column.at(row));
                if !text.is_empty() {
                    record.access.texts.push((*field, text.into()));
                }
            }
            record.access.texts.sort_by_key(|(field, _)| *field);
            self.fill_numbers(&mut record, &numbers, row);
            for (name, cell) in attributes.get(row).into_iter().flatten() {
                match name {
                    0 => record.body = Some(self.value(cell)),
                    name => record.attributes.push((self.text(*name).into(), self.value(cell))),
                }
            }
            records.push(record);
        }
        Ok(records)
    }

    fn fill_numbers(&self, record: &mut LogRecord, numbers: &[(NumberField, Column<u64>)], row: usize) {
        let AccessFields { numbers: access, .. } = &mut record.access;
        for (field, column) in numbers {
            let Some(number) = column.at(row).checked_sub(1) else { continue };
            match field {
                NumberField::Severity => record.severity = u8::try_from(number).unwrap_or(u8::MAX),
                NumberField::TraceFlags => record.trace_flags = u32::try_from(number).unwrap_or(u32::MAX),
                NumberField::ObservedDelay => record.observed_ns = observed_ns(record.time_ns, Some(number)),
                _ => access.push((*field, number)),
            }
        }
    }
}

fn raw(id: Id) -> Option<u128> {
    match id {
        Id::Raw(raw) => Some(raw),
        _ => None,
    }
}

fn below(value: u64, limit: usize) -> Result<u32, CorruptLog> {
    match u32::try_from(value) {
        Ok(value) if (value as usize) < limit => Ok(value),
        _ => Err(CorruptLog("a number names nothing")),
    }
}

fn texts(data: &[u8], reader: &mut Reader<'_>) -> Result<Vec<(u32, u32)>, CorruptLog> {
    let count = reader.count()?;
    let mut lengths = Vec::with_capacity(count);
    for _ in 0..count {
        lengths.push(reader.count()?);
    }
    let mut texts = Vec::with_capacity(count + 1);
    texts.push((0, 0));
    for length in lengths {
        let from = data.len() - reader.0.len();
        let text = reader.take(length)?;
        std::str::from_utf8(text).map_err(|_| CorruptLog("a text is no UTF-8"))?;
        texts.push((from as u32, (from + length) as u32));
    }
    Ok(texts)
}

fn times(reader: &mut Reader<'_>, rows: usize) -> Result<Vec<i64>, CorruptLog> {
    let unit = reader.varint()? as i64;
    let mut at = reader.signed()?.wrapping_mul(unit);
    (0..rows)
        .map(|_| {
            at = at.wrapping_add((reader.varint()? as i64).wrapping_mul(unit));
            Ok(at)
        })
        .collect()
}

fn sources(reader: &mut Reader<'_>, texts: usize) -> Result<Vec<([u32; 3], Cells)>, CorruptLog> {
    (0..reader.count()?)
        .map(|_| {
            let names = [reader.varint()?, reader.varint()?, reader.varint()?];
            let names = [below(names[0], texts)?, below(names[1], texts)?, below(names[2], texts)?];
            Ok((names, cells(reader, texts)?))
        })
        .collect()
}

fn cells(reader: &mut Reader<'_>, texts: usize) -> Result<Cells, CorruptLog> {
    (0..reader.count()?)
        .map(|_| {
            let name = below(reader.varint()?, texts)?;
            let cell = match reader.byte()? {
                0 => Cell::Text(below(reader.varint()?, texts)?),
                1 => Cell::Json(below(reader.varint()?, texts)?),
                2 => Cell::Bool(reader.byte()? != 0),
                3 => Cell::Int(reader.signed()?),
                4 => Cell::Double(reader.take(8)?.iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte))),
                5 => {
                    let length = reader.count()?;
                    Cell::Bytes(reader.take(length)?.into())
                }
                _ => return Err(CorruptLog("an attribute is of no known kind")),
            };
            Ok((name, cell))
        })
        .collect()
}
