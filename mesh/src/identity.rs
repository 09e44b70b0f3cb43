//! Who a proxy and its workload are: the node id and metadata of xDS, and what is told to peers.

mod metadata;
mod node;
mod peer;

pub use node::{DEFAULT_CLUSTER_ID, NodeIdentity, PodPort, ProxyPorts};
pub use peer::{PEER_VALUE_BYTES_MAX, PeerIdentity};

use std::collections::BTreeMap;

/// Label that names the canonical service.
pub const CANONICAL_NAME: &str = "service.istio.io/canonical-name";
/// Label that names the canonical revision.
pub const CANONICAL_REVISION: &str = "service.istio.io/canonical-revision";
/// Canonical revision of a workload that names none.
pub const LATEST: &str = "latest";

const APP_LABELS: [&str; 2] = ["app.kubernetes.io/name", "app"];
const VERSION_LABELS: [&str; 2] = ["app.kubernetes.io/version", "version"];

/// A node id or metadata that no identity can be read from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("node id `{0}` is not `<type>~<ip>~<name>.<namespace>~<domain>`")]
    Id(String),
    #[error("node id `{id}` has type `{found}`, expected `sidecar` or `router`")]
    Type { id: String, found: String },
    #[error("node id `{id}` has `{found}` where an IP address belongs")]
    Ip { id: String, found: String },
    #[error("node metadata `{key}` is `{found}`, expected {expected}")]
    Metadata { key: &'static str, found: String, expected: &'static str },
}

/// What stands behind the node: a sidecar beside one application, or a gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeType {
    #[default]
    Sidecar,
    Router,
}

impl NodeType {
    /// The word at the front of a node id.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sidecar => "sidecar",
            Self::Router => "router",
        }
    }

    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "sidecar" => Some(Self::Sidecar),
            "router" => Some(Self::Router),
            _ => None,
        }
    }
}

/// What owns the instance, as told by `OWNER`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkloadType {
    Pod,
    Deployment,
    Job,
    CronJob,
    #[default]
    Unknown,
}

impl WorkloadType {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Deployment => "deployment",
            Self::Job => "job",
            Self::CronJob => "cronjob",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the type out of `kubernetes://apis/apps/v1/namespaces/<namespace>/<type>s/<workload>`.
    #[must_use]
    pub fn from_owner(owner: &str, workload: &str) -> Self {
        let trimmed = owner.strip_suffix(workload).and_then(|o| o.strip_suffix("s/"));
        match trimmed.and_then(|o| o.rsplit('/').next()) {
            Some("pod") => Self::Pod,
            Some("deployment") => Self::Deployment,
            Some("job") => Self::Job,
            Some("cronjob") => Self::CronJob,
            _ => Self::Unknown,
        }
    }

    /// The owner as it is rebuilt for peers; `None` for an unknown type.
    #[must_use]
    pub fn to_owner_url(self, namespace: &str, workload: &str) -> Option<String> {
        (self != Self::Unknown).then(|| format!("kubernetes://apis/apps/v1/namespaces/{namespace}/{}s/{workload}", self.as_str()))
    }
}

/// Canonical service of a workload: the first of three labels, else the workload's name.
#[must_use]
pub fn canonical_service(labels: &BTreeMap<String, String>, workload: &str) -> String {
    first_of(labels, &[CANONICAL_NAME, APP_LABELS[0], APP_LABELS[1]]).unwrap_or(workload).to_owned()
}

/// Canonical revision of a workload: the first of three labels, else `latest`.
#[must_use]
pub fn canonical_revision(labels: &BTreeMap<String, String>) -> String {
    first_of(labels, &[CANONICAL_REVISION, VERSION_LABELS[0], VERSION_LABELS[1]]).unwrap_or(LATEST).to_owned()
}

/// Value of the app label; empty when there is none.
#[must_use]
pub fn app_of(labels: &BTreeMap<String, String>) -> String {
    first_of(labels, &APP_LABELS).unwrap_or_default().to_owned()
}

/// Value of the version label; empty when there is none.
#[must_use]
pub fn version_of(labels: &BTreeMap<String, String>) -> String {
    first_of(labels, &VERSION_LABELS).unwrap_or_default().to_owned()
}

fn first_of<'a>(labels: &'a BTreeMap<String, String>, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| labels.get(*name).map(String::as_str).filter(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests;
