//! All objects of the mesh together, with their texts and ages.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{DestinationRule, Gateway, Kind, Object, ObjectKey, Places, ServiceSpec, Spec, VirtualService};

/// Settings that hold for the whole mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshSettings {
    /// `cluster.local`
    pub domain: String,
    /// Namespace whose rules hold everywhere: `istio-system`.
    pub root_namespace: String,
    pub outbound: OutboundPolicy,
}

impl Default for MeshSettings {
    fn default() -> Self {
        Self { domain: "cluster.local".to_owned(), root_namespace: "istio-system".to_owned(), outbound: OutboundPolicy::AllowAny }
    }
}

/// What happens to calls of hosts that nobody registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutboundPolicy {
    #[default]
    AllowAny,
    RegistryOnly,
}

/// One stored object.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigObject {
    pub object: Object,
    /// As written, comments included.
    pub text: Arc<str>,
    /// Places in `text`.
    pub places: Places,
    /// Of its first revision: the older of two rules wins.
    pub created_at_ms: i64,
}

/// The objects of the mesh. Cheap to clone: objects are shared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeshConfig {
    pub settings: MeshSettings,
    objects: BTreeMap<ObjectKey, Arc<ConfigObject>>,
}

impl MeshConfig {
    #[must_use]
    pub fn new(settings: MeshSettings) -> Self {
        Self { settings, objects: BTreeMap::new() }
    }

    /// Adds an object, or takes the place of the one with its key.
    pub fn insert(&mut self, object: ConfigObject) -> Option<Arc<ConfigObject>> {
        self.objects.insert(object.object.key(), Arc::new(object))
    }

    /// The same for an object that is shared already.
    pub fn insert_shared(&mut self, object: Arc<ConfigObject>) -> Option<Arc<ConfigObject>> {
        self.objects.insert(object.object.key(), object)
    }

    pub fn remove(&mut self, key: &ObjectKey) -> Option<Arc<ConfigObject>> {
        self.objects.remove(key)
    }

    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<&Arc<ConfigObject>> {
        self.objects.get(key)
    }

    /// All objects, sorted by kind, namespace, name.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectKey, &Arc<ConfigObject>)> {
        self.objects.iter()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// All VirtualServices, oldest first.
    #[must_use]
    pub fn virtual_services(&self) -> Vec<(&ConfigObject, &VirtualService)> {
        self.of_kind(Kind::VirtualService, |spec| match spec {
            Spec::VirtualService(spec) => Some(spec),
            _ => None,
        })
    }

    /// All DestinationRules, oldest first.
    #[must_use]
    pub fn destination_rules(&self) -> Vec<(&ConfigObject, &DestinationRule)> {
        self.of_kind(Kind::DestinationRule, |spec| match spec {
            Spec::DestinationRule(spec) => Some(spec),
            _ => None,
        })
    }

    /// All Gateways, oldest first.
    #[must_use]
    pub fn gateways(&self) -> Vec<(&ConfigObject, &Gateway)> {
        self.of_kind(Kind::Gateway, |spec| match spec {
            Spec::Gateway(spec) => Some(spec),
            _ => None,
        })
    }

    /// All Services, oldest first.
    #[must_use]
    pub fn services(&self) -> Vec<(&ConfigObject, &ServiceSpec)> {
        self.of_kind(Kind::Service, |spec| match spec {
            Spec::Service(spec) => Some(spec),
            _ => None,
        })
    }

    /// Oldest first; of the same age by name, then namespace.
    fn of_kind<'a, T>(&'a self, kind: Kind, pick: impl Fn(&'a Spec) -> Option<&'a T>) -> Vec<(&'a ConfigObject, &'a T)> {
        let objects = self.objects.iter().filter(|(key, _)| key.kind == kind);
        let mut found: Vec<_> = objects.filter_map(|(_, object)| Some((&**object, pick(&object.object.spec)?))).collect();
        found.sort_by_key(|(object, _)| {
            let metadata = &object.object.metadata;
            (object.created_at_ms, metadata.name.as_str(), metadata.namespace.as_str())
        });
        found
    }
}
