//! What a matched route does: forward, redirect, answer by itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::route::v3 as route;
use envoy_types::pb::envoy::r#type::matcher::v3 as matcher;
use http::{HeaderName, StatusCode};
use rand::Rng;
use regex::Regex;

use super::headers::HeaderChanges;
use super::retry::RetryPolicy;
use super::value::{At, optional_duration};
use super::{ConfigError, Notes};

/// Envoy's timeout of a route that sets none.
const TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Clone, Debug)]
pub enum Action {
    Forward(Box<Forward>),
    Redirect(Redirect),
    Direct(StatusCode, Bytes),
}

#[derive(Clone, Debug)]
pub struct Forward {
    pub target: Target,
    /// Until the last byte of the answer; nothing when switched off.
    pub timeout: Option<Duration>,
    pub path_rewrite: Option<PathRewrite>,
    pub host_rewrite: Option<String>,
    pub retry: Option<RetryPolicy>,
    /// Answer when the cluster does not exist.
    pub no_cluster_status: StatusCode,
}

#[derive(Clone, Debug)]
pub enum Target {
    Cluster(Arc<str>),
    ClusterHeader(HeaderName),
    Weighted(WeightedClusters),
}

#[derive(Clone, Debug)]
pub struct WeightedClusters {
    clusters: Vec<WeightedCluster>,
    total: u64,
}

#[derive(Clone, Debug)]
pub struct WeightedCluster {
    pub name: Arc<str>,
    weight: u64,
    pub request_headers: HeaderChanges,
    pub response_headers: HeaderChanges,
    pub host_rewrite: Option<String>,
}

#[derive(Clone, Debug)]
pub enum PathRewrite {
    /// In place of the matched prefix, or of the whole path for an exact match.
    Prefix(String),
    Regex(Regex, String),
}

#[derive(Clone, Debug)]
pub struct Redirect {
    pub status: StatusCode,
    pub host: Option<String>,
    pub port: Option<u16>,
    pub scheme: Option<String>,
    pub path: RedirectPath,
    pub strip_query: bool,
}

#[derive(Clone, Debug)]
pub enum RedirectPath {
    Keep,
    Replace(String),
    Rewrite(PathRewrite),
}

// --- implementations ---

impl WeightedClusters {
    /// The cluster that a number between 0 and the sum of the weights falls on.
    fn at(&self, mut point: u64) -> Option<&WeightedCluster> {
        self.clusters.iter().find(|cluster| {
            let hit = point < cluster.weight;
            point = point.saturating_sub(cluster.weight);
            hit
        })
    }

    pub fn pick(&self) -> Option<&WeightedCluster> {
        self.at(rand::rng().random_range(0..self.total.max(1)))
    }

    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.clusters.iter().map(|cluster| &cluster.name)
    }
}

impl Target {
    /// Every cluster that a request of this route may be sent to, as far as the route itself names them.
    pub fn cluster_names(&self) -> Vec<Arc<str>> {
        match self {
            Self::Cluster(name) => vec![name.clone()],
            Self::ClusterHeader(_) => Vec::new(),
            Self::Weighted(weighted) => weighted.names().cloned().collect(),
        }
    }
}

impl Action {
    pub fn compile(object: &str, from: &route::Route, notes: &mut Notes) -> Result<Self, ConfigError> {
        match from.action.as_ref() {
            Some(route::route::Action::Route(forward)) => Ok(Self::Forward(Box::new(compile_forward(object, forward, notes)?))),
            Some(route::route::Action::Redirect(redirect)) => Ok(Self::Redirect(compile_redirect(object, redirect)?)),
            Some(route::route::Action::DirectResponse(direct)) => compile_direct(object, direct, notes),
            Some(_) => {
                notes.add("filter and non-forwarding actions are not honoured: they answer 404");
                Ok(Self::Direct(StatusCode::NOT_FOUND, Bytes::new()))
            }
            None => Err(ConfigError::new(object, "action", "one of route, redirect, direct_response is needed")),
        }
    }
}

