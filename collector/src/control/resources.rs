//! What one proxy is to be given: resources by type and name, each with the hash of its content.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::google::protobuf::Any;
use prost::{Message, Name};

use super::wire::any;

/// Characters of a version: 64 bits of the content's hash, enough to tell states of one proxy apart.
const VERSION_CHARS: usize = 16;

/// The four types that are handed out, in the order in which they must be pushed: what is referred to comes before
/// what refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Clusters,
    Endpoints,
    Listeners,
    Routes,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Clusters, Self::Endpoints, Self::Listeners, Self::Routes];

    pub(super) fn type_url(self) -> &'static str {
        match self {
            Self::Clusters => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoints => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Listeners => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Routes => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        }
    }

    pub(super) fn from_type_url(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_url() == url)
    }

    /// As `GET /api/proxies` calls it.
    pub(super) fn short(self) -> &'static str {
        match self {
            Self::Clusters => "CDS",
            Self::Endpoints => "EDS",
            Self::Listeners => "LDS",
            Self::Routes => "RDS",
        }
    }

    /// Whether a response is the whole truth, so that what it leaves out is deleted.
    pub(super) fn is_whole(self) -> bool {
        matches!(self, Self::Clusters | Self::Listeners)
    }

    /// What answers a request for a name that does not exist, so that whoever waits for it can go on.
    pub(super) fn nothing(self, name: &str) -> Option<Resource> {
        match self {
            Self::Endpoints => {
                Some(Resource::new(ClusterLoadAssignment { cluster_name: name.to_owned(), ..ClusterLoadAssignment::default() }))
            }
            Self::Routes => Some(Resource::new(RouteConfiguration { name: name.to_owned(), ..RouteConfiguration::default() })),
            Self::Clusters | Self::Listeners => None,
        }
    }
}

/// One encoded resource.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resource {
    pub(super) any: Any,
    pub(super) hash: blake3::Hash,
}

impl Resource {
    pub(super) fn new<T: Name + Message>(message: T) -> Self {
        let any = any(message);
        let hash = blake3::hash(&any.value);
        Self { any, hash }
    }
}

/// All resources of one proxy.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ProxyResources {
    sets: [BTreeMap<String, Resource>; 4],
}

impl ProxyResources {
    pub(super) fn add_cluster(&mut self, cluster: Cluster) {
        self.insert(Kind::Clusters, cluster.name.clone(), Resource::new(cluster));
    }

    pub(super) fn add_endpoints(&mut self, endpoints: ClusterLoadAssignment) {
        self.insert(Kind::Endpoints, endpoints.cluster_name.clone(), Resource::new(endpoints));
    }

    pub(super) fn add_listener(&mut self, listener: Listener) {
        self.insert(Kind::Listeners, listener.name.clone(), Resource::new(listener));
    }

    pub(super) fn add_routes(&mut self, routes: RouteConfiguration) {
        self.insert(Kind::Routes, routes.name.clone(), Resource::new(routes));
    }

    pub(super) fn set(&self, kind: Kind) -> &BTreeMap<String, Resource> {
        &self.sets[kind as usize]
    }

    /// Takes over clusters, with their endpoints, that `old` has and these have not; answers their names.
    pub(super) fn keep_clusters_of(&mut self, old: &Self) -> Vec<String> {
        let gone: Vec<String> =
            old.set(Kind::Clusters).keys().filter(|name| !self.set(Kind::Clusters).contains_key(*name)).cloned().collect();
        for kind in [Kind::Clusters, Kind::Endpoints] {
            for name in &gone {
                if let Some(resource) = old.set(kind).get(name) {
                    self.insert(kind, name.clone(), resource.clone());
                }
            }
        }
        gone
    }

    pub(super) fn remove_clusters(&mut self, names: &[String]) {
        for name in names {
            self.sets[Kind::Clusters as usize].remove(name);
            self.sets[Kind::Endpoints as usize].remove(name);
        }
    }

    fn insert(&mut self, kind: Kind, name: String, resource: Resource) {
        self.sets[kind as usize].insert(name, resource);
    }
}

/// Version of a set of resources: changes exactly when one of them does.
pub(super) fn version_of<'a>(resources: impl Iterator<Item = (&'a String, &'a Resource)>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, resource) in resources {
        hasher.update(&name.len().to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(resource.hash.as_bytes());
    }
    hasher.finalize().to_hex()[..VERSION_CHARS].to_owned()
}
