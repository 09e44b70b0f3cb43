//! A proxy that only counts: it serves an exposition that the test sets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::Router;
use axum::routing::get;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub struct CountingProxy {
    pub address: SocketAddr,
    process: Arc<Mutex<Process>>,
    scrapes: Arc<AtomicU64>,
    scraped_at: Arc<Mutex<Vec<Instant>>>,
    slowness_ms: Arc<AtomicU64>,
    stop: CancellationToken,
}

struct Process {
    started: Instant,
    /// Age at the first scrape, for a process that was there before the test.
    head_start_s: u64,
    started_at_ms: i64,
    tells_start: bool,
    requests: Vec<(String, u64)>,
}

impl Process {
    fn new(head_start_s: u64) -> Self {
        let started_at_ms = sidelight_collector::clock::now_ms() - head_start_s as i64 * 1000;
        Self { started: Instant::now(), head_start_s, started_at_ms, tells_start: true, requests: Vec::new() }
    }

    fn exposition(&self) -> String {
        let uptime_s = self.started.elapsed().as_secs() + self.head_start_s;
        let mut text = format!("# TYPE istio_requests_total counter\nenvoy_server_uptime{{}} {uptime_s}\n");
        // Processes of a test live for less than an uptime can tell apart.
        if self.tells_start {
            text.push_str(&format!("envoy_server_start_time_ms{{}} {}\n", self.started_at_ms));
        }
        for (workload, count) in &self.requests {
            let block = format!(
                "reporter=\"destination\",source_workload=\"client\",source_workload_namespace=\"test\",\
                 destination_workload=\"{workload}\",destination_workload_namespace=\"test\",response_code=\"200\""
            );
            text.push_str(&format!("istio_requests_total{{{block}}} {count}\n"));
            for bound in ["1", "10", "+Inf"] {
                text.push_str(&format!("istio_request_duration_milliseconds_bucket{{{block},le=\"{bound}\"}} {count}\n"));
            }
            text.push_str(&format!("istio_request_duration_milliseconds_sum{{{block}}} {count}\n"));
            text.push_str(&format!("istio_request_duration_milliseconds_count{{{block}}} {count}\n"));
        }
        text
    }
}

impl CountingProxy {
    pub async fn start(head_start_s: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let process = Arc::new(Mutex::new(Process::new(head_start_s)));
        let (scrapes, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let proxy =
            Self { address, process, scrapes, scraped_at: Arc::default(), slowness_ms: Arc::default(), stop: stop.clone() };
        let served = proxy.clone();
        let answer = move || {
            let text = served.process.lock().exposition();
            served.scrapes.fetch_add(1, Ordering::Relaxed);
            served.scraped_at.lock().push(Instant::now());
            let slowness = std::time::Duration::from_millis(served.slowness_ms.load(Ordering::Relaxed));
            async move {
                tokio::time::sleep(slowness).await;
                text
            }
        };
        let router = Router::new().route("/stats/prometheus", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await });
        proxy
    }

    pub fn url(&self) -> String {
        format!("http://{}/stats/prometheus", self.address)
    }

    /// Counts requests that `workload` answered.
    pub fn count(&self, workload: &str, requests: u64) {
        let counters = &mut self.process.lock().requests;
        match counters.iter_mut().find(|(known, _)| known == workload) {
            Some((_, count)) => *count += requests,
            None => counters.push((workload.to_owned(), requests)),
        }
    }

    /// A new process under the same address: all counters begin anew.
    pub fn restart(&self) {
        *self.process.lock() = Process::new(0);
    }

    /// Answers come late from now on.
    pub fn slow_down(&self, by: std::time::Duration) {
        self.slowness_ms.store(by.as_millis() as u64, Ordering::Relaxed);
    }

    /// As Envoy: only its age is told.
    pub fn hide_start(&self) {
        self.process.lock().tells_start = false;
    }

    /// When it was scraped, oldest first.
    pub fn scraped_at(&self) -> Vec<Instant> {
        self.scraped_at.lock().clone()
    }

    pub fn scrapes(&self) -> u64 {
        self.scrapes.load(Ordering::Relaxed)
    }

    pub fn stop(&self) {
        self.stop.cancel();
    }
}
