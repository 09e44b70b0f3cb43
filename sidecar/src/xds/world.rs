//! Everything the control plane has told us and we accepted, by type and name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use envoy_types::pb::envoy::config::cluster::v3 as cluster;
use envoy_types::pb::envoy::config::endpoint::v3 as endpoint;
use envoy_types::pb::envoy::config::listener::v3 as listener;
use envoy_types::pb::envoy::config::route::v3 as route;
use envoy_types::pb::google::protobuf::Any;
use prost::Message;

use super::Kind;
use crate::config::cluster::{Cluster, Discovery};
use crate::config::endpoint::Assignment;
use crate::config::listener::Listener;
use crate::config::route::RouteTable;
use crate::config::{ConfigError, Notes};

/// Resources of one type that are accepted in one update.
const RESOURCES_MAX: usize = 100_000;
/// Mistakes named in one refusal.
const MISTAKES_MAX: usize = 5;

/// One resource, compiled, with the original for `/config_dump`.
#[derive(Debug)]
pub struct Accepted<T> {
    pub value: Arc<T>,
    pub original: Arc<Any>,
    pub version: Arc<str>,
    pub updated: SystemTime,
}

// By hand: a derived one would ask `T` to be `Clone`.
impl<T> Clone for Accepted<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), original: self.original.clone(), version: self.version.clone(), updated: self.updated }
    }
}

pub type Table<T> = BTreeMap<String, Accepted<T>>;

#[derive(Clone, Debug, Default)]
pub struct World {
    pub clusters: Table<Cluster>,
    pub assignments: Table<Assignment>,
    pub listeners: Table<Listener>,
    pub routes: Table<RouteTable>,
    /// Last good version of each type.
    pub versions: HashMap<Kind, String>,
}

impl World {
    /// Takes an update whole or not at all; an error says what is wrong with which resource.
    pub fn accept(&mut self, kind: Kind, version: &str, resources: Vec<Any>, notes: &mut Notes) -> Result<(), String> {
        if resources.len() > RESOURCES_MAX {
            return Err(format!("{} resources in one update, at most {RESOURCES_MAX} are accepted", resources.len()));
        }
        let update = Update { kind, version, resources, notes };
        match kind {
            // The whole set: what is not in it is deleted.
            Kind::Cluster => self.clusters = update.compile(&self.clusters, cluster)?,
            Kind::Listener => self.listeners = update.compile(&self.listeners, listener)?,
            // Only what changed: the rest stays.
            Kind::Endpoints => {
                let changed = update.compile(&self.assignments, assignment)?;
                self.assignments.extend(changed);
            }
            Kind::Routes => {
                let changed = update.compile(&self.routes, routes)?;
                self.routes.extend(changed);
            }
        }
        self.versions.insert(kind, version.to_owned());
        Ok(())
    }

    /// Names that EDS has to be asked for; assignments nobody refers to are forgotten.
    pub fn endpoint_names(&mut self) -> BTreeSet<String> {
        let names: BTreeSet<_> = self
            .clusters
            .values()
            .filter_map(|cluster| match &cluster.value.discovery {
                Discovery::Eds(name) => Some(name.clone()),
                _ => None,
            })
            .collect();
        self.assignments.retain(|name, _| names.contains(name));
        names
    }

    /// Names that RDS has to be asked for; tables nobody refers to are forgotten.
    pub fn route_names(&mut self) -> BTreeSet<String> {
        let names: BTreeSet<_> =
            self.listeners.values().filter_map(|listener| listener.value.rds_name().map(str::to_owned)).collect();
        self.routes.retain(|name, _| names.contains(name));
        names
    }
}

type Compiled<T> = Result<(String, T), ConfigError>;

fn cluster(message: cluster::Cluster, notes: &mut Notes) -> Compiled<Cluster> {
    Ok((message.name.clone(), Cluster::compile(&message, notes)?))
}

fn listener(message: listener::Listener, notes: &mut Notes) -> Compiled<Listener> {
    Ok((message.name.clone(), Listener::compile(&message, notes)?))
}

fn assignment(message: endpoint::ClusterLoadAssignment, notes: &mut Notes) -> Compiled<Assignment> {
    Ok((message.cluster_name.clone(), Assignment::compile(&message, notes)?))
}

fn routes(message: route::RouteConfiguration, notes: &mut Notes) -> Compiled<RouteTable> {
    Ok((message.name.clone(), RouteTable::compile(&message, notes)?))
}

struct Update<'a> {
    kind: Kind,
    version: &'a str,
    resources: Vec<Any>,
    notes: &'a mut Notes,
}

impl Update<'_> {
    fn compile<M: Message + Default, T>(
        self,
        before: &Table<T>,
        compile: fn(M, &mut Notes) -> Compiled<T>,
    ) -> Result<Table<T>, String> {
        // What came unchanged keeps its compiled form, and with it everything that hangs on its identity.
        let known: HashMap<&[u8], (&String, &Accepted<T>)> =
            before.iter().map(|(name, accepted)| (accepted.original.value.as_slice(), (name, accepted))).collect();
        let version: Arc<str> = self.version.into();
        let mut table = Table::new();
        let mut mistakes = Vec::new();
        for any in self.resources {
            if any.type_url == self.kind.type_url()
                && let Some((name, same)) = known.get(any.value.as_slice())
            {
                if table.insert((*name).clone(), (*same).clone()).is_some() {
                    mistakes.push(duplicate(self.kind, name));
                }
                continue;
            }
            match compile_one(self.kind, &any, compile, self.notes) {
                Ok((name, _)) if table.contains_key(&name) => {
                    mistakes.push(duplicate(self.kind, &name));
                }
                Ok((name, value)) => {
                    let accepted = Accepted {
                        value: Arc::new(value),
                        original: Arc::new(any),
                        version: version.clone(),
                        updated: SystemTime::now(),
                    };
                    table.insert(name, accepted);
                }
                Err(mistake) => mistakes.push(mistake),
            }
        }
        match mistakes.len() {
            0 => Ok(table),
            count => {
                mistakes.truncate(MISTAKES_MAX);
                let more = count - mistakes.len();
                if more > 0 {
                    mistakes.push(format!("and {more} more"));
                }
                Err(mistakes.join("; "))
            }
        }
    }
}

fn duplicate(kind: Kind, name: &str) -> String {
    format!("duplicate {} `{name}`", kind.short())
}

fn compile_one<M: Message + Default, T>(
    kind: Kind,
    any: &Any,
    compile: fn(M, &mut Notes) -> Compiled<T>,
    notes: &mut Notes,
) -> Result<(String, T), String> {
    if any.type_url != kind.type_url() {
        return Err(format!("a resource of type `{}` in an answer about `{}`", any.type_url, kind.type_url()));
    }
    let message =
        M::decode(any.value.as_slice()).map_err(|error| format!("a {} resource cannot be decoded: {error}", kind.short()))?;
    compile(message, notes).map_err(|error| error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "world_tests.rs"]
mod tests;
