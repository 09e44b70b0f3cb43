//! The workloads and messages that the tests of this crate speak of.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use sidelight_mesh::identity::NodeIdentity;

use crate::labels::{ClusterInfo, ServiceInfo};
use crate::record::{Downstream, Protocol, RequestHead};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

/// A Bookinfo workload such as `productpage` `v1`.
pub(crate) fn workload(app: &str, version: &str) -> NodeIdentity {
    let metadata = object(json!({
        "NAME": format!("{app}-{version}-0"),
        "NAMESPACE": "bookinfo",
        "WORKLOAD_NAME": format!("{app}-{version}"),
        "OWNER": format!("kubernetes://apis/apps/v1/namespaces/bookinfo/deployments/{app}-{version}"),
        "LABELS": {"app": app, "version": version},
        "ISTIO_VERSION": "1.27.0",
    }));
    let id = format!("sidecar~10.1.0.11~{app}-{version}-0.bookinfo~bookinfo.svc.cluster.local");
    NodeIdentity::from_node(&id, "", &metadata).unwrap().with_locality("", "z1")
}

/// The ingress gateway.
pub(crate) fn gateway() -> NodeIdentity {
    let metadata = object(json!({
        "WORKLOAD_NAME": "istio-ingressgateway",
        "LABELS": {"app": "istio-ingressgateway", "istio": "ingressgateway"},
    }));
    let id = "router~10.1.0.9~istio-ingressgateway-0.istio-system~istio-system.svc.cluster.local";
    NodeIdentity::from_node(id, "", &metadata).unwrap()
}

/// The outbound cluster of a Bookinfo service.
pub(crate) fn cluster(service: &str) -> Arc<ClusterInfo> {
    let host = format!("{service}.bookinfo.svc.cluster.local");
    let name = format!("outbound|9080||{host}");
    Arc::new(ClusterInfo::new(name.as_str()).with_alt_stat_name(&format!("{name};")).with_service(ServiceInfo {
        host,
        name: service.to_owned(),
        namespace: "bookinfo".to_owned(),
    }))
}

pub(crate) fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    pairs.iter().map(pair).collect()
}

pub(crate) fn address(text: &str) -> Option<SocketAddr> {
    Some(text.parse().unwrap())
}

/// `GET <path>` at an authority, from `127.0.0.1:42116` to `127.0.0.1:20001`.
pub(crate) fn get<'a>(path: &'a str, authority: &'a str, headers: &'a HeaderMap) -> RequestHead<'a> {
    RequestHead {
        method: "GET",
        path,
        authority,
        scheme: "http",
        protocol: Protocol::Http11,
        headers,
        downstream: Downstream {
            local: address("127.0.0.1:20001"),
            remote: address("127.0.0.1:42116"),
            direct_remote: address("127.0.0.1:42116"),
            ..Downstream::default()
        },
        internal: false,
    }
}
