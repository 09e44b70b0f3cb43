//! OTLP's attributes: key and `AnyValue`, read from the wire.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::AnyValue;
use prost::Message;

use crate::ingest::door::{Judged, NAME_BYTES_MAX, Reason, VALUE_BYTES_MAX, cut};
use crate::ingest::intern::Interner;
use crate::ingest::wire::{Fields, WireError};
use crate::store::{AttributeValue, Attributes};

/// What is read with the help of a table of texts. `cut` counts the texts that were too long.
pub struct Reading<'i> {
    pub interner: &'i mut Interner,
    pub cut: u64,
    /// Attributes of the last span: the next one mostly has as many.
    pub usual: usize,
}

/// Why an item could not be read: the request is no message, or this item alone will not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Wire(WireError),
    Item(Reason),
}

impl From<WireError> for Fault {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

/// A fault of an item stays with it; one of the message does not.
///
/// # Errors
/// When it is one of the message.
pub fn judge<T>(read: Result<T, Fault>, judged: &mut Judged<T>) -> Result<(), WireError> {
    match read {
        Ok(item) => judged.push(Ok(item)),
        Err(Fault::Item(reason)) => judged.refuse(reason),
        Err(Fault::Wire(error)) => return Err(error),
    }
    Ok(())
}

/// Texts of a message must be UTF-8.
pub const BAD_UTF8: Fault = Fault::Item("bad_utf8");

impl Reading<'_> {
    pub fn name(&mut self, bytes: &[u8]) -> Result<Arc<str>, Fault> {
        self.text(bytes, NAME_BYTES_MAX)
    }

    pub fn value(&mut self, bytes: &[u8]) -> Result<Arc<str>, Fault> {
        self.text(bytes, VALUE_BYTES_MAX)
    }

    fn text(&mut self, bytes: &[u8], limit: usize) -> Result<Arc<str>, Fault> {
        if bytes.len() <= limit {
            return self.interner.text(bytes).ok_or(BAD_UTF8);
        }
        Ok(self.long(bytes, limit)?.into())
    }

    /// A text that hardly comes twice.
    pub fn string(&mut self, bytes: &[u8], limit: usize) -> Result<String, Fault> {
        Ok(self.long(bytes, limit)?.to_owned())
    }

    fn long<'a>(&mut self, bytes: &'a [u8], limit: usize) -> Result<&'a str, Fault> {
        let text = std::str::from_utf8(bytes).map_err(|_| BAD_UTF8)?;
        let (text, was_cut) = cut(text, limit);
        self.cut += u64::from(was_cut);
        Ok(text)
    }

    /// Reads one `KeyValue` onto the end of `attributes`.
    pub fn attribute(&mut self, message: &[u8], attributes: &mut Attributes) -> Result<(), Fault> {
        let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            match number {
                1 => key = field.bytes(number)?,
                2 => value = field.bytes(number)?,
                _ => {}
            }
        }
        let key = self.name(key)?;
        attributes.push((key, self.any_value(value)?));
        Ok(())
    }

    /// Reads an `AnyValue`. One without a value is kept as the JSON text `{}`.
    pub fn any_value(&mut self, message: &[u8]) -> Result<AttributeValue, Fault> {
        let mut value = None;
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            value = Some(match number {
                1 => AttributeValue::Text(self.value(field.bytes(number)?)?),
                2 => AttributeValue::Bool(field.varint(number)? != 0),
                3 => AttributeValue::Int(field.varint(number)?.cast_signed()),
                4 => AttributeValue::Double(f64::from_bits(field.fixed64(number)?)),
                5 | 6 => return self.json(message),
                7 => AttributeValue::Bytes(self.bytes(field.bytes(number)?)),
                _ => continue,
            });
        }
        Ok(value.unwrap_or_else(|| AttributeValue::Json(Arc::from("{}"))))
    }

    fn bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.cut += u64::from(bytes.len() > VALUE_BYTES_MAX);
        bytes[..bytes.len().min(VALUE_BYTES_MAX)].to_vec()
    }

    /// Lists and maps are rare: they are read with the generated types and kept as text. A text that were cut would be
    /// no JSON any more, so an item with too long a list is refused.
    fn json(&mut self, message: &[u8]) -> Result<AttributeValue, Fault> {
        // Its text is longer still, and its generated types take many times as much memory.
        if message.len() > VALUE_BYTES_MAX {
            return Err(Fault::Item("too_large"));
        }
        let value = AnyValue::decode(message).map_err(|_| Fault::Item("bad_attribute"))?;
        let text = serde_json::to_string(&value).map_err(|_| Fault::Item("bad_attribute"))?;
        if text.len() > VALUE_BYTES_MAX { Err(Fault::Item("too_large")) } else { Ok(AttributeValue::Json(text.into())) }
    }
}
