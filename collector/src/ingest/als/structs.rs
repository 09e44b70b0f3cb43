//! `google.protobuf.Struct` where it lies: peers out of filter state, and JSON of what else a proxy adds.

use serde_json::{Map, Number, Value as Json};

use super::wire::{BadWire, Fields, Value};

/// Structs inside structs.
const DEPTH_MAX: usize = 16;
/// Values of one struct.
const VALUES_MAX: usize = 512;

/// What one side of an exchange is, as texts of the message; empty where not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerTexts<'a> {
    pub workload: &'a [u8],
    pub namespace: &'a [u8],
    pub service: &'a [u8],
    pub revision: &'a [u8],
    pub cluster: &'a [u8],
    pub principal: &'a [u8],
}

/// The payload of a filter state object: `google.protobuf.Any`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    Struct(&'a [u8]),
    Text(&'a [u8]),
    Other,
}

/// Looks into an `Any`. Older proxies wrap the struct into a `BytesValue`.
pub fn payload(any: &[u8]) -> Result<Payload<'_>, BadWire> {
    let (mut url, mut value) = (&[][..], &[][..]);
    Fields(any).each(|number, field| {
        match number {
            1 => url = field.bytes()?,
            2 => value = field.bytes()?,
            _ => {}
        }
        Ok(())
    })?;
    let name = url.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    Ok(match name {
        b"google.protobuf.Struct" => Payload::Struct(value),
        b"google.protobuf.BytesValue" => Payload::Struct(wrapped(value)?),
        b"google.protobuf.StringValue" => Payload::Text(wrapped(value)?),
        _ => Payload::Other,
    })
}

fn wrapped(value: &[u8]) -> Result<&[u8], BadWire> {
    let mut inner = &[][..];
    Fields(value).each(|number, field| {
        if number == 1 {
            inner = field.bytes()?;
        }
        Ok(())
    })?;
    Ok(inner)
}

/// Reads a peer: lower-case keys as of today, upper-case ones as of the exchanged metadata.
pub fn peer(bytes: &[u8]) -> Result<PeerTexts<'_>, BadWire> {
    let mut peer = PeerTexts::default();
    let (mut app, mut version, mut labels) = (&[][..], &[][..], None);
    each_value(bytes, |key, value| {
        let text = text_of(value)?;
        match key {
            b"workload" | b"WORKLOAD_NAME" => peer.workload = text,
            b"namespace" | b"NAMESPACE" => peer.namespace = text,
            b"service" => peer.service = text,
            b"revision" => peer.revision = text,
            b"cluster" | b"CLUSTER_ID" => peer.cluster = text,
            b"identity" | b"IDENTITY" => peer.principal = text,
            b"app" => app = text,
            b"version" => version = text,
            b"LABELS" => labels = struct_of(value)?,
            _ => {}
        }
        Ok(())
    })?;
    if let Some(labels) = labels {
        each_value(labels, |key, value| {
            let text = text_of(value)?;
            match key {
                b"service.istio.io/canonical-name" => peer.service = text,
                b"service.istio.io/canonical-revision" => peer.revision = text,
                b"app" => app = text,
                b"version" => version = text,
                _ => {}
            }
            Ok(())
        })?;
    }
    if peer.service.is_empty() {
        peer.service = app;
    }
    if peer.revision.is_empty() {
        peer.revision = version;
    }
    Ok(peer)
}

/// Calls `each` with the keys of a `Struct` and their values, both as they lie.
fn each_value<'a>(bytes: &'a [u8], mut each: impl FnMut(&'a [u8], &'a [u8]) -> Result<(), BadWire>) -> Result<(), BadWire> {
    Fields(bytes).each(|number, field| {
        if number == 1 {
            let (key, value) = field.map_entry()?;
            each(key, value)?;
        }
        Ok(())
    })
}

fn text_of(value: &[u8]) -> Result<&[u8], BadWire> {
    inner(value, 3)
}

fn struct_of(value: &[u8]) -> Result<Option<&[u8]>, BadWire> {
    Ok(Some(inner(value, 5)?).filter(|bytes| !bytes.is_empty()))
}

fn inner(value: &[u8], wanted: u32) -> Result<&[u8], BadWire> {
    let mut inner = &[][..];
    Fields(value).each(|number, field| {
        if number == wanted {
            inner = field.bytes()?;
        }
        Ok(())
    })?;
    Ok(inner)
}

/// The JSON of a `Struct`; what is too deep or too much is left out.
pub fn json(bytes: &[u8]) -> Result<Json, BadWire> {
    let mut left = VALUES_MAX;
    json_struct(bytes, 0, &mut left)
}

fn json_struct(bytes: &[u8], depth: usize, left: &mut usize) -> Result<Json, BadWire> {
    let mut map = Map::new();
    each_value(bytes, |key, value| {
        if let Some(value) = json_value(value, depth + 1, left)? {
            map.insert(String::from_utf8_lossy(key).into_owned(), value);
        }
        Ok(())
    })?;
    Ok(Json::Object(map))
}

fn json_value(bytes: &[u8], depth: usize, left: &mut usize) -> Result<Option<Json>, BadWire> {
    let Some(rest) = left.checked_sub(1).filter(|_| depth <= DEPTH_MAX) else { return Ok(None) };
    *left = rest;
    let mut json = Json::Null;
    Fields(bytes).each(|number, field| {
        match (number, field) {
            (2, Value::Fixed64(bits)) => {
                json = Number::from_f64(f64::from_bits(bits)).map_or(Json::Null, Json::Number);
            }
            (3, Value::Bytes(text)) => json = String::from_utf8_lossy(text).into(),
            (4, Value::Varint(flag)) => json = (flag != 0).into(),
            (5, Value::Bytes(inner)) => json = json_struct(inner, depth, left)?,
            (6, Value::Bytes(list)) => {
                let mut items = Vec::new();
                Fields(list).each(|number, item| {
                    if number == 1 {
                        items.extend(json_value(item.bytes()?, depth + 1, left)?);
                    }
                    Ok(())
                })?;
                json = Json::Array(items);
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(Some(json))
}
