//! The JSON of one request seen by both proxies.

use serde_json::{Value, json};

use super::*;
use crate::context::{ContextOptions, extract};
use crate::testing::{headers, workload};

const TRACE: &str = "ab8e2714957101074c7005224e6fd502";

fn span(kind: SpanKind) -> SpanRecord {
    let sent = headers(&[("x-b3-traceid", TRACE), ("x-b3-spanid", "4c7005224e6fd502"), ("x-b3-sampled", "1")]);
    let options = ContextOptions::default();
    SpanRecord {
        context: extract(&sent, options).begin(false, options).unwrap(),
        kind,
        name: "reviews.bookinfo.svc.cluster.local:9080/*".to_owned(),
        timestamp_us: 1_795_416_100_321_722,
        duration_us: 6190,
        tags: vec![("component", "proxy".into()), ("http.status_code", "200".into()), ("user_agent", "".into())],
        whole_request: true,
    }
}

fn encoded(span: SpanRecord) -> Value {
    let bytes = encode(&Proxy::new(&workload("productpage", "v1")), &[span]).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn a_span_has_zipkins_shape() {
    let span = span(SpanKind::Client);
    let id = format!("{:016x}", span.context.span_id);
    let expected = json!([{
        "traceId": TRACE,
        "parentId": "4c7005224e6fd502",
        "id": id,
        "kind": "CLIENT",
        "name": "reviews.bookinfo.svc.cluster.local:9080/*",
        "timestamp": 1_795_416_100_321_722_u64,
        "duration": 6190,
        "localEndpoint": {"serviceName": "productpage.bookinfo", "ipv4": "10.1.0.11", "port": 0},
        "annotations": [{"timestamp": 1_795_416_100_327_912_u64, "value": "cr"}],
        "tags": {
            "component": "proxy",
            "http.status_code": "200",
            "istio.canonical_revision": "v1",
            "istio.canonical_service": "productpage",
            "istio.cluster_id": "Kubernetes",
            "istio.mesh_id": "cluster.local",
            "istio.namespace": "bookinfo",
            "node_id": "sidecar~10.1.0.11~productpage-v1-0.bookinfo~bookinfo.svc.cluster.local",
            "zone": "z1"
        }
    }]);
    assert_eq!(encoded(span), expected);
}

#[test]
fn server_spans_end_with_ss_and_roots_have_no_parent() {
    let mut span = span(SpanKind::Server);
    span.context.parent_id = None;
    let encoded = encoded(span);
    assert_eq!(encoded[0]["kind"], "SERVER");
    assert_eq!(encoded[0]["annotations"][0]["value"], "ss");
    assert_eq!(encoded[0].get("parentId"), None);
    assert_eq!(encoded[0].get("shared"), None);
}

#[test]
fn attempts_have_neither_node_nor_zone() {
    let mut span = span(SpanKind::Client);
    span.whole_request = false;
    let tags = &encoded(span)[0]["tags"];
    assert_eq!(tags.get("node_id"), None);
    assert_eq!(tags.get("zone"), None);
    assert_eq!(tags["istio.namespace"], "bookinfo");
}
