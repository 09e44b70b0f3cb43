//! Several collectors on one Postgres: each target has one owner, a killed collector's targets move, nothing counts twice.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use parking_lot::Mutex;
use sidelight_collector::ingest::scrape::ScrapeClock;
use sidelight_collector::{Collector, Settings};
use support::place::Place;
use support::proxy::CountingProxy;
use support::running::{eventually, get, settings, stored, until_stored};
use tokio_util::sync::CancellationToken;

/// Scrapes of a target are this far apart.
const INTERVAL: Duration = Duration::from_secs(2);
/// What a scrape may be late, besides what the machine is seen to be.
const LATE: Duration = Duration::from_millis(600);

fn shared(place: &Place, proxies: &[CountingProxy]) -> Settings {
    let scrape_urls = proxies.iter().map(CountingProxy::url).collect();
    Settings { scrape_urls, scrape_interval: INTERVAL, ..settings(place) }
}

/// The clock of a machine that is so far off.
fn skewed(skew_ms: i64) -> ScrapeClock {
    ScrapeClock::of_machine(move || sidelight_collector::clock::now_ms() + skew_ms)
}

async fn proxies(count: usize) -> Vec<CountingProxy> {
    let mut proxies = Vec::new();
    for _ in 0..count {
        proxies.push(CountingProxy::start(0).await);
    }
    proxies
}

/// Who scrapes how many targets, as one of the collectors tells.
async fn owners(dashboard: SocketAddr) -> BTreeMap<String, usize> {
    let (_, text) = get(dashboard, "/api/targets").await;
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut owners = BTreeMap::new();
    for target in answer["data"]["activeTargets"].as_array().unwrap() {
        if let Some(owner) = target["collector"].as_str() {
            *owners.entry(owner.to_owned()).or_default() += 1;
        }
    }
    owners
}

async fn health(dashboard: SocketAddr) -> Vec<String> {
    let (_, text) = get(dashboard, "/api/targets").await;
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    let targets = answer["data"]["activeTargets"].as_array().unwrap();
    targets.iter().map(|target| target["health"].as_str().unwrap().to_owned()).collect()
}

async fn until_shared(dashboard: SocketAddr, collectors: usize, targets: usize) {
    eventually(&format!("{collectors} collectors share {targets} targets"), || async {
        let owners = owners(dashboard).await;
        owners.len() == collectors && owners.values().sum::<usize>() == targets
    })
    .await;
}

/// How much too late this program got its turns, all in all: a busy machine delays a collector as it delays this.
#[derive(Clone, Default)]
struct Lateness(Arc<Mutex<Duration>>);

impl Lateness {
    fn watch() -> Self {
        let (lateness, pause) = (Self::default(), Duration::from_millis(20));
        let total = Arc::downgrade(&lateness.0);
        tokio::spawn(async move {
            while total.strong_count() > 0 {
                let before = Instant::now();
                tokio::time::sleep(pause).await;
                if let Some(total) = total.upgrade() {
                    *total.lock() += before.elapsed() - pause;
                }
            }
        });
        lateness
    }

    /// No target went without a scrape for longer than two intervals since a moment.
    fn check(&self, proxies: &[CountingProxy], since: Instant) {
        let late = LATE + *self.0.lock();
        for proxy in proxies {
            let gap = longest_gap(proxy, since);
            assert!(gap <= 2 * INTERVAL + late, "{gap:?} without a scrape, {late:?} late");
        }
    }
}

/// The longest time between two scrapes of one proxy since a moment, the time until now included.
fn longest_gap(proxy: &CountingProxy, since: Instant) -> Duration {
    let times = proxy.scraped_at();
    let first = times.iter().rposition(|at| *at <= since).unwrap_or(0);
    let mut gaps: Vec<Duration> = times[first..].windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.push(times.last().unwrap().elapsed());
    gaps.into_iter().max().unwrap()
}

/// A collector in a runtime of its own, which ends without any farewell.
struct Doomed {
    dashboard: SocketAddr,
    kill: CancellationToken,
    thread: std::thread::JoinHandle<()>,
}

