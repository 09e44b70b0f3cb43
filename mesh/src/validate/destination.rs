//! One destination: does the service exist, with that port and that subset?

use super::mesh::Mesh;
use super::report::Report;
use super::{common, mesh::gateway_names};
use crate::codes;
use crate::config::{ConfigObject, Destination, VirtualService};
use crate::finding::Severity;
use crate::nearest::nearest;
use crate::registry::Service;
use crate::route::MESH_GATEWAY;

/// Who names the destinations that are checked.
pub(super) struct Owner<'a> {
    pub object: &'a ConfigObject,
    pub spec: &'a VirtualService,
}

/// `path` is that of the `destination`.
pub(super) fn check(report: &mut Report<'_>, mesh: &Mesh<'_>, owner: &Owner<'_>, path: &str, destination: &Destination) {
    let host_path = format!("{path}.host");
    if !common::host(report, &host_path, &destination.host) {
        return;
    }
    if destination.host.contains('*') {
        let message = format!("`{}` is a wildcard, but requests can only be sent to one host", destination.host);
        report.error(codes::BAD_HOST, &host_path, message);
        return;
    }
    let fqdn = mesh.full_host(&destination.host, owner.object);
    let Some(service) = mesh.service(&fqdn) else {
        missing_host(report, mesh, owner, &host_path, destination);
        return;
    };
    port(report, owner, path, destination, service);
    if !destination.subset.is_empty() {
        subset(report, mesh, owner, path, destination, service);
    }
}

fn missing_host(report: &mut Report<'_>, mesh: &Mesh<'_>, owner: &Owner<'_>, path: &str, destination: &Destination) {
    let host = &destination.host;
    let fqdn = mesh.full_host(host, owner.object);
    if let Some(completed) = mesh.completed(host) {
        let message = format!("`{host}` is taken as it stands and is no service; write the full name `{completed}`");
        report.error(codes::HOST_MISSING, path, message).suggestions.push(completed);
        return;
    }
    let (severity, message) = if mesh.must_exist(&fqdn) {
        let shown = if fqdn == *host { String::new() } else { format!(" (`{fqdn}`)") };
        (
            Severity::Error,
            format!(
                "there is no service `{host}`{shown}: requests sent there are answered 503; correct the name or add the service"
            ),
        )
    } else {
        (
            Severity::Warning,
            format!("`{host}` is no service of the mesh: requests sent there are answered 503 unless it becomes known"),
        )
    };
    let names = mesh.host_names(&owner.object.object.metadata.namespace);
    report.add(severity, codes::HOST_MISSING, path, message).suggestions = nearest(host, names.iter().map(String::as_str));
}

fn port(report: &mut Report<'_>, owner: &Owner<'_>, path: &str, destination: &Destination, service: &Service) {
    let ports: Vec<String> = service.ports.iter().map(|port| port.port.to_string()).collect();
    match destination.port {
        Some(port) if service.port(port.number).is_none() => {
            let message = format!("service {} has no port {}; it has {}", service.name, port.number, ports.join(", "));
            report.error(codes::PORT_MISSING, &format!("{path}.port.number"), message).suggestions = ports;
        }
        None if ports.len() > 1 && gateway_names(owner.object, owner.spec).iter().any(|name| name != MESH_GATEWAY) => {
            let message = format!(
                "service {} has the ports {}; without `port.number` a gateway takes its own, which may be none of them",
                service.name,
                ports.join(", ")
            );
            report.warning(codes::PORT_MISSING, path, message);
        }
        _ => {}
    }
}

fn subset(report: &mut Report<'_>, mesh: &Mesh<'_>, owner: &Owner<'_>, path: &str, destination: &Destination, service: &Service) {
    let namespace = &owner.object.object.metadata.namespace;
    let rule = mesh.rule_for(&service.fqdn, namespace);
    let name = &destination.subset;
    if rule.subset(name).is_some() {
        return;
    }
    let path = format!("{path}.subset");
    let elsewhere = mesh.rules_covering(&service.fqdn, namespace).find(|(_, rule)| rule.subsets.iter().any(|s| s.name == *name));
    if let Some((object, _)) = elsewhere {
        let message = format!(
            "subset `{name}` is defined in {}, which does not hold for clients in `{namespace}`; they are answered 503",
            object.object.key()
        );
        report.warning(codes::SUBSET_MISSING, &path, message);
        return;
    }
    let what = match rule.objects.first() {
        Some(object) => format!("{} has no subset `{name}`", object.object.key()),
        None => format!("no DestinationRule defines subsets of {}", service.name),
    };
    let message = format!("{what}: requests sent there are answered 503; define the subset or name another");
    let names = rule.subsets.iter().map(|subset| subset.name.as_str());
    report.error(codes::SUBSET_MISSING, &path, message).suggestions = nearest(name, names);
}
