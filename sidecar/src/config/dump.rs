//! Resources as JSON for `/config_dump`: the fields that tools and people read, in Envoy's spelling.
//!
//! A field that is not written here is honoured all the same; the generated types bring no JSON of their own.

mod cluster;
mod listener;
mod route;

use std::time::SystemTime;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::google::protobuf as pb;
use envoy_types::pb::google::protobuf::Any;
use prost::Message;
use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;

pub use listener::inline_routes;

/// Writes one resource.
pub type Entry = fn(&Any) -> Value;

pub fn cluster(any: &Any) -> Value {
    decoded(any, cluster::cluster)
}

pub fn endpoints(any: &Any) -> Value {
    decoded(any, cluster::assignment)
}

pub fn listener(any: &Any) -> Value {
    decoded(any, listener::listener)
}

pub fn routes(any: &Any) -> Value {
    decoded(any, route::configuration)
}

fn decoded<M: Message + Default>(any: &Any, write: fn(&M) -> Object) -> Value {
    match M::decode(any.value.as_slice()) {
        Ok(message) => write(&message).of_type(&any.type_url),
        // Cannot be: it was decoded when it was accepted.
        Err(error) => json!({"@type": any.type_url, "error": error.to_string()}),
    }
}

pub fn timestamp(when: SystemTime) -> String {
    time::OffsetDateTime::from(when).format(&Rfc3339).unwrap_or_default()
}

/// A JSON object that leaves defaults out, as protobuf's JSON does.
#[derive(Default)]
struct Object(Map<String, Value>);

impl Object {
    fn put(mut self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let default = match &value {
            Value::Null => true,
            Value::Bool(set) => !set,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::Object(_) => false,
        };
        if !default {
            self.0.insert(key.to_owned(), value);
        }
        self
    }

    /// For wrapped values, where the default also says something.
    fn put_some<V: Into<Value>>(mut self, key: &str, value: Option<V>) -> Self {
        if let Some(value) = value {
            self.0.insert(key.to_owned(), value.into());
        }
        self
    }

    fn put_all<T>(self, key: &str, items: &[T], write: fn(&T) -> Value) -> Self {
        self.put(key, items.iter().map(write).collect::<Vec<_>>())
    }

    fn of_type(mut self, type_url: &str) -> Value {
        self.0.insert("@type".to_owned(), type_url.into());
        Value::Object(self.0)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}

fn duration(value: Option<&pb::Duration>) -> Option<String> {
    let value = value?;
    let fraction = match value.nanos {
        0 => String::new(),
        nanos => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
    };
    Some(format!("{}{fraction}s", value.seconds))
}

fn number(value: Option<&pb::UInt32Value>) -> Option<u32> {
    value.map(|value| value.value)
}

fn flag(value: Option<&pb::BoolValue>) -> Option<bool> {
    value.map(|value| value.value)
}

fn metadata(value: Option<&core::Metadata>) -> Option<Value> {
    let blocks: Map<_, _> =
        value?.filter_metadata.iter().map(|(name, block)| (name.clone(), super::value::struct_to_json(block))).collect();
    Some(json!({ "filter_metadata": blocks }))
}

fn address(value: Option<&core::Address>) -> Option<Value> {
    match value?.address.as_ref()? {
        core::address::Address::SocketAddress(socket) => {
            let port = match &socket.port_specifier {
                Some(core::socket_address::PortSpecifier::PortValue(port)) => Some(*port),
                _ => None,
            };
            let inner = Object::default().put("address", socket.address.as_str()).put_some("port_value", port);
            Some(json!({"socket_address": Value::from(inner)}))
        }
        core::address::Address::Pipe(pipe) => Some(json!({"pipe": {"path": pipe.path}})),
        core::address::Address::EnvoyInternalAddress(_) => None,
    }
}

fn header_option(option: &core::HeaderValueOption) -> Value {
    let header = option.header.clone().unwrap_or_default();
    let action = core::header_value_option::HeaderAppendAction::try_from(option.append_action)
        .ok()
        .filter(|_| option.append_action != 0)
        .map(|action| action.as_str_name());
    Object::default().put("header", json!({"key": header.key, "value": header.value})).put_some("append_action", action).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_protobuf_writes_them() {
        let text = |seconds, nanos| duration(Some(&pb::Duration { seconds, nanos }));
        assert_eq!(text(1, 0).as_deref(), Some("1s"));
        assert_eq!(text(0, 250_000_000).as_deref(), Some("0.25s"));
    }

    #[test]
    fn defaults_are_left_out() {
        let object = Object::default().put("a", "").put("b", false).put("c", 1);
        assert_eq!(Value::from(object), json!({"c": 1}));
    }
}
