//! Small makers of protobuf values that the translation uses everywhere.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration as StdDuration;

use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{
    Address, AggregatedConfigSource, ApiVersion, ConfigSource, Metadata, RuntimeFractionalPercent, SocketAddress,
};
use envoy_types::pb::envoy::r#type::v3::fractional_percent::DenominatorType;
use envoy_types::pb::envoy::r#type::v3::{FractionalPercent, Percent};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Any, BoolValue, Duration, ListValue, Struct, UInt32Value, Value};
use envoy_types::util::pack_any;
use prost::{Message, Name};

/// How often a map is built anew to get its keys in order; beyond this the order is left to chance.
const ORDERING_ATTEMPTS: usize = 2_000;

/// A map that is encoded in the order of its keys.
///
/// The generated messages hold hash maps, whose order differs from one map to the next; encoded as they are, the same
/// configuration would get another content hash each time, and every proxy a push of what it already has. Each new map
/// hashes differently, so for the two to four keys that occur here a few attempts find one that is in order.
pub(super) fn ordered<K: Ord + Hash + Clone, V: Clone>(mut entries: Vec<(K, V)>) -> HashMap<K, V> {
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let mut map: HashMap<K, V> = HashMap::new();
    for _ in 0..ORDERING_ATTEMPTS {
        map = entries.iter().cloned().collect();
        if map.keys().is_sorted() {
            return map;
        }
    }
    map
}

pub(super) fn any<T: Name + Message>(message: T) -> Any {
    pack_any(message)
}

/// A message of which only the type is known here: Istio's own filters take their defaults from it.
pub(super) fn empty_any(type_name: &str) -> Any {
    Any { type_url: format!("type.googleapis.com/{type_name}"), value: Vec::new() }
}

pub(super) fn duration(value: StdDuration) -> Duration {
    Duration {
        seconds: i64::try_from(value.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(value.subsec_nanos()).unwrap_or_default(),
    }
}

pub(super) fn uint(value: u32) -> UInt32Value {
    UInt32Value { value }
}

pub(super) fn flag(value: bool) -> BoolValue {
    BoolValue { value }
}

pub(super) fn percent(value: f64) -> Percent {
    Percent { value }
}

pub(super) fn hundredths(numerator: u32) -> FractionalPercent {
    FractionalPercent { numerator, denominator: DenominatorType::Hundred.into() }
}

/// Percent with four decimals, as Istio converts them.
pub(super) fn millionths(percent: f64) -> FractionalPercent {
    let numerator = (percent.clamp(0.0, 100.0) * 10_000.0).round();
    // Clamped above to 0..=1,000,000.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    FractionalPercent { numerator: numerator as u32, denominator: DenominatorType::Million.into() }
}

pub(super) fn runtime_fraction(value: FractionalPercent) -> RuntimeFractionalPercent {
    RuntimeFractionalPercent { default_value: Some(value), runtime_key: String::new() }
}

pub(super) fn socket_address(host: &str, port: u16) -> Address {
    Address {
        address: Some(AddressKind::SocketAddress(SocketAddress {
            address: host.to_owned(),
            port_specifier: Some(PortSpecifier::PortValue(u32::from(port))),
            ..SocketAddress::default()
        })),
    }
}

/// "Ask for it on the stream you are on."
pub(super) fn ads() -> ConfigSource {
    ConfigSource {
        resource_api_version: ApiVersion::V3.into(),
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource {})),
        // Zero waits for ever: a proxy without its routes is not ready, which is the truth.
        initial_fetch_timeout: Some(Duration::default()),
        ..ConfigSource::default()
    }
}

pub(super) fn text_value(text: &str) -> Value {
    Value { kind: Some(Kind::StringValue(text.to_owned())) }
}

pub(super) fn list_value(values: Vec<Value>) -> Value {
    Value { kind: Some(Kind::ListValue(ListValue { values })) }
}

pub(super) fn struct_of(fields: Vec<(&str, Value)>) -> Struct {
    Struct { fields: ordered(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()) }
}

pub(super) fn struct_value(fields: Vec<(&str, Value)>) -> Value {
    Value { kind: Some(Kind::StructValue(struct_of(fields))) }
}

/// `filter_metadata.istio`
pub(super) fn istio_metadata(fields: Vec<(&str, Value)>) -> Metadata {
    Metadata { filter_metadata: ordered(vec![("istio".to_owned(), struct_of(fields))]), ..Metadata::default() }
}
