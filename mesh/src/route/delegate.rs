//! Puts the rules of delegates in the place of the rules that name them.

use std::borrow::Cow;

use crate::config::{ConfigObject, HttpMatch, HttpRoute, Kind, MeshConfig, ObjectKey, Spec, StringMatch, VirtualService};

/// The HTTP rules of a VirtualService with delegates filled in. A delegate's delegates are not followed, and rules whose
/// conditions contradict those of the root are left out.
#[must_use]
pub fn http_routes<'a>(config: &'a MeshConfig, object: &ConfigObject, spec: &'a VirtualService) -> Vec<Cow<'a, HttpRoute>> {
    let mut routes = Vec::new();
    for root in &spec.http {
        let Some(delegate) = &root.delegate else {
            routes.push(Cow::Borrowed(root));
            continue;
        };
        let namespace = if delegate.namespace.is_empty() { &object.object.metadata.namespace } else { &delegate.namespace };
        let key = ObjectKey { kind: Kind::VirtualService, namespace: namespace.clone(), name: delegate.name.clone() };
        if let Some(Spec::VirtualService(leaf)) = config.get(&key).map(|object| &object.object.spec) {
            let leaves = leaf.http.iter().filter(|leaf| leaf.delegate.is_none());
            routes.extend(leaves.filter_map(|leaf| merge(root, leaf)).map(Cow::Owned));
        }
    }
    routes
}

fn merge(root: &HttpRoute, leaf: &HttpRoute) -> Option<HttpRoute> {
    let matches = merge_matches(&root.matches, &leaf.matches)?;
    let leaf = leaf.clone();
    Some(HttpRoute {
        name: join(&root.name, &leaf.name),
        matches,
        rewrite: leaf.rewrite.or_else(|| root.rewrite.clone()),
        direct_response: leaf.direct_response.or_else(|| root.direct_response.clone()),
        timeout: leaf.timeout.or(root.timeout),
        retries: leaf.retries.or_else(|| root.retries.clone()),
        fault: leaf.fault.or_else(|| root.fault.clone()),
        mirror: leaf.mirror.or_else(|| root.mirror.clone()),
        mirror_percentage: leaf.mirror_percentage.or(root.mirror_percentage),
        mirrors: if leaf.mirrors.is_empty() { root.mirrors.clone() } else { leaf.mirrors },
        cors_policy: leaf.cors_policy.or_else(|| root.cors_policy.clone()),
        headers: leaf.headers.or_else(|| root.headers.clone()),
        ..leaf
    })
}

fn join(root: &str, leaf: &str) -> String {
    match (root.is_empty(), leaf.is_empty()) {
        (false, false) => format!("{root}-{leaf}"),
        (true, _) => leaf.to_owned(),
        (false, true) => root.to_owned(),
    }
}

/// Every pair of conditions that agree; `None` when the two sides have conditions and no pair agrees.
fn merge_matches(root: &[HttpMatch], leaf: &[HttpMatch]) -> Option<Vec<HttpMatch>> {
    match (root, leaf) {
        ([], leaf) => Some(leaf.to_vec()),
        (root, []) => Some(root.to_vec()),
        (root, leaf) => {
            let pairs = root.iter().flat_map(|r| leaf.iter().filter_map(|l| merge_match(r, l)));
            let merged: Vec<_> = pairs.collect();
            (!merged.is_empty()).then_some(merged)
        }
    }
}

fn merge_match(root: &HttpMatch, leaf: &HttpMatch) -> Option<HttpMatch> {
    let mut merged = leaf.clone();
    merged.name = join(&root.name, &leaf.name);
    merged.uri = narrower(&root.uri, &leaf.uri)?;
    merged.scheme = narrower(&root.scheme, &leaf.scheme)?;
    merged.method = narrower(&root.method, &leaf.method)?;
    merged.authority = narrower(&root.authority, &leaf.authority)?;
    for (ours, theirs) in [
        (&mut merged.headers, &root.headers),
        (&mut merged.without_headers, &root.without_headers),
        (&mut merged.query_params, &root.query_params),
    ] {
        for (name, condition) in theirs {
            let both = narrower(&Some(condition.clone()), &ours.get(name).cloned())?;
            ours.extend(both.map(|condition| (name.clone(), condition)));
        }
    }
    merged.port = same(root.port, leaf.port)?;
    merged.ignore_uri_case |= root.ignore_uri_case;
    for (name, value) in &root.source_labels {
        if merged.source_labels.insert(name.clone(), value.clone()).is_some_and(|other| other != *value) {
            return None;
        }
    }
    if merged.source_namespace.is_empty() {
        merged.source_namespace.clone_from(&root.source_namespace);
    }
    if merged.gateways.is_empty() {
        merged.gateways.clone_from(&root.gateways);
    }
    Some(merged)
}

fn same(root: Option<u16>, leaf: Option<u16>) -> Option<Option<u16>> {
    match (root, leaf) {
        (Some(a), Some(b)) if a != b => None,
        _ => Some(leaf.or(root)),
    }
}

/// The leaf's condition where it lies within the root's; outer `None` when they contradict each other.
#[expect(clippy::option_option, reason = "the outer one says whether the conditions agree")]
fn narrower(root: &Option<StringMatch>, leaf: &Option<StringMatch>) -> Option<Option<StringMatch>> {
    let (Some(root), Some(leaf)) = (root, leaf) else {
        return Some(leaf.clone().or_else(|| root.clone()));
    };
    let within = match (root, leaf) {
        (StringMatch::Present, _) => true,
        (StringMatch::Prefix(outer), StringMatch::Prefix(inner) | StringMatch::Exact(inner)) => inner.starts_with(outer.as_str()),
        (root, leaf) => root == leaf,
    };
    within.then(|| Some(leaf.clone()))
}
