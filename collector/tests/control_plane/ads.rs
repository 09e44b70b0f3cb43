//! The protocol of a stream: who is answered, when, and with what.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::Method;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use prost::Message;
use sidelight_api::config::ApplyResponse;
use sidelight_api::proxy::SyncState;
use sidelight_collector::control::ControlSettings;

use crate::mesh::{Mesh, eventually, settings};
use crate::proxy::{
    CDS, EDS, LDS, Proxy, RDS, State, Stream, clusters_in, connection_manager, gateway, request, sidecar, without_istio,
};

const REVIEWS: &str = "outbound|9080||reviews.bookinfo.svc.cluster.local";
const REVIEWS_V2: &str = "outbound|9080|v2|reviews.bookinfo.svc.cluster.local";

/// All to one version of reviews.
fn all_to(version: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: reviews, namespace: bookinfo}}\n\
         spec:\n  hosts: [reviews]\n  http:\n    - route:\n        - destination: {{host: reviews, subset: {version}}}\n"
    )
}

fn reviews_clusters(state: &State) -> Vec<String> {
    let Some(config) = state.routes.get("http_proxy") else { return Vec::new() };
    clusters_of(config, "reviews.bookinfo.svc.cluster.local:9080")
}

fn clusters_of(config: &RouteConfiguration, host: &str) -> Vec<String> {
    let mut only = config.clone();
    only.virtual_hosts.retain(|found| found.name == host);
    clusters_in(&only)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_gets_everything_and_is_synced() {
    let mesh = Mesh::bookinfo().await;
    let mut proxy = Proxy::start(mesh.xds, sidecar("productpage", "v1", "127.77.1.11")).await;
    let state = proxy.until_complete().await;
    assert_eq!(state.pushes[0], "Cluster");
    let listeners: Vec<&str> = state.listeners.keys().map(String::as_str).collect();
    assert_eq!(listeners, ["127.77.1.11_15001", "127.77.1.11_9080"]);
    assert!(state.clusters.contains_key(REVIEWS_V2));
    assert_eq!(state.endpoints[REVIEWS], BTreeSet::new());
    eventually("all types are synced", async || {
        let list = mesh.proxies().await;
        let [one] = &list.proxies[..] else { return None };
        let types: Vec<&str> = one.types.keys().map(String::as_str).collect();
        let synced = one.types.values().all(|t| t.state == SyncState::Synced && t.sent_version == t.acked_version);
        (types == ["CDS", "EDS", "LDS", "RDS"] && synced).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workloads_become_endpoints_and_leave_with_their_stream() {
    let mesh = Mesh::bookinfo().await;
    let mut caller = Proxy::start(mesh.xds, sidecar("productpage", "v1", "127.77.1.11")).await;
    caller.until_complete().await;
    let reviews = Proxy::start(mesh.xds, sidecar("reviews", "v2", "127.77.1.22")).await;
    let there = BTreeSet::from(["127.77.1.22:9080".to_owned()]);
    caller.until("reviews is there", |state| state.endpoints[REVIEWS] == there && state.endpoints[REVIEWS_V2] == there).await;
    let mut targets = mesh.control.targets();
    let urls: Vec<String> = targets.borrow_and_update().iter().map(|target| target.url.clone()).collect();
    assert_eq!(urls, ["http://127.77.1.11:15020/stats/prometheus", "http://127.77.1.22:15020/stats/prometheus"]);
    // Only endpoints changed, so nothing else may come.
    let before = caller.state.pushes.len();
    drop(reviews);
    let nobody = BTreeSet::new();
    caller.until("reviews is gone", |state| state.endpoints[REVIEWS] == nobody).await;
    assert!(caller.state.pushes[before..].iter().all(|push| push == "ClusterLoadAssignment"), "{:?}", caller.state.pushes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_reaches_every_proxy_and_a_bad_one_none() {
    let mesh = Mesh::bookinfo().await;
    let mut proxies = Vec::new();
    for number in 11..15 {
        // No service selects them, so that their coming changes nothing for the others.
        let mut proxy = Proxy::start(mesh.xds, sidecar("client", "v1", &format!("127.77.1.{number}"))).await;
        proxy.until_complete().await;
        assert_eq!(reviews_clusters(&proxy.state), [REVIEWS]);
        proxies.push(proxy);
    }
    mesh.apply(&all_to("v2")).await;
    for proxy in &mut proxies {
        let before = proxy.state.pushes.len();
        proxy.until("the edit is there", |state| reviews_clusters(state) == [REVIEWS_V2]).await;
        assert_eq!(proxy.state.pushes[before..], ["RouteConfiguration"]);
    }
    let body = serde_json::json!({"yaml": all_to("v2").replace("hosts:", "hots:")});
    let (status, _) = mesh.call(Method::POST, "/api/config/apply", Some(&body)).await;
    assert_eq!(status, 422);
    mesh.apply(&all_to("v3")).await;
    for proxy in &mut proxies {
        let before = proxy.state.pushes.len();
        proxy.until("the next edit is there", |state| reviews_clusters(state)[0].contains("|v3|")).await;
        assert_eq!(proxy.state.pushes[before..], ["RouteConfiguration"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_clusters_brings_their_endpoints_again() {
    let mesh = Mesh::bookinfo().await;
    let mut proxy = Proxy::start(mesh.xds, sidecar("client", "v1", "127.77.1.11")).await;
    proxy.until_complete().await;
    let before = proxy.state.pushes.len();
    mesh.apply(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: ratings, namespace: bookinfo}\n\
         spec:\n  host: ratings\n  trafficPolicy:\n    connectionPool: {tcp: {maxConnections: 7}}\n",
    )
    .await;
    proxy.until("endpoints came again", |state| state.pushes[before..].len() >= 2).await;
    assert_eq!(proxy.state.pushes[before..], ["Cluster", "ClusterLoadAssignment"]);
}

/// One apply that brings a new subset with a route to it and takes the old one away: at no moment may a route lead nowhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_never_lead_to_a_cluster_that_is_not_there() {
    let mesh = Mesh::bookinfo().await;
    mesh.apply(&all_to("v1")).await;
    let mut proxy = Proxy::start(mesh.xds, sidecar("client", "v1", "127.77.1.11")).await;
    proxy.until_complete().await;
    proxy.state.dangling.clear();
    let before = proxy.state.pushes.len();
    let subset = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: reviews, namespace: bookinfo}\n\
                  spec:\n  host: reviews\n  subsets: [{name: canary, labels: {version: v3}}]\n---\n";
    mesh.apply(&format!("{subset}{}", all_to("canary"))).await;
    let canary = "outbound|9080|canary|reviews.bookinfo.svc.cluster.local";
    let state = proxy
        .until("the old subsets are gone", |state| {
            reviews_clusters(state) == [canary] && !state.clusters.keys().any(|name| name.contains("|v1|"))
        })
        .await;
    assert_eq!(state.dangling, BTreeSet::new());
    let pushes: Vec<&str> = state.pushes[before..].iter().map(String::as_str).collect();
    let routes = pushes.iter().position(|push| *push == "RouteConfiguration").unwrap();
    assert!(pushes[..routes].contains(&"Cluster") && pushes[routes..].contains(&"Cluster"), "{pushes:?}");
}

/// A proxy that takes no clusters still gets its routes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_do_not_wait_for_ever() {
    let mesh = Mesh::bookinfo().await;
    let mut stream = Stream::open(mesh.xds, sidecar("client", "v1", "127.77.1.11")).await;
    stream.subscribe(CDS, &[]).await;
    let clusters = stream.next().await;
    stream.ack(&clusters, &[]).await;
    stream.subscribe(RDS, &["http_proxy"]).await;
    let routes = stream.next().await;
    stream.ack(&routes, &["http_proxy"]).await;
    let subset = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: ratings, namespace: bookinfo}\n\
                  spec:\n  host: ratings\n  subsets: [{name: canary, labels: {version: v3}}]\n---\n";
    mesh.apply(&format!("{subset}{}", all_to("v2"))).await;
    let clusters = stream.next().await;
    assert_eq!(clusters.type_url, CDS);
    // Neither accepted nor refused.
    assert_eq!(stream.next().await.type_url, RDS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_remembered_until_something_else_is_accepted() {
    let mesh = Mesh::bookinfo().await;
    let mut stream = Stream::open(mesh.xds, sidecar("productpage", "v1", "127.77.1.11")).await;
    stream.subscribe(CDS, &[]).await;
    let first = stream.next().await;
    stream.refuse(&first, &[], "Invalid duration: xyz").await;
    eventually("the refusal is known", async || {
        let list = mesh.proxies().await;
        (list.proxies[0].last_error.as_deref() == Some("Invalid duration: xyz")).then_some(())
    })
    .await;
    let list = mesh.proxies().await;
    assert_eq!(list.proxies[0].types["CDS"].state, SyncState::Refused);
    assert_eq!(mesh.control.out_of_sync(), [list.proxies[0].node_id.clone()].into());
    let deleted: ApplyResponse = mesh.ok(Method::DELETE, "/api/config/dr/bookinfo/reviews", None::<&()>).await;
    assert_eq!(deleted.results.len(), 1);
    let second = stream.next().await;
    assert_ne!(second.version_info, first.version_info);
    stream.ack(&second, &[]).await;
    // The subsets are taken away only now, when nothing can lead to them any more.
    let third = stream.next().await;
    assert_eq!(third.resources.len() + 3, second.resources.len());
    stream.ack(&third, &[]).await;
    eventually("all is well again", async || {
        let list = mesh.proxies().await;
        let cds = &list.proxies[0].types["CDS"];
        (cds.state == SyncState::Synced && cds.error.is_none() && list.proxies[0].last_error.is_none()).then_some(())
    })
    .await;
    assert!(mesh.control.out_of_sync().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_answers_are_ignored_and_new_names_answered() {
    let mesh = Mesh::bookinfo().await;
    let mut stream = Stream::open(mesh.xds, sidecar("productpage", "v1", "127.77.1.11")).await;
    stream.subscribe(EDS, &[REVIEWS]).await;
    let first = stream.next().await;
    assert_eq!(first.resources.len(), 1);
    // Of an older time: no answer, and the names do not count.
    stream.send(DiscoveryRequest { response_nonce: "old".to_owned(), ..request(EDS, &["outbound|1||gone"]) }).await;
    stream.ack(&first, &[REVIEWS]).await;
    stream.ack(&first, &[REVIEWS, REVIEWS_V2]).await;
    let second = stream.next().await;
    assert_eq!(second.resources.len(), 2);
    stream.ack(&second, &[REVIEWS, REVIEWS_V2]).await;
    // Fewer names need no answer; the next one is that to another type.
    stream.ack(&second, &[REVIEWS]).await;
    stream.subscribe(RDS, &["http.1234"]).await;
    let routes = stream.next().await;
    assert_eq!(routes.type_url, RDS);
    let unknown = RouteConfiguration::decode(&routes.resources[0].value[..]).unwrap();
    assert_eq!(unknown, RouteConfiguration { name: "http.1234".to_owned(), ..RouteConfiguration::default() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconnected_proxy_is_answered_in_full() {
    let mesh = Mesh::bookinfo().await;
    let mut stream = Stream::open(mesh.xds, sidecar("productpage", "v1", "127.77.1.11")).await;
    stream.subscribe(CDS, &[]).await;
    let before = stream.next().await;
    stream.ack(&before, &[]).await;
    let mut again = Stream::open(mesh.xds, sidecar("productpage", "v1", "127.77.1.11")).await;
    let version_info = before.version_info.clone();
    again.send(DiscoveryRequest { version_info, response_nonce: before.nonce.clone(), ..request(CDS, &[]) }).await;
    let after = again.next().await;
    assert_eq!((&after.version_info, after.resources.len()), (&before.version_info, before.resources.len()));
    // The end of the old stream takes nothing away from the new one.
    drop(stream);
    again.subscribe(LDS, &[]).await;
    again.next().await;
    assert!(mesh.proxies().await.proxies[0].connected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_configured_proxies_wait_for_each_other() {
    let mesh = Mesh::bookinfo().await;
    let mesh = mesh.restarted(ControlSettings { settle: Duration::from_secs(1), ..settings() }).await;
    let mut stream = Stream::open(mesh.xds, sidecar("productpage", "v1", "127.77.1.11")).await;
    stream.send(DiscoveryRequest { version_info: "from before".to_owned(), ..request(EDS, &[REVIEWS]) }).await;
    let _reviews = Proxy::start(mesh.xds, sidecar("reviews", "v2", "127.77.1.22")).await;
    let answer = stream.next().await;
    let mut state = State::default();
    state.take(&answer);
    assert_eq!(state.endpoints[REVIEWS], BTreeSet::from(["127.77.1.22:9080".to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_cannot_be_read_are_refused_with_the_reason() {
    let mesh = Mesh::empty().await;
    let mut node = sidecar("reviews", "v1", "127.77.1.11");
    node.id = "sidecar~nowhere".to_owned();
    let mut stream = Stream::open(mesh.xds, node).await;
    stream.subscribe(CDS, &[]).await;
    let status = stream.try_next().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert_eq!(status.message(), "node id `sidecar~nowhere` is not `<type>~<ip>~<name>.<namespace>~<domain>`");
    assert_eq!(mesh.proxies().await.proxies, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_listens_where_its_objects_say() {
    let mesh = Mesh::bookinfo().await;
    let mut proxy = Proxy::start(mesh.xds, gateway("127.77.1.1")).await;
    let state = proxy.until_complete().await;
    assert_eq!(state.listeners.keys().collect::<Vec<_>>(), ["127.77.1.1_8080"]);
    let config = &state.routes["http.8080"];
    let productpage = "outbound|9080||productpage.bookinfo.svc.cluster.local";
    assert_eq!(clusters_of(config, "*:8080"), [productpage, productpage]);
    let _: ApplyResponse = mesh.ok(Method::DELETE, "/api/config/gateway/bookinfo/bookinfo-gateway", None::<&()>).await;
    proxy.until("nothing is listened on", |state| state.listeners.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_istios_proxies_get_istios_filters() {
    let mesh = Mesh::bookinfo().await;
    let filters = async |node| {
        let mut proxy = Proxy::start(mesh.xds, node).await;
        let state = proxy.until_complete().await;
        let manager = connection_manager(&state.listeners["127.77.1.11_15001"]).unwrap();
        manager.http_filters.into_iter().map(|filter| filter.name).collect::<Vec<_>>()
    };
    let node = sidecar("productpage", "v1", "127.77.1.11");
    let standard = ["envoy.filters.http.fault", "envoy.filters.http.cors", "envoy.filters.http.router"];
    assert_eq!(filters(without_istio(node.clone())).await, standard);
    let [fault, cors, router] = standard;
    assert_eq!(filters(node).await, ["istio.metadata_exchange", fault, cors, "istio.stats", router]);
}

/// A workload whose proxy dies without a word may be back in a moment: its endpoints stay for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_stream_leaves_the_workload_for_a_while() {
    let mesh = Mesh::bookinfo().await;
    let mut caller = Proxy::start(mesh.xds, sidecar("client", "v1", "127.77.1.11")).await;
    caller.until_complete().await;
    let there = BTreeSet::from(["127.77.1.22:9080".to_owned()]);
    let other = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let xds = mesh.xds;
    let reviews = other.spawn(async move { Proxy::start(xds, sidecar("reviews", "v2", "127.77.1.22")).await });
    let _held = reviews.await.unwrap();
    caller.until("reviews is there", |state| state.endpoints[REVIEWS] == there).await;
    // All its sockets are closed at once, as when a process is killed.
    other.shutdown_background();
    eventually("the end is noticed", async || {
        let list = mesh.proxies().await;
        list.proxies.iter().any(|proxy| proxy.workload == "reviews-v2" && !proxy.connected).then_some(())
    })
    .await;
    eventually("whoever scrapes knows it", async || {
        let targets = mesh.control.targets();
        let gone = targets.borrow().iter().filter(|target| !target.connected).count();
        (gone == 1).then_some(())
    })
    .await;
    assert_eq!(caller.state.endpoints[REVIEWS], there);
    let nobody = BTreeSet::new();
    caller.until("the grace is over", |state| state.endpoints[REVIEWS] == nobody).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_collector_saves_reaches_our_proxies() {
    let mesh = Mesh::bookinfo().await;
    let other = mesh.second().await;
    let mut proxy = Proxy::start(mesh.xds, sidecar("client", "v1", "127.77.1.11")).await;
    proxy.until_complete().await;
    other.apply(&all_to("v2")).await;
    proxy.until("the edit is there", |state| reviews_clusters(state) == [REVIEWS_V2]).await;
    // And counts when the next edit is checked and numbered.
    let response = mesh.apply(&all_to("v3")).await;
    assert_eq!(response.results[0].revision, 2);
}
