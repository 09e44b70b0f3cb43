//! Conditions of a route: path, headers, query parameters.

use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::{HeaderMatcher, QueryParameterMatcher, RouteMatch};
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher};
use sidelight_mesh::config::{HttpMatch, StringMatch};

use crate::control::wire::flag;

pub(super) fn any_path() -> RouteMatch {
    RouteMatch { path_specifier: Some(PathSpecifier::Prefix("/".to_owned())), ..RouteMatch::default() }
}

pub(super) fn route_match(condition: Option<&HttpMatch>) -> RouteMatch {
    let Some(condition) = condition else { return any_path() };
    RouteMatch {
        path_specifier: Some(path(condition.uri.as_ref())),
        case_sensitive: Some(flag(!condition.ignore_uri_case)),
        headers: headers(condition),
        query_parameters: condition.query_params.iter().map(|(name, value)| query_parameter(name, value)).collect(),
        ..RouteMatch::default()
    }
}

/// How a match's path is written behind the name of a span.
pub(super) fn operation_path(condition: Option<&HttpMatch>) -> String {
    match condition.and_then(|c| c.uri.as_ref()) {
        Some(StringMatch::Prefix(prefix)) => format!("{prefix}*"),
        Some(StringMatch::Exact(path)) => path.clone(),
        Some(StringMatch::Regex(regex)) => regex.clone(),
        Some(StringMatch::Present) | None => "/*".to_owned(),
    }
}

fn path(uri: Option<&StringMatch>) -> PathSpecifier {
    match uri {
        Some(StringMatch::Exact(path)) => PathSpecifier::Path(path.clone()),
        Some(StringMatch::Prefix(prefix)) => PathSpecifier::Prefix(prefix.clone()),
        Some(StringMatch::Regex(pattern)) => PathSpecifier::SafeRegex(regex(pattern)),
        Some(StringMatch::Present) | None => PathSpecifier::Prefix("/".to_owned()),
    }
}

/// By header name; then method, authority, scheme.
fn headers(condition: &HttpMatch) -> Vec<HeaderMatcher> {
    let with = condition.headers.iter().map(|(name, value)| header(name, value));
    let without = condition.without_headers.iter().map(|(name, value)| without_header(name, value));
    let mut all: Vec<HeaderMatcher> = with.chain(without).collect();
    let pseudo = [(":method", &condition.method), (":authority", &condition.authority), (":scheme", &condition.scheme)];
    all.extend(pseudo.iter().filter_map(|(name, value)| Some(header(name, value.as_ref()?))));
    all
}

fn header(name: &str, value: &StringMatch) -> HeaderMatcher {
    let specifier = match string_match(value) {
        Some(matcher) => HeaderMatchSpecifier::StringMatch(matcher),
        None => HeaderMatchSpecifier::PresentMatch(true),
    };
    HeaderMatcher { name: name.to_owned(), header_match_specifier: Some(specifier), ..HeaderMatcher::default() }
}

fn without_header(name: &str, value: &StringMatch) -> HeaderMatcher {
    let matcher = header(name, value);
    // A header that is not there does not have the unwanted value; asked for its presence it is simply absent.
    let treat_missing_header_as_empty = matches!(matcher.header_match_specifier, Some(HeaderMatchSpecifier::StringMatch(_)));
    HeaderMatcher { invert_match: true, treat_missing_header_as_empty, ..matcher }
}

fn query_parameter(name: &str, value: &StringMatch) -> QueryParameterMatcher {
    let specifier = match string_match(value) {
        Some(matcher) => QueryParameterMatchSpecifier::StringMatch(matcher),
        None => QueryParameterMatchSpecifier::PresentMatch(true),
    };
    QueryParameterMatcher { name: name.to_owned(), query_parameter_match_specifier: Some(specifier) }
}

/// `None` when being there is enough.
pub(super) fn string_match(value: &StringMatch) -> Option<StringMatcher> {
    let pattern = match value {
        StringMatch::Exact(text) => MatchPattern::Exact(text.clone()),
        StringMatch::Prefix(text) => MatchPattern::Prefix(text.clone()),
        StringMatch::Regex(pattern) if pattern == "*" => return None,
        StringMatch::Regex(pattern) => MatchPattern::SafeRegex(regex(pattern)),
        StringMatch::Present => return None,
    };
    Some(StringMatcher { ignore_case: false, match_pattern: Some(pattern) })
}

pub(super) fn exact(text: &str) -> StringMatcher {
    StringMatcher { ignore_case: false, match_pattern: Some(MatchPattern::Exact(text.to_owned())) }
}

pub(super) fn regex(pattern: &str) -> RegexMatcher {
    RegexMatcher { regex: pattern.to_owned(), engine_type: None }
}
