//! Which other sites may call through a route.

use envoy_types::pb::envoy::extensions::filters::http::cors::v3::CorsPolicy;
use envoy_types::pb::google::protobuf::Any;
use sidelight_mesh::config::{CorsPolicy as Settings, UnmatchedPreflights};

use super::matches::{exact, string_match};
use crate::control::wire::{any, flag, hundredths, runtime_fraction};

/// Configuration of the route's CORS filter.
pub(super) fn cors_policy(settings: &Settings) -> Any {
    let old_form = settings.allow_origin.iter().map(|origin| exact(origin));
    let origins = settings.allow_origins.iter().filter_map(string_match);
    any(CorsPolicy {
        allow_origin_string_match: origins.chain(old_form).collect(),
        allow_methods: settings.allow_methods.join(","),
        allow_headers: settings.allow_headers.join(","),
        expose_headers: settings.expose_headers.join(","),
        max_age: settings.max_age.map(|d| d.0.as_secs().to_string()).unwrap_or_default(),
        allow_credentials: settings.allow_credentials.map(flag),
        filter_enabled: Some(runtime_fraction(hundredths(100))),
        forward_not_matching_preflights: Some(flag(settings.unmatched_preflights != Some(UnmatchedPreflights::Ignore))),
        ..CorsPolicy::default()
    })
}
