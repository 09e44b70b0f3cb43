//! The exchanged struct on the wire: deterministic protobuf of `google.protobuf.Struct`, in base64.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value as ProtoValue};
use serde_json::{Map, Number, Value};

/// Longest header value that is decoded. Istio's own is below 1 KiB.
pub const METADATA_BYTES_MAX: usize = 16 * 1024;

const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// Peer metadata that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    #[error("peer metadata of {0} bytes is longer than the {METADATA_BYTES_MAX} that are read")]
    TooLong(usize),
    #[error("peer metadata is not base64")]
    Base64(#[source] base64::DecodeError),
    #[error("peer metadata is not a protobuf struct")]
    Protobuf(#[source] prost::DecodeError),
}

/// Encodes a struct. Map entries are sorted by key, so that equal identities give equal bytes.
#[must_use]
pub fn encode(fields: &Map<String, Value>) -> String {
    // `prost_types::Struct` holds a BTreeMap, which is what makes the encoding deterministic.
    BASE64.encode(to_struct(fields).encode_to_vec())
}

/// Decodes a header value, with or without padding.
pub fn decode(text: &[u8]) -> Result<Map<String, Value>, PeerError> {
    if text.len() > METADATA_BYTES_MAX {
        return Err(PeerError::TooLong(text.len()));
    }
    let bytes = BASE64.decode(text).map_err(PeerError::Base64)?;
    let decoded = Struct::decode(bytes.as_slice()).map_err(PeerError::Protobuf)?;
    Ok(to_map(decoded))
}

fn to_struct(fields: &Map<String, Value>) -> Struct {
    Struct { fields: fields.iter().map(|(k, v)| (k.clone(), to_proto(v))).collect() }
}

fn to_proto(value: &Value) -> ProtoValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(to_proto).collect() }),
        Value::Object(fields) => Kind::StructValue(to_struct(fields)),
    };
    ProtoValue { kind: Some(kind) }
}

fn to_map(decoded: Struct) -> Map<String, Value> {
    decoded.fields.into_iter().map(|(k, v)| (k, to_json(v))).collect()
}

fn to_json(value: ProtoValue) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(flag)) => Value::Bool(flag),
        Some(Kind::NumberValue(number)) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::ListValue(list)) => Value::Array(list.values.into_iter().map(to_json).collect()),
        Some(Kind::StructValue(fields)) => Value::Object(to_map(fields)),
    }
}
