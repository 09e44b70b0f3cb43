//! Reads the small protobuf values that every resource is made of: durations, addresses, structs.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::google::protobuf as pb;

use super::ConfigError;

/// Where a field stands, for the error that names it.
#[derive(Clone, Copy)]
pub struct At<'a> {
    pub object: &'a str,
    pub field: &'a str,
}

impl At<'_> {
    pub fn error(&self, reason: impl Into<String>) -> ConfigError {
        ConfigError::new(self.object, self.field, reason)
    }
}

pub fn duration(at: At<'_>, value: &pb::Duration) -> Result<Duration, ConfigError> {
    let seconds = u64::try_from(value.seconds).map_err(|_| at.error("a duration must not be negative"))?;
    let nanos = u32::try_from(value.nanos)
        .ok()
        .filter(|n| *n < 1_000_000_000)
        .ok_or_else(|| at.error("nanoseconds must lie between 0 and 999999999"))?;
    Ok(Duration::new(seconds, nanos))
}

pub fn optional_duration(at: At<'_>, value: Option<&pb::Duration>) -> Result<Option<Duration>, ConfigError> {
    value.map(|v| duration(at, v)).transpose()
}

/// Host (address or name) and port of a socket address.
pub fn host_and_port(at: At<'_>, address: Option<&core::Address>) -> Result<(String, u16), ConfigError> {
    let Some(core::address::Address::SocketAddress(socket)) = address.and_then(|a| a.address.as_ref()) else {
        return Err(at.error("a socket_address is needed"));
    };
    let Some(core::socket_address::PortSpecifier::PortValue(port)) = socket.port_specifier else {
        return Err(at.error("a port_value is needed"));
    };
    let port = u16::try_from(port).map_err(|_| at.error(format!("port {port} is not between 0 and 65535")))?;
    if socket.address.is_empty() {
        return Err(at.error("the address is empty"));
    }
    Ok((socket.address.clone(), port))
}

pub fn socket_address(at: At<'_>, address: Option<&core::Address>) -> Result<SocketAddr, ConfigError> {
    let (host, port) = host_and_port(at, address)?;
    let ip: IpAddr = host.parse().map_err(|_| at.error(format!("`{host}` is not an IP address")))?;
    Ok(SocketAddr::new(ip, port))
}

/// One block of `filter_metadata`.
pub fn metadata<'a>(metadata: Option<&'a core::Metadata>, block: &str) -> Option<&'a pb::Struct> {
    metadata?.filter_metadata.get(block)
}

pub fn field<'a>(block: &'a pb::Struct, key: &str) -> Option<&'a pb::value::Kind> {
    block.fields.get(key)?.kind.as_ref()
}

pub fn text<'a>(block: &'a pb::Struct, key: &str) -> Option<&'a str> {
    match field(block, key)? {
        pb::value::Kind::StringValue(text) => Some(text),
        _ => None,
    }
}

pub fn flag(block: &pb::Struct, key: &str) -> bool {
    matches!(field(block, key), Some(pb::value::Kind::BoolValue(true)))
}

/// JSON (from the bootstrap file) as a protobuf value.
pub fn from_json(value: &serde_json::Value) -> pb::Value {
    use pb::value::Kind;
    let kind = match value {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(b) => Kind::BoolValue(*b),
        serde_json::Value::Number(n) => Kind::NumberValue(n.as_f64().unwrap_or_default()),
        serde_json::Value::String(s) => Kind::StringValue(s.clone()),
        serde_json::Value::Array(items) => Kind::ListValue(pb::ListValue { values: items.iter().map(from_json).collect() }),
        serde_json::Value::Object(map) => Kind::StructValue(struct_from_json(map)),
    };
    pb::Value { kind: Some(kind) }
}

pub fn struct_from_json(map: &serde_json::Map<String, serde_json::Value>) -> pb::Struct {
    pb::Struct { fields: map.iter().map(|(k, v)| (k.clone(), from_json(v))).collect() }
}

/// A protobuf struct as JSON, whole numbers without a fraction.
pub fn struct_to_json(block: &pb::Struct) -> serde_json::Value {
    let mut keys: Vec<_> = block.fields.iter().collect();
    keys.sort_by_key(|(key, _)| *key);
    keys.into_iter().map(|(key, value)| (key.clone(), to_json(value))).collect::<serde_json::Map<_, _>>().into()
}

fn to_json(value: &pb::Value) -> serde_json::Value {
    use pb::value::Kind;
    match &value.kind {
        None | Some(Kind::NullValue(_)) => serde_json::Value::Null,
        Some(Kind::BoolValue(b)) => (*b).into(),
        Some(Kind::NumberValue(n)) if n.fract() == 0.0 && n.abs() < 9.0e15 => (*n as i64).into(),
        Some(Kind::NumberValue(n)) => (*n).into(),
        Some(Kind::StringValue(s)) => s.clone().into(),
        Some(Kind::ListValue(list)) => list.values.iter().map(to_json).collect::<Vec<_>>().into(),
        Some(Kind::StructValue(block)) => struct_to_json(block),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const AT: At<'static> = At { object: "cluster `a`", field: "connect_timeout" };

    #[test]
    fn a_negative_duration_is_refused_with_object_and_field() {
        let error = duration(AT, &pb::Duration { seconds: -1, nanos: 0 }).unwrap_err();
        assert_eq!(error.to_string(), "cluster `a`: `connect_timeout`: a duration must not be negative");
    }

    #[test]
    fn json_survives_the_way_through_a_struct() {
        let json = serde_json::json!({"NAME": "a", "n": 5, "list": [true, null], "o": {"k": 1.5}});
        let block = struct_from_json(json.as_object().unwrap());
        assert_eq!(struct_to_json(&block), json);
    }
}
