//! A DestinationRule: its host, its subsets and its policies.

use std::collections::{BTreeMap, BTreeSet};

use super::common;
use super::mesh::Mesh;
use super::report::Report;
use crate::codes;
use crate::config::{
    ClientTls, ClientTlsMode, ConfigObject, ConnectionPool, DestinationRule, LoadBalancer, OutboundPolicy, OutlierDetection,
    SimpleBalancer, Subset, TrafficPolicy, join_path,
};
use crate::finding::Severity;
use crate::hosts;
use crate::nearest::nearest;
use crate::registry::{Registry, Service};

pub(super) fn check<'a>(report: &mut Report<'_>, mesh: &Mesh<'a>, object: &'a ConfigObject, spec: &'a DestinationRule) {
    common::export_to(report, mesh, &spec.export_to);
    let mut service = None;
    if common::host(report, "spec.host", &spec.host) {
        service = known_host(report, mesh, object, spec);
        overlaps(report, mesh, object, spec);
    }
    if let Some(policy) = &spec.traffic_policy {
        traffic_policy(report, "spec.trafficPolicy", policy, service);
    }
    let mut names = BTreeMap::new();
    for (index, subset) in spec.subsets.iter().enumerate() {
        let path = format!("spec.subsets[{index}]");
        subset_name(report, &path, subset, names.insert(subset.name.as_str(), index));
        subset_labels(report, mesh, &path, subset, service);
        if let Some(policy) = &subset.traffic_policy {
            traffic_policy(report, &format!("{path}.trafficPolicy"), policy, service);
        }
    }
}

fn known_host<'a>(
    report: &mut Report<'_>,
    mesh: &Mesh<'a>,
    object: &ConfigObject,
    spec: &DestinationRule,
) -> Option<&'a Service> {
    let fqdn = mesh.full_host(&spec.host, object);
    let found = mesh.service(&fqdn);
    let covered = || mesh.registry.services().any(|service| hosts::matches(&fqdn, &service.fqdn));
    if found.is_some() || fqdn.contains('*') && covered() {
        return found;
    }
    let completed = mesh.completed(&spec.host);
    let message = match &completed {
        Some(full) => format!("`{}` is taken as it stands and is no service; write the full name `{full}`", spec.host),
        None => format!("there is no service `{}`, so this rule does nothing", spec.host),
    };
    let severity = match mesh.config.settings.outbound {
        OutboundPolicy::RegistryOnly => Severity::Error,
        OutboundPolicy::AllowAny => Severity::Warning,
    };
    let names = mesh.host_names(&object.object.metadata.namespace);
    let suggestions = match completed {
        Some(full) => vec![full],
        None => nearest(&spec.host, names.iter().map(String::as_str)),
    };
    report.add(severity, codes::RULE_HOST, "spec.host", message).suggestions = suggestions;
    None
}

/// Rules of one namespace for one host are merged; what both define comes from the older.
fn overlaps(report: &mut Report<'_>, mesh: &Mesh<'_>, object: &ConfigObject, spec: &DestinationRule) {
    let fqdn = mesh.full_host(&spec.host, object);
    let namespace = &object.object.metadata.namespace;
    let others = mesh.rules.iter().filter(|(other, rule)| {
        !std::ptr::eq(*other, object)
            && other.object.metadata.namespace == *namespace
            && rule.workload_selector == spec.workload_selector
            && mesh.full_host(&rule.host, other) == fqdn
    });
    for (other, rule) in others {
        let theirs: BTreeSet<&str> = rule.subsets.iter().map(|s| s.name.as_str()).collect();
        let shared = spec.subsets.iter().enumerate().find(|(_, subset)| theirs.contains(subset.name.as_str()));
        let wins = if is_older(mesh, object, other) { "this one, the older, is used" } else { "that one, the older, is used" };
        if let Some((index, subset)) = shared {
            let message = format!("{} also defines subset `{}`: {wins}", other.object.key(), subset.name);
            report.warning(codes::RULE_OVERLAP, &format!("spec.subsets[{index}].name"), message);
        } else if rule.traffic_policy.is_some() && spec.traffic_policy.is_some() {
            let message = format!("{} also has a `trafficPolicy` for this host: {wins}", other.object.key());
            report.warning(codes::RULE_OVERLAP, "spec.host", message);
        }
    }
}

fn is_older(mesh: &Mesh<'_>, object: &ConfigObject, other: &ConfigObject) -> bool {
    let position = |wanted: &ConfigObject| mesh.rules.iter().position(|(o, _)| std::ptr::eq(*o, wanted));
    position(object) < position(other)
}