impl Doomed {
    async fn start(settings: Settings) -> Self {
        let (kill, (started, address)) = (CancellationToken::new(), tokio::sync::oneshot::channel());
        let killed = kill.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let collector = Collector::start(settings).await.unwrap();
                started.send(collector.addresses().dashboard).unwrap();
                killed.cancelled().await;
            });
            runtime.shutdown_background();
        });
        Self { dashboard: address.await.unwrap(), kill, thread }
    }

    async fn kill(self) {
        self.kill.cancel();
        tokio::task::spawn_blocking(move || self.thread.join().unwrap()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_collectors_share_the_targets_and_survive_one_that_is_killed() {
    let (place, proxies) = (Place::postgres().await, proxies(18).await);
    let (one, two) =
        (Collector::start(shared(&place, &proxies)).await.unwrap(), Collector::start(shared(&place, &proxies)).await.unwrap());
    let doomed = Doomed::start(shared(&place, &proxies)).await;
    until_shared(one.addresses().dashboard, 3, proxies.len()).await;
    eventually("all tell the same", || async { owners(two.addresses().dashboard).await == owners(doomed.dashboard).await }).await;
    let mut counted = 0;
    let mut count = || {
        proxies.iter().for_each(|proxy| proxy.count("cart", 3));
        counted += 3 * proxies.len() as u64;
        counted
    };
    // Shared out, each target is scraped once per interval and by one of them.
    let (before, since): (Vec<u64>, _) = (proxies.iter().map(CountingProxy::scrapes).collect(), Instant::now());
    let counted = count();
    until_stored(&one, "cart", counted).await;
    until_stored(&two, "cart", counted).await;
    for (proxy, before) in proxies.iter().zip(&before) {
        eventually("five scrapes", || async { proxy.scrapes() >= before + 5 }).await;
        // Two owners would scrape twice as often, and a target that changes hands is scraped once more.
        let scrapes = (proxy.scrapes() - before) as f64;
        let intervals = since.elapsed().as_secs_f64() / INTERVAL.as_secs_f64();
        assert!(scrapes <= 1.5 * intervals + 2.0, "{scrapes} scrapes in {intervals} intervals");
    }
    let (killed_at, lateness) = (Instant::now(), Lateness::watch());
    doomed.kill().await;
    let counted = count();
    until_shared(one.addresses().dashboard, 2, proxies.len()).await;
    until_stored(&one, "cart", counted).await;
    eventually("three intervals", || async { killed_at.elapsed() >= 3 * INTERVAL }).await;
    lateness.check(&proxies, killed_at);
    // One that leaves in order scrapes a last time, and the other has everything at once.
    let counted = count();
    two.shutdown().await;
    assert_eq!(owners(one.addresses().dashboard).await.len(), 1);
    until_stored(&one, "cart", counted).await;
    until_shared(one.addresses().dashboard, 1, proxies.len()).await;
    let counted = count();
    until_stored(&one, "cart", counted).await;
    one.shutdown().await;
}

/// Names the database and the targets of a collector that runs in a process of its own.
const CHILD_DATABASE: &str = "SIDELIGHT_TEST_CHILD_DATABASE";
const CHILD_TARGETS: &str = "SIDELIGHT_TEST_CHILD_TARGETS";

/// This program again, as a collector.
fn child(database: &str, targets: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_process_of_its_own"]).env(CHILD_DATABASE, database).env(CHILD_TARGETS, targets);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Is the collector when it is told so; otherwise sees to it that one without a database ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_of_its_own() {
    let Ok(database) = std::env::var(CHILD_DATABASE) else {
        let mut lost = child("postgres://nobody@127.0.0.1:1/nothing", "");
        let ended = tokio::task::spawn_blocking(move || lost.wait().unwrap());
        assert!(!ended.await.unwrap().success());
        return;
    };
    let place = Place::Postgres(database);
    let targets = std::env::var(CHILD_TARGETS).unwrap();
    let scrape_urls = targets.split_whitespace().map(str::to_owned).collect();
    let settings = Settings { scrape_urls, scrape_interval: INTERVAL, ..settings(&place) };
    let _collector = Collector::start(settings).await.unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_of_a_process_that_is_killed_move_within_two_intervals() {
    let (place, proxies) = (Place::postgres().await, proxies(8).await);
    let Place::Postgres(database) = &place else { panic!("no Postgres") };
    let urls: Vec<String> = proxies.iter().map(CountingProxy::url).collect();
    let survivor = Collector::start(shared(&place, &proxies)).await.unwrap();
    let mut counted = 0;
    for _ in 0..3 {
        let mut process = child(database, &urls.join(" "));
        until_shared(survivor.addresses().dashboard, 2, proxies.len()).await;
        proxies.iter().for_each(|proxy| proxy.count("cart", 7));
        counted += 7 * proxies.len() as u64;
        let (killed_at, lateness) = (Instant::now(), Lateness::watch());
        // SIGKILL: nothing is said, nothing is closed in order.
        process.kill().unwrap();
        process.wait().unwrap();
        proxies.iter().for_each(|proxy| proxy.count("cart", 1));
        counted += proxies.len() as u64;
        until_shared(survivor.addresses().dashboard, 1, proxies.len()).await;
        until_stored(&survivor, "cart", counted).await;
        eventually("three intervals", || async { killed_at.elapsed() >= 3 * INTERVAL }).await;
        lateness.check(&proxies, killed_at);
    }
    survivor.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_disagree_count_nothing_twice() {
    let place = Place::postgres().await;
    let proxy = CountingProxy::start(100_000).await;
    // Only its age is told, and an age is compared with the time that has passed.
    proxy.hide_start();
    proxy.count("cart", 1_000);
    let quick = || Settings { scrape_interval: Duration::from_millis(200), ..shared(&place, std::slice::from_ref(&proxy)) };
    let mut counted = 0;
    for skew_ms in [0, 3_600_000, -3_600_000, 90_000_000, 0] {
        let scraped = proxy.scrapes();
        let collector = Collector::start_by(quick(), skewed(skew_ms)).await.unwrap();
        eventually("a scrape", || async { proxy.scrapes() > scraped + 1 }).await;
        proxy.count("cart", 5);
        counted += 5;
        until_stored(&collector, "cart", counted).await;
        let status = collector.scrapes().get(&proxy.url()).unwrap();
        let off_ms = status.last_at_ms - sidelight_collector::clock::now_ms();
        assert!(off_ms.abs() < 60_000, "dated {off_ms} ms off by a clock that is {skew_ms} ms off");
        collector.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_off_takes_no_target_for_silent() {
    let (place, proxies) = (Place::postgres().await, proxies(6).await);
    let one = Collector::start(shared(&place, &proxies)).await.unwrap();
    let two = Collector::start_by(shared(&place, &proxies), skewed(3_600_000)).await.unwrap();
    until_shared(two.addresses().dashboard, 2, proxies.len()).await;
    eventually("all targets are up", || async { health(two.addresses().dashboard).await == ["up"; 6] }).await;
    two.shutdown().await;
    one.shutdown().await;
}

fn text(value: &str) -> Value {
    Value { kind: Some(Kind::StringValue(value.to_owned())) }
}

/// The node of a proxy whose own metrics are at its address.
fn node(proxy: &CountingProxy) -> Node {
    let pairs = [("NAMESPACE", "test"), ("WORKLOAD_NAME", "cart"), ("ENVOY_PROMETHEUS_PORT", &proxy.address.port().to_string())];
    let fields = pairs.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect();
    Node {
        id: "sidecar~127.0.0.1~cart-0.test~test.svc.cluster.local".to_owned(),
        cluster: "cart.test".to_owned(),
        metadata: Some(Struct { fields }),
        ..Node::default()
    }
}

/// Stays connected for as long as the sender lives.
async fn connect(collector: &Collector, node: Node) -> tokio::sync::mpsc::Sender<DiscoveryRequest> {
    let address = format!("http://{}", collector.addresses().xds);
    let mut client = AggregatedDiscoveryServiceClient::connect(address).await.unwrap();
    let (requests, receiver) = tokio::sync::mpsc::channel(4);
    let type_url = "type.googleapis.com/envoy.config.cluster.v3.Cluster".to_owned();
    requests.send(DiscoveryRequest { node: Some(node), type_url, ..DiscoveryRequest::default() }).await.unwrap();
    let responses = client.stream_aggregated_resources(tokio_stream::wrappers::ReceiverStream::new(receiver)).await.unwrap();
    tokio::spawn(async move {
        let mut responses = responses.into_inner();
        while let Ok(Some(_)) = responses.message().await {}
    });
    requests
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_known_by_a_file_and_by_its_connection_is_one_target_for_all() {
    let place = Place::postgres().await;
    let proxy = CountingProxy::start(0).await;
    let quick = |scrape_urls| Settings { scrape_urls, scrape_interval: Duration::from_millis(200), ..settings(&place) };
    let (one, two) =
        (Collector::start(quick(vec![proxy.url()])).await.unwrap(), Collector::start(quick(vec![proxy.url()])).await.unwrap());
    proxy.count("cart", 10);
    until_stored(&one, "cart", 10).await;
    let connection = connect(&two, node(&proxy)).await;
    eventually("the proxy is registered", || async { !two.control().targets().borrow().is_empty() }).await;
    for round in 1..=5 {
        proxy.count("cart", 1);
        until_stored(&one, "cart", 10 + round).await;
        until_stored(&two, "cart", 10 + round).await;
        assert_eq!(owners(one.addresses().dashboard).await.values().sum::<usize>(), 1);
    }
    drop(connection);
    eventually("the proxy has left", || async { two.control().targets().borrow().is_empty() }).await;
    proxy.count("cart", 1);
    until_stored(&two, "cart", 16).await;
    one.shutdown().await;
    proxy.count("cart", 1);
    until_stored(&two, "cart", 17).await;
    two.shutdown().await;
    let keys: BTreeSet<String> = place.open().await.leased_targets().await.unwrap().iter().map(|t| t.key.to_string()).collect();
    assert_eq!(keys, BTreeSet::new(), "whoever leaves in order leaves nothing");
}

async fn a_proxy_that_leaves_just_before_the_collector_stops_is_counted(place: &Place) {
    let proxy = CountingProxy::start(0).await;
    let rare = Settings { scrape_interval: Duration::from_secs(3600), ..settings(place) };
    let collector = Collector::start(rare).await.unwrap();
    let connection = connect(&collector, node(&proxy)).await;
    eventually("the first scrape", || async { !collector.scrapes().all().is_empty() }).await;
    proxy.count("cart", 9);
    // The last scrape still runs when the collector is told to stop.
    proxy.slow_down(Duration::from_millis(500));
    drop(connection);
    eventually("the proxy has left", || async { collector.control().targets().borrow().is_empty() }).await;
    collector.shutdown().await;
    let collector = Collector::start(settings(place)).await.unwrap();
    assert_eq!(stored(&collector, "cart").await, 9);
    collector.shutdown().await;
}

async fn a_proxy_that_comes_back_during_its_last_scrape_waits_for_it(place: &Place) {
    let proxy = CountingProxy::start(0).await;
    let rare = Settings { scrape_interval: Duration::from_secs(3600), ..settings(place) };
    let collector = Collector::start(rare).await.unwrap();
    let mut connection = connect(&collector, node(&proxy)).await;
    eventually("the first scrape", || async { !collector.scrapes().all().is_empty() }).await;
    proxy.slow_down(Duration::from_millis(300));
    for round in 1..=4 {
        proxy.count("cart", 1);
        let scrapes = proxy.scrapes();
        drop(connection);
        eventually("the proxy has left", || async { collector.control().targets().borrow().is_empty() }).await;
        connection = connect(&collector, node(&proxy)).await;
        // Once when it left, once when it came.
        eventually("two scrapes", || async { proxy.scrapes() >= scrapes + 2 }).await;
        until_stored(&collector, "cart", round).await;
    }
    eventually("how it went shows", || async { collector.scrapes().get(&proxy.url()).is_some_and(|scrape| scrape.up) }).await;
    let (_, metrics) = get(collector.addresses().dashboard, "/metrics").await;
    assert!(!metrics.contains("sidelight_scrapes_total{outcome=\"failed\"}"), "{metrics}");
    drop(connection);
    collector.shutdown().await;
}

on_both!(
    a_proxy_that_leaves_just_before_the_collector_stops_is_counted,
    a_proxy_that_comes_back_during_its_last_scrape_waits_for_it,
);
