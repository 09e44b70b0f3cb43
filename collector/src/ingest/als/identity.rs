//! Who sends a stream of access logs: the node of its first message.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::accesslog::v3::stream_access_logs_message::Identifier;
use envoy_types::pb::google::protobuf::Struct;
use envoy_types::pb::google::protobuf::value::Kind;
use prost::Message;
use serde_json::{Map, Value as Json};
use sidelight_mesh::identity::{DEFAULT_CLUSTER_ID, NodeIdentity};

use super::wire::BadWire;
use crate::ingest::door::cut;
use crate::pipeline::log_edges::{Direction, LogNode};
use crate::store::{AttributeValue, Resource};

/// Longest name that is taken over from a node: no name in a mesh is longer than a DNS name. A longer one is cut.
const NAME_BYTES_MAX: usize = 253;
/// Where workloads of nodes without a namespace live, as in Kubernetes.
const DEFAULT_NAMESPACE: &str = "default";

/// What all entries of a stream share.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamIdentity {
    pub node: Arc<LogNode>,
    pub resource: Arc<Resource>,
    /// Told by the log's name; entries may tell it themselves.
    pub direction: Option<Direction>,
}

impl StreamIdentity {
    /// Reads `StreamAccessLogsMessage.Identifier`.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(bytes: &[u8]) -> Result<Self, BadWire> {
        let identifier = Identifier::decode(bytes).map_err(|_| BadWire)?;
        Ok(Self::new(&identifier.node.unwrap_or_default(), &identifier.log_name))
    }

    fn new(node: &Node, log_name: &str) -> Self {
        let metadata = node.metadata.as_ref().map(|metadata| to_json(metadata, 0)).unwrap_or_default();
        let labels = match NodeIdentity::from_node(&node.id, &node.cluster, &metadata) {
            Ok(identity) => of_istio(&identity),
            Err(_) => of_plain(node, &metadata),
        };
        let service = if node.cluster.is_empty() { &*labels.workload } else { &*node.cluster };
        let log_name = bounded(log_name);
        let named = [
            ("service.instance.id", bounded(&node.id)),
            ("service.version", labels.revision.to_string()),
            ("workload.name", labels.workload.to_string()),
            ("k8s.namespace.name", labels.namespace.to_string()),
            ("k8s.cluster.name", labels.cluster.to_string()),
            ("log_name", log_name.clone()),
        ];
        let named = named.into_iter().filter(|(_, value)| !value.is_empty());
        let attributes = named.map(|(name, value)| (name.into(), AttributeValue::text(&value))).collect();
        let resource = Resource { service: bounded(service).into(), attributes, ..Resource::default() };
        Self { direction: direction(&log_name), node: Arc::new(labels), resource: Arc::new(resource) }
    }
}

fn of_istio(identity: &NodeIdentity) -> LogNode {
    LogNode {
        workload: bounded(&identity.workload).into(),
        namespace: bounded(&identity.namespace).into(),
        service: bounded(&identity.canonical_service).into(),
        revision: bounded(&identity.canonical_revision).into(),
        app: bounded(&identity.app).into(),
        version: bounded(&identity.version).into(),
        cluster: bounded(&identity.cluster_id).into(),
    }
}

/// A proxy without Istio's metadata: all instances of its `--service-cluster` are one workload.
fn of_plain(node: &Node, metadata: &Map<String, Json>) -> LogNode {
    let told = |names: [&str; 2]| names.iter().find_map(|name| metadata.get(*name)?.as_str().filter(|text| !text.is_empty()));
    let workload = told(["WORKLOAD_NAME", "workload"])
        .or(Some(&*node.cluster).filter(|cluster| !cluster.is_empty()))
        .or(Some(&*node.id).filter(|id| !id.is_empty()))
        .unwrap_or("unknown");
    let labels = metadata.get("LABELS").and_then(Json::as_object);
    let label = |name: &str| labels.and_then(|labels| labels.get(name)?.as_str());
    let app = label("app").or(told(["app", "service"]));
    let version = label("version").or(told(["version", "revision"]));
    LogNode {
        workload: bounded(workload).into(),
        namespace: bounded(told(["NAMESPACE", "namespace"]).unwrap_or(DEFAULT_NAMESPACE)).into(),
        service: bounded(app.unwrap_or(workload)).into(),
        revision: bounded(version.unwrap_or("latest")).into(),
        app: bounded(app.unwrap_or_default()).into(),
        version: bounded(version.unwrap_or_default()).into(),
        cluster: bounded(told(["CLUSTER_ID", "cluster"]).unwrap_or(DEFAULT_CLUSTER_ID)).into(),
    }
}

