//! Attributes of spans as columns: one per name and type. Which columns a span has is its shape, which many share.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::span::{AttributeValue, Attributes};
use super::dictionary::Dictionary;
use super::summary::Tokens;
use super::values::{BYTES, JSON, TEXT, kind, put_attribute};
use super::wire::{put, put_bytes, put_signed};

/// Columns of one block. Attributes beyond are written one after the other in the first column.
const COLUMNS_MAX: usize = 1_000;
/// The first column: attributes with their names.
pub const OTHERS: u32 = 0;
/// Shapes that are compared before they are looked up.
const RECENT_SHAPES: usize = 4;

#[derive(Default)]
pub struct AttributeColumns<'a> {
    columns: Vec<Column<'a>>,
    by_name: HashMap<(&'a str, u8), u32, ahash::RandomState>,
    others: Dictionary<Arc<[u8]>>,
    /// Of each span.
    shapes: Dictionary<Arc<[u8]>>,
    recent: Vec<Shape<'a>>,
    next_recent: usize,
    scratch: Vec<u8>,
}

struct Column<'a> {
    name: &'a str,
    kind: u8,
    /// Of its name, for tokens of its values.
    seed: u64,
    cells: Cells<'a>,
}

enum Cells<'a> {
    Texts(Dictionary<&'a [u8]>),
    Numbers(Vec<u8>),
}

/// Where the attributes of a span go.
struct Shape<'a> {
    names: Vec<(&'a Arc<str>, u8)>,
    columns: Vec<u32>,
    bytes: Arc<[u8]>,
}

impl<'a> AttributeColumns<'a> {
    /// Adds the attributes of the next span.
    pub fn push(&mut self, attributes: &'a Attributes, tokens: &mut Tokens) {
        let place = self.recent.iter().position(|shape| shape.fits(attributes));
        let place = place.unwrap_or_else(|| self.learn(attributes, tokens));
        let shape = &self.recent[place];
        self.shapes.push(&shape.bytes, || Arc::clone(&shape.bytes));
        for ((name, value), column) in attributes.iter().zip(&shape.columns) {
            if *column == OTHERS {
                self.scratch.clear();
                put_attribute(&mut self.scratch, name, value);
                self.others.push(&self.scratch, || Arc::from(&*self.scratch));
                tokens.add_value(tokens.seed(name), value);
            } else {
                self.columns[*column as usize - 1].push(value, tokens);
            }
        }
    }

    /// Makes the shape of these attributes a recent one.
    fn learn(&mut self, attributes: &'a Attributes, tokens: &mut Tokens) -> usize {
        let mut shape = Shape { names: Vec::new(), columns: Vec::new(), bytes: Arc::from([]) };
        let mut bytes = Vec::new();
        for (name, value) in attributes {
            let column = self.column(name, kind(value), tokens);
            shape.names.push((name, kind(value)));
            shape.columns.push(column);
            put(&mut bytes, u64::from(column));
        }
        shape.bytes = Arc::from(bytes);
        if self.recent.len() < RECENT_SHAPES {
            self.recent.push(shape);
            return self.recent.len() - 1;
        }
        self.next_recent = (self.next_recent + 1) % RECENT_SHAPES;
        self.recent[self.next_recent] = shape;
        self.next_recent
    }

    fn column(&mut self, name: &'a str, kind: u8, tokens: &mut Tokens) -> u32 {
        if let Some(column) = self.by_name.get(&(name, kind)) {
            return *column;
        }
        tokens.add_name(name);
        if self.columns.len() >= COLUMNS_MAX {
            return OTHERS;
        }
        let cells = match kind {
            TEXT | JSON | BYTES => Cells::Texts(Dictionary::default()),
            _ => Cells::Numbers(Vec::new()),
        };
        self.columns.push(Column { name, kind, seed: tokens.seed(name), cells });
        let column = self.columns.len() as u32;
        self.by_name.insert((name, kind), column);
        column
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        self.shapes.write(out);
        self.others.write(out);
        put(out, self.columns.len() as u64);
        for column in &self.columns {
            put_bytes(out, column.name.as_bytes());
            out.push(column.kind);
        }
        for column in &self.columns {
            match &column.cells {
                Cells::Texts(texts) => texts.write(out),
                Cells::Numbers(numbers) => put_bytes(out, numbers),
            }
        }
    }
}

impl Shape<'_> {
    fn fits(&self, attributes: &Attributes) -> bool {
        self.names.len() == attributes.len()
            && self
                .names
                .iter()
                .zip(attributes)
                .all(|((name, known), (other, value))| *known == kind(value) && (Arc::ptr_eq(name, other) || ***name == **other))
    }
}

impl<'a> Column<'a> {
    fn push(&mut self, value: &'a AttributeValue, tokens: &mut Tokens) {
        match (&mut self.cells, value) {
            (Cells::Texts(texts), AttributeValue::Text(text) | AttributeValue::Json(text)) => {
                let bytes = text.as_bytes();
                if texts.push(bytes, || bytes).1 {
                    tokens.add(self.seed, bytes);
                }
            }
            (Cells::Texts(texts), AttributeValue::Bytes(bytes)) => {
                if texts.push(bytes, || bytes).1 {
                    tokens.add_value(self.seed, value);
                }
            }
            (Cells::Numbers(numbers), value) => {
                match value {
                    AttributeValue::Bool(flag) => numbers.push(u8::from(*flag)),
                    AttributeValue::Int(number) => put_signed(numbers, *number),
                    AttributeValue::Double(number) => numbers.extend_from_slice(&number.to_bits().to_le_bytes()),
                    // Its column has cells for texts.
                    AttributeValue::Text(_) | AttributeValue::Json(_) | AttributeValue::Bytes(_) => {}
                }
                tokens.add_value(self.seed, value);
            }
            // A column has the cells of its type.
            (Cells::Texts(_), AttributeValue::Bool(_) | AttributeValue::Int(_) | AttributeValue::Double(_)) => {}
        }
    }
}
