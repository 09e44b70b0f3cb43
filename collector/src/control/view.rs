//! The mesh at one moment: which workloads are there, and what is configured.

use std::sync::Arc;

use sidelight_mesh::config::MeshConfig;
use sidelight_mesh::identity::NodeIdentity;
use sidelight_mesh::registry::Registry;

/// An unchanging picture of registry and objects; a newer one replaces it as a whole.
#[derive(Clone, Debug, Default)]
pub struct MeshView {
    sequence: u64,
    config: Arc<MeshConfig>,
    registry: Registry,
}

impl MeshView {
    pub(super) fn new(sequence: u64, config: Arc<MeshConfig>, workloads: impl Iterator<Item = NodeIdentity>) -> Self {
        let registry = Registry::new(&config, workloads);
        Self { sequence, config, registry }
    }

    /// Grows with every change.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// All configuration objects.
    #[must_use]
    pub fn config(&self) -> &MeshConfig {
        &self.config
    }

    /// Services and registered workloads.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}
