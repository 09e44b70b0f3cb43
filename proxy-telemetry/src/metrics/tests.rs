//! Counting, bounds, expiry without loss, and the text that comes out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use sidelight_mesh::identity::NodeIdentity;

use super::*;
use crate::exposition::{Query, render};
use crate::flags::ResponseFlags;
use crate::labels::{ClusterInfo, LabelSources, Reporter, RouteKind, Rpc};
use crate::peer::Peer;
use crate::testing::{cluster, workload};

struct Call {
    node: NodeIdentity,
    peer: Arc<Peer>,
    cluster: Arc<ClusterInfo>,
    route: RouteKind,
}

fn call() -> Call {
    Call {
        node: workload("productpage", "v1"),
        peer: Peer::from_exchange(workload("reviews", "v1").to_peer()),
        cluster: cluster("reviews"),
        route: RouteKind::Named,
    }
}

impl Call {
    fn record(&self, registry: &Registry, code: u16, authority: &str, sample: Sample) {
        let sources = LabelSources {
            reporter: Reporter::Source,
            node: &self.node,
            peer: Some(&self.peer),
            cluster: Some(&self.cluster),
            tls: None,
            route: self.route,
            authority,
            code,
            rpc: Rpc::Http,
            flags: ResponseFlags::default(),
        };
        registry.record(&sources, sample);
    }
}

fn text(registry: &Registry, families: &Families, query: &str) -> String {
    render(registry, families, &Query::parse(query))
}

const SAMPLE: Sample = Sample { duration_ms: 6, request_bytes: 250, response_bytes: 0 };

#[test]
fn the_text_is_envoys_to_the_letter() {
    let registry = Registry::new(RegistrySettings::default());
    let families = Families::default();
    families.gauge("istio_build", &[("component", "proxy"), ("tag", "1.27.0")]).set(1);
    families.counter("envoy_cluster_manager_cluster_added", &[]).add(3);
    families.gauge_fn("envoy_server_live", &[], || 1);
    for _ in 0..17 {
        call().record(&registry, 200, "reviews:9080", SAMPLE);
    }
    let all = text(&registry, &families, "");
    let labels = r#"reporter="source",source_workload="productpage-v1",source_canonical_service="productpage",source_canonical_revision="v1",source_workload_namespace="bookinfo",source_principal="unknown",source_app="productpage",source_version="v1",source_cluster="Kubernetes",destination_workload="reviews-v1",destination_workload_namespace="bookinfo",destination_principal="unknown",destination_app="reviews",destination_version="v1",destination_service="reviews.bookinfo.svc.cluster.local",destination_canonical_service="reviews",destination_canonical_revision="v1",destination_service_name="reviews",destination_service_namespace="bookinfo",destination_cluster="Kubernetes",request_protocol="http",response_code="200",grpc_response_status="",response_flags="-",connection_security_policy="unknown""#;
    let head = format!(
        "# TYPE envoy_cluster_manager_cluster_added counter\n\
         envoy_cluster_manager_cluster_added{{}} 3\n\
         # TYPE istio_requests_total counter\n\
         istio_requests_total{{{labels}}} 17\n\
         # TYPE envoy_server_live gauge\n\
         envoy_server_live{{}} 1\n\
         # TYPE istio_build gauge\n\
         istio_build{{component=\"proxy\",tag=\"1.27.0\"}} 1\n\
         # TYPE istio_request_bytes histogram\n\
         istio_request_bytes_bucket{{{labels},le=\"0.5\"}} 0\n"
    );
    assert_eq!(&all[..head.len()], head);
    let duration = format!(
        "istio_request_duration_milliseconds_bucket{{{labels},le=\"5\"}} 0\n\
         istio_request_duration_milliseconds_bucket{{{labels},le=\"10\"}} 17\n"
    );
    assert!(all.contains(&duration), "{all}");
    let tail = format!(
        "istio_response_bytes_bucket{{{labels},le=\"3600000\"}} 17\n\
         istio_response_bytes_bucket{{{labels},le=\"+Inf\"}} 17\n\
         istio_response_bytes_sum{{{labels}}} 0\n\
         istio_response_bytes_count{{{labels}}} 17\n"
    );
    assert!(all.ends_with(&tail), "{all}");
    assert!(!all.contains("# HELP") && !all.contains("\n\n"));
}

#[test]
fn buckets_include_their_upper_bound() {
    let histogram = Histogram::default();
    for value in [0, 1, 2, 5, 6, 3_600_000, 3_600_001] {
        histogram.record(value);
    }
    let snapshot = histogram.snapshot();
    assert_eq!(snapshot.cumulative[..4], [1, 2, 4, 5]);
    assert_eq!(snapshot.cumulative[18..], [6, 7]);
    assert_eq!(snapshot.sum, 7_200_015);
}

#[test]
fn peers_with_equal_labels_share_a_series() {
    let registry = Registry::new(RegistrySettings::default());
    call().record(&registry, 200, "a", SAMPLE);
    call().record(&registry, 200, "b", SAMPLE);
    assert_eq!(registry.all().len(), 1);
    assert_eq!(registry.all()[0].requests(), 2);
}

#[test]
fn too_many_label_sets_overflow_into_one() {
    let settings = RegistrySettings { series_max: 2, ..RegistrySettings::default() };
    let registry = Registry::new(settings);
    let passthrough = Call { route: RouteKind::AllowAny, ..call() };
    for authority in ["a", "b", "c", "d", "a"] {
        passthrough.record(&registry, 200, authority, SAMPLE);
    }
    assert_eq!(registry.all().len(), 2);
    assert_eq!(registry.overflowed(), 2);
    let all = text(&registry, &Families::default(), "");
    assert!(all.contains("istio_requests_total{overflow=\"true\"} 2\n"), "{all}");
}

