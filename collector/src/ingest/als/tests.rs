//! Entries are read as `prost` reads them, damage does no harm, and what ended is counted once.

mod sample;

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::envoy::data::accesslog::v3 as pb;
use proptest::prelude::*;
use prost::Message;

use self::sample::{entries, http_entry, node, peer_any, tcp_entry};
use super::*;
use crate::pipeline::Room;
use crate::store::log::{LEVEL_QUICK, LogBlock, LogRecord, NumberField, TextField};
use crate::store::{AttributeValue, EdgeLabels};

/// The second at which the sample entries begin.
const START_S: i64 = 1_795_413_600;
const ROOM: Room<'static> = Room { is_known: &|_| false, new_edges: 1000 };

fn times() -> Times {
    Times::new((START_S + 100) * 1_000, Duration::from_secs(3700))
}

fn identity() -> Arc<StreamIdentity> {
    Arc::new(StreamIdentity::read(&node("front", "http_envoy_accesslog").encode_to_vec()).unwrap())
}

fn fill(kind: EntryKind, entries: &[Vec<u8>]) -> Filler {
    let (mut filler, identity) = (Filler::new(), identity());
    entries.iter().for_each(|entry| filler.add(&identity, kind, entry, times()));
    filler
}

fn records(filler: &Filler) -> Vec<LogRecord> {
    let blocks = filler.builder.finish(LEVEL_QUICK).unwrap();
    let blocks = blocks.iter().map(|block| LogBlock::open(&block.data).unwrap());
    blocks.flat_map(|block| block.records(&(0..block.rows() as u32).collect::<Vec<_>>()).unwrap()).collect()
}

fn added(filler: Filler) -> Vec<(Arc<EdgeLabels>, u64, f64)> {
    let (added, refused) = filler.edges.finish(&filler.builder, ROOM);
    assert_eq!(refused, 0);
    let mut added: Vec<_> =
        added.into_iter().map(|(_, edge, totals)| (Arc::clone(&edge.labels), totals.requests, totals.duration.sum)).collect();
    added.sort_by(|a, b| a.0.cmp(&b.0));
    added
}

fn fields(record: &LogRecord) -> BTreeMap<&'static str, String> {
    let texts = record.access.texts.iter().map(|(field, text)| (field.name(), text.to_string()));
    let numbers = record.access.numbers.iter().map(|(field, number)| (field.name(), number.to_string()));
    texts.chain(numbers).collect()
}

