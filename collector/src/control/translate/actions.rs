//! What a route does with a request: forward, redirect, or answer by itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envoy_types::pb::envoy::config::core::v3::{DataSource, data_source::Specifier};
use envoy_types::pb::envoy::config::route::v3::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use envoy_types::pb::envoy::config::route::v3::route_action::{
    ClusterSpecifier, HashPolicy, HostRewriteSpecifier, RequestMirrorPolicy,
};
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use envoy_types::pb::envoy::config::route::v3::{DirectResponseAction, RedirectAction, RouteAction, WeightedCluster};
use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatchAndSubstitute;
use envoy_types::pb::google::protobuf::Duration;
use sidelight_mesh::config::{DerivePort, Destination, DirectResponse, HttpDestination, Percent, Redirect, Rewrite};

use super::Scene;
use super::clusters::{cluster_name, exists};
use super::hash_policies::hash_policies;
use super::header_operations::HeaderChanges;
use super::matches::regex;
use super::retries::{default_policy, retry_policy};
use super::routes::Rule;
use crate::control::wire::{duration, flag, hundredths, millionths, runtime_fraction, uint};

/// Where a forwarded request goes.
pub(super) enum Destinations {
    Service { cluster: String },
    Split(Vec<ClusterWeight>),
}

pub(super) struct Forward {
    pub(super) action: RouteAction,
    /// Host and port, when there is one cluster and it exists.
    pub(super) only_cluster: Option<(String, u16)>,
}

/// A destination, looked up.
struct Resolved {
    host: String,
    port: u16,
    subset: String,
}

impl Resolved {
    fn cluster(&self) -> String {
        cluster_name(self.port, &self.subset, &self.host)
    }
}

/// An action that gives up after `timeout`, zero being never.
///
/// The cap of a gRPC client's own timeout is deprecated in Envoy but is what Istio sends, and what proxies understand.
#[allow(deprecated)]
pub(super) fn timed_action(timeout: Duration) -> RouteAction {
    RouteAction { timeout: Some(timeout), max_grpc_timeout: Some(timeout), ..RouteAction::default() }
}

pub(super) fn default_action(destinations: Destinations, hashing: Vec<HashPolicy>) -> RouteAction {
    forwarding_action(destinations, hashing, Duration::default())
}

fn forwarding_action(destinations: Destinations, hashing: Vec<HashPolicy>, timeout: Duration) -> RouteAction {
    RouteAction {
        retry_policy: Some(default_policy(!hashing.is_empty())),
        hash_policy: hashing,
        cluster_specifier: Some(specifier(destinations)),
        ..timed_action(timeout)
    }
}

/// `None` when the rule names no destination.
pub(super) fn forward(rule: &Rule, changes: &mut HeaderChanges) -> Option<Forward> {
    let http = rule.http;
    let destinations: Vec<&HttpDestination> = match &http.route[..] {
        [only] => vec![only],
        several => several.iter().filter(|d| d.weight.unwrap_or(0) > 0).collect(),
    };
    let resolved: Vec<Resolved> = destinations.iter().map(|d| resolve(rule, &d.destination)).collect();
    let hashing: Vec<HashPolicy> = resolved.iter().flat_map(|r| hashing_of(rule.scene, &r.host, r.port, &r.subset)).collect();
    let (split, only_cluster) = match (&destinations[..], &resolved[..]) {
        ([], _) => return None,
        ([destination], [target]) => {
            changes.append(destination.headers.as_ref());
            let found = exists(rule.scene, &target.host, target.port, &target.subset);
            (Destinations::Service { cluster: target.cluster() }, found.then(|| (target.host.clone(), target.port)))
        }
        _ => (Destinations::Split(destinations.iter().zip(&resolved).map(|(d, r)| cluster_weight(d, r)).collect()), None),
    };
    let timeout = http.timeout.map(|d| duration(d.0)).unwrap_or_default();
    let mut action = RouteAction {
        retry_policy: match &http.retries {
            None => Some(default_policy(!hashing.is_empty())),
            Some(retries) => retry_policy(retries, !hashing.is_empty()),
        },
        request_mirror_policies: mirrors(rule),
        ..forwarding_action(split, hashing, timeout)
    };
    if let Some(rewrite) = &http.rewrite {
        apply_rewrite(rewrite, &mut action);
    }
    if let (Some(host), None) = (changes.take_host(), &action.host_rewrite_specifier) {
        action.host_rewrite_specifier = Some(HostRewriteSpecifier::HostRewriteLiteral(host));
    }
    Some(Forward { action, only_cluster })
}

/// Empty unless the destination's rule balances by a hash.
pub(super) fn hashing_of(scene: &Scene, host: &str, port: u16, subset: &str) -> Vec<HashPolicy> {
    let rule = scene.rules.rule_for(host, scene.node.into());
    let policy = rule.policy(rule.subset(subset), port);
    policy.load_balancer.and_then(|lb| lb.consistent_hash.as_ref()).map(hash_policies).unwrap_or_default()
}

