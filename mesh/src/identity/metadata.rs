//! Reads node metadata leniently: absent keys are empty, and numbers and booleans may come as strings.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::IdentityError;

/// Text of a key; empty when it is absent or not a scalar.
pub(super) fn text(map: &Map<String, Value>, key: &str) -> String {
    map.get(key).and_then(scalar).unwrap_or_default()
}

/// String, number or boolean as text. Whole numbers lose the `.0` that a protobuf Struct gives them.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
                format!("{float:.0}")
            }
            _ => number.to_string(),
        }),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// String-to-string map such as `LABELS`.
pub(super) fn string_map(map: &Map<String, Value>, key: &str) -> BTreeMap<String, String> {
    let entries = map.get(key).and_then(Value::as_object);
    entries.into_iter().flatten().filter_map(|(k, v)| Some((k.clone(), scalar(v)?))).collect()
}

/// Port number, or `default` when the key is absent or empty.
pub(super) fn port(map: &Map<String, Value>, key: &'static str, default: u16) -> Result<u16, IdentityError> {
    let text = text(map, key);
    if text.is_empty() {
        return Ok(default);
    }
    text.parse().map_err(|_| IdentityError::Metadata { key, found: text, expected: "a port number" })
}

/// JSON that travels as a string, or directly; `T::default()` when absent or empty.
pub(super) fn embedded<T: serde::de::DeserializeOwned + Default>(
    map: &Map<String, Value>,
    key: &'static str,
    expected: &'static str,
) -> Result<T, IdentityError> {
    let parsed = match map.get(key) {
        None | Some(Value::Null) => return Ok(T::default()),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(T::default()),
        Some(Value::String(text)) => serde_json::from_str(text),
        Some(other) => serde_json::from_value(other.clone()),
    };
    parsed.map_err(|_| IdentityError::Metadata { key, found: map[key].to_string(), expected })
}

/// Writes a text unless it is empty.
pub(super) fn put(map: &mut Map<String, Value>, key: &str, value: &str) {
    if !value.is_empty() {
        map.insert(key.to_owned(), Value::String(value.to_owned()));
    }
}

pub(super) fn labels_value(labels: &BTreeMap<String, String>) -> Value {
    Value::Object(labels.iter().map(|(k, v)| (k.clone(), Value::String(v.clone()))).collect())
}
