//! What of a pod is a target: one per port of its containers, with Prometheus' meta labels.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::discovery::TargetGroup;
use super::super::labels::{LabelSet, sanitized};

/// The part of a pod that discovery looks at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    pub metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    name: String,
    namespace: String,
    uid: String,
    pub resource_version: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    owner_references: Vec<Owner>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Owner {
    kind: String,
    name: String,
    controller: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: String,
    containers: Vec<Container>,
    init_containers: Vec<Container>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    name: String,
    image: String,
    ports: Vec<Port>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Port {
    name: String,
    container_port: u16,
    protocol: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    #[serde(rename = "podIP")]
    pod_ip: String,
    #[serde(rename = "hostIP")]
    host_ip: String,
    conditions: Vec<Condition>,
    container_statuses: Vec<ContainerStatus>,
    init_container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerStatus {
    name: String,
    #[serde(rename = "containerID")]
    container_id: String,
}

impl Pod {
    /// Namespace and name.
    pub fn name(&self) -> (String, String) {
        (self.metadata.namespace.clone(), self.metadata.name.clone())
    }
}

/// A pod without an address has no targets yet.
#[must_use]
pub fn group(pod: &Pod) -> TargetGroup {
    if pod.status.pod_ip.is_empty() {
        return TargetGroup::default();
    }
    let mut group = TargetGroup { targets: Vec::new(), labels: labels(pod) };
    let kinds = [
        (&pod.spec.containers, &pod.status.container_statuses, "false"),
        (&pod.spec.init_containers, &pod.status.init_container_statuses, "true"),
    ];
    for (containers, statuses, is_init) in kinds {
        for container in containers {
            let id = statuses.iter().find(|status| status.name == container.name);
            let mut target = LabelSet::default();
            target.set("__address__", pod.status.pod_ip.as_str());
            set(&mut target, "container_name", &container.name);
            set(&mut target, "container_id", id.map_or("", |status| &status.container_id));
            set(&mut target, "container_image", &container.image);
            set(&mut target, "container_init", is_init);
            if container.ports.is_empty() {
                group.targets.push(target.clone());
            }
            group.targets.extend(container.ports.iter().map(|port| at_port(target.clone(), &pod.status.pod_ip, port)));
        }
    }
    group
}

fn at_port(mut target: LabelSet, ip: &str, port: &Port) -> LabelSet {
    let number = port.container_port;
    target.set("__address__", if ip.contains(':') { format!("[{ip}]:{number}") } else { format!("{ip}:{number}") });
    set(&mut target, "container_port_number", &number.to_string());
    set(&mut target, "container_port_name", &port.name);
    set(&mut target, "container_port_protocol", &port.protocol);
    target
}

fn labels(pod: &Pod) -> LabelSet {
    let (metadata, status) = (&pod.metadata, &pod.status);
    let mut labels = LabelSet::default();
    labels.set("__meta_kubernetes_namespace", metadata.namespace.as_str());
    let ready = status.conditions.iter().find(|condition| condition.kind == "Ready");
    let ready = ready.map_or_else(|| "unknown".to_owned(), |condition| condition.status.to_lowercase());
    for (name, value) in [
        ("name", &metadata.name),
        ("ip", &status.pod_ip),
        ("ready", &ready),
        ("phase", &status.phase),
        ("node_name", &pod.spec.node_name),
        ("host_ip", &status.host_ip),
        ("uid", &metadata.uid),
    ] {
        set(&mut labels, name, value);
    }
    if let Some(owner) = metadata.owner_references.iter().find(|owner| owner.controller) {
        set(&mut labels, "controller_kind", &owner.kind);
        set(&mut labels, "controller_name", &owner.name);
    }
    for (kind, pairs) in [("label", &metadata.labels), ("annotation", &metadata.annotations)] {
        for (name, value) in pairs {
            let name = sanitized(name);
            set(&mut labels, &format!("{kind}_{name}"), value);
            set(&mut labels, &format!("{kind}present_{name}"), "true");
        }
    }
    labels
}

fn set(labels: &mut LabelSet, name: &str, value: &str) {
    labels.set(&format!("__meta_kubernetes_pod_{name}"), value);
}
