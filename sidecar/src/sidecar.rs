//! Puts one sidecar together, and takes it down again without losing a request.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use sidelight_telemetry::{Telemetry, TelemetrySettings};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::bootstrap::Bootstrap;
use crate::config;
use crate::listeners::{Listeners, bind};
use crate::live::{Live, LiveParts};
use crate::options::SidecarOptions;
use crate::proxy::destination::Own;
use crate::reporting::Reporting;
use crate::shared::Shared;
use crate::stats::ServerStats;
use crate::upstream::{Upstreams, dns};
use crate::xds::AdsClient;
use crate::{admin, status};

/// How often idle upstream connections are looked through.
const SWEEP: Duration = Duration::from_secs(5);
/// Connections that are still busy after this long are cut off.
const DRAIN: Duration = Duration::from_secs(10);

#[derive(Debug, Error)]
pub enum StartError {
    #[error("cannot open the {what} port {address}")]
    Bind {
        what: &'static str,
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
}

/// A running sidecar. Dropped without [`shutdown`](Self::shutdown), it stops at once.
pub struct Sidecar {
    shared: Arc<Shared>,
    addresses: FixedAddresses,
    /// Serving: listeners and their connections.
    connections: TaskTracker,
    /// Everything else; outlives the connections, so that a drain can be watched.
    services: TaskTracker,
    drain: CancellationToken,
    stop: CancellationToken,
}

#[derive(Clone, Copy, Debug)]
struct FixedAddresses {
    admin: Option<SocketAddr>,
    status: SocketAddr,
    readiness: SocketAddr,
    prometheus: SocketAddr,
}

impl FixedAddresses {
    fn own(&self, bootstrap: &Bootstrap) -> Own {
        let status = [self.status, self.readiness, self.prometheus];
        let ips = std::iter::once(bootstrap.identity.ip).chain(bootstrap.identity.addresses.iter().copied());
        Own { ips: ips.collect(), interfaces: self.admin.into_iter().chain(status).collect() }
    }
}

/// Where a sidecar really listens.
#[derive(Clone, Debug)]
pub struct Addresses {
    pub admin: Option<SocketAddr>,
    pub status: SocketAddr,
    pub readiness: SocketAddr,
    pub prometheus: SocketAddr,
    /// Listeners of the control plane by name.
    pub listeners: Vec<(String, SocketAddr)>,
}

impl Sidecar {
    pub async fn start(bootstrap: Bootstrap) -> Result<Self, StartError> {
        Self::start_with(bootstrap, SidecarOptions::default()).await
    }

    pub async fn start_with(bootstrap: Bootstrap, options: SidecarOptions) -> Result<Self, StartError> {
        let sockets = Sockets::open(&bootstrap, &options)?;
        for key in &bootstrap.ignored {
            warn!(key, "this part of the bootstrap has no effect");
        }
        let addresses = sockets.addresses()?;
        let telemetry = Telemetry::new(bootstrap.identity.clone(), TelemetrySettings::default());
        let shared = Arc::new(Shared {
            telemetry: telemetry.clone(),
            upstreams: Arc::new(Upstreams::default()),
            own: addresses.own(&bootstrap),
            xds: Arc::default(),
            world: Arc::default(),
            server: ServerStats::new(options.concurrency),
            readiness: Arc::default(),
            listeners: ArcSwap::default(),
            quit: CancellationToken::new(),
            bootstrap,
        });
        let sidecar = Self {
            addresses,
            shared,
            connections: TaskTracker::new(),
            services: TaskTracker::new(),
            drain: CancellationToken::new(),
            stop: CancellationToken::new(),
        };
        sidecar.serve(sockets)?;
        sidecar.follow_control_plane(Reporting::new(telemetry, options.access_log));
        sidecar.keep_house();
        info!(node = sidecar.shared.bootstrap.node.id, addresses = ?sidecar.addresses, "sidecar started");
        Ok(sidecar)
    }

    fn serve(&self, sockets: Sockets) -> Result<(), StartError> {
        let shared = &self.shared;
        if let Some(socket) = sockets.admin {
            self.spawn_server(socket, admin::router(shared.clone()))?;
        }
        self.spawn_server(sockets.status, status::merged(shared.clone()))?;
        self.spawn_server(sockets.readiness, status::readiness(shared.clone()))?;
        self.spawn_server(sockets.prometheus, status::prometheus(shared.clone()))
    }

