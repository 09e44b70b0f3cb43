//! Configuration objects: what may be written in their YAML, as plain types.
//!
//! Text becomes objects in [`parse_documents`]; whether they make sense together is told by [`crate::validate`].

mod decode;
mod destination_rule;
mod documents;
mod gateway;
mod mesh_config;
mod places;
mod service;
mod tree;
mod value;
mod virtual_service;

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

pub use destination_rule::*;
pub use documents::{FINDINGS_MAX, Parsed, ParsedObject, TEXT_BYTES_MAX, parse_documents};
pub use gateway::*;
pub use mesh_config::{ConfigObject, MeshConfig, MeshSettings, OutboundPolicy};
pub use places::{Place, Places, item_path, join_path};
pub use service::*;
pub use value::*;
pub use virtual_service::*;

/// The kinds of objects that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    VirtualService,
    DestinationRule,
    Gateway,
    Service,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::VirtualService, Self::DestinationRule, Self::Gateway, Self::Service];

    /// As in the text's `kind:`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VirtualService => "VirtualService",
            Self::DestinationRule => "DestinationRule",
            Self::Gateway => "Gateway",
            Self::Service => "Service",
        }
    }

    /// Reads what people type: any case, singular, plural or short (`vs`, `dr`, `gw`, `svc`).
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "virtualservice" | "virtualservices" | "vs" => Some(Self::VirtualService),
            "destinationrule" | "destinationrules" | "dr" => Some(Self::DestinationRule),
            "gateway" | "gateways" | "gw" => Some(Self::Gateway),
            "service" | "services" | "svc" => Some(Self::Service),
            _ => None,
        }
    }

    /// `apiVersion`s under which the kind is accepted, the preferred one first.
    #[must_use]
    pub fn api_versions(self) -> &'static [&'static str] {
        match self {
            Self::VirtualService | Self::DestinationRule | Self::Gateway => {
                &["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"]
            }
            Self::Service => &["v1"],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names one object. Sorted by kind, namespace, name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// Name, place and labels of an object. What a cluster adds by itself (`uid`, `resourceVersion`, …) is accepted and
/// left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    pub name: String,
    /// Filled in from the default when the text names none.
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

/// One object of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub api_version: String,
    pub metadata: Metadata,
    pub spec: Spec,
}

/// What an object says, by kind.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "objects live one by one behind an `Arc`")]
pub enum Spec {
    VirtualService(VirtualService),
    DestinationRule(DestinationRule),
    Gateway(Gateway),
    Service(ServiceSpec),
}

impl Object {
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.spec {
            Spec::VirtualService(_) => Kind::VirtualService,
            Spec::DestinationRule(_) => Kind::DestinationRule,
            Spec::Gateway(_) => Kind::Gateway,
            Spec::Service(_) => Kind::Service,
        }
    }

    #[must_use]
    pub fn key(&self) -> ObjectKey {
        ObjectKey { kind: self.kind(), namespace: self.metadata.namespace.clone(), name: self.metadata.name.clone() }
    }

    /// Hosts that the object speaks of, as written.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        match &self.spec {
            Spec::VirtualService(spec) => spec.hosts.clone(),
            Spec::DestinationRule(spec) => vec![spec.host.clone()],
            Spec::Gateway(spec) => {
                let mut hosts: Vec<String> = spec.servers.iter().flat_map(|s| s.hosts.clone()).collect();
                hosts.sort();
                hosts.dedup();
                hosts
            }
            Spec::Service(_) => vec![self.metadata.name.clone()],
        }
    }
}

/// Picks workloads by their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadSelector {
    pub match_labels: BTreeMap<String, String>,
}

/// Whether every label that is asked for is there with that value. Nothing asked for matches everything.
#[must_use]
pub fn labels_match(wanted: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
}