#[test]
fn idle_series_are_given_up_and_come_back() {
    let idle = Duration::from_secs(600);
    let registry = Registry::new(RegistrySettings { idle, ..RegistrySettings::default() });
    let (busy, quiet) = (call(), call());
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    busy.record(&registry, 200, "", SAMPLE);
    quiet.record(&registry, 404, "", SAMPLE);
    registry.expire(at(100));
    busy.record(&registry, 200, "", SAMPLE);
    registry.expire(at(701));
    assert_eq!(registry.all().len(), 1);
    quiet.record(&registry, 404, "", SAMPLE);
    let counts: Vec<_> = registry.all().iter().map(|s| s.requests()).collect();
    assert_eq!(counts, [2, 1]);
}

#[test]
fn no_request_is_lost_while_series_are_given_up() {
    const ROUNDS: u64 = 20_000;
    let registry = Registry::new(RegistrySettings { idle: Duration::ZERO, ..RegistrySettings::default() });
    let call = call();
    let given_up = std::thread::scope(|scope| {
        let writers: Vec<_> =
            (0..2).map(|_| scope.spawn(|| (0..ROUNDS).for_each(|_| call.record(&registry, 200, "", SAMPLE)))).collect();
        let mut given_up = 0;
        let mut now = Instant::now();
        while !writers.iter().all(|writer| writer.is_finished()) {
            // What is given up was idle since the sweep before, so this reads its final count.
            let before: Vec<_> = registry.all().into_iter().map(|s| (s.requests(), s)).collect();
            now += Duration::from_secs(61);
            registry.expire(now);
            let after = registry.all();
            let gone = |series: &Arc<Series>| !after.iter().any(|a| Arc::ptr_eq(a, series));
            given_up += before.iter().filter(|(_, s)| gone(s)).map(|(n, _)| n).sum::<u64>();
        }
        given_up
    });
    let left: u64 = registry.all().iter().map(|s| s.requests()).sum();
    assert_eq!(given_up + left, 2 * ROUNDS);
}

#[test]
fn used_only_hides_what_was_never_touched() {
    let registry = Registry::new(RegistrySettings::default());
    let families = Families::default();
    let _ = families.counter("a_total", &[]);
    let _ = families.gauge("b", &[]);
    families.gauge("c", &[]).set(0);
    assert_eq!(text(&registry, &families, "usedonly"), "# TYPE c gauge\nc{} 0\n");
    let all = "# TYPE a_total counter\na_total{} 0\n# TYPE b gauge\nb{} 0\n# TYPE c gauge\nc{} 0\n";
    assert_eq!(text(&registry, &families, "text_readouts"), all);
}

#[test]
fn filters_choose_families() {
    let registry = Registry::new(RegistrySettings::default());
    let families = Families::default();
    families.gauge("envoy_server_live", &[]).set(1);
    families.gauge("istio_build", &[]).set(1);
    let live = "# TYPE envoy_server_live gauge\nenvoy_server_live{} 1\n";
    assert_eq!(text(&registry, &families, "filter=%5Eenvoy_.%2A&usedonly"), live);
    assert_eq!(text(&registry, &families, "filter=istio&invert_filter"), live);
    // One that cannot be read filters nothing.
    assert!(text(&registry, &families, "filter=%28").contains("istio_build"));
}

#[test]
fn families_are_bounded_and_removable() {
    let families = Families::default();
    for i in 0..=families_max() {
        families.counter("c", &[("i", &i.to_string())]).increment();
    }
    assert_eq!(families.refused(), 1);
    families.remove(Kind::Counter, "c", &[("i", "0")]);
    families.counter("c", &[("i", "new")]).add(2);
    assert_eq!(families.counter("c", &[("i", "new")]).get(), 2);
}

fn families_max() -> usize {
    super::families::SAMPLES_MAX
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_we_write_prometheus_parse_reads(
        authorities in proptest::collection::btree_set("[a-z0-9.:-]{1,12}", 1..6),
        durations in proptest::collection::vec(0_u64..10_000_000, 1..20),
    ) {
        let registry = Registry::new(RegistrySettings::default());
        let passthrough = Call { route: RouteKind::AllowAny, ..call() };
        for authority in &authorities {
            for duration_ms in &durations {
                let sample = Sample { duration_ms: *duration_ms, request_bytes: 1, response_bytes: 2 };
                passthrough.record(&registry, 200, authority, sample);
            }
        }
        let page = text(&registry, &Families::default(), "");
        let scrape = prometheus_parse::Scrape::parse(page.lines().map(|l| Ok(l.to_owned()))).unwrap();
        let total = durations.len() as f64;
        let mut counts = BTreeMap::new();
        for sample in &scrape.samples {
            let host = sample.labels.get("destination_service").unwrap_or_default().to_owned();
            match &sample.value {
                prometheus_parse::Value::Counter(n) => {
                    prop_assert_eq!(*n, total);
                    counts.insert(host, *n);
                }
                prometheus_parse::Value::Histogram(buckets) => {
                    prop_assert_eq!(buckets.len(), BOUNDS.len() + 1);
                    prop_assert_eq!(buckets.last().unwrap().count, total);
                    prop_assert!(buckets.is_sorted_by(|a, b| a.count <= b.count));
                }
                _ => {}
            }
        }
        prop_assert!(counts.keys().eq(&authorities), "{counts:?}");
    }
}