fn subset_name(report: &mut Report<'_>, path: &str, subset: &Subset, first: Option<usize>) {
    let path = format!("{path}.name");
    if subset.name.is_empty() {
        report.error(codes::MISSING, &path, "the subset has no name: VirtualServices refer to it by its name");
    } else if let Some(first) = first {
        let message = format!("subset `{}` is already defined as subset {}: keep one", subset.name, first + 1);
        report.error(codes::DUPLICATE_SUBSET, &path, message);
    } else if !common::is_label(&subset.name) {
        let message =
            format!("`{}` is no valid name for a subset: use lower-case letters, digits and hyphens", subset.name.escape_debug());
        report.error(codes::BAD_NAME, &path, message);
    }
}

fn subset_labels<'a>(report: &mut Report<'_>, mesh: &Mesh<'a>, path: &str, subset: &'a Subset, service: Option<&Service>) {
    if subset.labels.is_empty() {
        let message = format!("subset `{}` has no labels, so it is every workload of the host", subset.name);
        report.warning(codes::SUBSET_LABELS, path, message);
        return;
    }
    let Some(service) = service else {
        return;
    };
    if mesh.registry.instances(service, &subset.labels).next().is_some() {
        return;
    }
    let used = mesh.is_used(&service.fqdn, &subset.name);
    let effect = if used { "requests sent there are answered 503" } else { "no VirtualService uses it yet" };
    let severity = if used { Severity::Warning } else { Severity::Info };
    let at = format!("{path}.labels");
    // One wrong value among the labels is what it mostly is: point at it.
    for (name, value) in &subset.labels {
        let known = label_values(mesh.registry, service, name);
        if !known.is_empty() && !known.contains(value.as_str()) {
            let others = known.iter().copied().collect::<Vec<_>>().join(", ");
            let message = format!("no running workload of {} has {name}={value}, they have {others}: {effect}", service.name);
            report.add(severity, codes::SUBSET_EMPTY, &join_path(&at, name), message).suggestions =
                nearest(value, known.iter().copied());
            return;
        }
    }
    let wanted: Vec<String> = subset.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let message = format!("no running workload of {} has the labels {}: {effect}", service.name, wanted.join(", "));
    report.add(severity, codes::SUBSET_EMPTY, &at, message);
}

fn label_values<'a>(registry: &'a Registry, service: &'a Service, name: &str) -> BTreeSet<&'a str> {
    static ALL: BTreeMap<String, String> = BTreeMap::new();
    let instances = registry.instances(service, &ALL);
    instances.filter_map(|workload| workload.identity.labels.get(name)).map(String::as_str).collect()
}

fn traffic_policy(report: &mut Report<'_>, path: &str, policy: &TrafficPolicy, service: Option<&Service>) {
    let blocks = Blocks {
        load_balancer: policy.load_balancer.as_ref(),
        connection_pool: policy.connection_pool.as_ref(),
        outlier_detection: policy.outlier_detection.as_ref(),
        tls: policy.tls.as_ref(),
    };
    blocks.check(report, path);
    if let Some(budget) = &policy.retry_budget {
        common::plain_percent(report, &format!("{path}.retryBudget.percent"), budget.percent);
    }
    let mut seen = BTreeSet::new();
    for (index, entry) in policy.port_level_settings.iter().enumerate() {
        let path = format!("{path}.portLevelSettings[{index}]");
        let number = entry.port.number;
        let at = format!("{path}.port.number");
        if number == 0 {
            report.error(codes::MISSING, &at, "the entry names no port: add `port.number`");
        } else if !seen.insert(number) {
            report.error(codes::DUPLICATE_PORT, &at, format!("port {number} has an entry already: keep one"));
        } else if let Some(service) = service.filter(|service| service.port(number).is_none()) {
            let ports: Vec<String> = service.ports.iter().map(|port| port.port.to_string()).collect();
            let message = format!("service {} has no port {number}; it has {}", service.name, ports.join(", "));
            report.error(codes::PORT_MISSING, &at, message).suggestions = ports;
        }
        let blocks = Blocks {
            load_balancer: entry.load_balancer.as_ref(),
            connection_pool: entry.connection_pool.as_ref(),
            outlier_detection: entry.outlier_detection.as_ref(),
            tls: entry.tls.as_ref(),
        };
        blocks.check(report, &path);
    }
}