    fn spawn_server(&self, socket: std::net::TcpListener, router: axum::Router) -> Result<(), StartError> {
        let listener = tokio::net::TcpListener::from_std(socket).map_err(StartError::Runtime)?;
        let stop = self.stop.clone();
        self.services.spawn(async move {
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            let serve = async { axum::serve(listener, service).await };
            tokio::select! {
                result = serve => {
                    if let Err(error) = result {
                        warn!(%error, "an admin or status port ended");
                    }
                }
                () = stop.cancelled() => {}
            }
        });
        Ok(())
    }

    fn follow_control_plane(&self, reporting: Reporting) {
        let shared = &self.shared;
        let listeners = Listeners::new(shared.clone(), self.connections.clone(), self.drain.clone());
        let live = Live::new(LiveParts {
            statics: shared.bootstrap.clusters.clone(),
            shared: shared.world.clone(),
            upstreams: shared.upstreams.clone(),
            listeners,
            stats: shared.xds.clone(),
            ready: shared.readiness.clone(),
            reporting,
        });
        match &shared.bootstrap.control_plane {
            Some(address) => {
                let node = config::node::to_xds(&shared.bootstrap.node);
                let client = AdsClient::new(node, address.clone(), live);
                self.services.spawn(client.run(self.stop.clone()));
            }
            None => shared.readiness.set_live(),
        }
    }

    fn keep_house(&self) {
        let (upstreams, stop) = (self.shared.upstreams.clone(), self.stop.clone());
        self.services.spawn(async move {
            loop {
                dns::refresh(&upstreams).await;
                tokio::select! {
                    () = tokio::time::sleep(dns::REFRESH.min(SWEEP)) => upstreams.sweep(),
                    // Names of new clusters are looked up at once.
                    () = upstreams.changed() => {}
                    () = stop.cancelled() => return,
                }
            }
        });
    }

    /// Returns once the first configuration is complete and every listener serves.
    pub async fn ready(&self) {
        self.shared.readiness.wait_live().await;
    }

    /// Returns when somebody asked this sidecar to end (`/quitquitquit`).
    pub async fn quit_requested(&self) {
        self.shared.quit.cancelled().await;
    }

    pub fn addresses(&self) -> Addresses {
        let listeners = self.shared.listeners.load();
        Addresses {
            admin: self.addresses.admin,
            status: self.addresses.status,
            readiness: self.addresses.readiness,
            prometheus: self.addresses.prometheus,
            listeners: listeners.iter().map(|view| (view.config.name.clone(), view.address)).collect(),
        }
    }

    /// Telemetry of this sidecar, for whoever embeds it.
    pub fn telemetry(&self) -> &Telemetry {
        &self.shared.telemetry
    }

    /// Stops accepting, lets requests in flight finish, sends what is left of logs and spans, then closes every port.
    pub async fn shutdown(self) {
        self.shared.readiness.set_draining();
        self.drain.cancel();
        self.connections.close();
        if tokio::time::timeout(DRAIN, self.connections.wait()).await.is_err() {
            warn!(left = self.connections.len(), "connections cut off after the drain");
        }
        let flush = self.shared.telemetry.flush();
        if tokio::time::timeout(DRAIN, flush).await.is_err() {
            warn!("logs or spans were lost at the end");
        }
        self.stop.cancel();
        self.services.close();
        self.services.wait().await;
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        self.drain.cancel();
        self.stop.cancel();
    }
}

/// Ports that are there from the start; all are opened before anything runs.
struct Sockets {
    admin: Option<std::net::TcpListener>,
    status: std::net::TcpListener,
    readiness: std::net::TcpListener,
    prometheus: std::net::TcpListener,
}

impl Sockets {
    fn open(bootstrap: &Bootstrap, options: &SidecarOptions) -> Result<Self, StartError> {
        let open = |what, address| bind(address).map_err(|source| StartError::Bind { what, address, source });
        let identity = &bootstrap.identity;
        let ip = options.status_bind.unwrap_or(match identity.ip {
            own if own.is_loopback() => own,
            IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        });
        let ports = &identity.ports;
        Ok(Self {
            admin: bootstrap.admin.map(|address| open("admin", address)).transpose()?,
            status: open("status", SocketAddr::new(ip, ports.status))?,
            readiness: open("readiness", SocketAddr::new(ip, ports.readiness))?,
            prometheus: open("prometheus", SocketAddr::new(ip, ports.prometheus))?,
        })
    }

    fn addresses(&self) -> Result<FixedAddresses, StartError> {
        let of = |socket: &std::net::TcpListener| socket.local_addr().map_err(StartError::Runtime);
        Ok(FixedAddresses {
            admin: self.admin.as_ref().map(of).transpose()?,
            status: of(&self.status)?,
            readiness: of(&self.readiness)?,
            prometheus: of(&self.prometheus)?,
        })
    }
}
