//! Every field of a DestinationRule and what becomes of it.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{LbConfig, LbPolicy};
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::hash_policy::PolicySpecifier;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::UpstreamProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use envoy_types::pb::google::protobuf::Duration;
use prost::Message;

use super::fixture::{given_with, header};

const RATINGS: &str = "outbound|9080||ratings.bookinfo.svc.cluster.local";

/// Ratings under a rule with this policy.
fn ratings(policy: &str) -> Cluster {
    given_with(&rule(policy)).cluster(RATINGS)
}

fn rule(policy: &str) -> String {
    format!("{}spec:\n  host: ratings\n  trafficPolicy: {policy}\n---\n", header("DestinationRule", "ratings"))
}

fn thresholds(cluster: &Cluster) -> Thresholds {
    cluster.circuit_breakers.as_ref().unwrap().thresholds[0]
}

fn protocol_options(cluster: &Cluster) -> HttpProtocolOptions {
    let any = &cluster.typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
    HttpProtocolOptions::decode(&any.value[..]).unwrap()
}

#[test]
fn without_a_rule_there_are_no_limits() {
    let cluster = given_with("").cluster(RATINGS);
    let limits = thresholds(&cluster);
    for limit in [limits.max_connections, limits.max_pending_requests, limits.max_requests, limits.max_retries] {
        assert_eq!(limit.unwrap().value, 4_294_967_295);
    }
    assert!(limits.track_remaining);
    assert_eq!(cluster.connect_timeout, Some(Duration { seconds: 10, nanos: 0 }));
    assert_eq!(cluster.lb_policy(), LbPolicy::LeastRequest);
    assert!(cluster.typed_extension_protocol_options.is_empty() && cluster.outlier_detection.is_none());
}

#[test]
fn connection_pools() {
    let cluster = ratings(
        "{connectionPool: {tcp: {maxConnections: 1, connectTimeout: 30ms, idleTimeout: 5s, tcpKeepalive: {probes: 2, time: 7200s}}, \
         http: {http1MaxPendingRequests: 2, http2MaxRequests: 3, maxRetries: 4, maxRequestsPerConnection: 5, idleTimeout: 6s}}, \
         retryBudget: {percent: 25}}",
    );
    let limits = thresholds(&cluster);
    let told =
        [limits.max_connections, limits.max_pending_requests, limits.max_requests, limits.max_retries].map(|l| l.unwrap().value);
    assert_eq!(told, [1, 2, 3, 4]);
    let budget = limits.retry_budget.unwrap();
    assert_eq!((budget.budget_percent.unwrap().value, budget.min_retry_concurrency.unwrap().value), (25.0, 3));
    assert_eq!(cluster.connect_timeout, Some(Duration { seconds: 0, nanos: 30_000_000 }));
    let keepalive = cluster.upstream_connection_options.unwrap().tcp_keepalive.unwrap();
    assert_eq!((keepalive.keepalive_probes.unwrap().value, keepalive.keepalive_time.unwrap().value), (2, 7200));
    let options = protocol_options(&cluster);
    let common = options.common_http_protocol_options.unwrap();
    assert_eq!(common.max_requests_per_connection.unwrap().value, 5);
    assert_eq!(common.idle_timeout, Some(Duration { seconds: 6, nanos: 0 }));
    let Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)) = options.upstream_protocol_options else {
        panic!("no choice")
    };
    assert!(matches!(explicit.protocol_config, Some(ProtocolConfig::HttpProtocolOptions(_))));
    assert_eq!(thresholds(&ratings("{connectionPool: {tcp: {maxConnections: 0}}}")).max_connections.unwrap().value, u32::MAX);
}

#[test]
fn http2_is_spoken_where_asked_for() {
    let options = protocol_options(&ratings("{connectionPool: {http: {h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 9}}}"));
    let Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)) = options.upstream_protocol_options else {
        panic!("no choice")
    };
    let Some(ProtocolConfig::Http2ProtocolOptions(http2)) = explicit.protocol_config else { panic!("no HTTP/2") };
    assert_eq!(http2.max_concurrent_streams.unwrap().value, 9);
    let options = protocol_options(&ratings("{connectionPool: {http: {useClientProtocol: true}}}"));
    assert!(matches!(options.upstream_protocol_options, Some(UpstreamProtocolOptions::UseDownstreamProtocolConfig(_))));
}

