//! Starts the rooms of a collector in their order, and ends them in the reverse one.

mod doors;
mod export;
mod forgetting;
mod forwarding;
mod jaeger;
mod merging;
mod own;
mod rules;
mod stores;
mod targets;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use sidelight_mesh::identity::IdentityError;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::doors::{Doors, OtlpListeners};
use self::jaeger::JaegerListeners;
use self::rules::RuleParts;
use self::stores::Stores;
use crate::clock::now_ms;
use crate::control::{ControlError, ControlPlane, ControlSettings};
use crate::export::ClientError;
use crate::ingest::door::SecurityError;
use crate::ingest::report;
use crate::ingest::scrape::config::ScrapeConfigError;
use crate::ingest::scrape::{FileTargetsError, Scheduler, ScrapeClock, ScrapeStatuses, ScrapedTargets};
use crate::ingest::zipkin::ZipkinDoor;
use crate::own_metrics::OwnMetrics;
use crate::pipeline::tail_sampling::{Judge, RulesError};
use crate::pipeline::{Intake, IsScraped, PushedEdges, Writer};
use crate::rules::RuleMistakes;
use crate::settings::{AuthSettings, Settings, SettingsMistakes};
use crate::store::{Family, Store, StoreError, compacts};
use crate::web::auth::{Auth, TokenError};
use crate::web::jaeger::Jaeger;
use crate::web::prometheus::{Prometheus, PrometheusParts};
use crate::web::{HostPolicy, StatusFacts, Turns, WebParts};

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Settings(#[from] SettingsMistakes),
    #[error("failed to listen on {address} for {what}")]
    Listen {
        what: &'static str,
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("failed to start the control plane")]
    Control(#[from] ControlError),
    #[error(transparent)]
    Targets(#[from] FileTargetsError),
    #[error(transparent)]
    ScrapeConfig(#[from] ScrapeConfigError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("failed to guard the doors")]
    Security(#[from] SecurityError),
    #[error(transparent)]
    Export(#[from] ClientError),
    #[error(transparent)]
    TailSampling(#[from] RulesError),
    #[error(transparent)]
    Rules(#[from] RuleMistakes),
    #[error("failed to name the collector as a workload")]
    Identity(#[from] IdentityError),
}

/// Where a collector can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub dashboard: SocketAddr,
    pub zipkin: SocketAddr,
    pub xds: SocketAddr,
    /// Nothing where the port was not asked for.
    pub otlp_grpc: Option<SocketAddr>,
    pub otlp_http: Option<SocketAddr>,
    pub prometheus_api: Option<SocketAddr>,
    pub jaeger_query: Option<SocketAddr>,
    pub jaeger_grpc: Option<SocketAddr>,
}

/// A running collector. When it is dropped without [`Self::shutdown`], it ends with the runtime, as if it were killed.
pub struct Collector {
    addresses: Addresses,
    store: Arc<dyn Store>,
    control: ControlPlane,
    metrics: Arc<OwnMetrics>,
    statuses: ScrapeStatuses,
    stop: Stop,
    tasks: Tasks,
}

/// One for each step of the end.
#[derive(Default)]
struct Stop {
    scraping: CancellationToken,
    doors: CancellationToken,
    intake: CancellationToken,
    writing: CancellationToken,
    exports: CancellationToken,
    control: CancellationToken,
}

struct Tasks {
    scraping: JoinHandle<()>,
    doors: Vec<JoinHandle<()>>,
    intake: JoinHandle<()>,
    writing: JoinHandle<()>,
    exports: Vec<JoinHandle<()>>,
}

struct Listeners {
    dashboard: TcpListener,
    zipkin: TcpListener,
    xds: TcpListener,
    otlp: OtlpListeners,
    prometheus: Option<TcpListener>,
    jaeger: JaegerListeners,
}

impl Collector {
    /// Starts everything; when this returns, every port answers.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        Self::start_by(settings, ScrapeClock::default()).await
    }

    /// The same, with scrapes planned and dated by a clock of the caller's.
    pub async fn start_by(settings: Settings, clock: ScrapeClock) -> Result<Self, StartError> {
        settings.validate()?;
        info!(?settings, "starting");
        let (listeners, addresses) = Listeners::bind(&settings).await?;
        let auth = Arc::new(auth(&settings.auth)?);
        let Stores { store, revisions, export_queue, sampling } =
            stores::open(&settings.database, settings.database_pool).await?;
        let metrics = OwnMetrics::new();
        let stop = Stop::default();

        let exports = export::start(&settings.export, &export_queue, metrics.export(), &stop.exports)?;
        // Before the first span is stored: without facts it would have no verdict.
        let judging = settings.tail_sampling.clone().map(|path| Judge::new(path, sampling, metrics.sampling())).transpose()?;
        let (writer, handle) = Writer::new(Arc::clone(&store), Arc::clone(&metrics));
        let writing = tokio::spawn(writer.run(stop.writing.clone()));
        let statuses = ScrapeStatuses::default();
        let scraped = ScrapedTargets::new(statuses.clone());
        let is_scraped = scraped.clone();
        let is_scraped: IsScraped = Arc::new(move |name| is_scraped.has(name));
        let pushed = PushedEdges::new(Arc::clone(&store), store.created_at_ms().await?, is_scraped);
        let intake = Intake::new(handle.clone()).with_edges(Arc::clone(&store)).with_pushed_edges(pushed);
        let doors = Doors::new(&settings, intake.clone(), metrics.doors())?;
        let control = ControlPlane::start(
            control_settings(&settings, addresses.zipkin, &metrics),
            Arc::clone(&revisions),
            listeners.xds,
            stop.control.clone(),
        )
        .await?;
        let reported = statuses.clone();
        control.report_scrapes(Arc::new(move |node_id| reported.get(node_id)));
        let collector_id: Arc<str> = uuid::Uuid::new_v4().to_string().into();
        let (leases, ownership) =
            rules::share(targets::leases(&settings, &collector_id, &store, &clock, &metrics), &settings.rules);
        let (forwarding, forwarder) = forwarding::start(&settings, &store, &metrics, &stop.doors).await?.unzip();
        let scheduler = Scheduler::new(
            clock.clone(),
            Arc::clone(&store),
            handle.clone(),
            Arc::clone(&metrics),
            statuses.clone(),
            leases,
            forwarder.clone(),
        )
        .await?;
        let mut sources = targets::sources(&settings, &control, &stop.scraping).await?;
        let mut own = own::start(&settings, addresses.dashboard, &stop.doors).await?;
        sources.extend(own.source.take());
        let scraping = tokio::spawn(scheduler.run(sources, stop.scraping.clone()));

        let (door, security) = doors.zipkin();
        let zipkin_transport = doors.transport(&security, door.name());
        let zipkin = ZipkinDoor::new(Arc::clone(&store), door, security, settings.retention.spans);
        let rule_parts = RuleParts {
            settings: &settings,
            dashboard: addresses.dashboard,
            store: &store,
            intake: &intake,
            forwarder,
            ownership,
            metrics: &metrics,
            stop: &stop.doors,
        };
        let (loaded, rule_tasks) = rules::start(rule_parts).await?;
        let page = targets::page(&clock, &statuses, &store, &collector_id);
        let prometheus = Prometheus::new(PrometheusParts {
            store: Arc::clone(&store),
            targets: page.clone(),
            rules: loaded,
            alertmanagers: rules::alertmanagers(&settings.rules),
            rule_files: settings.rules.files.clone(),
            scrape_interval: settings.scrape_interval,
            evaluation_interval: settings.rules.interval,
            keeps: settings.retention.of(Family::SampleBlock),
        });
        let turns = Turns::default();
        let zipkin_reads = crate::web::zipkin::routes(Arc::clone(&store), turns.clone());
        let jaeger = Jaeger::new(Arc::clone(&store), settings.archive, turns);
        let parts = WebParts {
            store: Arc::clone(&store),
            revisions,
            mesh: Arc::new(control.clone()),
            status: StatusFacts {
                started_at_ms: now_ms(),
                scrape_interval_s: settings.scrape_interval.as_secs_f64(),
                retention_s: settings.retention.hours.as_secs(),
            },
            api: api(&control, &store, &intake, zipkin.writes().merge(zipkin_reads.clone()), &metrics)
                .merge(own.stats())
                .merge(crate::ingest::scrape::report::router(page))
                .merge(doors.remote_write(&store).routes())
                .merge(jaeger.below())
                .merge(crate::web::federate::routes(Arc::clone(&store)))
                .merge(prometheus.routes()),
            open: Router::new(),
            hosts: hosts(&settings),
            auth: Arc::clone(&auth),
            exporters: exports.reports,
            metrics: Arc::clone(&metrics),
        };
        let spans = crate::web::door(zipkin.writes().merge(zipkin.health()), zipkin_reads, Arc::clone(&auth), hosts(&settings));
        crate::web::warn_if_exposed(addresses.dashboard, auth.mode());
        let intake = tokio::spawn(intake.run(stop.intake.clone()));
        let mut tasks = doors.serve(listeners.otlp, &store, &handle, &own, &stop.doors);
        if let Some(listener) = listeners.prometheus {
            let (open, reads) = prometheus.port();
            let port = own.watch(crate::web::door(open, reads, Arc::clone(&auth), hosts(&settings)));
            tasks.push(tokio::spawn(crate::web::serve(listener, port, stop.doors.clone())));
        }
        tasks.extend(rule_tasks);
        tasks.extend([
            tokio::spawn(crate::web::serve(listeners.dashboard, own.watch(crate::web::app(parts)), stop.doors.clone())),
            tokio::spawn(crate::web::serve_over(zipkin_transport, listeners.zipkin, own.watch(spans), stop.doors.clone())),
            tokio::spawn(merging::run(
                Arc::clone(&store),
                compacts(&*store).await?,
                settings.retention,
                Arc::clone(&metrics),
                stop.doors.clone(),
            )),
            tokio::spawn(scraped.run(Arc::clone(&store), Arc::clone(&collector_id), stop.doors.clone())),
            tokio::spawn(forgetting::run(Arc::clone(&store), settings.retention, Arc::clone(&metrics), stop.doors.clone())),
        ]);
        tasks.extend(listeners.jaeger.serve(&jaeger, &auth, &hosts(&settings), &own, &stop.doors));
        tasks.extend(forwarding);
        tasks.extend(judging.map(|judge| tokio::spawn(judge.run(stop.doors.clone()))));
        info!(?addresses, "ready");
        let tasks = Tasks { scraping, doors: tasks, intake, writing, exports: exports.tasks };
        Ok(Self { addresses, store, control, metrics, statuses, stop, tasks })
    }

    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    #[must_use]
    pub fn control(&self) -> &ControlPlane {
        &self.control
    }

    #[must_use]
    pub fn metrics(&self) -> &Arc<OwnMetrics> {
        &self.metrics
    }

    #[must_use]
    pub fn scrapes(&self) -> &ScrapeStatuses {
        &self.statuses
    }

    /// Scrapes every target one last time, lets open requests end, writes what waits, and closes the database.
    pub async fn shutdown(self) {
        // The doors stay open meanwhile: proxies that are ending as well send their last spans.
        self.stop.scraping.cancel();
        ended("scraping", self.tasks.scraping).await;
        self.stop.doors.cancel();
        for task in self.tasks.doors {
            ended("a door", task).await;
        }
        self.stop.intake.cancel();
        ended("counting", self.tasks.intake).await;
        self.stop.writing.cancel();
        ended("writing", self.tasks.writing).await;
        self.stop.exports.cancel();
        for task in self.tasks.exports {
            ended("an exporter", task).await;
        }
        // Last, because a proxy that loses its control plane tells so, and looks for it again.
        self.stop.control.cancel();
        self.store.close().await;
        info!("stopped");
    }
}

async fn ended(what: &str, task: JoinHandle<()>) {
    if let Err(error) = task.await {
        warn!(%error, "{what} ended in a panic");
    }
}

impl Listeners {
    async fn bind(settings: &Settings) -> Result<(Self, Addresses), StartError> {
        let (dashboard, dashboard_address) = bind("the dashboard", settings.listen).await?;
        let (zipkin, zipkin_address) = bind("Zipkin's door", settings.zipkin).await?;
        let (xds, xds_address) = bind("ADS", settings.xds).await?;
        let (otlp, [otlp_grpc, otlp_http]) = OtlpListeners::bind(settings).await?;
        let (prometheus, prometheus_api) = match settings.prometheus_api {
            Some(address) => Some(bind("the API of Prometheus", address).await?).unzip(),
            None => (None, None),
        };
        let (jaeger, [jaeger_query, jaeger_grpc]) = JaegerListeners::bind(settings).await?;
        let addresses = Addresses {
            dashboard: dashboard_address,
            zipkin: zipkin_address,
            xds: xds_address,
            otlp_grpc,
            otlp_http,
            prometheus_api,
            jaeger_query,
            jaeger_grpc,
        };
        Ok((Self { dashboard, zipkin, xds, otlp, prometheus, jaeger }, addresses))
    }
}

async fn bind(what: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { what, address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

fn auth(settings: &AuthSettings) -> Result<Auth, TokenError> {
    Ok(match settings {
        AuthSettings::None => Auth::open(),
        AuthSettings::Token(token) => Auth::with_token(token.clone()),
        AuthSettings::TokenIn(folder) => Auth::with_token(crate::web::auth::Token::load_or_create(folder)?),
    })
}

fn hosts(settings: &Settings) -> HostPolicy {
    match settings.auth {
        AuthSettings::None => HostPolicy::Local(settings.hosts.clone().into()),
        AuthSettings::Token(_) | AuthSettings::TokenIn(_) => HostPolicy::Any,
    }
}

fn control_settings(settings: &Settings, zipkin: SocketAddr, metrics: &OwnMetrics) -> ControlSettings {
    let advertised = settings.zipkin_advertise.clone().unwrap_or_else(|| reachable(zipkin).to_string());
    ControlSettings {
        trace_sampling_percent: settings.trace_sampling_percent,
        trust_author_header: matches!(settings.auth, AuthSettings::None),
        metrics: metrics.control(),
        ..ControlSettings::new(advertised)
    }
}

/// Nobody can connect to "any address".
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, address.port())),
        _ => address,
    }
}

/// Routes of the other rooms on the dashboard's port.
fn api(control: &ControlPlane, store: &Arc<dyn Store>, intake: &Intake, zipkin: Router, metrics: &Arc<OwnMetrics>) -> Router {
    let metrics = Arc::clone(metrics);
    let own = move || {
        let text = metrics.encode();
        async move { ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text) }
    };
    control.router().merge(report::router(Arc::clone(store), intake.clone())).merge(zipkin).route("/metrics", get(own))
}
