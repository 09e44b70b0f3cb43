//! Where the graph's handlers get their picture of the mesh from.

use sidelight_mesh::identity::NodeIdentity;

use crate::control::ControlPlane;
use crate::query::graph::facts::{Instance, MeshFacts};

/// Knows the mesh as it is now.
pub trait MeshSource: Send + Sync + 'static {
    fn facts(&self) -> MeshFacts;
}

impl MeshSource for ControlPlane {
    fn facts(&self) -> MeshFacts {
        let view = self.snapshot();
        let targets = std::sync::Arc::clone(&self.targets().borrow());
        let behind = self.out_of_sync();
        let instances = targets.iter().map(|target| {
            let identity: &NodeIdentity = &target.identity;
            Instance { identity, connected: target.connected, synced: Some(!behind.contains(&target.id)) }
        });
        MeshFacts::new(view.config(), instances)
    }
}
