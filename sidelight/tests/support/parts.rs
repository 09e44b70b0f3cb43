//! The processes of a mesh, as tasks of the test.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bookinfo::client::Route;
use bookinfo::{details, httpbin, productpage, ratings, reviews};
use sidelight::demo::bootstrap::bootstrap;
use sidelight::demo::layout::Workload;
use sidelight_collector::settings::{Database, Settings};
use sidelight_collector::{Addresses, Collector};
use sidelight_sidecar::{AccessLogSink, Bootstrap, Sidecar, SidecarOptions};
use tempfile::{NamedTempFile, TempDir};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Which service stands behind a sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum App {
    Httpbin,
    Productpage,
    Details,
    Reviews(reviews::Version),
    Ratings,
}

impl App {
    pub fn bookinfo(app: &str, version: &str) -> Self {
        match (app, version) {
            ("productpage", _) => Self::Productpage,
            ("details", _) => Self::Details,
            ("reviews", "v1") => Self::Reviews(reviews::Version::V1),
            ("reviews", "v2") => Self::Reviews(reviews::Version::V2),
            ("reviews", "v3") => Self::Reviews(reviews::Version::V3),
            ("ratings", _) => Self::Ratings,
            other => panic!("no such service: {other:?}"),
        }
    }

    async fn serve(self, listener: TcpListener, route: Route, shutdown: CancellationToken) -> std::io::Result<()> {
        match self {
            Self::Httpbin => httpbin::serve(listener, shutdown).await,
            Self::Details => details::serve(listener, shutdown).await,
            Self::Ratings => ratings::serve(listener, shutdown).await,
            Self::Productpage => {
                let config = productpage::Config { route, ..productpage::Config::default() };
                productpage::serve(listener, config, shutdown).await
            }
            Self::Reviews(version) => {
                let config = reviews::Config { route, ..reviews::Config::new(version) };
                reviews::serve(listener, config, shutdown).await
            }
        }
    }
}

/// A collector on ports of its own, its database in a folder that ends with it.
pub struct RunningCollector {
    pub dashboard: SocketAddr,
    pub xds: SocketAddr,
    collector: Collector,
    _folder: TempDir,
}

impl RunningCollector {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let settings = Settings {
            listen: any,
            zipkin: any,
            xds: any,
            scrape_interval: Duration::from_millis(500),
            trace_sampling_percent: 100.0,
            ..Settings::new(Database::Sqlite(folder.path().join("sidelight.db")))
        };
        let collector = Collector::start(settings).await.unwrap();
        let Addresses { dashboard, xds, .. } = collector.addresses();
        Self { dashboard, xds, collector, _folder: folder }
    }

    pub async fn stop(self) {
        self.collector.shutdown().await;
    }
}

/// A sidecar, and the application beside it.
pub struct RunningWorkload {
    pub place: Workload,
    sidecar: Sidecar,
    log: NamedTempFile,
    app: Option<(CancellationToken, JoinHandle<std::io::Result<()>>)>,
}

impl RunningWorkload {
    pub async fn start(place: Workload, app: Option<App>, collector: &RunningCollector) -> Self {
        let log = NamedTempFile::new().unwrap();
        let app = match app {
            Some(app) => Some(serve(app, &place).await),
            None => None,
        };
        let bootstrap = Bootstrap::from_yaml(&bootstrap(&place, collector.xds).to_string()).unwrap();
        let options =
            SidecarOptions { access_log: Some(AccessLogSink::File(log.path().to_owned())), ..SidecarOptions::default() };
        let sidecar = Sidecar::start_with(bootstrap, options).await.unwrap();
        Self { place, sidecar, log, app }
    }

    pub fn access_log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    pub async fn stop(self) {
        self.sidecar.shutdown().await;
        if let Some((stop, task)) = self.app {
            stop.cancel();
            task.await.unwrap().unwrap();
        }
    }
}

async fn serve(app: App, place: &Workload) -> (CancellationToken, JoinHandle<std::io::Result<()>>) {
    let inbound = place.inbound.as_ref().unwrap();
    let listener = TcpListener::bind(inbound.app).await.unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(app.serve(listener, Route::Proxy(place.outbound().to_string()), stop.clone()));
    (stop, task)
}
