//! Route configurations as JSON.

use envoy_types::pb::envoy::config::route::v3 as pb;
use envoy_types::pb::envoy::r#type::matcher::v3 as matcher;
use serde_json::{Value, json};

use super::{Object, duration, flag, header_option, metadata, number};

pub fn configuration(from: &pb::RouteConfiguration) -> Object {
    Object::default()
        .put("name", from.name.as_str())
        .put_all("virtual_hosts", &from.virtual_hosts, host)
        .put_some("validate_clusters", flag(from.validate_clusters.as_ref()))
        .put_some("max_direct_response_body_size_bytes", number(from.max_direct_response_body_size_bytes.as_ref()))
        .put("ignore_port_in_host_matching", from.ignore_port_in_host_matching)
}

fn host(from: &pb::VirtualHost) -> Value {
    Object::default()
        .put("name", from.name.as_str())
        .put("domains", from.domains.clone())
        .put_all("routes", &from.routes, route)
        .put("include_request_attempt_count", from.include_request_attempt_count)
        .into()
}

fn route(from: &pb::Route) -> Value {
    use pb::route::Action;
    let object = Object::default().put("name", from.name.as_str()).put_some("match", from.r#match.as_ref().map(conditions));
    let object = match &from.action {
        Some(Action::Route(action)) => object.put("route", forward(action)),
        Some(Action::Redirect(action)) => object.put("redirect", redirect(action)),
        Some(Action::DirectResponse(action)) => object.put("direct_response", direct(action)),
        _ => object,
    };
    let decorator = from.decorator.as_ref().map(|decorator| json!({"operation": decorator.operation}));
    object
        .put_some("metadata", metadata(from.metadata.as_ref()))
        .put_some("decorator", decorator)
        .put_all("request_headers_to_add", &from.request_headers_to_add, header_option)
        .put("request_headers_to_remove", from.request_headers_to_remove.clone())
        .put_all("response_headers_to_add", &from.response_headers_to_add, header_option)
        .put("response_headers_to_remove", from.response_headers_to_remove.clone())
        .into()
}

fn conditions(from: &pb::RouteMatch) -> Object {
    use pb::route_match::PathSpecifier as Path;
    let object = match &from.path_specifier {
        // An empty prefix is never a default here, so it is written as it is.
        Some(Path::Prefix(text)) => Object::default().put_some("prefix", Some(text.as_str())),
        Some(Path::Path(text)) => Object::default().put_some("path", Some(text.as_str())),
        Some(Path::SafeRegex(regex)) => Object::default().put("safe_regex", safe_regex(regex)),
        Some(Path::PathSeparatedPrefix(text)) => Object::default().put_some("path_separated_prefix", Some(text.as_str())),
        Some(Path::ConnectMatcher(_)) => Object::default().put("connect_matcher", json!({})),
        _ => Object::default(),
    };
    object.put_some("case_sensitive", flag(from.case_sensitive.as_ref())).put_all("headers", &from.headers, header).put_all(
        "query_parameters",
        &from.query_parameters,
        query,
    )
}

fn safe_regex(from: &matcher::RegexMatcher) -> Value {
    json!({"regex": from.regex})
}

fn string_match(from: &matcher::StringMatcher) -> Value {
    use matcher::string_matcher::MatchPattern as Pattern;
    let object = match &from.match_pattern {
        Some(Pattern::Exact(text)) => Object::default().put_some("exact", Some(text.as_str())),
        Some(Pattern::Prefix(text)) => Object::default().put("prefix", text.as_str()),
        Some(Pattern::Suffix(text)) => Object::default().put("suffix", text.as_str()),
        Some(Pattern::Contains(text)) => Object::default().put("contains", text.as_str()),
        Some(Pattern::SafeRegex(regex)) => Object::default().put("safe_regex", safe_regex(regex)),
        _ => Object::default(),
    };
    object.put("ignore_case", from.ignore_case).into()
}

fn header(from: &pb::HeaderMatcher) -> Value {
    use pb::header_matcher::HeaderMatchSpecifier as Spec;
    let object = Object::default().put("name", from.name.as_str());
    let object = match &from.header_match_specifier {
        Some(Spec::PresentMatch(present)) => object.put_some("present_match", Some(*present)),
        Some(Spec::StringMatch(text)) => object.put("string_match", string_match(text)),
        Some(Spec::ExactMatch(text)) => object.put("exact_match", text.as_str()),
        Some(Spec::PrefixMatch(text)) => object.put("prefix_match", text.as_str()),
        Some(Spec::SuffixMatch(text)) => object.put("suffix_match", text.as_str()),
        Some(Spec::ContainsMatch(text)) => object.put("contains_match", text.as_str()),
        Some(Spec::SafeRegexMatch(regex)) => object.put("safe_regex_match", safe_regex(regex)),
        Some(Spec::RangeMatch(range)) => {
            object.put("range_match", json!({"start": range.start.to_string(), "end": range.end.to_string()}))
        }
        None => object,
    };
    object.put("invert_match", from.invert_match).put("treat_missing_header_as_empty", from.treat_missing_header_as_empty).into()
}

fn query(from: &pb::QueryParameterMatcher) -> Value {
    use pb::query_parameter_matcher::QueryParameterMatchSpecifier as Spec;
    let object = Object::default().put("name", from.name.as_str());
    match &from.query_parameter_match_specifier {
        Some(Spec::PresentMatch(present)) => object.put_some("present_match", Some(*present)),
        Some(Spec::StringMatch(text)) => object.put("string_match", string_match(text)),
        None => object,
    }
    .into()
}

fn forward(from: &pb::RouteAction) -> Object {
    use pb::route_action::{ClusterSpecifier as Spec, HostRewriteSpecifier as Host};
    let object = match &from.cluster_specifier {
        Some(Spec::Cluster(name)) => Object::default().put("cluster", name.as_str()),
        Some(Spec::ClusterHeader(name)) => Object::default().put("cluster_header", name.as_str()),
        Some(Spec::WeightedClusters(weighted)) => Object::default().put(
            "weighted_clusters",
            Object::default().put_all("clusters", &weighted.clusters, |cluster| {
                Object::default().put("name", cluster.name.as_str()).put_some("weight", number(cluster.weight.as_ref())).into()
            }),
        ),
        _ => Object::default(),
    };
    let host = match &from.host_rewrite_specifier {
        Some(Host::HostRewriteLiteral(host)) => Some(host.as_str()),
        _ => None,
    };
    object
        .put("prefix_rewrite", from.prefix_rewrite.as_str())
        .put_some("host_rewrite_literal", host)
        .put_some("timeout", duration(from.timeout.as_ref()))
        .put_some("retry_policy", from.retry_policy.as_ref().map(retry))
        .put_some("max_grpc_timeout", duration(from.max_grpc_timeout.as_ref()))
}

fn retry(from: &pb::RetryPolicy) -> Object {
    Object::default()
        .put("retry_on", from.retry_on.as_str())
        .put_some("num_retries", number(from.num_retries.as_ref()))
        .put_some("per_try_timeout", duration(from.per_try_timeout.as_ref()))
        .put_all("retry_host_predicate", &from.retry_host_predicate, |p| json!({"name": p.name}))
        .put_some(
            "host_selection_retry_max_attempts",
            Some(from.host_selection_retry_max_attempts).filter(|max| *max != 0).map(|max| max.to_string()),
        )
        .put("retriable_status_codes", from.retriable_status_codes.clone())
}

fn redirect(from: &pb::RedirectAction) -> Object {
    use pb::redirect_action::{PathRewriteSpecifier as Path, RedirectResponseCode as Code, SchemeRewriteSpecifier as Scheme};
    let code = Code::try_from(from.response_code).ok().filter(|_| from.response_code != 0).map(|code| code.as_str_name());
    let object = Object::default()
        .put("host_redirect", from.host_redirect.as_str())
        .put("port_redirect", from.port_redirect)
        .put_some("response_code", code)
        .put("strip_query", from.strip_query);
    let object = match &from.path_rewrite_specifier {
        Some(Path::PathRedirect(path)) => object.put("path_redirect", path.as_str()),
        Some(Path::PrefixRewrite(prefix)) => object.put("prefix_rewrite", prefix.as_str()),
        _ => object,
    };
    match &from.scheme_rewrite_specifier {
        Some(Scheme::HttpsRedirect(https)) => object.put("https_redirect", *https),
        Some(Scheme::SchemeRedirect(scheme)) => object.put("scheme_redirect", scheme.as_str()),
        None => object,
    }
}

fn direct(from: &pb::DirectResponseAction) -> Object {
    use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
    let body = match from.body.as_ref().and_then(|body| body.specifier.as_ref()) {
        Some(Specifier::InlineString(text)) => Some(json!({"inline_string": text})),
        _ => None,
    };
    Object::default().put("status", from.status).put_some("body", body)
}
