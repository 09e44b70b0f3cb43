//! The DestinationRule that holds for a service as one client sees it, and what of it holds for one cluster.

use std::collections::{BTreeMap, HashMap};

use super::{Viewer, is_exported};
use crate::config::{
    ClientTls, ConfigObject, ConnectionPool, DestinationRule, LoadBalancer, MeshConfig, MeshSettings, OutlierDetection,
    RetryBudget, Subset, TrafficPolicy, labels_match,
};
use crate::hosts;

/// All rules for one host in one namespace, taken together.
#[derive(Clone, Debug, Default)]
pub struct EffectiveRule<'a> {
    /// Oldest first; empty when no rule covers the host.
    pub objects: Vec<&'a ConfigObject>,
    /// That of the oldest rule that has one.
    pub traffic_policy: Option<&'a TrafficPolicy>,
    /// The first definition of a name wins.
    pub subsets: Vec<&'a Subset>,
}

/// What holds for one cluster; absent blocks are at their defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EffectivePolicy<'a> {
    pub load_balancer: Option<&'a LoadBalancer>,
    pub connection_pool: Option<&'a ConnectionPool>,
    pub outlier_detection: Option<&'a OutlierDetection>,
    pub tls: Option<&'a ClientTls>,
    pub retry_budget: Option<&'a RetryBudget>,
}

/// The rule that holds when `client` calls a service. For many look-ups make one [`RuleIndex`].
#[must_use]
pub fn rule_for<'a>(config: &'a MeshConfig, fqdn: &str, client: Viewer<'_>) -> EffectiveRule<'a> {
    RuleIndex::new(config).rule_for(fqdn, client)
}

/// All DestinationRules of a configuration, ready for look-ups.
pub struct RuleIndex<'a> {
    settings: &'a MeshSettings,
    by_namespace: HashMap<&'a str, Namespace<'a>>,
}

/// Rules of one namespace, oldest first.
#[derive(Default)]
struct Namespace<'a> {
    /// By host in small letters.
    exact: HashMap<String, Vec<Candidate<'a>>>,
    wild: Vec<Candidate<'a>>,
}

struct Candidate<'a> {
    /// In full form.
    host: String,
    object: &'a ConfigObject,
    rule: &'a DestinationRule,
}

impl<'a> RuleIndex<'a> {
    #[must_use]
    pub fn new(config: &'a MeshConfig) -> Self {
        let mut by_namespace: HashMap<&str, Namespace<'_>> = HashMap::new();
        for (object, rule) in config.destination_rules() {
            let namespace = object.object.metadata.namespace.as_str();
            let host = hosts::resolve(&rule.host, namespace, &config.settings.domain);
            let here = by_namespace.entry(namespace).or_default();
            let same =
                if host.starts_with('*') { &mut here.wild } else { here.exact.entry(host.to_ascii_lowercase()).or_default() };
            same.push(Candidate { host, object, rule });
        }
        Self { settings: &config.settings, by_namespace }
    }

    /// Looks in the client's namespace (unless it is the root), then in that of the service, then in the root
    /// namespace. The first that has a rule decides alone.
    #[must_use]
    pub fn rule_for(&self, fqdn: &str, client: Viewer<'_>) -> EffectiveRule<'a> {
        let root = self.settings.root_namespace.as_str();
        let own = (client.namespace != root).then_some(client.namespace);
        let service_namespace = hosts::split_fqdn(fqdn, &self.settings.domain).map(|(_, namespace)| namespace);
        for namespace in own.into_iter().chain(service_namespace).chain([root]) {
            let Some(here) = self.by_namespace.get(namespace) else { continue };
            let exact = here.exact.get(&fqdn.to_ascii_lowercase()).into_iter().flatten();
            let covering = exact.chain(&here.wild).filter(|candidate| {
                hosts::matches(&candidate.host, fqdn) && is_exported(&candidate.rule.export_to, namespace, client.namespace)
            });
            let rule = merge(covering.collect(), client.labels);
            if !rule.objects.is_empty() {
                return rule;
            }
        }
        EffectiveRule::default()
    }
}

/// Rules with a selector that fits the client win; of the rest, those with the most specific host.
fn merge<'a>(mut rules: Vec<&Candidate<'a>>, labels: &BTreeMap<String, String>) -> EffectiveRule<'a> {
    let fits = |c: &Candidate<'_>| c.rule.workload_selector.as_ref().map(|s| labels_match(&s.match_labels, labels));
    let selected = rules.iter().any(|candidate| fits(candidate) == Some(true));
    rules.retain(|candidate| fits(candidate) == selected.then_some(true));
    let mut merged = EffectiveRule::default();
    let best = rules.iter().map(|c| c.host.as_str()).min_by(|a, b| hosts::by_specificity(a, b));
    for candidate in rules.iter().filter(|c| Some(c.host.as_str()) == best) {
        merged.objects.push(candidate.object);
        merged.traffic_policy = merged.traffic_policy.or(candidate.rule.traffic_policy.as_ref());
        for subset in &candidate.rule.subsets {
            if merged.subset(&subset.name).is_none() {
                merged.subsets.push(subset);
            }
        }
    }
    merged
}

impl<'a> EffectiveRule<'a> {
    #[must_use]
    pub fn subset(&self, name: &str) -> Option<&'a Subset> {
        self.subsets.iter().find(|subset| subset.name == name).copied()
    }

    /// What holds for a port of the service, or of one of its subsets.
    #[must_use]
    pub fn policy(&self, subset: Option<&'a Subset>, port: u16) -> EffectivePolicy<'a> {
        let mut policy = EffectivePolicy::default();
        if let Some(rule) = self.traffic_policy {
            policy.lay_over(rule);
            policy.replace_for_port(rule, port);
        }
        if let Some(subset) = subset.and_then(|s| s.traffic_policy.as_ref()) {
            policy.lay_over(subset);
            policy.replace_for_port(subset, port);
        }
        policy
    }
}

impl<'a> EffectivePolicy<'a> {
    /// Block by block; a block is never merged inside.
    fn lay_over(&mut self, policy: &'a TrafficPolicy) {
        self.load_balancer = policy.load_balancer.as_ref().or(self.load_balancer);
        self.connection_pool = policy.connection_pool.as_ref().or(self.connection_pool);
        self.outlier_detection = policy.outlier_detection.as_ref().or(self.outlier_detection);
        self.tls = policy.tls.as_ref().or(self.tls);
        self.retry_budget = policy.retry_budget.as_ref().or(self.retry_budget);
    }

    /// An entry for the port replaces all blocks that it could name, those it leaves out included.
    fn replace_for_port(&mut self, policy: &'a TrafficPolicy, port: u16) {
        if let Some(entry) = policy.port_level_settings.iter().find(|entry| entry.port.number == port) {
            self.load_balancer = entry.load_balancer.as_ref();
            self.connection_pool = entry.connection_pool.as_ref();
            self.outlier_detection = entry.outlier_detection.as_ref();
            self.tls = entry.tls.as_ref();
        }
    }
}
