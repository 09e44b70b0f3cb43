//! Every field of a VirtualService and what becomes of it.

use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValueOption, data_source};
use envoy_types::pb::envoy::config::route::v3::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::{ClusterSpecifier, HostRewriteSpecifier};
use envoy_types::pb::envoy::config::route::v3::{Route, RouteAction};
use envoy_types::pb::envoy::extensions::filters::common::fault::v3::fault_delay::FaultDelaySecifier;
use envoy_types::pb::envoy::extensions::filters::http::cors::v3::CorsPolicy;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::{HttpFault, fault_abort::ErrorType};
use envoy_types::pb::google::protobuf::Duration;
use prost::Message;

use super::fixture::{given_with, virtual_service};
use super::render;

const TO_V1: &str = "route: [{destination: {host: reviews, subset: v1}}]";

/// Routes of reviews under one rule with these lines.
fn routes(rule: &str) -> Vec<Route> {
    given_with(&virtual_service("reviews", &format!("    - {}", rule.replace('\n', "\n      ")))).routes("reviews")
}

fn only(rule: &str) -> Route {
    let mut all = routes(rule);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn forwarded(rule: &str) -> RouteAction {
    match only(rule).action {
        Some(Action::Route(action)) => action,
        other => panic!("{other:?}"),
    }
}

fn conditions(matches: &str) -> Vec<String> {
    routes(&format!("match: {matches}\n{TO_V1}")).iter().map(|route| render::condition(route.r#match.as_ref().unwrap())).collect()
}

#[test]
fn one_route_for_each_match_up_to_the_catch_all() {
    let all =
        conditions("[{uri: {exact: /a}}, {uri: {prefix: /b}}, {uri: {regex: \"/c.*\"}}, {uri: {prefix: /}}, {uri: {exact: /d}}]");
    assert_eq!(all, ["path /a", "prefix /b", "regex /c.*", "prefix /"]);
}

#[test]
fn conditions_on_the_rest_of_a_request() {
    let all = conditions(
        "[{method: {exact: GET}, authority: {prefix: rev}, headers: {x-b: {regex: \"*\"}, x-a: {exact: one}, x-c: {}}, \
         withoutHeaders: {x-d: {exact: two}, x-e: {}}}]",
    );
    assert_eq!(all, ["prefix / x-a = one x-b present x-c present not x-d = two not x-e present :method = GET :authority ^ rev"]);
    let route = only(&format!(
        "match: [{{ignoreUriCase: true, queryParams: {{q: {{exact: one}}, r: {{}}}}, withoutHeaders: {{a: {{exact: b}}, c: {{}}}}}}]\n{TO_V1}"
    ));
    let condition = route.r#match.unwrap();
    assert_eq!(condition.case_sensitive.map(|flag| flag.value), Some(false));
    let parameters: Vec<&str> = condition.query_parameters.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(parameters, ["q", "r"]);
    // Without the header a request does not have the unwanted value, and so is let through.
    assert_eq!(condition.headers.iter().map(|h| h.treat_missing_header_as_empty).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn matches_for_others_are_left_out() {
    let all = conditions(
        "[{uri: {exact: /a}, sourceLabels: {app: details}}, {uri: {exact: /b}, sourceLabels: {app: productpage}}, \
         {uri: {exact: /c}, port: 80}, {uri: {exact: /d}, port: 9080}, {uri: {exact: /e}, gateways: [g]}, \
         {uri: {exact: /f}, gateways: [mesh]}, {uri: {exact: /g}, sourceNamespace: other}, {sourceLabels: {app: productpage}}]",
    );
    assert_eq!(all, ["path /b", "path /d", "path /f", "prefix /"]);
    let nothing = routes(&format!("match: [{{port: 80}}]\n{TO_V1}"));
    assert_eq!(nothing[0].name, "default");
}

#[test]
fn names_and_origin_of_a_route() {
    let route = only(&format!("name: to-v1\nmatch: [{{name: people, statPrefix: s}}]\n{TO_V1}"));
    assert_eq!((route.name.as_str(), route.stat_prefix.as_str()), ("to-v1.people", "s"));
    assert_eq!(
        render::metadata(route.metadata.as_ref()),
        " {config=/apis/networking.istio.io/v1/namespaces/bookinfo/virtual-service/reviews}"
    );
    assert_eq!(only(&format!("match: [{{name: people}}]\n{TO_V1}")).name, ".people");
}

#[test]
fn operations_name_the_service_or_the_rule() {
    let operation = |rule: &str| only(rule).decorator.unwrap().operation;
    let with = |uri: &str| operation(&format!("match: [{{uri: {uri}}}]\n{TO_V1}"));
    assert_eq!(with("{prefix: /api}"), "reviews.bookinfo.svc.cluster.local:9080/api*");
    assert_eq!(with("{exact: /api}"), "reviews.bookinfo.svc.cluster.local:9080/api");
    assert_eq!(with("{regex: \"/a.*\"}"), "reviews.bookinfo.svc.cluster.local:9080/a.*");
    assert_eq!(operation("route: [{destination: {host: nowhere}}]"), "reviews:9080/*");
}

#[test]
fn timeouts_and_retries() {
    let action = forwarded(TO_V1);
    assert_eq!(action.timeout, Some(Duration::default()));
    let default = action.retry_policy.unwrap();
    assert_eq!(default.retry_on, "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes");
    assert_eq!((default.num_retries.unwrap().value, default.host_selection_retry_max_attempts), (2, 5));
    assert_eq!(default.retry_host_predicate[0].name, "envoy.retry_host_predicates.previous_hosts");
    let action = forwarded(&format!(
        "timeout: 1.5s\nretries: {{attempts: 3, perTryTimeout: 2s, retryOn: \"5xx,503\", backoff: 100ms, retryRemoteLocalities: true, \
         retryIgnorePreviousHosts: false}}\n{TO_V1}"
    ));
    assert_eq!(action.timeout, Some(Duration { seconds: 1, nanos: 500_000_000 }));
    let policy = action.retry_policy.unwrap();
    assert_eq!((policy.retry_on.as_str(), policy.retriable_status_codes), ("5xx,retriable-status-codes", vec![503]));
    assert_eq!((policy.num_retries.unwrap().value, policy.per_try_timeout), (3, Some(Duration { seconds: 2, nanos: 0 })));
    assert_eq!(policy.retry_back_off.unwrap().base_interval, Some(Duration { seconds: 0, nanos: 100_000_000 }));
    assert_eq!(policy.retry_priority.unwrap().name, "envoy.retry_priorities.previous_priorities");
    assert!(policy.retry_host_predicate.is_empty());
    assert_eq!(forwarded(&format!("retries: {{attempts: 0}}\n{TO_V1}")).retry_policy, None);
}

#[test]
fn rewrites() {
    let action =
        forwarded(&format!("match: [{{uri: {{prefix: /rate}}}}]\nrewrite: {{uri: /ratings, authority: other}}\n{TO_V1}"));
    assert_eq!(action.prefix_rewrite, "/ratings");
    assert_eq!(action.host_rewrite_specifier, Some(HostRewriteSpecifier::HostRewriteLiteral("other".to_owned())));
    let action = forwarded(&format!("rewrite: {{uriRegexRewrite: {{match: \"^/a(.*)\", rewrite: \"/b\\\\1\"}}}}\n{TO_V1}"));
    let rewrite = action.regex_rewrite.unwrap();
    assert_eq!((rewrite.pattern.unwrap().regex.as_str(), rewrite.substitution.as_str()), ("^/a(.*)", "/b\\1"));
}

#[test]
fn redirects() {
    let redirect = |rule: &str| match only(rule).action {
        Some(Action::Redirect(redirect)) => redirect,
        other => panic!("{other:?}"),
    };
    let full = redirect("redirect: {uri: /new, authority: there, scheme: https, port: 8443, redirectCode: 308}");
    assert_eq!(full.host_redirect, "there");
    assert_eq!(full.path_rewrite_specifier, Some(PathRewriteSpecifier::PathRedirect("/new".to_owned())));
    assert_eq!(full.scheme_rewrite_specifier, Some(SchemeRewriteSpecifier::SchemeRedirect("https".to_owned())));
    assert_eq!((full.port_redirect, full.response_code()), (8443, RedirectResponseCode::PermanentRedirect));
    let derived = redirect("redirect: {authority: there, derivePort: FROM_REQUEST_PORT}");
    assert_eq!((derived.port_redirect, derived.response_code()), (9080, RedirectResponseCode::MovedPermanently));
}

#[test]
fn direct_responses() {
    let route = only("directResponse: {status: 418, body: {string: short and stout}}");
    let Some(Action::DirectResponse(response)) = route.action else { panic!("no direct response") };
    let body = response.body.unwrap().specifier;
    assert_eq!((response.status, body), (418, Some(data_source::Specifier::InlineString("short and stout".to_owned()))));
    let route = only("directResponse: {status: 200, body: {bytes: aGVsbG8=}}");
    let Some(Action::DirectResponse(response)) = route.action else { panic!("no direct response") };
    assert_eq!(response.body.unwrap().specifier, Some(data_source::Specifier::InlineBytes(b"hello".to_vec())));
}

#[test]
fn faults() {
    let fault = |rule: &str| {
        let route = only(&format!("fault: {rule}\n{TO_V1}"));
        HttpFault::decode(&route.typed_per_filter_config["envoy.filters.http.fault"].value[..]).unwrap()
    };
    let both = fault("{delay: {fixedDelay: 2s, percentage: {value: 12.5}}, abort: {httpStatus: 500, percentage: {value: 50}}}");
    let delay = both.delay.unwrap();
    assert_eq!(delay.fault_delay_secifier, Some(FaultDelaySecifier::FixedDelay(Duration { seconds: 2, nanos: 0 })));
    assert_eq!(
        (delay.percentage.unwrap().numerator, delay.percentage.unwrap().denominator().as_str_name()),
        (125_000, "MILLION")
    );
    assert_eq!(both.abort.unwrap().error_type, Some(ErrorType::HttpStatus(500)));
    let by_name = fault("{abort: {grpcStatus: UNAVAILABLE}}").abort.unwrap();
    assert_eq!(by_name.error_type, Some(ErrorType::GrpcStatus(14)));
    assert_eq!(
        (by_name.percentage.unwrap().numerator, by_name.percentage.unwrap().denominator().as_str_name()),
        (100, "HUNDRED")
    );
}

#[test]
fn mirrors() {
    let mirrored = |rule: &str| {
        let policies = forwarded(&format!("{rule}\n{TO_V1}")).request_mirror_policies;
        let each = policies.into_iter().map(|policy| {
            let share = policy.runtime_fraction.unwrap().default_value.unwrap();
            assert_eq!(policy.trace_sampled.map(|flag| flag.value), Some(false));
            (policy.cluster, share.numerator, share.denominator().as_str_name())
        });
        each.collect::<Vec<_>>()
    };
    let v2 = "outbound|9080|v2|reviews.bookinfo.svc.cluster.local".to_owned();
    assert_eq!(mirrored("mirror: {host: reviews, subset: v2}"), [(v2.clone(), 100, "HUNDRED")]);
    assert_eq!(
        mirrored("mirror: {host: reviews, subset: v2}\nmirrorPercentage: {value: 10.5}"),
        [(v2.clone(), 105_000, "MILLION")]
    );
    assert_eq!(mirrored("mirror: {host: reviews, subset: v2}\nmirrorPercentage: {value: 0}"), []);
    let two =
        mirrored("mirrors: [{destination: {host: reviews, subset: v2}}, {destination: {host: ratings}, percentage: {value: 1}}]");
    assert_eq!(two, [(v2, 100, "HUNDRED"), ("outbound|9080||ratings.bookinfo.svc.cluster.local".to_owned(), 10_000, "MILLION")]);
}

#[test]
fn cross_origin_policies() {
    let route = only(&format!(
        "corsPolicy: {{allowOrigins: [{{exact: https://a}}], allowMethods: [GET, PUT], maxAge: 24h, allowCredentials: true, \
         unmatchedPreflights: IGNORE}}\n{TO_V1}"
    ));
    let cors = CorsPolicy::decode(&route.typed_per_filter_config["envoy.filters.http.cors"].value[..]).unwrap();
    assert_eq!((cors.allow_methods.as_str(), cors.max_age.as_str()), ("GET,PUT", "86400"));
    assert_eq!(cors.allow_origin_string_match.len(), 1);
    assert_eq!(cors.forward_not_matching_preflights.map(|flag| flag.value), Some(false));
    assert_eq!(cors.allow_credentials.map(|flag| flag.value), Some(true));
}

fn told(options: &[HeaderValueOption]) -> Vec<(String, String, HeaderAppendAction)> {
    options.iter().map(|o| (o.header.clone().unwrap().key, o.header.clone().unwrap().value, o.append_action())).collect()
}

#[test]
fn headers_of_route_and_destination() {
    let headers = "{request: {set: {x-b: \"2\", host: other, \":path\": /x}, add: {x-a: \"1\"}, remove: [x-c, \":path\"]}, \
                   response: {set: {x-r: \"3\"}}}";
    let route = only(&format!(
        "headers: {headers}\nroute: [{{destination: {{host: reviews}}, headers: {{request: {{set: {{x-z: \"9\"}}}}}}}}]"
    ));
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned(), HeaderAppendAction::OverwriteIfExistsOrAdd);
    let add = |name: &str, value: &str| (name.to_owned(), value.to_owned(), HeaderAppendAction::AppendIfExistsOrAdd);
    assert_eq!(told(&route.request_headers_to_add), [set("x-b", "2"), add("x-a", "1"), set("x-z", "9")]);
    assert_eq!(route.request_headers_to_remove, ["x-c"]);
    assert_eq!(told(&route.response_headers_to_add), [set("x-r", "3")]);
    let Some(Action::Route(action)) = route.action else { panic!("no route") };
    assert_eq!(action.host_rewrite_specifier, Some(HostRewriteSpecifier::HostRewriteLiteral("other".to_owned())));
    let split = forwarded(
        "route:\n  - {destination: {host: reviews, subset: v1}, weight: 1, headers: {response: {remove: [x-r]}}}\n  \
         - {destination: {host: ratings}, weight: 3}",
    );
    let Some(ClusterSpecifier::WeightedClusters(clusters)) = split.cluster_specifier else { panic!("no split") };
    assert_eq!(clusters.clusters[0].response_headers_to_remove, ["x-r"]);
    assert_eq!(clusters.clusters[1].name, "outbound|9080||ratings.bookinfo.svc.cluster.local");
}

#[test]
fn hosts_outside_the_mesh_are_routed_on_port_80() {
    let yaml = super::fixture::header("VirtualService", "outside")
        + "spec:\n  hosts: [www.example.com]\n  http: [{route: [{destination: {host: reviews, port: {number: 9080}}}]}]\n";
    let host = given_with(&yaml).virtual_host("www.example.com:80");
    assert_eq!(host.domains, ["www.example.com", "www.example.com:80"]);
}
