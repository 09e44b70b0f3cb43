//! Reads protobuf structs, such as node metadata, as JSON.

use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value as ProtoValue};
use serde_json::{Map, Number, Value};

/// Depth is bounded by the decoder, which refuses messages nested more than a hundred deep.
pub(super) fn to_json(message: &Struct) -> Map<String, Value> {
    message.fields.iter().map(|(key, value)| (key.clone(), value_to_json(value))).collect()
}

fn value_to_json(value: &ProtoValue) -> Value {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::NumberValue(number)) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        Some(Kind::StringValue(text)) => Value::String(text.clone()),
        Some(Kind::BoolValue(flag)) => Value::Bool(*flag),
        Some(Kind::StructValue(inner)) => Value::Object(to_json(inner)),
        Some(Kind::ListValue(list)) => list.values.iter().map(value_to_json).collect(),
    }
}
