//! A Gateway: its servers and the workloads that serve them.

use std::collections::BTreeMap;

use super::common;
use super::mesh::Mesh;
use super::report::Report;
use crate::codes;
use crate::config::{ConfigObject, Gateway, Protocol, Server, ServerTlsMode, labels_match};
use crate::hosts;
use crate::nearest::nearest;

const PROTOCOLS: [&str; 8] = ["HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB", "MONGO", "TCP", "TLS"];

pub(super) fn check(report: &mut Report<'_>, mesh: &Mesh<'_>, object: &ConfigObject, spec: &Gateway) {
    if spec.servers.is_empty() {
        report.error(codes::MISSING, "spec.servers", "there are no servers: add one with `port` and `hosts`");
    }
    for (index, server) in spec.servers.iter().enumerate() {
        let path = format!("spec.servers[{index}]");
        port(report, &path, server);
        server_hosts(report, &path, server);
        tls(report, &path, server);
        within_itself(report, &path, &spec.servers[..index], server);
        overlaps(report, mesh, object, spec, &path, server);
    }
    let selected = mesh.registry.workloads().iter().any(|w| labels_match(&spec.selector, &w.identity.labels));
    if !spec.selector.is_empty() && !selected {
        let wanted: Vec<String> = spec.selector.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let message = format!("no running workload has the labels {}, so nobody listens", wanted.join(", "));
        report.warning(codes::GATEWAY_SELECTOR, "spec.selector", message);
    }
}

fn port(report: &mut Report<'_>, path: &str, server: &Server) {
    let path = format!("{path}.port");
    if server.port.number == 0 {
        report.error(codes::MISSING, &format!("{path}.number"), "the port's `number` is missing");
    }
    let protocol = server.port.protocol.as_str();
    if protocol.is_empty() {
        report.error(codes::MISSING, &path, "the port's `protocol` is missing: give `HTTP`, for instance");
    } else if !PROTOCOLS.contains(&protocol.to_ascii_uppercase().as_str()) {
        let message = format!("`{}` is no protocol: use one of {}", protocol.escape_debug(), PROTOCOLS.join(", "));
        report.error(codes::WRONG_VALUE, &format!("{path}.protocol"), message).suggestions =
            nearest(&protocol.to_ascii_uppercase(), PROTOCOLS);
    }
    let name = server.port.name.as_str();
    let front = name.split('-').next().unwrap_or_default();
    if !name.is_empty() && Protocol::parse(front).is_none() {
        let right = if PROTOCOLS.contains(&protocol.to_ascii_uppercase().as_str()) { protocol } else { "http" };
        let better = format!("{}-{}", right.to_ascii_lowercase(), name.escape_debug());
        let message = format!("`{}` does not begin with a protocol; name it like `{better}`", name.escape_debug());
        report.warning(codes::PORT_NAME, &format!("{path}.name"), message).suggestions.push(better);
    }
}

fn server_hosts(report: &mut Report<'_>, path: &str, server: &Server) {
    if server.hosts.is_empty() {
        report.error(codes::MISSING, &format!("{path}.hosts"), "there are no hosts: give `\"*\"` for all");
    }
    for (index, entry) in server.hosts.iter().enumerate() {
        let path = format!("{path}.hosts[{index}]");
        let host = match entry.split_once('/') {
            Some((namespace, host)) => {
                if !matches!(namespace, "*" | ".") && !common::is_label(namespace) {
                    let message = format!("`{}` is no namespace", namespace.escape_debug());
                    report.error(codes::BAD_HOST, &path, message);
                }
                host
            }
            None => entry,
        };
        common::host(report, &path, host);
    }
}

fn tls(report: &mut Report<'_>, path: &str, server: &Server) {
    let protocol = server.port.protocol.to_ascii_uppercase();
    let encrypted = matches!(protocol.as_str(), "HTTPS" | "TLS");
    let Some(tls) = &server.tls else {
        if encrypted {
            let message = format!("a server for {protocol} needs `tls` with a `mode`");
            report.error(codes::MISSING, path, message);
        }
        return;
    };
    if !encrypted && tls.mode.is_some() && PROTOCOLS.contains(&protocol.as_str()) && protocol != "TCP" {
        let message = format!("a server for {protocol} has no `tls.mode`; only `httpsRedirect` is possible");
        report.error(codes::CONTRADICTION, &format!("{path}.tls.mode"), message);
    }
    let own_pair = !tls.server_certificate.is_empty() && !tls.private_key.is_empty() || !tls.tls_certificates.is_empty();
    let named = !tls.credential_name.is_empty() || !tls.credential_names.is_empty();
    let needs_pair = matches!(tls.mode, Some(ServerTlsMode::Simple | ServerTlsMode::Mutual | ServerTlsMode::OptionalMutual));
    if encrypted && needs_pair && !own_pair && !named {
        let message = "the certificate is missing: give `credentialName`, or `serverCertificate` and `privateKey`";
        report.error(codes::MISSING, &format!("{path}.tls.mode"), message);
    }
}

fn within_itself(report: &mut Report<'_>, path: &str, before: &[Server], server: &Server) {
    for (index, host) in server.hosts.iter().enumerate() {
        let same = |other: &Server| other.port.number == server.port.number && other.bind == server.bind;
        let first = before.iter().position(|other| same(other) && other.hosts.contains(host));
        if let Some(first) = first {
            let message = format!("server {} already takes `{host}` on port {}", first + 1, server.port.number);
            report.warning(codes::GATEWAY_OVERLAP, &format!("{path}.hosts[{index}]"), message);
        }
    }
}

fn overlaps(report: &mut Report<'_>, mesh: &Mesh<'_>, object: &ConfigObject, spec: &Gateway, path: &str, server: &Server) {
    let others = mesh
        .gateways
        .iter()
        .filter(|(other, gateway)| !std::ptr::eq(*other, object) && can_share_a_workload(&gateway.selector, &spec.selector));
    for (other, gateway) in others {
        let servers = gateway.servers.iter().filter(|s| s.port.number == server.port.number && s.bind == server.bind);
        let theirs: Vec<&String> = servers.flat_map(|s| &s.hosts).collect();
        for (index, host) in server.hosts.iter().enumerate() {
            if let Some(shared) = theirs.iter().find(|other| same_host(other, host)) {
                let message = format!(
                    "{} takes `{shared}` on port {} too, on the same workloads: the older one wins",
                    other.object.key(),
                    server.port.number
                );
                report.warning(codes::GATEWAY_OVERLAP, &format!("{path}.hosts[{index}]"), message);
            }
        }
    }
}

/// Nothing in the two selectors contradicts.
fn can_share_a_workload(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> bool {
    a.iter().all(|(name, value)| b.get(name).is_none_or(|other| other == value))
}

fn same_host(a: &str, b: &str) -> bool {
    let split = |text: &'_ str| -> (String, String) {
        let (namespace, host) = text.split_once('/').unwrap_or(("*", text));
        (namespace.to_owned(), host.to_owned())
    };
    let ((a_namespace, a_host), (b_namespace, b_host)) = (split(a), split(b));
    let namespaces = a_namespace == "*" || b_namespace == "*" || a_namespace == b_namespace;
    namespaces && hosts::overlap(&a_host, &b_host)
}
