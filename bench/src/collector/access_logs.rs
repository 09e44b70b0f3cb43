//! Messages of Envoy's access log service.

use envoy_types::pb::envoy::config::core::v3::{Address, Node, SocketAddress, address, socket_address};
use envoy_types::pb::envoy::data::accesslog::v3::{
    AccessLogCommon, AccessLogType, HttpAccessLogEntry, HttpRequestProperties, HttpResponseProperties, ResponseFlags,
    http_access_log_entry,
};
use envoy_types::pb::envoy::service::accesslog::v3::StreamAccessLogsMessage;
use envoy_types::pb::envoy::service::accesslog::v3::stream_access_logs_message::{HttpAccessLogEntries, Identifier, LogEntries};
use envoy_types::pb::google::protobuf::{Duration, Struct, Timestamp, UInt32Value, Value, value};
use prost::Message;

use super::mesh::Pod;
use super::random::{Random, uuid};
use super::template::{Marked, Template};

/// Envoy sends what it has at 16 KiB: about this many entries.
const BATCH: usize = 20;
/// Batches per proxy that are made before any is sent again.
const BATCHES: usize = 16;

/// One proxy's stream: what it says first, and its batches.
pub struct Proxy {
    pub identifier: Vec<u8>,
    pub batches: Vec<Template>,
}

/// The first so many pods of the mesh.
pub fn proxies(count: usize, base_us: u64) -> Vec<Proxy> {
    let mut random = Random::new(7);
    Pod::all().into_iter().cycle().take(count).map(|pod| proxy(&mut random, &pod, base_us)).collect()
}

fn proxy(random: &mut Random, pod: &Pod, base_us: u64) -> Proxy {
    let batches = (0..BATCHES).map(|_| {
        let mut marked = Marked::default();
        let log_entry = (0..BATCH).map(|_| entry(random, pod, base_us, &mut marked)).collect();
        let log_entries = Some(LogEntries::HttpLogs(HttpAccessLogEntries { log_entry }));
        let body = StreamAccessLogsMessage { identifier: None, log_entries }.encode_to_vec();
        Template::new(body, BATCH as u64, &marked)
    });
    let batches = batches.collect();
    let identifier = Identifier { node: Some(node(pod)), log_name: "http_envoy_accesslog".to_owned() };
    let first = StreamAccessLogsMessage { identifier: Some(identifier), log_entries: None };
    Proxy { identifier: first.encode_to_vec(), batches }
}

fn node(pod: &Pod) -> Node {
    let text = |text: &str| Value { kind: Some(value::Kind::StringValue(text.to_owned())) };
    let labels = [("app", pod.service.to_owned()), ("version", format!("v{}", 1 + pod.number))];
    let labels = Struct { fields: labels.map(|(name, value)| (name.to_owned(), text(&value))).into_iter().collect() };
    let fields = [
        ("NAME", text(&pod.name())),
        ("NAMESPACE", text("shop")),
        ("WORKLOAD_NAME", text(&pod.workload())),
        ("CLUSTER_ID", text("Kubernetes")),
        ("INSTANCE_IPS", text(&pod.ip())),
        ("LABELS", Value { kind: Some(value::Kind::StructValue(labels)) }),
    ];
    Node {
        id: pod.node_id(),
        cluster: format!("{}.shop", pod.service),
        metadata: Some(Struct { fields: fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect() }),
        ..Node::default()
    }
}

fn address(ip: &str, port: u64) -> Option<Address> {
    let port_specifier = Some(socket_address::PortSpecifier::PortValue(port as u32));
    let address = SocketAddress { address: ip.to_owned(), port_specifier, ..SocketAddress::default() };
    Some(Address { address: Some(address::Address::SocketAddress(address)) })
}

/// Entries are those of outbound requests.
fn entry(random: &mut Random, pod: &Pod, base_us: u64, marked: &mut Marked) -> HttpAccessLogEntry {
    let called = Pod::any(random);
    let request_id = uuid(random.next(), 3);
    let stream_id = uuid(random.next(), 4);
    marked.uuid(&request_id);
    marked.uuid(&stream_id);
    let start_us = base_us + random.below(900_000);
    let took_us = 300 + random.skewed(2_000);
    let after = |part: u64| Some(Duration { seconds: 0, nanos: (took_us * part / 100 * 1000) as i32 });
    let is_failed = random.below(100) == 0;
    let cluster = format!("outbound|8080||{}.shop.svc.cluster.local", called.service);
    let common = AccessLogCommon {
        downstream_remote_address: address(&pod.ip(), 30_000 + random.below(30_000)),
        downstream_local_address: address(&format!("10.96.0.{}", 1 + random.below(24)), 8080),
        start_time: Some(Timestamp { seconds: (start_us / 1_000_000) as i64, nanos: (start_us % 1_000_000 * 1000) as i32 }),
        time_to_last_rx_byte: after(2),
        time_to_first_upstream_tx_byte: after(10),
        time_to_last_upstream_tx_byte: after(11),
        time_to_first_upstream_rx_byte: after(90),
        time_to_last_upstream_rx_byte: after(95),
        time_to_first_downstream_tx_byte: after(96),
        time_to_last_downstream_tx_byte: after(99),
        duration: after(100),
        upstream_remote_address: address(&called.ip(), 8080),
        upstream_local_address: address(&pod.ip(), 30_000 + random.below(30_000)),
        upstream_cluster: cluster,
        response_flags: is_failed.then(|| ResponseFlags { upstream_connection_failure: true, ..ResponseFlags::default() }),
        route_name: "default".to_owned(),
        downstream_direct_remote_address: address(&pod.ip(), 30_000 + random.below(30_000)),
        stream_id,
        upstream_request_attempt_count: 1,
        downstream_wire_bytes_sent: 500 + random.skewed(400),
        downstream_wire_bytes_received: 400 + random.below(200),
        upstream_wire_bytes_sent: 700 + random.below(200),
        upstream_wire_bytes_received: 500 + random.skewed(400),
        access_log_type: AccessLogType::DownstreamEnd as i32,
        ..AccessLogCommon::default()
    };
    let request = HttpRequestProperties {
        request_method: 1,
        scheme: "http".to_owned(),
        authority: format!("{}:8080", called.service),
        path: format!("/api/v1/items/{}", random.below(5_000)),
        user_agent: "Go-http-client/1.1".to_owned(),
        request_id,
        request_headers_bytes: 300 + random.below(100),
        ..HttpRequestProperties::default()
    };
    let response = HttpResponseProperties {
        response_code: Some(UInt32Value { value: if is_failed { 503 } else { 200 } }),
        response_headers_bytes: 150 + random.below(50),
        response_body_bytes: random.skewed(400),
        response_code_details: if is_failed {
            "upstream_reset_before_response_started{connection_failure}"
        } else {
            "via_upstream"
        }
        .to_owned(),
        ..HttpResponseProperties::default()
    };
    HttpAccessLogEntry {
        common_properties: Some(common),
        protocol_version: http_access_log_entry::HttpVersion::Http11 as i32,
        request: Some(request),
        response: Some(response),
    }
}
