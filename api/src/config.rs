//! Configuration objects: list, text, revisions, saving and what came of it.

use serde::{Deserialize, Serialize};
use sidelight_mesh::finding::Finding;

/// Names one object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectKey {
    /// As in the object's text: `VirtualService`, `DestinationRule`, `Gateway`, `Service`.
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

/// Answer of `GET /api/config` (`?namespaces=a,b`, absent = all).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectList {
    pub objects: Vec<ObjectSummary>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectSummary {
    #[serde(flatten)]
    pub key: ObjectKey,
    pub api_version: String,
    /// Counts from 1 per object and goes on after a deletion.
    pub revision: u64,
    pub updated_at_ms: i64,
    pub author: String,
    pub message: String,
    pub errors: u32,
    pub warnings: u32,
    /// The worst finding, for a list's one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst: Option<Finding>,
    /// Hosts that the object speaks of.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Proxies whose configuration the newest revision changes or could change, and how far it got.
    pub rollout: Rollout,
}

/// How far the mesh's newest configuration has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    pub proxies: u32,
    pub applied: u32,
    pub waiting: u32,
    pub refused: u32,
}

/// Answer of `GET /api/config/{kind}/{namespace}/{name}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectDetail {
    #[serde(flatten)]
    pub summary: ObjectSummary,
    /// As its author wrote it, comments included.
    pub yaml: String,
    pub findings: Vec<Finding>,
    pub references: Vec<Reference>,
}

/// Something that the object's text points at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// `gateway`, `service`, `destinationRule`, `subset`, `virtualService`, `workload`.
    pub kind: String,
    pub name: String,
    pub namespace: String,
    pub exists: bool,
    /// For subsets and selectors: how many workloads match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workloads: Option<u32>,
}

/// Body of `PUT /api/config/{kind}/{namespace}/{name}`: one object whose names must be those of the path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SaveRequest {
    pub yaml: String,
    #[serde(default)]
    pub message: String,
    /// Revision that was edited; refused with `conflict` when the object has a newer one. Absent: overwrite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_revision: Option<u64>,
}

/// Body of `POST /api/config/apply`: any number of objects, saved all or none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApplyRequest {
    pub yaml: String,
    #[serde(default)]
    pub message: String,
    /// Namespace of objects whose text names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Check only.
    #[serde(default)]
    pub dry_run: bool,
}

/// Answer of apply, save and roll back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApplyResponse {
    pub results: Vec<ApplyResult>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApplyResult {
    #[serde(flatten)]
    pub key: ObjectKey,
    pub action: Action,
    pub revision: u64,
    /// Warnings and remarks; errors refuse the whole request instead.
    pub findings: Vec<Finding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Created,
    Configured,
    Unchanged,
    Deleted,
    RolledBack,
}

/// Body of `POST /api/config/validate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidateRequest {
    pub yaml: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Answer of `POST /api/config/validate`: findings of the text as if it were saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidateResponse {
    pub objects: Vec<ObjectKey>,
    pub findings: Vec<Finding>,
    #[serde(default)]
    pub references: Vec<Reference>,
}

/// Answer of `GET …/history`, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    pub revisions: Vec<Revision>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    pub revision: u64,
    pub action: Action,
    pub created_at_ms: i64,
    pub author: String,
    pub message: String,
    /// Revision whose text a roll back took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_to: Option<u64>,
    /// Empty for a deletion.
    pub yaml: String,
}

/// Body of `POST …/rollback`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RollbackRequest {
    pub revision: u64,
    #[serde(default)]
    pub message: String,
    /// Revision that the author saw as the newest, deletions included; the roll back is refused when there is a newer
    /// one. Without it, it goes on top of whatever there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_revision: Option<u64>,
}
