//! Route tables from literal protobufs: domains, order of routes, conditions.

use envoy_types::pb::google::protobuf as pb;
use http::{HeaderMap, HeaderValue};

use super::super::route_action::Target;
use super::*;

fn to_cluster(name: &str, prefix: &str, cluster: &str) -> route::Route {
    route::Route {
        name: name.into(),
        r#match: Some(route::RouteMatch {
            path_specifier: Some(route::route_match::PathSpecifier::Prefix(prefix.into())),
            ..Default::default()
        }),
        action: Some(route::route::Action::Route(route::RouteAction {
            cluster_specifier: Some(route::route_action::ClusterSpecifier::Cluster(cluster.into())),
            ..Default::default()
        })),
        ..Default::default()
    }
}

fn host(name: &str, domains: &[&str]) -> route::VirtualHost {
    route::VirtualHost {
        name: name.into(),
        domains: domains.iter().map(|d| (*d).to_owned()).collect(),
        routes: vec![to_cluster("default", "/", name)],
        ..Default::default()
    }
}

fn table(hosts: Vec<route::VirtualHost>, ignore_port: bool) -> Result<RouteTable, ConfigError> {
    RouteTable::compile(
        &route::RouteConfiguration {
            name: "http_proxy".into(),
            virtual_hosts: hosts,
            ignore_port_in_host_matching: ignore_port,
            ..Default::default()
        },
        &mut Notes::default(),
    )
}

#[test]
fn domains_go_exact_then_suffix_then_prefix_then_any() {
    let table = table(
        vec![
            host("exact", &["reviews.bookinfo:9080", "reviews:9080"]),
            host("suffix", &["*.bookinfo:9080"]),
            host("longer suffix", &["*.reviews.bookinfo:9080"]),
            host("prefix", &["ratings.*"]),
            host("any", &["*"]),
        ],
        false,
    )
    .unwrap();
    let found = |authority| table.host(authority).map(|host| host.name.as_str());
    assert_eq!(found("Reviews:9080"), Some("exact"));
    assert_eq!(found("details.bookinfo:9080"), Some("suffix"));
    assert_eq!(found("a.reviews.bookinfo:9080"), Some("longer suffix"));
    assert_eq!(found("ratings.bookinfo:9080"), Some("suffix"));
    assert_eq!(found("ratings.elsewhere"), Some("prefix"));
    assert_eq!(found("ratings."), Some("any"));
    assert_eq!(found("reviews"), Some("any"));
}

#[test]
fn ports_are_ignored_only_where_asked() {
    let table = table(vec![host("reviews", &["reviews"])], true).unwrap();
    assert!(table.host("reviews:9080").is_some());
    assert!(table.host("reviews").is_some());
    assert!(table.host("other:9080").is_none());
    assert_eq!(without_port("[::1]:80"), "[::1]");
    assert_eq!(without_port("::1"), "::1");
}

#[test]
fn a_domain_twice_is_refused() {
    let error = table(vec![host("a", &["x"]), host("b", &["X"])], false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "route configuration `http_proxy`: `virtual_hosts.domains`: \
         only a single entry for domain `x` is permitted"
    );
}

fn view<'a>(path: &'a str, headers: &'a HeaderMap) -> RequestView<'a> {
    RequestView { method: "GET", authority: "reviews:9080", path, query: None, headers }
}

#[test]
fn the_first_route_whose_conditions_hold_is_taken() {
    let mut luffy = to_cluster("luffy", "/", "v2");
    luffy.r#match.as_mut().unwrap().headers = vec![route::HeaderMatcher {
        name: "end-user".into(),
        header_match_specifier: Some(route::header_matcher::HeaderMatchSpecifier::ExactMatch("luffy".into())),
        ..Default::default()
    }];
    let mut reviews = host("reviews", &["*"]);
    reviews.routes = vec![luffy, to_cluster("rest", "/", "v3")];
    let table = table(vec![reviews], false).unwrap();
    let vhost = table.host("x").unwrap();
    let mut headers = HeaderMap::new();
    assert_eq!(&*vhost.route(&view("/", &headers)).unwrap().name, "rest");
    headers.insert("end-user", HeaderValue::from_static("luffy"));
    assert_eq!(&*vhost.route(&view("/", &headers)).unwrap().name, "luffy");
}

