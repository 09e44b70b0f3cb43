//! What resources tell about where they come from: `filter_metadata.istio`.

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::google::protobuf::Value;
use sidelight_mesh::config::{Kind, Object};
use sidelight_mesh::registry::Service;

use crate::control::wire::{istio_metadata, list_value, struct_value, text_value};

/// Which service a cluster leads to: the labels of metrics are taken from here.
pub(super) fn services_metadata(service: &Service, rule: Option<(&Object, &str)>) -> Metadata {
    let mut fields: Vec<(&str, Value)> = Vec::with_capacity(3);
    if let Some((object, subset)) = rule {
        fields.push(("config", text_value(&config_path(object))));
        if !subset.is_empty() {
            fields.push(("subset", text_value(subset)));
        }
    }
    let one = struct_value(vec![
        ("host", text_value(&service.fqdn)),
        ("name", text_value(&service.name)),
        ("namespace", text_value(&service.namespace)),
    ]);
    fields.push(("services", list_value(vec![one])));
    istio_metadata(fields)
}

/// The object that a route was made from.
pub(super) fn config_metadata(object: &Object) -> Metadata {
    istio_metadata(vec![("config", text_value(&config_path(object)))])
}

fn config_path(object: &Object) -> String {
    let kind = match object.kind() {
        Kind::VirtualService => "virtual-service",
        Kind::DestinationRule => "destination-rule",
        Kind::Gateway => "gateway",
        Kind::Service => "service",
    };
    let metadata = &object.metadata;
    format!("/apis/networking.istio.io/v1/namespaces/{}/{kind}/{}", metadata.namespace, metadata.name)
}
