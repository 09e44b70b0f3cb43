//! Entries as Envoy sends them, and random ones.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::data::accesslog::v3 as pb;
use envoy_types::pb::envoy::service::accesslog::v3::stream_access_logs_message::Identifier;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Any, Duration, ListValue, Struct, Timestamp, UInt32Value, Value};
use proptest::collection::{hash_map, vec};
use proptest::option;
use proptest::prelude::*;
use prost::Message;

use super::START_S;

pub fn node(cluster: &str, log_name: &str) -> Identifier {
    let node = core::Node { id: "host-7".to_owned(), cluster: cluster.to_owned(), ..core::Node::default() };
    Identifier { node: Some(node), log_name: log_name.to_owned() }
}

fn address(ip: &str, port: u32) -> Option<core::Address> {
    let socket = core::SocketAddress {
        address: ip.to_owned(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(port)),
        ..core::SocketAddress::default()
    };
    Some(core::Address { address: Some(core::address::Address::SocketAddress(socket)) })
}

fn millis(millis: i32) -> Option<Duration> {
    Some(Duration { seconds: 0, nanos: millis * 1_000_000 })
}

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

fn text(text: &str) -> Value {
    value(Kind::StringValue(text.to_owned()))
}

fn structure(fields: &[(&str, Value)]) -> Struct {
    Struct { fields: fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect() }
}

/// A peer in namespace `bookinfo`.
pub fn peer_any(workload: &str) -> Any {
    let (service, revision) = workload.rsplit_once('-').unwrap();
    let peer = structure(&[
        ("workload", text(workload)),
        ("namespace", text("bookinfo")),
        ("service", text(service)),
        ("revision", text(revision)),
        ("cluster", text("Kubernetes")),
    ]);
    Any { type_url: "type.googleapis.com/google.protobuf.Struct".to_owned(), value: peer.encode_to_vec() }
}

fn text_any(text: &str) -> Any {
    let value = text.to_owned().encode_to_vec();
    Any { type_url: "type.googleapis.com/google.protobuf.StringValue".to_owned(), value }
}

fn common() -> pb::AccessLogCommon {
    let sub = |uri: &str| pb::tls_properties::CertificateProperties {
        subject_alt_name: vec![pb::tls_properties::certificate_properties::SubjectAltName {
            san: Some(pb::tls_properties::certificate_properties::subject_alt_name::San::Uri(uri.to_owned())),
        }],
        subject: "O=mesh".to_owned(),
        ..Default::default()
    };
    let jwt = structure(&[
        ("ok", value(Kind::BoolValue(true))),
        ("level", value(Kind::NumberValue(3.0))),
        (
            "claims",
            value(Kind::StructValue(structure(&[
                ("sub", text("luffy")),
                ("groups", value(Kind::ListValue(ListValue { values: vec![text("a"), text("b")] }))),
            ]))),
        ),
    ]);
    pb::AccessLogCommon {
        sample_rate: 1.0,
        downstream_remote_address: address("10.0.0.1", 37_230),
        downstream_direct_remote_address: address("10.0.0.1", 37_230),
        downstream_local_address: address("10.0.0.2", 20_001),
        upstream_remote_address: address("10.0.0.3", 9080),
        upstream_local_address: address("10.0.0.2", 42_116),
        tls_properties: Some(pb::TlsProperties {
            tls_version: 4,
            tls_cipher_suite: Some(UInt32Value { value: 0x1301 }),
            tls_sni_hostname: "reviews".to_owned(),
            local_certificate_properties: Some(sub("spiffe://c/ns/a/sa/local")),
            peer_certificate_properties: Some(sub("spiffe://c/ns/bookinfo/sa/peer")),
            ..Default::default()
        }),
        start_time: Some(Timestamp { seconds: START_S, nanos: 321_000_456 }),
        time_to_last_rx_byte: millis(1),
        time_to_first_upstream_tx_byte: millis(2),
        time_to_last_upstream_tx_byte: millis(2),
        time_to_first_upstream_rx_byte: millis(4),
        time_to_last_upstream_rx_byte: millis(5),
        time_to_first_downstream_tx_byte: millis(4),
        time_to_last_downstream_tx_byte: millis(6),
        duration: millis(6),
        upstream_cluster: "outbound|9080|v2|reviews.bookinfo.svc.cluster.local".to_owned(),
        response_flags: Some(pb::ResponseFlags {
            upstream_connection_failure: true,
            upstream_retry_limit_exceeded: true,
            unauthorized_details: Some(pb::response_flags::Unauthorized { reason: 1 }),
            ..Default::default()
        }),
        metadata: Some(core::Metadata {
            filter_metadata: [("envoy.filters.http.jwt_authn".to_owned(), jwt)].into(),
            ..Default::default()
        }),
        upstream_transport_failure_reason: "delayed connect error".to_owned(),
        route_name: "default".to_owned(),
        filter_state_objects: [("upstream_peer".to_owned(), peer_any("reviews-v2")), ("tenant".to_owned(), text_any("blue"))]
            .into(),
        custom_tags: [("team".to_owned(), "web".to_owned())].into(),
        upstream_request_attempt_count: 2,
        connection_termination_details: "rbac".to_owned(),
        stream_id: "343a860d-c001-92fc-98fa-bd3412029667".to_owned(),
        downstream_wire_bytes_sent: 300,
        downstream_wire_bytes_received: 200,
        upstream_wire_bytes_sent: 210,
        upstream_wire_bytes_received: 310,
        access_log_type: 6,
        ..Default::default()
    }
}