/// A plain Envoy says which side of a call it stands on by the name of its log.
fn direction(log_name: &str) -> Option<Direction> {
    if log_name.starts_with("inbound") {
        Some(Direction::Inbound)
    } else if log_name.starts_with("outbound") {
        Some(Direction::Outbound)
    } else {
        None
    }
}

fn bounded(text: &str) -> String {
    cut(text, NAME_BYTES_MAX).0.to_owned()
}

/// Structs inside structs of a node's metadata.
const DEPTH_MAX: usize = 16;

fn to_json(metadata: &Struct, depth: usize) -> Map<String, Json> {
    let fields = metadata.fields.iter();
    fields.filter_map(|(name, value)| Some((name.clone(), json_value(value.kind.as_ref()?, depth + 1)?))).collect()
}

fn json_value(kind: &Kind, depth: usize) -> Option<Json> {
    if depth > DEPTH_MAX {
        return None;
    }
    Some(match kind {
        Kind::NullValue(_) => Json::Null,
        Kind::NumberValue(number) => (*number).into(),
        Kind::StringValue(text) => text.clone().into(),
        Kind::BoolValue(flag) => (*flag).into(),
        Kind::StructValue(inner) => Json::Object(to_json(inner, depth)),
        Kind::ListValue(list) => {
            let items = list.values.iter().filter_map(|value| json_value(value.kind.as_ref()?, depth + 1));
            Json::Array(items.collect())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, cluster: &str, metadata: serde_json::Value) -> Node {
        fn value(json: &Json) -> envoy_types::pb::google::protobuf::Value {
            let kind = match json {
                Json::String(text) => Kind::StringValue(text.clone()),
                Json::Object(map) => Kind::StructValue(to_struct(map)),
                _ => Kind::NullValue(0),
            };
            envoy_types::pb::google::protobuf::Value { kind: Some(kind) }
        }
        fn to_struct(map: &Map<String, Json>) -> Struct {
            Struct { fields: map.iter().map(|(name, json)| (name.clone(), value(json))).collect() }
        }
        let metadata = metadata.as_object().map(to_struct);
        Node { id: id.into(), cluster: cluster.into(), metadata, ..Node::default() }
    }

    #[test]
    fn an_istio_sidecar_is_its_workload() {
        let metadata = serde_json::json!({"WORKLOAD_NAME": "reviews-v2", "CLUSTER_ID": "east",
            "LABELS": {"app": "reviews", "version": "v2"}});
        let id = "sidecar~10.0.0.7~reviews-v2-abc.bookinfo~bookinfo.svc.cluster.local";
        let identity = StreamIdentity::new(&node(id, "reviews.bookinfo", metadata), "http_envoy_accesslog");
        let expected = ["reviews-v2", "bookinfo", "reviews", "v2", "reviews", "v2", "east"];
        assert_eq!(identity.node.values(), expected);
        assert_eq!((&*identity.resource.service, identity.direction), ("reviews.bookinfo", None));
        let attributes: Vec<_> = identity.resource.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            attributes,
            [
                "service.instance.id=sidecar~10.0.0.7~reviews-v2-abc.bookinfo~bookinfo.svc.cluster.local",
                "service.version=v2",
                "workload.name=reviews-v2",
                "k8s.namespace.name=bookinfo",
                "k8s.cluster.name=east",
                "log_name=http_envoy_accesslog"
            ]
        );
    }

    #[test]
    fn a_plain_envoy_is_its_cluster_or_else_its_id() {
        let plain = StreamIdentity::new(&node("host-7", "front", serde_json::json!({})), "inbound_http");
        assert_eq!(plain.node.values(), ["front", "default", "front", "latest", "", "", "Kubernetes"]);
        assert_eq!((&*plain.resource.service, plain.direction), ("front", Some(Direction::Inbound)));
        let bare = StreamIdentity::new(&node("host-7", "", serde_json::json!({"namespace": "edge"})), "outbound");
        assert_eq!(bare.node.values(), ["host-7", "edge", "host-7", "latest", "", "", "Kubernetes"]);
        assert_eq!(bare.direction, Some(Direction::Outbound));
        let nobody = StreamIdentity::new(&Node::default(), "");
        assert_eq!(&*nobody.node.workload, "unknown");
        let long = StreamIdentity::new(&node(&"é".repeat(300), "", serde_json::json!({})), "");
        assert_eq!(long.node.workload.len(), 252);
    }
}
