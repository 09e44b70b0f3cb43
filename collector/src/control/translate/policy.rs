//! Which DestinationRule holds for a service as one client sees it, and what of it holds for one cluster.

use sidelight_mesh::config::{
    ConfigObject, ConnectionPool, DestinationRule, LoadBalancer, MeshConfig, Object, OutlierDetection, RetryBudget, Subset,
    TrafficPolicy, labels_match,
};
use sidelight_mesh::hosts;
use sidelight_mesh::identity::NodeIdentity;
use sidelight_mesh::registry::Service;

/// All rules for one host in one namespace, taken together.
#[derive(Debug, Default)]
pub(super) struct Rule<'a> {
    /// The oldest of them.
    pub(super) object: Option<&'a Object>,
    pub(super) traffic_policy: Option<&'a TrafficPolicy>,
    pub(super) subsets: Vec<&'a Subset>,
}

/// What holds for one cluster; absent blocks are at their defaults.
#[derive(Debug, Default)]
pub(super) struct Policy<'a> {
    pub(super) load_balancer: Option<&'a LoadBalancer>,
    pub(super) connection_pool: Option<&'a ConnectionPool>,
    pub(super) outlier_detection: Option<&'a OutlierDetection>,
    pub(super) retry_budget: Option<&'a RetryBudget>,
}

/// Looks in the client's namespace, then the service's, then the root namespace.
pub(super) fn rule_for<'a>(config: &'a MeshConfig, service: &Service, client: &NodeIdentity) -> Rule<'a> {
    let root = config.settings.root_namespace.as_str();
    let rules = config.destination_rules();
    let own = (client.namespace != root).then_some(client.namespace.as_str());
    let namespaces = own.into_iter().chain([service.namespace.as_str(), root]);
    for namespace in namespaces {
        let here = rules.iter().filter(|(object, rule)| {
            object.object.metadata.namespace == namespace && is_exported(&rule.export_to, namespace, &client.namespace)
        });
        let covering = here.filter(|(object, rule)| hosts::matches(&full_host(object, rule, config), &service.fqdn));
        if let Some(rule) = merge(covering.copied().collect(), config, client) {
            return rule;
        }
    }
    Rule::default()
}

impl<'a> Rule<'a> {
    pub(super) fn subset(&self, name: &str) -> Option<&'a Subset> {
        self.subsets.iter().find(|subset| subset.name == name).copied()
    }

    pub(super) fn policy(&self, subset: Option<&'a Subset>, port: u16) -> Policy<'a> {
        let mut policy = Policy::default();
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

impl<'a> Policy<'a> {
    /// Block by block; a block is never merged inside.
    fn lay_over(&mut self, policy: &'a TrafficPolicy) {
        self.load_balancer = policy.load_balancer.as_ref().or(self.load_balancer);
        self.connection_pool = policy.connection_pool.as_ref().or(self.connection_pool);
        self.outlier_detection = policy.outlier_detection.as_ref().or(self.outlier_detection);
        self.retry_budget = policy.retry_budget.as_ref().or(self.retry_budget);
    }

    /// An entry for the port replaces all blocks that it could name, those it leaves out included.
    fn replace_for_port(&mut self, policy: &'a TrafficPolicy, port: u16) {
        if let Some(entry) = policy.port_level_settings.iter().find(|entry| entry.port.number == port) {
            self.load_balancer = entry.load_balancer.as_ref();
            self.connection_pool = entry.connection_pool.as_ref();
            self.outlier_detection = entry.outlier_detection.as_ref();
        }
    }
}

/// Rules with a selector that fits the client win; of the rest, those with the most specific host.
fn merge<'a>(
    mut rules: Vec<(&'a ConfigObject, &'a DestinationRule)>,
    config: &MeshConfig,
    client: &NodeIdentity,
) -> Option<Rule<'a>> {
    let selects = |rule: &DestinationRule| rule.workload_selector.as_ref().map(|s| labels_match(&s.match_labels, &client.labels));
    let selected = rules.iter().any(|(_, rule)| selects(rule) == Some(true));
    rules.retain(|(_, rule)| selects(rule) == selected.then_some(true));
    let best = rules.iter().map(|(object, rule)| full_host(object, rule, config)).min_by(|a, b| hosts::by_specificity(a, b))?;
    rules.retain(|(object, rule)| full_host(object, rule, config) == best);
    let mut merged = Rule { object: rules.first().map(|(object, _)| &object.object), ..Rule::default() };
    for (_, rule) in rules {
        merged.traffic_policy = merged.traffic_policy.or(rule.traffic_policy.as_ref());
        for subset in &rule.subsets {
            if merged.subset(&subset.name).is_none() {
                merged.subsets.push(subset);
            }
        }
    }
    Some(merged)
}

fn full_host(object: &ConfigObject, rule: &DestinationRule, config: &MeshConfig) -> String {
    hosts::resolve(&rule.host, &object.object.metadata.namespace, &config.settings.domain)
}

/// Whether an object of `namespace` may be seen from `viewer`.
pub(super) fn is_exported(export_to: &[String], namespace: &str, viewer: &str) -> bool {
    export_to.is_empty()
        || export_to.iter().any(|entry| match entry.as_str() {
            "*" => true,
            "." => namespace == viewer,
            other => other == viewer,
        })
}
