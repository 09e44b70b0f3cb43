//! A VirtualService as a whole: hosts, gateways, and its rules.

use super::destination::{self, Owner};
use super::mesh::{Mesh, gateway_names};
use super::report::Report;
use super::weights::{self, Weighted};
use super::{common, http_route};
use crate::codes;
use crate::config::{ConfigObject, RouteDestination, VirtualService};
use crate::nearest::nearest;
use crate::route::{GatewayRef, MESH_GATEWAY, gateway_hosts, is_bound_to_mesh};

pub(super) fn check(report: &mut Report<'_>, mesh: &Mesh<'_>, object: &ConfigObject, spec: &VirtualService) {
    let owner = Owner { object, spec };
    common::export_to(report, mesh, &spec.export_to);
    hosts(report, mesh, &owner);
    gateways(report, mesh, &owner);
    several_for_one_host(report, mesh, &owner);
    if spec.http.is_empty() && spec.tls.is_empty() && spec.tcp.is_empty() {
        report.error(codes::MISSING, "spec", "there are no rules: add `http` with at least one `route`");
    }
    http_route::check_all(report, mesh, &owner);
    for (index, rule) in spec.tls.iter().enumerate() {
        let path = format!("spec.tls[{index}]");
        if rule.matches.is_empty() || rule.matches.iter().any(|m| m.sni_hosts.is_empty()) {
            report.error(codes::MISSING, &path, "a rule for TLS needs a `match` with `sniHosts`");
        }
        layer4(report, mesh, &owner, &path, &rule.route);
    }
    for (index, rule) in spec.tcp.iter().enumerate() {
        layer4(report, mesh, &owner, &format!("spec.tcp[{index}]"), &rule.route);
    }
}

fn layer4(report: &mut Report<'_>, mesh: &Mesh<'_>, owner: &Owner<'_>, path: &str, route: &[RouteDestination]) {
    if route.is_empty() {
        report.error(codes::MISSING, path, "the rule leads nowhere: add `route` with a destination");
    }
    for (index, target) in route.iter().enumerate() {
        destination::check(report, mesh, owner, &format!("{path}.route[{index}].destination"), &target.destination);
    }
    let weighted: Vec<_> = route.iter().map(|r| Weighted { destination: &r.destination, weight: r.weight }).collect();
    weights::check(report, &format!("{path}.route"), &weighted);
}

fn hosts(report: &mut Report<'_>, mesh: &Mesh<'_>, owner: &Owner<'_>) {
    let spec = owner.spec;
    if spec.hosts.is_empty() && !is_delegate(mesh, owner.object) {
        let message = "there are no hosts: name the service whose requests are meant (only a delegate has none, and no VirtualService delegates to this one)";
        report.error(codes::MISSING, "spec.hosts", message);
    }
    for (index, host) in spec.hosts.iter().enumerate() {
        let path = format!("spec.hosts[{index}]");
        if !common::host(report, &path, host) {
            continue;
        }
        if host == "*" && is_bound_to_mesh(spec) {
            let message = "`*` is possible only at gateways: name the services, or name the gateways and leave out `mesh`";
            report.error(codes::BAD_HOST, &path, message);
        } else if is_bound_to_mesh(spec) && spec.gateways.len() <= 1 {
            unknown_host(report, mesh, owner, &path, host);
        }
    }
}

/// Rules for sidecars whose host nobody can call do nothing.
fn unknown_host(report: &mut Report<'_>, mesh: &Mesh<'_>, owner: &Owner<'_>, path: &str, host: &str) {
    let fqdn = mesh.full_host(host, owner.object);
    if fqdn.contains('*') || mesh.service(&fqdn).is_some() || !mesh.must_exist(&fqdn) {
        return;
    }
    let completed = mesh.completed(host);
    let message = match &completed {
        Some(full) => format!("`{host}` is taken as it stands and is no service; write the full name `{full}`"),
        None => format!("there is no service `{host}`, so these rules do nothing"),
    };
    let names = mesh.host_names(&owner.object.object.metadata.namespace);
    let suggestions = match completed {
        Some(full) => vec![full],
        None => nearest(host, names.iter().map(String::as_str)),
    };
    report.warning(codes::HOST_MISSING, path, message).suggestions = suggestions;
}

fn is_delegate(mesh: &Mesh<'_>, object: &ConfigObject) -> bool {
    let metadata = &object.object.metadata;
    mesh.virtual_services.iter().any(|(root, spec)| {
        spec.http.iter().filter_map(|rule| rule.delegate.as_ref()).any(|delegate| {
            let namespace = if delegate.namespace.is_empty() { &root.object.metadata.namespace } else { &delegate.namespace };
            delegate.name == metadata.name && *namespace == metadata.namespace
        })
    })
}

fn gateways(report: &mut Report<'_>, mesh: &Mesh<'_>, owner: &Owner<'_>) {
    for (index, name) in owner.spec.gateways.iter().enumerate() {
        gateway(report, mesh, owner, &format!("spec.gateways[{index}]"), name);
    }
    for (index, rule) in owner.spec.http.iter().enumerate() {
        for (nth, condition) in rule.matches.iter().enumerate() {
            for (position, name) in condition.gateways.iter().enumerate() {
                let path = format!("spec.http[{index}].match[{nth}].gateways[{position}]");
                if exists(report, mesh, owner, &path, name) {
                    listed(report, owner, &path, name);
                }
            }
        }
    }
}

