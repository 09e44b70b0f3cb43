//! Columns of attributes as they are read.

use std::sync::Arc;

use super::super::block::CorruptBlock;
use super::super::span::{AttributeValue, Attributes};
use super::attributes::OTHERS;
use super::dictionary::Texts;
use super::values::{BOOL, BYTES, DOUBLE, INT, JSON, TEXT, read_attribute};
use super::wire::{Reader, text, unzigzag};

const SHORT: CorruptBlock = CorruptBlock("a column is too short");

pub struct Column<'a> {
    pub name: &'a str,
    shared_name: Arc<str>,
    kind: u8,
    pub cells: Cells<'a>,
}

pub enum Cells<'a> {
    Texts(Texts<'a>),
    Bools(&'a [u8]),
    Ints(Vec<u64>),
    Doubles(&'a [u8]),
}

/// Attributes of all spans of a block.
pub struct AttributeTable<'a> {
    pub others: Texts<'a>,
    pub columns: Vec<Column<'a>>,
    /// Columns of each shape, counted from 1; 0 is `others`.
    shapes: Vec<Vec<u32>>,
    /// Of each row.
    shape_ids: Vec<u32>,
    /// Where in its column each attribute is, row by row.
    places: Vec<u32>,
    /// Where in `places` each row begins.
    begins: Vec<u32>,
}

/// One attribute of a row: its column, counted from 1, and its place in there.
pub type Cell = (u32, usize);

impl<'a> AttributeTable<'a> {
    pub fn read(reader: &mut Reader<'a>, rows: usize) -> Result<Self, CorruptBlock> {
        let shapes = Texts::read(reader)?;
        let others = Texts::read(reader)?;
        let count = reader.size()?;
        let mut columns = Vec::new();
        for _ in 0..count {
            let name = reader.text()?;
            let kind = reader.byte()?;
            columns.push(Column { name, shared_name: name.into(), kind, cells: Cells::Bools(&[]) });
        }
        for column in &mut columns {
            column.cells = match column.kind {
                TEXT | JSON | BYTES => Cells::Texts(Texts::read(reader)?),
                BOOL => Cells::Bools(reader.bytes()?),
                INT => Cells::Ints(Reader(reader.bytes()?).numbers()?),
                DOUBLE => Cells::Doubles(reader.bytes()?),
                _ => return Err(CorruptBlock("a column has no known type")),
            };
        }
        let shape_ids = shapes.ids;
        if shape_ids.len() != rows {
            return Err(SHORT);
        }
        let shapes = shapes.entries.iter().map(|bytes| read_shape(bytes, columns.len())).collect::<Result<_, _>>()?;
        let mut table = Self { others, columns, shapes, shape_ids, places: Vec::new(), begins: Vec::with_capacity(rows) };
        table.place()?;
        Ok(table)
    }

    /// Counts through the columns.
    fn place(&mut self) -> Result<(), CorruptBlock> {
        let lengths: Vec<usize> =
            std::iter::once(self.others.ids.len()).chain(self.columns.iter().map(|column| column.cells.len())).collect();
        let mut used = vec![0u32; lengths.len()];
        for shape in &self.shape_ids {
            self.begins.push(self.places.len() as u32);
            for column in self.shapes.get(*shape as usize).into_iter().flatten() {
                let place = used[*column as usize];
                if place as usize >= lengths[*column as usize] {
                    return Err(SHORT);
                }
                self.places.push(place);
                used[*column as usize] += 1;
            }
        }
        Ok(())
    }

    /// In the order in which they were sent.
    pub fn cells(&self, row: usize) -> impl Iterator<Item = Cell> {
        let shape = self.shape_ids.get(row).and_then(|shape| self.shapes.get(*shape as usize));
        let begin = self.begins.get(row).map_or(0, |begin| *begin as usize);
        let columns = shape.into_iter().flatten().copied();
        columns.zip(&self.places[begin..]).map(|(column, place)| (column, *place as usize))
    }

    pub fn attributes(&self, row: usize) -> Result<Attributes, CorruptBlock> {
        self.cells(row).map(|cell| self.attribute(cell)).collect()
    }

    pub fn attribute(&self, (column, place): Cell) -> Result<(Arc<str>, AttributeValue), CorruptBlock> {
        if column == OTHERS {
            return read_attribute(&mut Reader(self.others.bytes(place)?));
        }
        let column = self.columns.get(column as usize - 1).ok_or(SHORT)?;
        Ok((Arc::clone(&column.shared_name), column.value(place)?))
    }
}

fn read_shape(bytes: &[u8], columns: usize) -> Result<Vec<u32>, CorruptBlock> {
    let shape: Vec<u32> = Reader(bytes).numbers()?.into_iter().map(|column| u32::try_from(column).unwrap_or(u32::MAX)).collect();
    let is_known = shape.iter().all(|column| *column as usize <= columns);
    if is_known { Ok(shape) } else { Err(CorruptBlock("a column is missing")) }
}

impl Cells<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.ids.len(),
            Self::Bools(bools) => bools.len(),
            Self::Ints(ints) => ints.len(),
            Self::Doubles(doubles) => doubles.len() / 8,
        }
    }
}

impl Column<'_> {
    fn value(&self, place: usize) -> Result<AttributeValue, CorruptBlock> {
        Ok(match &self.cells {
            Cells::Texts(texts) if self.kind == BYTES => AttributeValue::Bytes(texts.bytes(place)?.to_vec()),
            Cells::Texts(texts) if self.kind == JSON => AttributeValue::Json(texts.shared(place)?),
            Cells::Texts(texts) => AttributeValue::Text(texts.shared(place)?),
            Cells::Bools(bools) => AttributeValue::Bool(*bools.get(place).ok_or(SHORT)? != 0),
            Cells::Ints(ints) => AttributeValue::Int(unzigzag(*ints.get(place).ok_or(SHORT)?)),
            Cells::Doubles(doubles) => {
                let bits = doubles.chunks_exact(8).nth(place).and_then(|bytes| bytes.try_into().ok()).ok_or(SHORT)?;
                AttributeValue::Double(f64::from_bits(u64::from_le_bytes(bits)))
            }
        })
    }

    /// Whether the value reads like this.
    pub fn is_text(&self, place: usize, wanted: &str) -> Result<bool, CorruptBlock> {
        match &self.cells {
            Cells::Texts(texts) if self.kind != BYTES => Ok(text(texts.bytes(place)?)? == wanted),
            _ => Ok(self.value(place)?.to_string() == wanted),
        }
    }

    /// Values that people can read.
    pub fn texts(&self) -> Option<&Texts<'_>> {
        match &self.cells {
            Cells::Texts(texts) if self.kind != BYTES => Some(texts),
            _ => None,
        }
    }
}