#[test]
fn an_http_entry_is_kept_whole() {
    let filler = fill(EntryKind::Http, &[http_entry().encode_to_vec()]);
    let records = records(&filler);
    let record = &records[0];
    assert_eq!((record.time_ns, &*record.resource.service), (START_S * 1_000_000_000 + 321_000_000, "front"));
    assert_eq!(
        fields(record).into_iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>(),
        [
            "access_log_type: DownstreamEnd",
            "authority: reviews:9080",
            "bytes_received: 50",
            "bytes_sent: 210",
            "connection_termination_details: rbac",
            "direction: outbound",
            "downstream_direct_remote_address: 10.0.0.1",
            "downstream_direct_remote_port: 37230",
            "downstream_header_bytes_received: 151",
            "downstream_header_bytes_sent: 92",
            "downstream_local_address: 10.0.0.2",
            "downstream_local_port: 20001",
            "downstream_local_subject: O=mesh",
            "downstream_local_uri_san: spiffe://c/ns/a/sa/local",
            "downstream_peer_subject: O=mesh",
            "downstream_peer_uri_san: spiffe://c/ns/bookinfo/sa/peer",
            "downstream_remote_address: 10.0.0.1",
            "downstream_remote_port: 37230",
            "downstream_tls_cipher_suite: 4865",
            "downstream_tls_version: TLSv1.3",
            "downstream_wire_bytes_received: 200",
            "downstream_wire_bytes_sent: 300",
            "duration_us: 6000",
            "grpc_status: 14",
            "method: GET",
            "path: /reviews/0?x=1",
            "protocol: HTTP/1.1",
            "referer: http://a/",
            "request_headers_bytes: 150",
            "request_id: 343a860d-c001-92fc-98fa-bd3412029667",
            "request_port: 9080",
            "requested_server_name: reviews",
            "response_code: 503",
            "response_code_details: upstream_reset",
            "response_flags: UF,UAEX,URX",
            "response_headers_bytes: 90",
            "rewritten_path: /rewritten",
            "route_name: default",
            "sample_rate: 4607182418800017408",
            "scheme: http",
            "stream_id: 343a860d-c001-92fc-98fa-bd3412029667",
            "time_to_first_downstream_tx_byte_us: 4000",
            "time_to_first_upstream_rx_byte_us: 4000",
            "time_to_first_upstream_tx_byte_us: 2000",
            "time_to_last_downstream_tx_byte_us: 6000",
            "time_to_last_rx_byte_us: 1000",
            "time_to_last_upstream_rx_byte_us: 5000",
            "time_to_last_upstream_tx_byte_us: 2000",
            "upstream_cluster: outbound|9080|v2|reviews.bookinfo.svc.cluster.local",
            "upstream_cluster_id: Kubernetes",
            "upstream_header_bytes_received: 91",
            "upstream_header_bytes_sent: 160",
            "upstream_host: 10.0.0.3",
            "upstream_host_port: 9080",
            "upstream_local_address: 10.0.0.2",
            "upstream_local_port: 42116",
            "upstream_namespace: bookinfo",
            "upstream_request_attempt_count: 2",
            "upstream_revision: v2",
            "upstream_service: reviews",
            "upstream_transport_failure_reason: delayed connect error",
            "upstream_wire_bytes_received: 310",
            "upstream_wire_bytes_sent: 210",
            "upstream_workload: reviews-v2",
            "user_agent: lab-client/1.0",
            "x_forwarded_for: 10.9.9.9",
        ]
    );
    let attributes: Vec<_> = record.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        attributes,
        [
            r#"metadata.envoy.filters.http.jwt_authn={"claims":{"groups":["a","b"],"sub":"luffy"},"level":3.0,"ok":true}"#,
            "filter_state.tenant=blue",
            "team=web",
            "request.header.traceparent=00-ab8e2714957101074c7005224e6fd502-4c7005224e6fd502-01",
            "response.header.server=envoy",
            "response.trailer.grpc-status=14",
        ]
    );
    assert_eq!(record.trace_id.map(u128::from_be_bytes), Some(0xab8e_2714_9571_0107_4c70_0522_4e6f_d502));
    assert_eq!(record.span_id.map(u64::from_be_bytes), Some(0x4c70_0522_4e6f_d502));
}

#[test]
fn a_tcp_entry_is_kept_whole() {
    let filler = fill(EntryKind::Tcp, &[tcp_entry().encode_to_vec()]);
    let records = records(&filler);
    assert_eq!(
        fields(&records[0]).into_iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>(),
        [
            "access_log_type: TcpConnectionEnd",
            "bytes_received: 11",
            "bytes_sent: 2",
            "downstream_remote_address: 10.0.0.1",
            "downstream_remote_port: 37230",
            "duration_us: 200000",
            "upstream_cluster: postgres",
            "upstream_host: 10.0.0.3",
            "upstream_host_port: 5432",
        ]
    );
}

#[test]
fn only_final_entries_count() {
    let of_type = |number: i32, is_intermediate: bool| {
        let mut entry = http_entry();
        let common = entry.common_properties.as_mut().unwrap();
        common.access_log_type = number;
        #[allow(deprecated)]
        {
            common.intermediate_log_entry = is_intermediate;
        }
        entry.encode_to_vec()
    };
    let types: Vec<_> = (0..15).map(|number| of_type(number, false)).chain([of_type(6, true)]).collect();
    let filler = fill(EntryKind::Http, &types);
    assert_eq!((filler.counts.received, filler.builder.rows()), (16, 16));
    let added = added(filler);
    // NotSet, TcpConnectionEnd and DownstreamEnd, of 6 ms each.
    assert_eq!((added.len(), added[0].1, added[0].2), (1, 3, 18.0));
}