#[test]
fn outlier_detection() {
    let cluster = ratings(
        "{outlierDetection: {consecutive5xxErrors: 5, consecutiveGatewayErrors: 0, interval: 1s, baseEjectionTime: 2s, \
         maxEjectionPercent: 50, minHealthPercent: 30, splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 4}}",
    );
    let found = cluster.outlier_detection.unwrap();
    assert_eq!((found.consecutive_5xx.unwrap().value, found.enforcing_consecutive_5xx.unwrap().value), (5, 100));
    let gateway = (found.consecutive_gateway_failure.unwrap().value, found.enforcing_consecutive_gateway_failure.unwrap().value);
    assert_eq!(gateway, (0, 0));
    assert_eq!((found.interval.unwrap().seconds, found.base_ejection_time.unwrap().seconds), (1, 2));
    assert_eq!((found.max_ejection_percent.unwrap().value, found.enforcing_success_rate.unwrap().value), (50, 0));
    assert!(found.split_external_local_origin_errors);
    assert_eq!(found.consecutive_local_origin_failure.unwrap().value, 4);
    assert_eq!(cluster.common_lb_config.unwrap().healthy_panic_threshold.unwrap().value, 30.0);
}

#[test]
fn load_balancers() {
    let policy = |text: &str| ratings(&format!("{{loadBalancer: {text}}}")).lb_policy();
    assert_eq!(policy("{simple: ROUND_ROBIN}"), LbPolicy::RoundRobin);
    assert_eq!(policy("{simple: RANDOM}"), LbPolicy::Random);
    assert_eq!(policy("{simple: LEAST_CONN}"), LbPolicy::LeastRequest);
    assert_eq!(policy("{simple: PASSTHROUGH}"), LbPolicy::ClusterProvided);
    let hashed = ratings("{loadBalancer: {consistentHash: {httpHeaderName: x-user}}}");
    let Some(LbConfig::RingHashLbConfig(ring)) = hashed.lb_config else { panic!("no ring") };
    assert_eq!((hashed.lb_policy(), ring.minimum_ring_size.unwrap().value), (LbPolicy::RingHash, 1024));
    assert_eq!(policy("{consistentHash: {useSourceIp: true, maglev: {tableSize: 65537}}}"), LbPolicy::Maglev);
    let warm = ratings("{loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 60s}}}");
    let Some(LbConfig::RoundRobinLbConfig(config)) = warm.lb_config else { panic!("no warm-up") };
    assert_eq!(config.slow_start_config.unwrap().min_weight_percent.unwrap().value, 10.0);
}

#[test]
fn a_hash_is_taken_on_the_route() {
    let given = given_with(&rule("{loadBalancer: {consistentHash: {httpCookie: {name: user, ttl: 0s}}}}"));
    let Some(Action::Route(action)) = given.routes("ratings")[0].action.clone() else { panic!("no route") };
    let Some(PolicySpecifier::Cookie(cookie)) = &action.hash_policy[0].policy_specifier else { panic!("no cookie") };
    assert_eq!((cookie.name.as_str(), cookie.ttl), ("user", Some(Duration::default())));
    // The hash names the one right endpoint: another one would be wrong.
    assert!(action.retry_policy.unwrap().retry_host_predicate.is_empty());
}

#[test]
fn the_port_replaces_and_the_subset_overrides() {
    let text = header("DestinationRule", "ratings")
        + "spec:\n  host: ratings\n  trafficPolicy:\n    loadBalancer: {simple: RANDOM}\n    connectionPool: {tcp: {maxConnections: 7}}\n    \
           portLevelSettings: [{port: {number: 9080}, connectionPool: {tcp: {maxConnections: 8}}}]\n  \
           subsets:\n    - {name: a, labels: {version: v1}}\n    \
           - {name: b, labels: {version: v1}, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}\n";
    let given = given_with(&text);
    let told = |subset: &str| {
        let cluster = given.cluster(&format!("outbound|9080|{subset}|ratings.bookinfo.svc.cluster.local"));
        (cluster.lb_policy(), thresholds(&cluster).max_connections.unwrap().value)
    };
    assert_eq!(told(""), (LbPolicy::LeastRequest, 8));
    assert_eq!(told("a"), (LbPolicy::LeastRequest, 8));
    assert_eq!(told("b"), (LbPolicy::RoundRobin, 8));
}
