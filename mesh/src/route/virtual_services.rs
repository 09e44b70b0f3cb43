//! The VirtualService that sidecars follow for each host.

use std::collections::HashMap;

use super::{is_bound_to_mesh, is_exported};
use crate::config::{ConfigObject, MeshConfig, VirtualService};
use crate::hosts;

/// All VirtualServices that the sidecars of one namespace follow, ready for look-ups.
pub struct VirtualServiceIndex<'a> {
    /// By host in small letters.
    exact: HashMap<String, Candidate<'a>>,
    wild: Vec<(String, Candidate<'a>)>,
}

#[derive(Clone, Copy)]
struct Candidate<'a> {
    /// Smaller wins: the narrower `exportTo`, then the older.
    rank: (u8, usize),
    found: (&'a ConfigObject, &'a VirtualService),
}

impl<'a> VirtualServiceIndex<'a> {
    #[must_use]
    pub fn new(config: &'a MeshConfig, viewer_namespace: &str) -> Self {
        let mut index = Self { exact: HashMap::new(), wild: Vec::new() };
        for (age, (object, spec)) in config.virtual_services().into_iter().enumerate() {
            let namespace = &object.object.metadata.namespace;
            if !is_bound_to_mesh(spec) || !is_exported(&spec.export_to, namespace, viewer_namespace) {
                continue;
            }
            let candidate = Candidate { rank: (reach(spec, namespace, viewer_namespace), age), found: (object, spec) };
            for host in &spec.hosts {
                index.insert(hosts::resolve(host, namespace, &config.settings.domain), candidate);
            }
        }
        index
    }

    /// Rules are not merged: the most specific host wins, then the one with the narrower `exportTo`, then the older.
    #[must_use]
    pub fn get(&self, host: &str) -> Option<(&'a ConfigObject, &'a VirtualService)> {
        if let Some(candidate) = self.exact.get(&host.to_ascii_lowercase()) {
            return Some(candidate.found);
        }
        let covering = self.wild.iter().filter(|(pattern, _)| hosts::matches(pattern, host));
        let best = covering.min_by(|(a, first), (b, second)| hosts::by_specificity(a, b).then(first.rank.cmp(&second.rank)));
        best.map(|(_, candidate)| candidate.found)
    }

    fn insert(&mut self, host: String, candidate: Candidate<'a>) {
        if host.starts_with('*') {
            self.wild.push((host, candidate));
            return;
        }
        let best = self.exact.entry(host.to_ascii_lowercase()).or_insert(candidate);
        if candidate.rank < best.rank {
            *best = candidate;
        }
    }
}

/// 0: private to the viewer's namespace; 1: exported to it by name; 2: public.
fn reach(spec: &VirtualService, namespace: &str, viewer_namespace: &str) -> u8 {
    match spec.export_to.iter().map(String::as_str).find(|entry| *entry != "*") {
        _ if spec.export_to.is_empty() || spec.export_to.iter().any(|entry| entry == "*") => 2,
        Some(_) if namespace == viewer_namespace => 0,
        _ => 1,
    }
}