fn compile_forward(object: &str, from: &route::RouteAction, notes: &mut Notes) -> Result<Forward, ConfigError> {
    use route::route_action::{ClusterNotFoundResponseCode as NotFound, HostRewriteSpecifier};
    let at = |field| At { object, field };
    if !from.request_mirror_policies.is_empty() {
        notes.add("request_mirror_policies are not honoured");
    }
    if !from.hash_policy.is_empty() {
        notes.add("hash_policy is not honoured");
    }
    let host_rewrite = match from.host_rewrite_specifier.as_ref() {
        Some(HostRewriteSpecifier::HostRewriteLiteral(host)) => Some(host.clone()),
        Some(_) => {
            notes.add("host rewriting other than host_rewrite_literal is not honoured");
            None
        }
        None => None,
    };
    let timeout = match from.timeout.as_ref() {
        None => Some(TIMEOUT),
        some => optional_duration(at("route.timeout"), some)?.filter(|t| !t.is_zero()),
    };
    Ok(Forward {
        target: compile_target(object, from, notes)?,
        timeout,
        path_rewrite: path_rewrite(at("route.regex_rewrite"), &from.prefix_rewrite, from.regex_rewrite.as_ref())?,
        host_rewrite,
        retry: from.retry_policy.as_ref().map(|retry| RetryPolicy::compile(object, retry, notes)).transpose()?,
        no_cluster_status: match NotFound::try_from(from.cluster_not_found_response_code) {
            Ok(NotFound::NotFound) => StatusCode::NOT_FOUND,
            Ok(NotFound::InternalServerError) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        },
    })
}

fn compile_target(object: &str, from: &route::RouteAction, notes: &mut Notes) -> Result<Target, ConfigError> {
    use route::route_action::ClusterSpecifier as Spec;
    match from.cluster_specifier.as_ref() {
        Some(Spec::Cluster(name)) if !name.is_empty() => Ok(Target::Cluster(name.as_str().into())),
        Some(Spec::ClusterHeader(name)) => HeaderName::from_bytes(name.as_bytes())
            .map(Target::ClusterHeader)
            .map_err(|_| ConfigError::new(object, "route.cluster_header", "not a header name")),
        Some(Spec::WeightedClusters(weighted)) => compile_weights(object, weighted, notes),
        _ => Err(ConfigError::new(
            object,
            "route.cluster_specifier",
            "one of cluster, cluster_header, weighted_clusters is needed",
        )),
    }
}

fn compile_weights(object: &str, from: &route::WeightedCluster, notes: &mut Notes) -> Result<Target, ConfigError> {
    use route::weighted_cluster::cluster_weight::HostRewriteSpecifier;
    let at = At { object, field: "route.weighted_clusters" };
    let mut clusters = Vec::with_capacity(from.clusters.len());
    for cluster in &from.clusters {
        let HostRewriteSpecifier::HostRewriteLiteral(host) =
            cluster.host_rewrite_specifier.clone().unwrap_or(HostRewriteSpecifier::HostRewriteLiteral(String::new()));
        clusters.push(WeightedCluster {
            name: cluster.name.as_str().into(),
            weight: u64::from(cluster.weight.as_ref().map_or(0, |weight| weight.value)),
            request_headers: HeaderChanges::compile(
                at,
                &cluster.request_headers_to_add,
                &cluster.request_headers_to_remove,
                notes,
            )?,
            response_headers: HeaderChanges::compile(
                at,
                &cluster.response_headers_to_add,
                &cluster.response_headers_to_remove,
                notes,
            )?,
            host_rewrite: Some(host).filter(|host| !host.is_empty()),
        });
    }
    let total = clusters.iter().map(|cluster| cluster.weight).sum();
    if total == 0 {
        return Err(at.error("the sum of the weights must be greater than 0"));
    }
    if total > u64::from(u32::MAX) {
        return Err(at.error("the sum of the weights must not exceed 4294967295"));
    }
    Ok(Target::Weighted(WeightedClusters { clusters, total }))
}

fn path_rewrite(
    at: At<'_>,
    prefix: &str,
    regex: Option<&matcher::RegexMatchAndSubstitute>,
) -> Result<Option<PathRewrite>, ConfigError> {
    if !prefix.is_empty() {
        return Ok(Some(PathRewrite::Prefix(prefix.to_owned())));
    }
    let Some(regex) = regex else { return Ok(None) };
    let pattern = regex.pattern.as_ref().map(|pattern| pattern.regex.as_str()).unwrap_or_default();
    let compiled = Regex::new(pattern).map_err(|error| at.error(format!("invalid regular expression `{pattern}`: {error}")))?;
    Ok(Some(PathRewrite::Regex(compiled, re2_substitution(&regex.substitution))))
}