#[test]
fn peers_and_clusters_make_the_edge() {
    let labels = |labels: &EdgeLabels| {
        let of = [
            &labels.reporter,
            &labels.source_workload,
            &labels.destination_workload,
            &labels.destination_workload_namespace,
            &labels.destination_service,
            &labels.request_protocol,
            &labels.grpc_response_status,
            &labels.response_flags,
        ];
        of.map(ToString::to_string).join(" ")
    };
    let outbound = added(fill(EntryKind::Http, &[http_entry().encode_to_vec()]));
    let expected = "source front reviews-v2 bookinfo reviews.bookinfo.svc.cluster.local grpc 14 UF,UAEX,URX";
    assert_eq!(labels(&outbound[0].0), expected);
    let mut entry = http_entry();
    let common = entry.common_properties.as_mut().unwrap();
    common.upstream_cluster = "inbound|9080||".to_owned();
    common.filter_state_objects.insert("downstream_peer".to_owned(), peer_any("productpage-v1"));
    let inbound = added(fill(EntryKind::Http, &[entry.encode_to_vec()]));
    assert_eq!(labels(&inbound[0].0), "destination productpage-v1 front default front grpc 14 UF,UAEX,URX");
    assert_eq!(&*inbound[0].0.connection_security_policy, "mutual_tls");
}

#[test]
fn times_that_cannot_be_are_refused() {
    let at = |seconds: i64, lasted_s: i64| {
        let mut entry = tcp_entry();
        let common = entry.common_properties.as_mut().unwrap();
        common.start_time.as_mut().unwrap().seconds = seconds;
        common.duration.as_mut().unwrap().seconds = lasted_s;
        entry.encode_to_vec()
    };
    let entries = [at(0, 0), at(START_S + 3702, 0), at(START_S - 3601, 0), at(START_S - 90_000, 90_000), Vec::new()];
    let filler = fill(EntryKind::Tcp, &entries);
    let expected = entry::EntryCounts { received: 5, undecodable: 0, too_old: 3, in_future: 1 };
    assert_eq!((filler.counts, filler.builder.rows()), (expected, 1));
    // A connection that lasted for a day stands where it ended.
    assert_eq!(records(&filler)[0].time_ns / 1_000_000_000, START_S);
}

#[test]
fn a_bad_entry_leaves_the_others_alone() {
    let good = http_entry().encode_to_vec();
    let mut filler = fill(EntryKind::Http, &[good.clone(), good[..good.len() - 1].to_vec(), vec![0xff; 40], good]);
    assert_eq!((filler.counts.received, filler.counts.undecodable, filler.builder.rows()), (4, 2, 2));
    let records = records(&filler);
    assert_eq!(records[0], records[1]);
    filler.counts = entry::EntryCounts::default();
    assert_eq!(added(filler)[0].1, 2);
}

#[test]
fn texts_that_are_none_and_values_beyond_all_bounds_are_kept_within_bounds() {
    let mut entry = http_entry();
    entry.request.as_mut().unwrap().path = "/".repeat(1_000_000);
    entry.request.as_mut().unwrap().original_path = String::new();
    entry.common_properties.as_mut().unwrap().custom_tags = (0..1_000).map(|n| (format!("tag{n}"), "x".repeat(100))).collect();
    let mut bytes = entry.encode_to_vec();
    // An authority that is no UTF-8: HTTPRequestProperties (3) with field 3.
    bytes.extend([0x1a, 4, 0x1a, 2, 0xff, 0xfe]);
    let filler = fill(EntryKind::Http, &[bytes]);
    let records = records(&filler);
    assert_eq!(records[0].access.text(TextField::Path).len(), crate::store::log::TEXT_BYTES_MAX);
    assert_eq!(records[0].access.text(TextField::Authority), "\u{fffd}\u{fffd}");
    assert_eq!(records[0].attributes.len(), crate::store::log::ATTRIBUTES_MAX);
    assert_eq!(filler.builder.attributes_dropped(), 1_005 - 256);
}