fn path_matches(spec: route::route_match::PathSpecifier, sensitive: bool, path: &str) -> bool {
    let mut route = to_cluster("r", "/", "c");
    route.r#match = Some(route::RouteMatch {
        path_specifier: Some(spec),
        case_sensitive: Some(pb::BoolValue { value: sensitive }),
        ..Default::default()
    });
    let mut only = host("h", &["*"]);
    only.routes = vec![route];
    let table = table(vec![only], false).unwrap();
    let headers = HeaderMap::new();
    table.hosts[0].route(&view(path, &headers)).is_some()
}

#[test]
fn every_kind_of_path_condition() {
    use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatcher;
    use route::route_match::PathSpecifier as P;
    assert!(path_matches(P::Prefix("/api".into()), true, "/api/v1"));
    assert!(path_matches(P::Prefix("/api".into()), true, "/apis"));
    assert!(!path_matches(P::Prefix("/api".into()), true, "/API"));
    assert!(path_matches(P::Prefix("/api".into()), false, "/API"));
    assert!(path_matches(P::Path("/login".into()), true, "/login"));
    assert!(!path_matches(P::Path("/login".into()), true, "/login/"));
    assert!(path_matches(P::PathSeparatedPrefix("/api".into()), true, "/api/v1"));
    assert!(!path_matches(P::PathSeparatedPrefix("/api".into()), true, "/apis"));
    let regex = |text: &str| P::SafeRegex(RegexMatcher { regex: text.into(), ..Default::default() });
    assert!(path_matches(regex("/item/[0-9]+"), true, "/item/42"));
    assert!(!path_matches(regex("/item/[0-9]+"), true, "/item/42/x"));
}

#[test]
fn timeouts_absent_zero_and_set() {
    let compiled = |timeout: Option<pb::Duration>| {
        let mut from = to_cluster("r", "/", "c");
        if let Some(route::route::Action::Route(action)) = &mut from.action {
            action.timeout = timeout;
        }
        let Action::Forward(forward) = Action::compile("route", &from, &mut Notes::default()).unwrap() else {
            panic!("not forwarded");
        };
        forward.timeout.map(|timeout| timeout.as_millis())
    };
    let of = |seconds, nanos| Some(pb::Duration { seconds, nanos });
    assert_eq!(compiled(None), Some(15_000));
    assert_eq!(compiled(of(0, 0)), None);
    assert_eq!(compiled(of(1, 500_000_000)), Some(1_500));
}

#[test]
fn a_route_without_weights_is_refused_and_names_its_place() {
    let mut from = to_cluster("split", "/", "c");
    if let Some(route::route::Action::Route(action)) = &mut from.action {
        action.cluster_specifier =
            Some(route::route_action::ClusterSpecifier::WeightedClusters(route::WeightedCluster::default()));
    }
    let mut only = host("h", &["*"]);
    only.routes = vec![from];
    assert_eq!(
        table(vec![only], false).unwrap_err().to_string(),
        "virtual host `h` route 0 `split`: `route.weighted_clusters`: \
         the sum of the weights must be greater than 0"
    );
}

#[test]
fn all_clusters_of_a_table_are_listed() {
    let table = table(vec![host("a", &["a"]), host("b", &["b"])], false).unwrap();
    let names: Vec<_> = table.cluster_names().iter().map(|n| n.to_string()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(matches!(
        &table.hosts[0].routes[0].action,
        Action::Forward(f) if matches!(&f.target, Target::Cluster(n) if &**n == "a")
    ));
}
