//! The control plane: configuration objects, their validation and translation, and the proxies that run them.

mod ads;
mod api;
mod config;
mod metrics;
mod objects;
mod proxies;
mod resources;
mod structs;
mod translate;
mod view;
mod wire;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use sidelight_api::proxy::Scrape;
use sidelight_api::timeline::Change;
use sidelight_mesh::config::MeshSettings;
use sidelight_mesh::identity::NodeIdentity;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

pub use self::api::BODY_BYTES_MAX;
pub use self::config::OBJECTS_MAX;
pub use self::metrics::ControlMetrics;
pub use self::proxies::{ANSWER_GRACE, PROXIES_MAX, RECONNECT_GRACE};
pub use self::view::MeshView;

use self::objects::Objects;
use self::proxies::Proxies;
use crate::clock;
use crate::store::revisions::{RevisionError, RevisionStore};

/// How long changes of the registry are gathered before they are handed out: a workload's replicas come together.
pub const DEBOUNCE: Duration = Duration::from_millis(30);

/// How often the proxies whose grace is over are looked for, and what other collectors saved in the same store.
const TEND_INTERVAL: Duration = Duration::from_secs(1);

/// Of the same trouble with the store, one line in this time: a database that is away for an hour is told of 60 times.
const FOLLOW_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// What the control plane needs to be told.
#[derive(Clone, Debug)]
pub struct ControlSettings {
    /// `host:port` to which proxies send their spans, as they reach it.
    pub zipkin: String,
    /// Share of requests that are traced, percent.
    pub trace_sampling_percent: f64,
    /// Domain, root namespace, and what happens to calls of unknown hosts.
    pub mesh: MeshSettings,
    /// Whether `x-sidelight-author` names the author of a change: only where nobody logs in.
    pub trust_author_header: bool,
    /// How long after its start the control plane lets proxies that already have a configuration wait for an answer.
    ///
    /// The registry is empty after a restart and fills as the proxies come back: answering the first of them at once
    /// would take all endpoints of the others away from it.
    pub settle: Duration,
    pub metrics: ControlMetrics,
}

