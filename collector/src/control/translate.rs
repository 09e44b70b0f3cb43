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

use sidelight_mesh::identity::{NodeIdentity, NodeType};

use super::resources::ProxyResources;
use super::{ControlSettings, MeshView};

/// Everything that `node` is to have.
pub(super) fn translate(view: &MeshView, node: &NodeIdentity, settings: &ControlSettings) -> ProxyResources {
    let mut resources = ProxyResources::default();
    special::add(&mut resources, settings);
    clusters::add(&mut resources, view, node);
    match node.node_type {
        NodeType::Sidecar => {
            inbound::add(&mut resources, view, node, settings);
            outbound::add(&mut resources, view, node, settings);
        }
        NodeType::Router => gateway::add(&mut resources, view, node, settings),
    }
    resources
}
