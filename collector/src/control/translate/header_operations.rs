//! Headers that a route sets, adds and removes.

use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::config::route::v3::Route;
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::cluster_weight::HostRewriteSpecifier;
use sidelight_mesh::config::{HeaderOperations, Headers};

/// What is done to a request and its response.
#[derive(Default)]
pub(super) struct HeaderChanges {
    request: Changes,
    response: Changes,
}

#[derive(Default)]
struct Changes {
    add: Vec<HeaderValueOption>,
    remove: Vec<String>,
    /// The host is no header here: it is rewritten by the route.
    host: Option<String>,
}

impl HeaderChanges {
    pub(super) fn of(headers: Option<&Headers>) -> Self {
        let mut changes = Self::default();
        changes.append(headers);
        changes
    }

    pub(super) fn append(&mut self, headers: Option<&Headers>) {
        if let Some(headers) = headers {
            self.request.append(&headers.request);
            self.response.append(&headers.response);
        }
    }

    pub(super) fn take_host(&mut self) -> Option<String> {
        self.request.host.take()
    }

    pub(super) fn write_to(self, route: &mut Route) {
        route.request_headers_to_add = self.request.add;
        route.request_headers_to_remove = self.request.remove;
        route.response_headers_to_add = self.response.add;
        route.response_headers_to_remove = self.response.remove;
    }

    pub(super) fn write_to_weight(mut self, cluster: &mut ClusterWeight) {
        cluster.host_rewrite_specifier = self.take_host().map(HostRewriteSpecifier::HostRewriteLiteral);
        cluster.request_headers_to_add = self.request.add;
        cluster.request_headers_to_remove = self.request.remove;
        cluster.response_headers_to_add = self.response.add;
        cluster.response_headers_to_remove = self.response.remove;
    }
}

impl Changes {
    /// Those to set before those to add, each by name.
    fn append(&mut self, operations: &HeaderOperations) {
        for (name, value) in &operations.set {
            if name.eq_ignore_ascii_case("host") || name == ":authority" {
                self.host = Some(value.clone());
            }
        }
        self.add.extend(values(&operations.set, HeaderAppendAction::OverwriteIfExistsOrAdd));
        self.add.extend(values(&operations.add, HeaderAppendAction::AppendIfExistsOrAdd));
        self.remove.extend(operations.remove.iter().filter(|name| is_plain(name)).cloned());
    }
}

fn values(
    headers: &std::collections::BTreeMap<String, String>,
    action: HeaderAppendAction,
) -> impl Iterator<Item = HeaderValueOption> {
    headers.iter().filter(|(name, _)| is_plain(name)).map(move |(name, value)| HeaderValueOption {
        header: Some(HeaderValue { key: name.clone(), value: value.clone(), ..HeaderValue::default() }),
        append_action: action.into(),
        ..HeaderValueOption::default()
    })
}

/// A proxy refuses to touch `:path` and its like this way, and the host only by a rewrite.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(':') && !name.eq_ignore_ascii_case("host")
}
