//! Turns the mesh, as one proxy sees it, into xDS resources. Pure: the same view gives the same bytes.

mod actions;
mod balancing;
mod clusters;
mod connection_manager;
mod cors;
mod endpoints;
mod faults;
mod gateway;
mod hash_policies;
mod header_operations;
mod inbound;
mod listener;
mod matches;
mod metadata;
mod outbound;
mod outlier;
mod protocol;
mod retries;
mod routes;
mod special;

use sidelight_mesh::config::MeshConfig;
use sidelight_mesh::identity::{NodeIdentity, NodeType};
use sidelight_mesh::registry::Registry;
use sidelight_mesh::route::{RuleIndex, VirtualServiceIndex};

use super::resources::ProxyResources;
use super::{ControlSettings, MeshView};

/// The mesh and the proxy for which it is translated.
struct Scene<'a> {
    view: &'a MeshView,
    node: &'a NodeIdentity,
    settings: &'a ControlSettings,
    rules: RuleIndex<'a>,
    virtual_services: VirtualServiceIndex<'a>,
}

impl<'a> Scene<'a> {
    fn config(&self) -> &'a MeshConfig {
        self.view.config()
    }

    fn registry(&self) -> &'a Registry {
        self.view.registry()
    }

    fn domain(&self) -> &'a str {
        &self.view.config().settings.domain
    }
}

/// Everything that `node` is to have.
pub(super) fn translate(view: &MeshView, node: &NodeIdentity, settings: &ControlSettings) -> ProxyResources {
    let scene = Scene {
        view,
        node,
        settings,
        rules: RuleIndex::new(view.config()),
        virtual_services: VirtualServiceIndex::new(view.config(), &node.namespace),
    };
    let mut resources = ProxyResources::default();
    special::add(&mut resources, settings);
    clusters::add(&mut resources, &scene);
    match node.node_type {
        NodeType::Sidecar => {
            inbound::add(&mut resources, &scene);
            outbound::add(&mut resources, &scene);
        }
        NodeType::Router => gateway::add(&mut resources, &scene),
    }
    resources
}

#[cfg(test)]
mod tests;
