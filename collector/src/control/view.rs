//! The mesh at one moment: which workloads are there, and what is configured.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use sidelight_mesh::config::{MeshConfig, ObjectKey};
use sidelight_mesh::finding::Finding;
use sidelight_mesh::identity::NodeIdentity;
use sidelight_mesh::registry::Registry;
use sidelight_mesh::validate::validate;

/// An unchanging picture of registry and objects; a newer one replaces it as a whole.
#[derive(Clone, Debug, Default)]
pub struct MeshView {
    sequence: u64,
    config: Arc<MeshConfig>,
    registry: Registry,
    /// Checked when first asked for: most views are only translated.
    findings: OnceLock<BTreeMap<ObjectKey, Vec<Finding>>>,
}

impl MeshView {
    pub(super) fn new(sequence: u64, config: Arc<MeshConfig>, workloads: impl Iterator<Item = NodeIdentity>) -> Self {
        let registry = Registry::new(&config, workloads);
        Self { sequence, config, registry, findings: OnceLock::new() }
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

    /// What is to be said of an object, in this mesh.
    #[must_use]
    pub fn findings(&self, key: &ObjectKey) -> &[Finding] {
        let all = self.findings.get_or_init(|| validate(&self.config, &self.registry));
        all.get(key).map(Vec::as_slice).unwrap_or_default()
    }
}
