//! The frame that exports of all signals have: items under the scope that made them, under the resource that they are of.

use std::sync::Arc;

use super::attributes::{Fault, Reading};
use crate::ingest::door::{ENTRIES_MAX, Judged, Reason};
use crate::ingest::intern::Interner;
use crate::ingest::wire::{Fields, WireError};
use crate::store::{AttributeValue, Attributes, Resource, Scope};

/// Service of a resource without `service.name`, as the specification calls it.
const UNKNOWN_SERVICE: &str = "unknown_service";

/// Where an item comes from.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    pub resource: &'a Arc<Resource>,
    pub scope: &'a Arc<Scope>,
}

/// Reads the items of one signal.
pub trait ReadItem {
    type Item;

    /// Reads one span or log record.
    ///
    /// # Errors
    /// When the bytes are no message. What is wrong with the item alone is judged.
    fn read(
        &self,
        message: &[u8],
        origin: Origin<'_>,
        reading: &mut Reading<'_>,
        judged: &mut Judged<Self::Item>,
    ) -> Result<(), WireError>;
}

/// Reads an `Export…ServiceRequest`.
///
/// # Errors
/// When the bytes are no such message. What is wrong with single items is in the answer.
pub fn decode<R: ReadItem>(
    request: &[u8],
    items: &R,
    interner: &mut Interner,
    items_max: usize,
) -> Result<Judged<R::Item>, WireError> {
    let mut export = Export { reading: Reading { interner, cut: 0, usual: 0 }, items, judged: Judged::up_to(items_max) };
    let mut fields = Fields::new(request);
    while let Some((number, field)) = fields.next_field()? {
        if number == 1 {
            export.resource_items(field.bytes(number)?)?;
        }
    }
    export.judged.cut = export.reading.cut;
    Ok(export.judged)
}

struct Export<'i, 'r, R: ReadItem> {
    reading: Reading<'i>,
    items: &'r R,
    judged: Judged<R::Item>,
}

/// A resource or a scope that will not do takes its items with it.
type Shared<T> = Result<Arc<T>, Reason>;

/// Faults of an item stay with it; those of the message do not.
fn shared<T>(read: Result<T, Fault>) -> Result<Shared<T>, WireError> {
    match read {
        Ok(value) => Ok(Ok(Arc::new(value))),
        Err(Fault::Item(reason)) => Ok(Err(reason)),
        Err(Fault::Wire(error)) => Err(error),
    }
}

/// The parts of `Resource…` and `Scope…`: what items share, how many there are, and the URL of a schema.
pub(super) struct Frame<'a> {
    pub shared: &'a [u8],
    count: usize,
    schema_url: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Fields may come in any order: items wait for what they share.
    pub fn read(message: &'a [u8]) -> Result<Self, WireError> {
        let mut frame = Self { shared: &[], count: 0, schema_url: &[] };
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            match number {
                1 => frame.shared = field.bytes(number)?,
                2 => frame.count += 1,
                3 => frame.schema_url = field.bytes(number)?,
                _ => {}
            }
        }
        Ok(frame)
    }
}

impl<R: ReadItem> Export<'_, '_, R> {
    fn resource_items(&mut self, message: &[u8]) -> Result<(), WireError> {
        let frame = Frame::read(message)?;
        let resource = shared(self.reading.resource(frame.shared, frame.schema_url))?;
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            if number == 2 {
                self.scope_items(field.bytes(number)?, &resource)?;
            }
        }
        Ok(())
    }

    fn scope_items(&mut self, message: &[u8], resource: &Shared<Resource>) -> Result<(), WireError> {
        let frame = Frame::read(message)?;
        let scope = shared(self.reading.scope(frame.shared, frame.schema_url))?;
        let origin = match (resource, &scope) {
            (Ok(resource), Ok(scope)) => Ok(Origin { resource, scope }),
            (Err(reason), _) | (_, Err(reason)) => Err(*reason),
        };
        self.judged.reserve(frame.count);
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            if number == 2 {
                let item = field.bytes(number)?;
                match origin {
                    Ok(origin) => self.items.read(item, origin, &mut self.reading, &mut self.judged)?,
                    Err(reason) => self.judged.refuse(reason),
                }
            }
        }
        Ok(())
    }
}

impl Reading<'_> {
    fn resource(&mut self, message: &[u8], schema_url: &[u8]) -> Result<Resource, Fault> {
        let attributes = self.attributes(message, 1)?;
        let named = attributes.iter().rev().find(|(key, _)| &**key == "service.name");
        let service = match named {
            Some((_, AttributeValue::Text(name))) if !name.is_empty() => Arc::clone(name),
            _ => self.name(UNKNOWN_SERVICE.as_bytes())?,
        };
        Ok(Resource { service, attributes, schema_url: self.value(schema_url)? })
    }

    fn scope(&mut self, message: &[u8], schema_url: &[u8]) -> Result<Scope, Fault> {
        let mut scope = Scope { schema_url: self.value(schema_url)?, ..Scope::default() };
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            match number {
                1 => scope.name = self.name(field.bytes(number)?)?,
                2 => scope.version = self.name(field.bytes(number)?)?,
                3 => self.bounded_attribute(field.bytes(number)?, &mut scope.attributes)?,
                _ => {}
            }
        }
        Ok(scope)
    }

    /// The attributes of a message that has them in one field.
    pub fn attributes(&mut self, message: &[u8], field_number: u32) -> Result<Attributes, Fault> {
        let mut attributes = Attributes::new();
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            if number == field_number {
                self.bounded_attribute(field.bytes(number)?, &mut attributes)?;
            }
        }
        Ok(attributes)
    }

    /// Reads one attribute more, unless there are too many.
    pub fn bounded_attribute(&mut self, message: &[u8], attributes: &mut Attributes) -> Result<(), Fault> {
        match attributes.len() {
            ENTRIES_MAX => return Err(Fault::Item("too_large")),
            // Growing step by step would copy them four times.
            0 if attributes.capacity() == 0 => attributes.reserve(8),
            _ => {}
        }
        self.attribute(message, attributes)
    }
}