/// RE2 writes groups as `\1`, our regex library as `${1}`, where `$` is special.
fn re2_substitution(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek().copied()) {
            ('\\', Some(digit)) if digit.is_ascii_digit() => {
                chars.next();
                out.push_str("${");
                out.push(digit);
                out.push('}');
            }
            ('\\', Some('\\')) => {
                chars.next();
                out.push('\\');
            }
            ('$', _) => out.push_str("$$"),
            (other, _) => out.push(other),
        }
    }
    out
}

fn compile_redirect(object: &str, from: &route::RedirectAction) -> Result<Redirect, ConfigError> {
    use route::redirect_action::SchemeRewriteSpecifier as Scheme;
    use route::redirect_action::{PathRewriteSpecifier as Path, RedirectResponseCode as Code};
    let at = At { object, field: "redirect" };
    let status = match Code::try_from(from.response_code) {
        Ok(Code::Found) => StatusCode::FOUND,
        Ok(Code::SeeOther) => StatusCode::SEE_OTHER,
        Ok(Code::TemporaryRedirect) => StatusCode::TEMPORARY_REDIRECT,
        Ok(Code::PermanentRedirect) => StatusCode::PERMANENT_REDIRECT,
        _ => StatusCode::MOVED_PERMANENTLY,
    };
    let path = match from.path_rewrite_specifier.as_ref() {
        Some(Path::PathRedirect(path)) => RedirectPath::Replace(path.clone()),
        Some(Path::PrefixRewrite(prefix)) => RedirectPath::Rewrite(PathRewrite::Prefix(prefix.clone())),
        Some(Path::RegexRewrite(regex)) => path_rewrite(at, "", Some(regex))?.map_or(RedirectPath::Keep, RedirectPath::Rewrite),
        Some(Path::PathRewrite(_)) | None => RedirectPath::Keep,
    };
    Ok(Redirect {
        status,
        host: Some(from.host_redirect.clone()).filter(|host| !host.is_empty()),
        port: u16::try_from(from.port_redirect).ok().filter(|port| *port > 0),
        scheme: match from.scheme_rewrite_specifier.as_ref() {
            Some(Scheme::HttpsRedirect(true)) => Some("https".to_owned()),
            Some(Scheme::SchemeRedirect(scheme)) => Some(scheme.clone()),
            _ => None,
        },
        path,
        strip_query: from.strip_query,
    })
}

fn compile_direct(object: &str, from: &route::DirectResponseAction, notes: &mut Notes) -> Result<Action, ConfigError> {
    use core::data_source::Specifier;
    let at = |field| At { object, field };
    let status = u16::try_from(from.status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok())
        .filter(|status| (200..600).contains(&status.as_u16()))
        .ok_or_else(|| at("direct_response.status").error(format!("{} is not between 200 and 599", from.status)))?;
    let body = match from.body.as_ref().and_then(|body| body.specifier.as_ref()) {
        None => Bytes::new(),
        Some(Specifier::InlineString(text)) => Bytes::from(text.clone()),
        Some(Specifier::InlineBytes(bytes)) => Bytes::from(bytes.clone()),
        Some(_) => {
            notes.add("direct_response bodies that are not inline are not honoured: the body is empty");
            Bytes::new()
        }
    };
    Ok(Action::Direct(status, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weighted(weights: &[(&str, u64)]) -> WeightedClusters {
        WeightedClusters {
            clusters: weights
                .iter()
                .map(|(name, weight)| WeightedCluster {
                    name: (*name).into(),
                    weight: *weight,
                    request_headers: HeaderChanges::default(),
                    response_headers: HeaderChanges::default(),
                    host_rewrite: None,
                })
                .collect(),
            total: weights.iter().map(|(_, weight)| weight).sum(),
        }
    }

    #[test]
    fn every_point_falls_on_the_cluster_of_its_share() {
        let clusters = weighted(&[("v1", 90), ("none", 0), ("v2", 10)]);
        let at = |point| clusters.at(point).map(|cluster| cluster.name.to_string());
        assert_eq!(at(0).as_deref(), Some("v1"));
        assert_eq!(at(89).as_deref(), Some("v1"));
        assert_eq!(at(90).as_deref(), Some("v2"));
        assert_eq!(at(99).as_deref(), Some("v2"));
        assert_eq!(at(100), None);
    }

    #[test]
    fn re2_groups_become_ours_and_dollars_stay_literal() {
        assert_eq!(re2_substitution(r"/new/\1$\\x"), r"/new/${1}$$\x");
    }
}
