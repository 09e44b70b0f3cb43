//! Which VirtualServices, and which of their matches, hold for one proxy.

use sidelight_mesh::config::{ConfigObject, HttpMatch, MeshConfig, VirtualService, labels_match};
use sidelight_mesh::hosts;
use sidelight_mesh::identity::NodeIdentity;

use super::policy::is_exported;

/// Name of the gateway that stands for all sidecars.
pub(super) const MESH: &str = "mesh";

/// Where a route is to be used: behind which gateway, on which port, by whom.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// [`MESH`], or `<namespace>/<name>`.
    pub(super) gateway: &'a str,
    pub(super) port: u16,
    pub(super) node: &'a NodeIdentity,
}

pub(super) type Found<'a> = (&'a ConfigObject, &'a VirtualService);

/// Those that list a gateway and that `node` may see, oldest first.
pub(super) fn behind<'a>(config: &'a MeshConfig, gateway: &str, node: &NodeIdentity) -> Vec<Found<'a>> {
    let mut found = config.virtual_services();
    found.retain(|(object, spec)| {
        let namespace = &object.object.metadata.namespace;
        is_exported(&spec.export_to, namespace, &node.namespace) && lists_gateway(&spec.gateways, gateway, namespace)
    });
    found
}

/// The one VirtualService for a host: the most specific, then the least widely exported, then the oldest.
pub(super) fn for_host<'a>(found: &[Found<'a>], host: &str, domain: &str, viewer: &str) -> Option<Found<'a>> {
    let ranked = found.iter().enumerate().filter_map(|(age, (object, spec))| {
        let namespace = &object.object.metadata.namespace;
        let resolved = spec.hosts.iter().map(|h| hosts::resolve(h, namespace, domain));
        let covering = resolved.filter(|pattern| hosts::matches(pattern, host));
        let best = covering.min_by(|a, b| hosts::by_specificity(a, b))?;
        Some((best, export_rank(&spec.export_to, viewer), age))
    });
    let best = ranked.min_by(|a, b| hosts::by_specificity(&a.0, &b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    best.map(|(_, _, age)| found[age])
}

/// Whether a match can hold at all at this place; what is left of it is asked of each request.
pub(super) fn holds_at(condition: &HttpMatch, place: Place, namespace: &str) -> bool {
    let port = condition.port.is_none_or(|port| port == place.port);
    let gateway = condition.gateways.is_empty() || lists_gateway(&condition.gateways, place.gateway, namespace);
    let labels = labels_match(&condition.source_labels, &place.node.labels);
    let source = condition.source_namespace.is_empty() || condition.source_namespace == place.node.namespace;
    port && gateway && labels && source
}

fn lists_gateway(gateways: &[String], gateway: &str, namespace: &str) -> bool {
    if gateways.is_empty() {
        return gateway == MESH;
    }
    gateways.iter().any(|listed| listed == gateway || (listed != MESH && format!("{namespace}/{listed}") == gateway))
}

/// Private first, then what is exported to the viewer by name, then what everybody sees.
fn export_rank(export_to: &[String], viewer: &str) -> u8 {
    if export_to.iter().any(|entry| entry == ".") {
        0
    } else if export_to.iter().any(|entry| entry == viewer) {
        1
    } else {
        2
    }
}