/// What `prost` reads, in our fields.
fn reference(entry: &pb::HttpAccessLogEntry) -> (BTreeMap<&'static str, String>, crate::store::Attributes) {
    let mut found = BTreeMap::new();
    let mut text = |field: TextField, text: &str| {
        if !text.is_empty() {
            found.insert(field.name(), text.to_owned());
        }
    };
    let (common, request) = (entry.common_properties.as_ref().unwrap(), entry.request.as_ref().unwrap());
    let response = entry.response.as_ref().unwrap();
    text(TextField::UpstreamCluster, &common.upstream_cluster);
    text(TextField::RouteName, &common.route_name);
    text(TextField::StreamId, &common.stream_id);
    text(TextField::UpstreamFailure, &common.upstream_transport_failure_reason);
    text(TextField::TerminationDetails, &common.connection_termination_details);
    text(TextField::Authority, &request.authority);
    text(TextField::UserAgent, &request.user_agent);
    text(TextField::RequestId, &request.request_id);
    text(TextField::Path, if request.original_path.is_empty() { &request.path } else { &request.original_path });
    text(TextField::RewrittenPath, if request.original_path.is_empty() { "" } else { &request.path });
    text(TextField::CodeDetails, &response.response_code_details);
    let mut number = |field: NumberField, number: u64| drop(found.insert(field.name(), number.to_string()));
    if let Some(code) = &response.response_code {
        number(NumberField::ResponseCode, code.value.into());
    }
    for (field, value) in [
        (NumberField::BytesReceived, request.request_body_bytes),
        (NumberField::BytesSent, response.response_body_bytes),
        (NumberField::DownstreamWireBytesReceived, common.downstream_wire_bytes_received),
        (NumberField::Attempts, common.upstream_request_attempt_count.into()),
    ] {
        if value > 0 {
            number(field, value.min(crate::store::log::NUMBER_MAX));
        }
    }
    let duration = common.duration.as_ref().map(|duration| duration.seconds * 1_000_000 + i64::from(duration.nanos) / 1000);
    if let Some(duration) = duration {
        number(NumberField::DurationUs, duration as u64);
    }
    let tags = common.custom_tags.iter().map(|(name, value)| (name.as_str().into(), AttributeValue::text(value)));
    (found, tags.collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn entries_are_read_as_prost_reads_them(entries in entries()) {
        let bytes: Vec<_> = entries.iter().map(Message::encode_to_vec).collect();
        let filler = fill(EntryKind::Http, &bytes);
        prop_assert_eq!(filler.counts.undecodable, 0);
        let mut found: Vec<_> = records(&filler).iter().map(|record| {
            let mut fields = fields(record);
            fields.retain(|name, _| !["access_log_type", "direction"].contains(name));
            let mut attributes = record.attributes.clone();
            attributes.sort_by(|a, b| a.0.cmp(&b.0));
            format!("{fields:?} {attributes:?}")
        }).collect();
        let mut expected: Vec<_> = entries.iter().map(|entry| {
            let (fields, mut attributes) = reference(&pb::HttpAccessLogEntry::decode(&*entry.encode_to_vec()).unwrap());
            attributes.sort_by(|a, b| a.0.cmp(&b.0));
            format!("{fields:?} {attributes:?}")
        }).collect();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn damaged_entries_are_refused_or_read(place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let good = http_entry().encode_to_vec();
        let mut damaged = good.clone();
        damaged[place.index(good.len())] = byte;
        let filler = fill(EntryKind::Http, &[damaged, good[..cut.index(good.len())].to_vec(), good]);
        prop_assert_eq!(filler.counts.received, 3);
        prop_assert_eq!(filler.builder.rows() as u64 + filler.counts.refused(), 3);
        prop_assert!(!records(&filler).is_empty());
        let _ = added_any(filler);
    }

    #[test]
    fn any_bytes_are_a_message_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Parts::read(&bytes);
        let _ = StreamIdentity::read(&bytes);
        let _ = each_entry(&bytes, |_, _| {});
        let _ = structs::json(&bytes);
        let _ = structs::peer(&bytes);
        let _ = structs::payload(&bytes);
    }
}

fn added_any(filler: Filler) -> usize {
    filler.edges.finish(&filler.builder, ROOM).0.len()
}
