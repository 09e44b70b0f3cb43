//! The workload object that two proxies tell each other.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::metadata::{labels_value, put, string_map, text};
use super::{CANONICAL_NAME, CANONICAL_REVISION, LATEST, WorkloadType, app_of, version_of};

/// Longest value that is taken over from a peer: no name in a mesh is longer than a DNS name, and each value becomes a
/// label of every series of that peer. A longer one counts as unknown.
pub const PEER_VALUE_BYTES_MAX: usize = 253;
/// Longest SPIFFE id, by its specification.
const IDENTITY_BYTES_MAX: usize = 2048;

/// What one side of an exchange knows of the other. Empty means unknown: the label rules decide what that becomes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Instance, such as a pod's name.
    pub name: String,
    pub namespace: String,
    pub workload: String,
    pub workload_type: WorkloadType,
    pub cluster_id: String,
    /// SPIFFE id.
    pub identity: String,
    pub canonical_service: String,
    pub canonical_revision: String,
    pub app: String,
    pub version: String,
    pub region: String,
    pub zone: String,
    /// Labels beyond those that have a field of their own.
    pub labels: BTreeMap<String, String>,
}

impl PeerIdentity {
    /// The struct that travels in `x-envoy-peer-metadata`: empty values are left out, `LABELS` is always there.
    #[must_use]
    pub fn to_exchange(&self) -> Map<String, Value> {
        let mut map = Map::new();
        put(&mut map, "NAME", &self.name);
        put(&mut map, "NAMESPACE", &self.namespace);
        put(&mut map, "WORKLOAD_NAME", &self.workload);
        put(&mut map, "CLUSTER_ID", &self.cluster_id);
        put(&mut map, "IDENTITY", &self.identity);
        if let Some(owner) = self.workload_type.to_owner_url(&self.namespace, &self.workload) {
            put(&mut map, "OWNER", &owner);
        }
        put(&mut map, "REGION", &self.region);
        put(&mut map, "AVAILABILITY_ZONE", &self.zone);
        map.insert("LABELS".to_owned(), labels_value(&self.exchanged_labels()));
        map
    }

    /// Reads what a peer sent; anything missing, or too long to be true, stays empty.
    #[must_use]
    pub fn from_exchange(map: &Map<String, Value>) -> Self {
        let text = |map: &Map<String, Value>, key: &str| bounded(text(map, key), PEER_VALUE_BYTES_MAX);
        let mut labels = string_map(map, "LABELS");
        labels.retain(|name, value| name.len() <= PEER_VALUE_BYTES_MAX && value.len() <= PEER_VALUE_BYTES_MAX);
        let (app, version) = (app_of(&labels), version_of(&labels));
        let canonical_service = labels.remove(CANONICAL_NAME).unwrap_or_default();
        let canonical_revision = labels.remove(CANONICAL_REVISION).unwrap_or_default();
        for name in super::APP_LABELS.iter().chain(&super::VERSION_LABELS) {
            labels.remove(*name);
        }
        let workload = text(map, "WORKLOAD_NAME");
        Self {
            name: text(map, "NAME"),
            namespace: text(map, "NAMESPACE"),
            workload_type: WorkloadType::from_owner(&super::metadata::text(map, "OWNER"), &workload),
            workload,
            cluster_id: text(map, "CLUSTER_ID"),
            identity: bounded(super::metadata::text(map, "IDENTITY"), IDENTITY_BYTES_MAX),
            canonical_service,
            canonical_revision,
            app,
            version,
            region: text(map, "REGION"),
            zone: text(map, "AVAILABILITY_ZONE"),
            labels,
        }
    }

    /// `filter_metadata.istio.workload` of an endpoint: five fields, the revision empty when it is `latest`.
    #[must_use]
    pub fn to_endpoint_metadata(&self) -> String {
        let revision = if self.canonical_revision == LATEST { "" } else { &self.canonical_revision };
        [&self.workload, &self.namespace, &self.canonical_service, revision, &self.cluster_id].join(";")
    }

    /// Reads an endpoint's metadata; `None` when it has fewer than five fields.
    #[must_use]
    pub fn from_endpoint_metadata(text: &str) -> Option<Self> {
        let mut fields = text.split(';').map(str::to_owned);
        Some(Self {
            workload: fields.next()?,
            namespace: fields.next()?,
            canonical_service: fields.next()?,
            canonical_revision: fields.next().map(|r| if r.is_empty() { LATEST.to_owned() } else { r })?,
            cluster_id: fields.next()?,
            ..Self::default()
        })
    }

    fn exchanged_labels(&self) -> BTreeMap<String, String> {
        let named = [
            (CANONICAL_NAME, &self.canonical_service),
            (CANONICAL_REVISION, &self.canonical_revision),
            ("app", &self.app),
            ("version", &self.version),
        ];
        let mut labels = self.labels.clone();
        labels.extend(named.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| ((*k).to_owned(), (*v).clone())));
        labels
    }
}

fn bounded(text: String, bytes_max: usize) -> String {
    if text.len() <= bytes_max { text } else { String::new() }
}