struct Blocks<'a> {
    load_balancer: Option<&'a LoadBalancer>,
    connection_pool: Option<&'a ConnectionPool>,
    outlier_detection: Option<&'a OutlierDetection>,
    tls: Option<&'a ClientTls>,
}

impl Blocks<'_> {
    fn check(&self, report: &mut Report<'_>, path: &str) {
        if let Some(balancer) = self.load_balancer {
            load_balancer(report, &format!("{path}.loadBalancer"), balancer);
        }
        if let Some(pool) = self.connection_pool {
            connection_pool(report, &format!("{path}.connectionPool"), pool);
        }
        if let Some(detection) = self.outlier_detection {
            outlier_detection(report, &format!("{path}.outlierDetection"), detection);
        }
        if let Some(tls) = self.tls {
            client_tls(report, &format!("{path}.tls"), tls);
        }
    }
}

fn load_balancer(report: &mut Report<'_>, path: &str, balancer: &LoadBalancer) {
    if balancer.simple == Some(SimpleBalancer::LeastConn) {
        common::deprecated(report, &format!("{path}.simple"), "LEAST_REQUEST");
    }
    if balancer.warmup_duration_secs.is_some() {
        common::deprecated(report, &format!("{path}.warmupDurationSecs"), "warmup.duration");
    }
    let Some(hash) = &balancer.consistent_hash else {
        return;
    };
    let path = format!("{path}.consistentHash");
    if balancer.simple.is_some() {
        report.error(codes::CONTRADICTION, &path, "`simple` and `consistentHash` exclude each other: keep one");
    }
    let keys = [
        hash.http_header_name.is_some(),
        hash.http_cookie.is_some(),
        hash.use_source_ip == Some(true),
        hash.http_query_parameter_name.is_some(),
    ];
    match keys.iter().filter(|given| **given).count() {
        0 => {
            let message =
                "what to hash is missing: give `httpHeaderName`, `httpCookie`, `useSourceIp` or `httpQueryParameterName`";
            report.error(codes::MISSING, &path, message);
        }
        1 => {}
        _ => {
            let message = "only one of `httpHeaderName`, `httpCookie`, `useSourceIp` and `httpQueryParameterName` is possible";
            report.error(codes::CONTRADICTION, &path, message);
        }
    }
    if hash.minimum_ring_size.is_some() {
        common::deprecated(report, &format!("{path}.minimumRingSize"), "ringHash.minimumRingSize");
    }
}

fn connection_pool(report: &mut Report<'_>, path: &str, pool: &ConnectionPool) {
    let tcp = pool.tcp.iter().map(|tcp| ("tcp.maxConnections", tcp.max_connections));
    let http = pool.http.iter().flat_map(|http| {
        [
            ("http.http1MaxPendingRequests", http.http1_max_pending_requests),
            ("http.http2MaxRequests", http.http2_max_requests),
            ("http.maxRequestsPerConnection", http.max_requests_per_connection),
            ("http.maxRetries", http.max_retries),
            ("http.maxConcurrentStreams", http.max_concurrent_streams),
        ]
    });
    for (name, value) in tcp.chain(http) {
        if let Some(value @ ..=0) = value {
            let message = format!("{value} has no effect: it is taken as unset, that is, without a limit");
            report.warning(codes::NO_EFFECT, &format!("{path}.{name}"), message);
        }
    }
}

fn outlier_detection(report: &mut Report<'_>, path: &str, detection: &OutlierDetection) {
    for (name, value) in
        [("maxEjectionPercent", detection.max_ejection_percent), ("minHealthPercent", detection.min_health_percent)]
    {
        if let Some(value) = value.filter(|value| !(0..=100).contains(value)) {
            let message = format!("{value} is no percentage: give a number from 0 to 100");
            report.error(codes::WRONG_VALUE, &format!("{path}.{name}"), message);
        }
    }
    if detection.consecutive_errors.is_some() {
        common::deprecated(report, &format!("{path}.consecutiveErrors"), "consecutive5xxErrors");
    }
}

fn client_tls(report: &mut Report<'_>, path: &str, tls: &ClientTls) {
    let has_pair = !tls.client_certificate.is_empty() && !tls.private_key.is_empty();
    if tls.mode == Some(ClientTlsMode::Mutual) && !has_pair && tls.credential_name.is_empty() {
        let message = "`MUTUAL` needs `clientCertificate` and `privateKey`, or `credentialName`";
        report.error(codes::MISSING, &format!("{path}.mode"), message);
    }
}
