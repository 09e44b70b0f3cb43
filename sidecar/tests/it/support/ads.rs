//! A control plane that hands out what a test sets, per node, and remembers every request.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::google::protobuf::Any;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::eventually;

pub const CDS: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
pub const EDS: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
pub const LDS: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
pub const RDS: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

/// Resources of one type: version and named bodies.
type Set = (String, Vec<(String, Any)>);

#[derive(Default)]
struct State {
    sets: Mutex<HashMap<(String, &'static str), Set>>,
    requests: Mutex<Vec<(String, DiscoveryRequest)>>,
    changed: watch::Sender<u64>,
}

pub struct Ads {
    pub address: SocketAddr,
    state: Arc<State>,
    running: Mutex<CancellationToken>,
}

impl Ads {
    pub async fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ads = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
            running: Mutex::new(CancellationToken::new()),
        };
        ads.serve(listener);
        ads
    }

    fn serve(&self, listener: std::net::TcpListener) {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let stop = self.running.lock().clone();
        let service = Service { state: self.state.clone(), stop: stop.clone() };
        tokio::spawn(async move {
            let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
            tonic::transport::Server::builder()
                .add_service(AggregatedDiscoveryServiceServer::new(service))
                .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
                .await
                .unwrap();
        });
    }

    /// Ends every stream and closes the port.
    pub fn stop(&self) {
        self.running.lock().cancel();
    }

    pub async fn restart(&self) {
        *self.running.lock() = CancellationToken::new();
        let mut listener = None;
        eventually("the port is free again", || {
            listener = std::net::TcpListener::bind(self.address).ok();
            listener.is_some()
        })
        .await;
        self.serve(listener.unwrap());
    }

    pub fn set(&self, node: &str, kind: &'static str, version: &str, resources: Vec<(String, Any)>) {
        let key = (node.to_owned(), kind);
        let set = (version.to_owned(), resources);
        self.state.sets.lock().insert(key, set);
        self.state.changed.send_modify(|n| *n += 1);
    }

    pub fn requests(&self, node: &str) -> Vec<DiscoveryRequest> {
        let all = self.state.requests.lock();
        all.iter().filter(|(of, _)| of == node).map(|(_, request)| request.clone()).collect()
    }

    /// Waits for a request of this type with this version and (un)set error.
    pub async fn wait_for(&self, node: &str, kind: &str, version: &str, refused: bool) {
        eventually(&format!("{kind} {version} refused={refused}"), || {
            self.requests(node).iter().any(|request| {
                request.type_url == kind
                    && request.version_info == version
                    && request.error_detail.is_some() == refused
                    && !request.response_nonce.is_empty()
            })
        })
        .await;
    }
}

struct Service {
    state: Arc<State>,
    stop: CancellationToken,
}

/// What one stream was sent of one type.
#[derive(Default)]
struct Sent {
    version: String,
    names: BTreeSet<String>,
    subscribed: bool,
}

#[tonic::async_trait]
impl AggregatedDiscoveryService for Service {
    type StreamAggregatedResourcesStream = ReceiverStream<Result<DiscoveryResponse, Status>>;
    type DeltaAggregatedResourcesStream = ReceiverStream<Result<DeltaDiscoveryResponse, Status>>;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        let (out, answers) = mpsc::channel(64);
        let (state, stop) = (self.state.clone(), self.stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = talk(state, request.into_inner(), out) => {}
                () = stop.cancelled() => {}
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn delta_aggregated_resources(
        &self,
        _: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        Err(Status::unimplemented("state of the world only"))
    }
}

async fn talk(
    state: Arc<State>,
    mut requests: Streaming<DiscoveryRequest>,
    out: mpsc::Sender<Result<DiscoveryResponse, Status>>,
) {
    let mut node = String::new();
    let mut sent: HashMap<&'static str, Sent> = HashMap::new();
    let mut changed = state.changed.subscribe();
    let mut nonce = 0;
    loop {
        tokio::select! {
            request = requests.message() => {
                let Ok(Some(request)) = request else { return };
                if let Some(from) = &request.node {
                    node.clone_from(&from.id);
                }
                state.requests.lock().push((node.clone(), request.clone()));
                let Some(kind) = [CDS, EDS, LDS, RDS].into_iter().find(|k| *k == request.type_url) else {
                    continue;
                };
                let entry = sent.entry(kind).or_default();
                let names: BTreeSet<_> = request.resource_names.into_iter().collect();
                if !entry.subscribed || entry.names != names {
                    // A first request or another subscription wants an answer even without news.
                    *entry = Sent { names, subscribed: true, version: String::new() };
                }
            }
            _ = changed.changed() => {}
        }
        for kind in [CDS, EDS, LDS, RDS] {
            let Some(entry) = sent.get_mut(kind).filter(|entry| entry.subscribed) else {
                continue;
            };
            let Some((version, resources)) = state.sets.lock().get(&(node.clone(), kind)).cloned() else {
                continue;
            };
            if entry.version == version {
                continue;
            }
            let wildcard = matches!(kind, CDS | LDS);
            let resources: Vec<_> =
                resources.into_iter().filter(|(name, _)| wildcard || entry.names.contains(name)).map(|(_, any)| any).collect();
            if resources.is_empty() && !wildcard {
                continue;
            }
            entry.version.clone_from(&version);
            nonce += 1;
            let answer = DiscoveryResponse {
                version_info: version,
                resources,
                type_url: kind.to_owned(),
                nonce: format!("n{nonce}"),
                ..Default::default()
            };
            if out.send(Ok(answer)).await.is_err() {
                return;
            }
        }
    }
}
