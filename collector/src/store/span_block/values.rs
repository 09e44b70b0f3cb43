//! Attributes, resources, scopes, endpoints and links as short byte strings, which a dictionary holds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::super::block::CorruptBlock;
use super::super::span::{AttributeValue, Attributes, Endpoint, Resource, Scope, SpanLink};
use super::wire::{Reader, put, put_bytes, put_signed};

pub const TEXT: u8 = 0;
pub const BOOL: u8 = 1;
pub const INT: u8 = 2;
pub const DOUBLE: u8 = 3;
pub const BYTES: u8 = 4;
pub const JSON: u8 = 5;

pub fn kind(value: &AttributeValue) -> u8 {
    match value {
        AttributeValue::Text(_) => TEXT,
        AttributeValue::Bool(_) => BOOL,
        AttributeValue::Int(_) => INT,
        AttributeValue::Double(_) => DOUBLE,
        AttributeValue::Bytes(_) => BYTES,
        AttributeValue::Json(_) => JSON,
    }
}

fn put_value(out: &mut Vec<u8>, value: &AttributeValue) {
    out.push(kind(value));
    match value {
        AttributeValue::Text(text) | AttributeValue::Json(text) => put_bytes(out, text.as_bytes()),
        AttributeValue::Bool(flag) => out.push(u8::from(*flag)),
        AttributeValue::Int(number) => put_signed(out, *number),
        AttributeValue::Double(number) => out.extend_from_slice(&number.to_bits().to_le_bytes()),
        AttributeValue::Bytes(bytes) => put_bytes(out, bytes),
    }
}

fn read_value(reader: &mut Reader<'_>) -> Result<AttributeValue, CorruptBlock> {
    Ok(match reader.byte()? {
        TEXT => AttributeValue::Text(reader.text()?.into()),
        BOOL => AttributeValue::Bool(reader.byte()? != 0),
        INT => AttributeValue::Int(reader.signed()?),
        DOUBLE => AttributeValue::Double(f64::from_bits(u64::from_le_bytes(reader.array()?))),
        BYTES => AttributeValue::Bytes(reader.bytes()?.to_vec()),
        JSON => AttributeValue::Json(reader.text()?.into()),
        _ => return Err(CorruptBlock("an attribute has no known type")),
    })
}

pub fn put_attribute(out: &mut Vec<u8>, name: &str, value: &AttributeValue) {
    put_bytes(out, name.as_bytes());
    put_value(out, value);
}

pub fn read_attribute(reader: &mut Reader<'_>) -> Result<(Arc<str>, AttributeValue), CorruptBlock> {
    Ok((reader.text()?.into(), read_value(reader)?))
}

pub fn put_attributes(out: &mut Vec<u8>, attributes: &Attributes) {
    put(out, attributes.len() as u64);
    for (name, value) in attributes {
        put_attribute(out, name, value);
    }
}

pub fn read_attributes(reader: &mut Reader<'_>) -> Result<Attributes, CorruptBlock> {
    let count = reader.number()?;
    (0..count).map(|_| read_attribute(reader)).collect()
}

pub fn put_resource(out: &mut Vec<u8>, resource: &Resource) {
    put_bytes(out, resource.service.as_bytes());
    put_bytes(out, resource.schema_url.as_bytes());
    put_attributes(out, &resource.attributes);
}

pub fn read_resource(bytes: &[u8]) -> Result<Resource, CorruptBlock> {
    let mut reader = Reader(bytes);
    let (service, schema_url) = (reader.text()?.into(), reader.text()?.into());
    Ok(Resource { service, schema_url, attributes: read_attributes(&mut reader)? })
}

pub fn put_scope(out: &mut Vec<u8>, scope: &Scope) {
    for text in [&scope.name, &scope.version, &scope.schema_url] {
        put_bytes(out, text.as_bytes());
    }
    put_attributes(out, &scope.attributes);
}

pub fn read_scope(bytes: &[u8]) -> Result<Scope, CorruptBlock> {
    let mut reader = Reader(bytes);
    let (name, version, schema_url) = (reader.text()?.into(), reader.text()?.into(), reader.text()?.into());
    Ok(Scope { name, version, schema_url, attributes: read_attributes(&mut reader)? })
}

/// The service is that of the resource.
const SAME_SERVICE: u8 = 1;
const IP_V4: u8 = 2;
const IP_V6: u8 = 4;

pub fn put_endpoint(out: &mut Vec<u8>, endpoint: &Endpoint, service: &str) {
    let same = if *endpoint.service == *service { SAME_SERVICE } else { 0 };
    match endpoint.ip {
        None => out.push(same),
        Some(IpAddr::V4(ip)) => {
            out.push(same | IP_V4);
            out.extend_from_slice(&ip.octets());
        }
        Some(IpAddr::V6(ip)) => {
            out.push(same | IP_V6);
            out.extend_from_slice(&ip.octets());
        }
    }
    put(out, u64::from(endpoint.port));
    if same == 0 {
        put_bytes(out, endpoint.service.as_bytes());
    }
}

pub fn read_endpoint(bytes: &[u8], service: &Arc<str>) -> Result<Endpoint, CorruptBlock> {
    let mut reader = Reader(bytes);
    let flags = reader.byte()?;
    let ip = match flags & (IP_V4 | IP_V6) {
        0 => None,
        IP_V4 => Some(IpAddr::V4(Ipv4Addr::from(reader.array::<4>()?))),
        _ => Some(IpAddr::V6(Ipv6Addr::from(reader.array::<16>()?))),
    };
    let port = u16::try_from(reader.number()?).map_err(|_| CorruptBlock("a port is too large"))?;
    let service = if flags & SAME_SERVICE != 0 { Arc::clone(service) } else { reader.text()?.into() };
    Ok(Endpoint { service, ip, port })
}

/// Name of the service at the other end, without the rest.
pub fn endpoint_service<'a>(bytes: &'a [u8], service: &'a str) -> Result<&'a str, CorruptBlock> {
    let mut reader = Reader(bytes);
    let flags = reader.byte()?;
    if flags & SAME_SERVICE != 0 {
        return Ok(service);
    }
    let skipped = match flags & (IP_V4 | IP_V6) {
        0 => 0,
        IP_V4 => 4,
        _ => 16,
    };
    reader.take(skipped)?;
    reader.number()?;
    reader.text()
}

pub fn put_link(out: &mut Vec<u8>, link: &SpanLink) {
    out.extend_from_slice(&link.trace_id);
    out.extend_from_slice(&link.span_id);
    put(out, u64::from(link.flags));
    put_bytes(out, link.trace_state.as_bytes());
    put_attributes(out, &link.attributes);
}

pub fn read_link(bytes: &[u8]) -> Result<SpanLink, CorruptBlock> {
    let mut reader = Reader(bytes);
    Ok(SpanLink {
        trace_id: reader.array()?,
        span_id: reader.array()?,
        flags: reader.number()? as u32,
        trace_state: reader.text()?.into(),
        attributes: read_attributes(&mut reader)?,
    })
}
