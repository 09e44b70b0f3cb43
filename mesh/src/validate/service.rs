//! A Service: its ports and the workloads behind it.

use std::collections::{BTreeMap, BTreeSet};

use super::mesh::Mesh;
use super::report::Report;
use crate::codes;
use crate::config::{ConfigObject, PortOrName, Protocol, ServicePort, ServiceSpec};
use crate::hosts;
use crate::nearest::nearest;
use crate::registry::{Service, target_port};

const PROTOCOLS: [&str; 12] =
    ["grpc", "grpc-web", "http", "http2", "https", "mongo", "redis", "tcp", "tls", "udp", "mysql", "kubernetes.io/h2c"];

pub(super) fn check(report: &mut Report<'_>, mesh: &Mesh<'_>, object: &ConfigObject, spec: &ServiceSpec) {
    if spec.service_type == "ExternalName" || !spec.external_name.is_empty() {
        report.warning(codes::NO_EFFECT, "spec.externalName", "names outside the mesh have no effect here");
        return;
    }
    if spec.ports.is_empty() {
        report.error(codes::MISSING, "spec.ports", "there are no ports: add one, such as `- {name: http, port: 9080}`");
    }
    let mut seen = Seen::default();
    for (index, port) in spec.ports.iter().enumerate() {
        check_port(report, &format!("spec.ports[{index}]"), port, spec.ports.len(), &mut seen);
    }
    let metadata = &object.object.metadata;
    let fqdn = hosts::service_fqdn(&metadata.name, &metadata.namespace, mesh.domain());
    if let Some(service) = mesh.service(&fqdn) {
        workloads(report, mesh, service);
    }
}

#[derive(Default)]
struct Seen<'a> {
    numbers: BTreeSet<(u16, bool)>,
    names: BTreeSet<&'a str>,
}

fn check_port<'a>(report: &mut Report<'_>, path: &str, port: &'a ServicePort, of: usize, seen: &mut Seen<'a>) {
    if port.port == 0 {
        report.error(codes::MISSING, &format!("{path}.port"), "the number of the port is missing");
    } else if !seen.numbers.insert((port.port, port.protocol == "UDP")) {
        report.error(codes::DUPLICATE_PORT, &format!("{path}.port"), format!("port {} is there already", port.port));
    }
    if !matches!(port.protocol.as_str(), "" | "TCP" | "UDP" | "SCTP") {
        let message = format!("`{}` is none of `TCP`, `UDP`, `SCTP`", port.protocol.escape_debug());
        let finding = report.error(codes::WRONG_VALUE, &format!("{path}.protocol"), message);
        finding.suggestions = nearest(&port.protocol, ["TCP", "UDP", "SCTP"]);
    }
    let name_path = format!("{path}.name");
    if port.name.is_empty() {
        if of > 1 {
            report.error(codes::MISSING, &name_path, "with several ports each needs a `name`");
        }
    } else if !seen.names.insert(&port.name) {
        report.error(codes::DUPLICATE_PORT, &name_path, format!("the name `{}` is taken already", port.name));
    }
    protocol(report, path, port);
}

fn protocol(report: &mut Report<'_>, path: &str, port: &ServicePort) {
    if !port.app_protocol.is_empty() {
        if Protocol::parse(&port.app_protocol).is_none() {
            let message = format!("`{}` is no protocol that proxies know", port.app_protocol.escape_debug());
            report.warning(codes::APP_PROTOCOL, &format!("{path}.appProtocol"), message).suggestions =
                nearest(&port.app_protocol, PROTOCOLS);
        }
        return;
    }
    let front = port.name.split('-').next().unwrap_or_default();
    if !port.name.is_empty() && Protocol::parse(front).is_none() && Protocol::parse(&port.name).is_none() {
        let message = format!(
            "`{}` does not begin with a protocol; name it like `http-{}`, or add `appProtocol`",
            port.name.escape_debug(),
            port.name.escape_debug()
        );
        report.warning(codes::PORT_NAME, &format!("{path}.name"), message).suggestions.push(format!("http-{}", port.name));
    }
}

fn workloads(report: &mut Report<'_>, mesh: &Mesh<'_>, service: &Service) {
    let all = BTreeMap::new();
    let instances: Vec<_> = mesh.registry.instances(service, &all).collect();
    if instances.is_empty() {
        let wanted: Vec<String> = service.selector.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let message = if wanted.is_empty() {
            "there is no selector, so no workload answers".to_owned()
        } else {
            format!("no running workload in `{}` has the labels {}", service.namespace, wanted.join(", "))
        };
        report.warning(codes::NO_WORKLOADS, "spec.selector", message);
        return;
    }
    for (index, port) in service.ports.iter().enumerate() {
        // What ports a workload has is known only where it tells them.
        let mut told = instances.iter().filter(|w| !w.identity.pod_ports.is_empty()).peekable();
        let has = |identity: &crate::identity::NodeIdentity| {
            let target = target_port(port, identity);
            identity.pod_ports.iter().any(|open| Some(open.container_port) == target)
        };
        if told.peek().is_some() && !told.any(|workload| has(&workload.identity)) {
            let target = match &port.target_port {
                Some(PortOrName::Name(name)) => format!("named `{name}`"),
                Some(PortOrName::Number(number)) => number.to_string(),
                None => port.port.to_string(),
            };
            let message = format!("no workload of {} has a port {target}", service.name);
            report.warning(codes::TARGET_PORT, &format!("spec.ports[{index}].targetPort"), message);
        }
    }
}
