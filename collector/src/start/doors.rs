//! Opens the doors for pushed telemetry: Zipkin's, and OTLP's over gRPC and HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::own::Own;
use super::{StartError, bind};
use crate::ingest::als::{self, AlsDoor};
use crate::ingest::door::{Door, DoorMetrics, DoorSecurity, Guard, require_token};
use crate::ingest::grpc;
use crate::ingest::log_lines::{self, LogLinesDoor};
use crate::ingest::otlp::OtlpDoor;
use crate::ingest::remote_write::RemoteWriteDoor;
use crate::pipeline::{Intake, WriterHandle};
use crate::settings::Settings;
use crate::store::Store;
use crate::web::Transport;

const OTLP_GRPC: &str = "otlp-grpc";
const OTLP_HTTP: &str = "otlp-http";
const REMOTE_WRITE: &str = "remote-write";
const ZIPKIN: &str = "zipkin";

/// Ports of OTLP that were asked for.
pub(super) struct OtlpListeners {
    grpc: Option<TcpListener>,
    http: Option<TcpListener>,
}

/// What all doors are made of.
pub(super) struct Doors {
    settings: Settings,
    intake: Intake,
    metrics: DoorMetrics,
    security: DoorSecurity,
}

impl OtlpListeners {
    /// The listeners, and where they listen.
    pub async fn bind(settings: &Settings) -> Result<(Self, [Option<SocketAddr>; 2]), StartError> {
        let grpc = bind_some("OTLP over gRPC", settings.otlp_grpc).await?;
        let http = bind_some("OTLP over HTTP", settings.otlp_http).await?;
        let ((grpc, grpc_address), (http, http_address)) = (grpc.unzip(), http.unzip());
        Ok((Self { grpc, http }, [grpc_address, http_address]))
    }
}

pub(super) async fn bind_some(
    what: &'static str,
    address: Option<SocketAddr>,
) -> Result<Option<(TcpListener, SocketAddr)>, StartError> {
    match address {
        Some(address) => bind(what, address).await.map(Some),
        None => Ok(None),
    }
}

impl Doors {
    pub fn new(settings: &Settings, intake: Intake, metrics: DoorMetrics) -> Result<Self, StartError> {
        let security = DoorSecurity::load(&settings.doors.security)?;
        if settings.doors.guard_zipkin && (security.tls.is_some() || security.tokens.is_some()) {
            tracing::warn!("Zipkin's door is guarded: spans of proxies that this collector configures are refused there");
        }
        Ok(Self { settings: settings.clone(), intake, metrics, security })
    }

    /// Zipkin's door, and what guards it.
    pub fn zipkin(&self) -> (Door, DoorSecurity) {
        let limits = self.settings.doors.zipkin_limits();
        let security = if self.settings.doors.guard_zipkin { self.security.clone() } else { DoorSecurity::default() };
        (Door::new(ZIPKIN, limits, self.intake.clone(), self.metrics.clone()), security)
    }

    /// Remote write; where its routes are served, somebody guards them.
    pub fn remote_write(&self, store: &Arc<dyn Store>) -> RemoteWriteDoor {
        let limits = self.settings.doors.limits.clone();
        let door = Door::new(REMOTE_WRITE, limits, self.intake.clone(), self.metrics.clone());
        RemoteWriteDoor::new(Arc::clone(store), door, self.settings.retention.samples)
    }

    fn otlp(&self, name: &'static str, store: &Arc<dyn Store>) -> OtlpDoor {
        let door = Door::new(name, self.settings.doors.limits.clone(), self.intake.clone(), self.metrics.clone());
        OtlpDoor::new(Arc::clone(store), door, self.security.clone(), self.settings.retention)
    }

    pub fn transport(&self, security: &DoorSecurity, door: &'static str) -> Transport {
        match &security.tls {
            Some(tls) => Transport::Tls { tls: Arc::clone(tls), door, metrics: self.metrics.clone() },
            None => Transport::Plain,
        }
    }

    /// Serves the ports of OTLP, and follows the files of their guards.
    pub fn serve(
        self,
        listeners: OtlpListeners,
        store: &Arc<dyn Store>,
        writer: &WriterHandle,
        own: &Own,
        stop: &CancellationToken,
    ) -> Vec<JoinHandle<()>> {
        let (remote_write, lines) = (self.remote_write(store), self.log_lines());
        let mut tasks = Vec::new();
        let (als, packers) = self.als(store, writer, stop);
        let mut serve = |listener: Option<TcpListener>, name: &'static str, routes: &dyn Fn(OtlpDoor) -> Router| {
            let Some(listener) = listener else { return };
            let transport = self.transport(&self.security, name);
            tasks.push(tokio::spawn(crate::web::serve_over(transport, listener, routes(self.otlp(name, store)), stop.clone())));
        };
        serve(listeners.grpc, OTLP_GRPC, &|door| grpc::port(door.grpc().merge(als.clone()), Arc::clone(store)));
        serve(listeners.http, OTLP_HTTP, &|door| {
            let (remote_write, lines) = (remote_write.guarded(self.security.clone()), lines.guarded(self.security.clone()));
            own.watch(crate::web::open_door(door.http().merge(remote_write).merge(lines)))
        });
        if self.security.has_files() {
            tasks.push(tokio::spawn(self.security.follow_files(self.metrics, stop.clone())));
        }
        // After the ports: they end with the last stream.
        drop(als);
        tasks.extend(packers);
        tasks
    }

    /// Lines of access logs, for OTLP's port for HTTP.
    fn log_lines(&self) -> LogLinesDoor {
        let limits = self.settings.doors.limits.clone();
        let door = Door::new(log_lines::DOOR, limits, self.intake.clone(), self.metrics.clone());
        LogLinesDoor::new(door, self.settings.retention.logs)
    }

    /// Envoy's access log service, for the port that speaks gRPC.
    fn als(&self, store: &Arc<dyn Store>, writer: &WriterHandle, stop: &CancellationToken) -> (Router, Vec<JoinHandle<()>>) {
        let kept = self.settings.retention.logs;
        let (als, packers) = AlsDoor::start(store, writer, self.intake.clone(), kept, stop.clone());
        let door = Door::new(als::DOOR, self.settings.doors.limits.clone(), self.intake.clone(), self.metrics.clone());
        let guard = Guard { security: self.security.clone(), door, signal: als::SIGNAL, answer: grpc::refuse };
        (als::service(als).layer(from_fn_with_state(guard, require_token)), packers)
    }
}