pub fn http_entry() -> pb::HttpAccessLogEntry {
    pb::HttpAccessLogEntry {
        common_properties: Some(common()),
        protocol_version: 2,
        request: Some(pb::HttpRequestProperties {
            request_method: 1,
            scheme: "http".to_owned(),
            authority: "reviews:9080".to_owned(),
            port: Some(UInt32Value { value: 9080 }),
            path: "/rewritten".to_owned(),
            user_agent: "lab-client/1.0".to_owned(),
            referer: "http://a/".to_owned(),
            forwarded_for: "10.9.9.9".to_owned(),
            request_id: "343a860d-c001-92fc-98fa-bd3412029667".to_owned(),
            original_path: "/reviews/0?x=1".to_owned(),
            request_headers_bytes: 150,
            request_body_bytes: 50,
            request_headers: [("traceparent".to_owned(), "00-ab8e2714957101074c7005224e6fd502-4c7005224e6fd502-01".to_owned())]
                .into(),
            upstream_header_bytes_sent: 160,
            downstream_header_bytes_received: 151,
        }),
        response: Some(pb::HttpResponseProperties {
            response_code: Some(UInt32Value { value: 503 }),
            response_headers_bytes: 90,
            response_body_bytes: 210,
            response_headers: [("server".to_owned(), "envoy".to_owned())].into(),
            response_trailers: [("grpc-status".to_owned(), "14".to_owned())].into(),
            response_code_details: "upstream_reset".to_owned(),
            upstream_header_bytes_received: 91,
            downstream_header_bytes_sent: 92,
        }),
    }
}

pub fn tcp_entry() -> pb::TcpAccessLogEntry {
    let common = pb::AccessLogCommon {
        downstream_remote_address: address("10.0.0.1", 37_230),
        upstream_remote_address: address("10.0.0.3", 5432),
        start_time: Some(Timestamp { seconds: START_S, nanos: 0 }),
        duration: millis(200),
        upstream_cluster: "postgres".to_owned(),
        access_log_type: 3,
        ..Default::default()
    };
    pb::TcpAccessLogEntry {
        common_properties: Some(common),
        connection_properties: Some(pb::ConnectionProperties { received_bytes: 11, sent_bytes: 2 }),
    }
}

fn word() -> impl Strategy<Value = String> {
    "[a-z0-9/._|é-]{0,20}"
}

/// Entries with the fields that the reference knows.
pub fn entries() -> impl Strategy<Value = Vec<pb::HttpAccessLogEntry>> {
    let common = (word(), word(), word(), word(), word(), hash_map("[a-z]{1,5}", word(), 0..4), 0..60_000i32, 0..i32::MAX);
    let request = (word(), word(), word(), word(), word(), any::<u64>());
    let response = (option::of(0..1000u32), word(), any::<u64>(), any::<u64>());
    let entry = (common, request, response).prop_map(|(common, request, response)| {
        let (upstream_cluster, route_name, stream_id, failure, termination, custom_tags, micros, attempts) = common;
        let (authority, user_agent, request_id, path, original_path, request_body_bytes) = request;
        let (code, response_code_details, response_body_bytes, wire) = response;
        pb::HttpAccessLogEntry {
            common_properties: Some(pb::AccessLogCommon {
                start_time: Some(Timestamp { seconds: START_S, nanos: micros * 1000 }),
                duration: Some(Duration { seconds: 1, nanos: micros * 1000 }),
                upstream_cluster,
                route_name,
                stream_id,
                upstream_transport_failure_reason: failure,
                connection_termination_details: termination,
                custom_tags,
                upstream_request_attempt_count: attempts.unsigned_abs(),
                downstream_wire_bytes_received: wire,
                ..Default::default()
            }),
            request: Some(pb::HttpRequestProperties {
                authority,
                user_agent,
                request_id,
                path,
                original_path,
                request_body_bytes,
                ..Default::default()
            }),
            response: Some(pb::HttpResponseProperties {
                response_code: code.map(|value| UInt32Value { value }),
                response_code_details,
                response_body_bytes,
                ..Default::default()
            }),
            ..Default::default()
        }
    });
    vec(entry, 1..20)
}