impl ControlSettings {
    /// Settings of a mesh of one collector, with spans sent to `zipkin`.
    #[must_use]
    pub fn new(zipkin: String) -> Self {
        Self {
            zipkin,
            trace_sampling_percent: 1.0,
            mesh: MeshSettings::default(),
            trust_author_header: false,
            settle: Duration::from_secs(2),
            metrics: ControlMetrics::default(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("failed to load the configuration objects")]
    Load(#[from] RevisionError),
    #[error("failed to serve ADS")]
    Listen(#[from] std::io::Error),
}

/// Who made a change, put into the request by whoever checked the login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author(pub String);

/// A proxy to scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Node id.
    pub id: String,
    pub url: String,
    pub identity: NodeIdentity,
    /// False within the grace after its stream broke.
    pub connected: bool,
    pub registered_at_ms: i64,
}

/// Tells how the last scrape of a node went, for `GET /api/proxies`.
pub type ScrapeReport = dyn Fn(&str) -> Option<Scrape> + Send + Sync;

/// Cheap to clone handle of the control plane.
#[derive(Clone)]
pub struct ControlPlane {
    inner: Arc<Inner>,
}

struct Inner {
    settings: ControlSettings,
    started: Instant,
    revisions: Arc<dyn RevisionStore>,
    objects: Objects,
    proxies: Proxies,
    view: watch::Sender<Arc<MeshView>>,
    targets: watch::Sender<Arc<[Target]>>,
    scrapes: RwLock<Option<Arc<ScrapeReport>>>,
    /// Held by whoever checks and writes configuration, so that what was checked is what is written.
    edits: tokio::sync::Mutex<()>,
    /// Held while a new view is made, so that none overtakes another.
    publishing: Mutex<()>,
    /// Rung when proxies came or went.
    registry_changed: Notify,
    shutdown: CancellationToken,
}

impl ControlPlane {
    /// Loads the objects from the store and starts serving ADS on `listener`, until `shutdown`.
    pub async fn start(
        settings: ControlSettings,
        revisions: Arc<dyn RevisionStore>,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<Self, ControlError> {
        let objects = Objects::load(&*revisions, &settings.mesh).await?;
        let inner = Arc::new(Inner {
            settings,
            started: Instant::now(),
            revisions,
            objects,
            proxies: Proxies::default(),
            view: watch::Sender::new(Arc::default()),
            targets: watch::Sender::new(Arc::default()),
            scrapes: RwLock::new(None),
            edits: tokio::sync::Mutex::new(()),
            publishing: Mutex::new(()),
            registry_changed: Notify::new(),
            shutdown,
        });
        inner.publish();
        tokio::spawn(tend(Arc::clone(&inner)));
        tokio::spawn(follow(Arc::clone(&inner)));
        ads::serve(Arc::clone(&inner), listener)?;
        Ok(Self { inner })
    }

    /// Registered proxies to scrape; changes when one comes or goes.
    #[must_use]
    pub fn targets(&self) -> watch::Receiver<Arc<[Target]>> {
        self.inner.targets.subscribe()
    }

    /// The mesh as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<MeshView> {
        self.inner.view.borrow().clone()
    }

    /// Changes of configuration with `from_ms <= t < to_ms`, oldest first; no namespaces means all.
    pub async fn changes(&self, from_ms: i64, to_ms: i64, namespaces: &[String]) -> Result<Vec<Change>, RevisionError> {
        self.inner.changes(from_ms, to_ms, namespaces).await
    }

    /// Node ids of proxies that do not run what they were sent: they refused it, or have not answered for
    /// [`ANSWER_GRACE`].
    #[must_use]
    pub fn out_of_sync(&self) -> BTreeSet<String> {
        self.inner.proxies.out_of_sync(clock::now_ms())
    }

    /// `/api/config…` and `/api/proxies`, to be nested under whatever checks the login.
    pub fn router(&self) -> axum::Router {
        api::router(Arc::clone(&self.inner))
    }

    /// Lets `GET /api/proxies` tell how each proxy's last scrape went.
    pub fn report_scrapes(&self, report: Arc<ScrapeReport>) {
        *self.inner.scrapes.write() = Some(report);
    }
}

/// Publishes changes of the registry, gathered over [`DEBOUNCE`], and forgets proxies that did not come back.
async fn tend(inner: Arc<Inner>) {
    let mut ticks = tokio::time::interval(TEND_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let changed = tokio::select! {
            () = inner.shutdown.cancelled() => return,
            () = inner.registry_changed.notified() => {
                tokio::time::sleep(DEBOUNCE).await;
                true
            }
            _ = ticks.tick() => inner.proxies.forget_the_gone(Instant::now()),
        };
        if changed {
            inner.publish();
        }
    }
}

/// Takes up what other collectors saved in the same store. A task of its own: a database that is slow or away must not
/// keep proxies from hearing of each other's endpoints.
async fn follow(inner: Arc<Inner>) {
    let mut ticks = tokio::time::interval(TEND_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told_at: Option<Instant> = None;
    loop {
        tokio::select! {
            () = inner.shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let result = tokio::select! {
            () = inner.shutdown.cancelled() => return,
            result = inner.objects.follow(&*inner.revisions) => result,
        };
        match result {
            Ok(true) => inner.publish(),
            Ok(false) => {}
            Err(error) if told_at.is_none_or(|at| at.elapsed() >= FOLLOW_LOG_INTERVAL) => {
                told_at = Some(Instant::now());
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot look for new configuration");
            }
            Err(_) => {}
        }
    }
}

impl Inner {
    /// Makes a view of what is now, and wakes everybody who waits for it.
    fn publish(&self) {
        let _one_at_a_time = self.publishing.lock();
        let records = self.proxies.list();
        let sequence = self.view.borrow().sequence() + 1;
        let identities = records.iter().map(|record| NodeIdentity::clone(&record.identity));
        let view = MeshView::new(sequence, self.objects.config(), identities);
        self.settings.metrics.proxies(records.len());
        self.targets.send_replace(records.iter().map(target).collect());
        self.view.send_replace(Arc::new(view));
    }

    /// How the control plane names itself to proxies, as Istio's does.
    fn identifier(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        format!(r#"{{"Component":"sidelight","ID":"sidelight","Info":{{"version":"{version}"}}}}"#)
    }
}

fn target(record: &proxies::Record) -> Target {
    let identity = &record.identity;
    // Istio's agent merges the metrics of proxy and application behind the status port; a bare proxy has its own only.
    let port = if identity.istio_version.is_empty() { identity.ports.prometheus } else { identity.ports.status };
    Target {
        id: identity.node_id.clone(),
        url: format!("http://{}/stats/prometheus", SocketAddr::new(identity.ip, port)),
        identity: NodeIdentity::clone(identity),
        connected: record.connected,
        registered_at_ms: record.registered_at_ms,
    }
}