pub(super) fn redirect(redirect: &Redirect, listener_port: u16) -> RedirectAction {
    // The rule's own path replaces the whole path; `prefixRewrite` does not exist in the mesh's vocabulary.
    let path = (!redirect.uri.is_empty()).then(|| PathRewriteSpecifier::PathRedirect(redirect.uri.clone()));
    let scheme = (!redirect.scheme.is_empty()).then(|| SchemeRewriteSpecifier::SchemeRedirect(redirect.scheme.clone()));
    RedirectAction {
        host_redirect: redirect.authority.clone(),
        port_redirect: redirect_port(redirect, listener_port).map(u32::from).unwrap_or_default(),
        response_code: redirect_code(redirect.redirect_code).into(),
        scheme_rewrite_specifier: scheme,
        path_rewrite_specifier: path,
        ..RedirectAction::default()
    }
}

fn redirect_port(redirect: &Redirect, listener_port: u16) -> Option<u16> {
    if redirect.port.is_some() {
        return redirect.port;
    }
    let is_default = matches!((redirect.scheme.as_str(), listener_port), ("http" | "", 80) | ("https", 443));
    (redirect.derive_port == Some(DerivePort::FromRequestPort) && !is_default).then_some(listener_port)
}

fn redirect_code(code: u16) -> RedirectResponseCode {
    match code {
        302 => RedirectResponseCode::Found,
        303 => RedirectResponseCode::SeeOther,
        307 => RedirectResponseCode::TemporaryRedirect,
        308 => RedirectResponseCode::PermanentRedirect,
        _ => RedirectResponseCode::MovedPermanently,
    }
}

pub(super) fn direct_response(response: &DirectResponse) -> DirectResponseAction {
    let body = response.body.as_ref().and_then(|body| match (&body.string, &body.bytes) {
        (Some(text), _) => Some(Specifier::InlineString(text.clone())),
        (None, Some(bytes)) => STANDARD.decode(bytes).ok().map(Specifier::InlineBytes),
        (None, None) => None,
    });
    DirectResponseAction {
        status: u32::from(response.status),
        body: body.map(|specifier| DataSource { specifier: Some(specifier), ..DataSource::default() }),
        ..DirectResponseAction::default()
    }
}

fn specifier(destinations: Destinations) -> ClusterSpecifier {
    match destinations {
        Destinations::Service { cluster } => ClusterSpecifier::Cluster(cluster),
        Destinations::Split(clusters) => {
            ClusterSpecifier::WeightedClusters(WeightedCluster { clusters, ..WeightedCluster::default() })
        }
    }
}

fn resolve(rule: &Rule, destination: &Destination) -> Resolved {
    let host = rule.full_host(&destination.host);
    let asked = destination.port.map(|port| port.number);
    let port = match rule.scene.registry().service(&host) {
        Some(service) => service.destination_port(asked, rule.scope.port),
        None => asked.unwrap_or(rule.scope.port),
    };
    Resolved { host, port, subset: destination.subset.clone() }
}

fn cluster_weight(destination: &HttpDestination, target: &Resolved) -> ClusterWeight {
    let weight = destination.weight.and_then(|w| u32::try_from(w).ok()).unwrap_or(0);
    let mut cluster = ClusterWeight { name: target.cluster(), weight: Some(uint(weight)), ..ClusterWeight::default() };
    HeaderChanges::of(destination.headers.as_ref()).write_to_weight(&mut cluster);
    cluster
}

fn mirrors(rule: &Rule) -> Vec<RequestMirrorPolicy> {
    let http = rule.http;
    let old_form = http.mirror_percent.map(|p| Percent { value: f64::from(p) });
    let first = http.mirror.as_ref().map(|destination| (destination, http.mirror_percentage.or(old_form)));
    let further = http.mirrors.iter().map(|mirror| (&mirror.destination, mirror.percentage));
    first.into_iter().chain(further).filter_map(|(destination, share)| mirror(rule, destination, share)).collect()
}

fn mirror(rule: &Rule, destination: &Destination, share: Option<Percent>) -> Option<RequestMirrorPolicy> {
    let fraction = match share {
        None => hundredths(100),
        Some(share) if share.value <= 0.0 => return None,
        Some(share) => millionths(share.value),
    };
    Some(RequestMirrorPolicy {
        cluster: resolve(rule, destination).cluster(),
        runtime_fraction: Some(runtime_fraction(fraction)),
        trace_sampled: Some(flag(false)),
        ..RequestMirrorPolicy::default()
    })
}

fn apply_rewrite(rewrite: &Rewrite, action: &mut RouteAction) {
    if let Some(regex_rewrite) = &rewrite.uri_regex_rewrite {
        action.regex_rewrite = Some(RegexMatchAndSubstitute {
            pattern: Some(regex(&regex_rewrite.pattern)),
            substitution: regex_rewrite.rewrite.clone(),
        });
    } else {
        action.prefix_rewrite.clone_from(&rewrite.uri);
    }
    if !rewrite.authority.is_empty() {
        action.host_rewrite_specifier = Some(HostRewriteSpecifier::HostRewriteLiteral(rewrite.authority.clone()));
    }
}