fn gateway(report: &mut Report<'_>, mesh: &Mesh<'_>, owner: &Owner<'_>, path: &str, name: &str) {
    if name == MESH_GATEWAY || !exists(report, mesh, owner, path, name) {
        return;
    }
    let namespace = &owner.object.object.metadata.namespace;
    let (reference, old) = GatewayRef::parse(name, namespace);
    if old {
        let better = format!("{}/{}", reference.namespace, reference.name);
        let message = format!("this is an old way to name a gateway; write `{better}`");
        report.info(codes::GATEWAY_NAMING, path, message).suggestions.push(better);
    }
    let Some((object, gateway)) = mesh.gateway(reference) else {
        return;
    };
    let taken = gateway.servers.iter().any(|server| {
        let behind = gateway_hosts(mesh.config, object.into(), server);
        behind.values().flatten().any(|(other, _)| std::ptr::eq(*other, owner.object))
    });
    if !taken && !owner.spec.hosts.is_empty() {
        let hosts: Vec<String> = gateway.servers.iter().flat_map(|s| s.hosts.clone()).collect();
        let message = format!(
            "no server of gateway {}/{} takes the hosts {}; it takes {}",
            reference.namespace,
            reference.name,
            owner.spec.hosts.join(", "),
            if hosts.is_empty() { "none".to_owned() } else { hosts.join(", ") }
        );
        report.warning(codes::GATEWAY_HOST, path, message);
    }
}

fn exists(report: &mut Report<'_>, mesh: &Mesh<'_>, owner: &Owner<'_>, path: &str, name: &str) -> bool {
    let namespace = &owner.object.object.metadata.namespace;
    let (reference, _) = GatewayRef::parse(name, namespace);
    let found = name == MESH_GATEWAY || mesh.gateway(reference).is_some();
    if !found {
        let message = format!(
            "there is no gateway `{}` in namespace `{}`; write `<namespace>/<name>` for one elsewhere",
            reference.name.escape_debug(),
            reference.namespace.escape_debug()
        );
        let known: Vec<String> = mesh.gateways.iter().map(|(object, _)| shown(object, namespace)).collect();
        // The same name in another namespace is what is mostly meant.
        let same_name = known.iter().filter(|other| other.rsplit('/').next() == Some(reference.name)).cloned();
        let mut suggestions: Vec<String> = same_name.collect();
        suggestions.extend(nearest(name, known.iter().map(String::as_str)));
        suggestions.dedup();
        report.error(codes::GATEWAY_MISSING, path, message).suggestions = suggestions;
    }
    found
}

fn shown(gateway: &ConfigObject, own_namespace: &str) -> String {
    let metadata = &gateway.object.metadata;
    if metadata.namespace == own_namespace { metadata.name.clone() } else { format!("{}/{}", metadata.namespace, metadata.name) }
}

/// A match can only narrow the gateways of the whole.
fn listed(report: &mut Report<'_>, owner: &Owner<'_>, path: &str, name: &str) {
    let namespace = &owner.object.object.metadata.namespace;
    let all = gateway_names(owner.object, owner.spec);
    let (reference, _) = GatewayRef::parse(name, namespace);
    let full = if name == MESH_GATEWAY { name.to_owned() } else { format!("{}/{}", reference.namespace, reference.name) };
    if !all.contains(&full) {
        let message = format!("this never matches: `{full}` is not among the gateways of the VirtualService");
        report.warning(codes::UNREACHABLE, path, message);
    }
}

fn several_for_one_host(report: &mut Report<'_>, mesh: &Mesh<'_>, owner: &Owner<'_>) {
    let own = gateway_names(owner.object, owner.spec);
    for (index, host) in owner.spec.hosts.iter().enumerate() {
        let full = mesh.full_host(host, owner.object);
        let others = mesh.virtual_services_of(&full).iter().filter(|(other, spec)| {
            !std::ptr::eq(*other, owner.object)
                && !gateway_names(other, spec).is_disjoint(&own)
                && can_meet(owner.object, owner.spec, other, spec)
        });
        let others: Vec<_> = others.collect();
        let Some((other, other_spec)) = others.first() else {
            continue;
        };
        let path = format!("spec.hosts[{index}]");
        let mesh_too = own.contains(MESH_GATEWAY) && gateway_names(other, other_spec).contains(MESH_GATEWAY);
        if !mesh_too {
            let message = format!(
                "{} is for the same host and gateway: their rules are tried one behind the other, those of the older first",
                other.object.key()
            );
            report.info(codes::HOST_TWICE, &path, message);
            continue;
        }
        let first = mesh.virtual_services_of(&full).iter().position(|(o, _)| std::ptr::eq(*o, owner.object));
        let older = mesh.virtual_services_of(&full).iter().position(|(o, _)| std::ptr::eq(*o, *other));
        let effect =
            if first < older { "the older one, this, is followed" } else { "the older one is followed and this one ignored" };
        let message = format!("{} is for the same host: {effect}; put the rules together in one", other.object.key());
        report.warning(codes::HOST_TWICE, &path, message);
    }
}

/// Whether some namespace sees both.
fn can_meet(a: &ConfigObject, a_spec: &VirtualService, b: &ConfigObject, b_spec: &VirtualService) -> bool {
    let seen_by = |object: &ConfigObject, spec: &VirtualService| -> Option<Vec<String>> {
        let everywhere = spec.export_to.is_empty() || spec.export_to.iter().any(|entry| entry == "*");
        let own = &object.object.metadata.namespace;
        let named = || spec.export_to.iter().map(|e| if e == "." { own.clone() } else { e.clone() }).collect();
        (!everywhere).then(named)
    };
    match (seen_by(a, a_spec), seen_by(b, b_spec)) {
        (Some(a), Some(b)) => a.iter().any(|namespace| b.contains(namespace)),
        (Some(some), None) | (None, Some(some)) => some.iter().any(|namespace| namespace != "~"),
        (None, None) => true,
    }
}
