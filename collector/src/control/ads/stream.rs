//! One proxy's stream: reads its requests, translates the mesh for it, and sends what it lacks.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use sidelight_mesh::identity::NodeIdentity;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tonic::{Status, Streaming};

use super::session::{Event, Reaction, Session};
use crate::control::proxies::{Connection, Ending};
use crate::control::resources::ProxyResources;
use crate::control::{Inner, MeshView, structs, translate};

/// How long a proxy may leave responses unread before its stream is given up.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// How long listeners and routes wait at most for the proxy to have its clusters.
///
/// Long enough for a proxy to fetch endpoints, short enough that an edit reaches everybody within a second.
const HOLD_MAX: Duration = Duration::from_millis(500);

/// Clusters that are kept for a proxy that does not say that it has let go of them.
const LINGERING_MAX: usize = 1_000;

/// How long a new stream may be silent.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

type Sender = mpsc::Sender<Result<DiscoveryResponse, Status>>;

pub(super) async fn run(inner: Arc<Inner>, mut requests: Streaming<DiscoveryRequest>, sender: Sender) {
    let first = match tokio::time::timeout(FIRST_REQUEST_TIMEOUT, requests.message()).await {
        Ok(Ok(Some(first))) => first,
        Ok(Ok(None) | Err(_)) => return,
        Err(_) => return refuse(&inner, &sender, Status::deadline_exceeded("no request came")).await,
    };
    let identity = match read_identity(first.node.as_ref()) {
        Ok(identity) => Arc::new(identity),
        Err(status) => return refuse(&inner, &sender, status).await,
    };
    let Some(connection) = inner.proxies.connect(Arc::clone(&identity)) else {
        return refuse(&inner, &sender, Status::resource_exhausted("too many proxies are registered")).await;
    };
    inner.settings.metrics.stream("opened");
    tracing::info!(node = identity.node_id, "a proxy connected");
    inner.registry_changed.notify_one();
    let mut registered = Registered { inner: Arc::clone(&inner), connection: connection.clone(), ending: Ending::Broken };
    let mut stream = Stream {
        views: inner.view.subscribe(),
        session: Session::new(inner.identifier()),
        resources: ProxyResources::default(),
        lingering: Vec::new(),
        sequence: 0,
        hold_until: None,
        inner: Arc::clone(&inner),
        identity: Arc::clone(&identity),
        connection,
        sender,
    };
    registered.ending = stream.serve(first, requests).await;
    tracing::info!(node = identity.node_id, ending = ?registered.ending, "a proxy disconnected");
}

/// Takes the proxy off the list, however the task that serves it ends.
struct Registered {
    inner: Arc<Inner>,
    connection: Connection,
    ending: Ending,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.inner.settings.metrics.stream(if self.ending == Ending::Orderly { "ended" } else { "broken" });
        self.inner.proxies.disconnect(&self.connection, self.ending);
        self.inner.registry_changed.notify_one();
    }
}

struct Stream {
    inner: Arc<Inner>,
    identity: Arc<NodeIdentity>,
    connection: Connection,
    views: watch::Receiver<Arc<MeshView>>,
    session: Session,
    /// Translation of the newest view for this proxy, and clusters that it may still use.
    resources: ProxyResources,
    /// Clusters that are no more, kept until the proxy has the routes that do without them.
    lingering: Vec<String>,
    /// Of the view that the resources are translated from.
    sequence: u64,
    /// When listeners and routes are sent, come what may.
    hold_until: Option<Instant>,
    sender: Sender,
}

impl Stream {
    async fn serve(&mut self, first: DiscoveryRequest, mut requests: Streaming<DiscoveryRequest>) -> Ending {
        if !first.version_info.is_empty() {
            self.wait_until_settled().await;
        }
        self.translate();
        let mut next = Some(first);
        loop {
            if let Some(request) = next.take() {
                let reaction = self.session.on_request(&request, &self.resources);
                if self.carry_out(reaction).await.is_err() || self.let_go().await.is_err() {
                    return Ending::Broken;
                }
            }
            tokio::select! {
                () = self.inner.shutdown.cancelled() => return Ending::Broken,
                request = requests.message() => match request {
                    Ok(Some(request)) => next = Some(request),
                    Ok(None) => return Ending::Orderly,
                    Err(_) => return Ending::Broken,
                },
                changed = self.views.changed() => {
                    if changed.is_err() || self.push().await.is_err() {
                        return Ending::Broken;
                    }
                }
                () = until(self.hold_until) => {
                    let reaction = self.session.stop_holding(&self.resources);
                    if self.carry_out(reaction).await.is_err() {
                        return Ending::Broken;
                    }
                }
            }
        }
    }

    async fn wait_until_settled(&self) {
        let left = self.inner.settings.settle.saturating_sub(self.inner.started.elapsed());
        tokio::time::sleep(left).await;
    }

    fn translate(&mut self) {
        let view = self.views.borrow_and_update().clone();
        let fresh = translate::translate(&view, &self.identity, &self.inner.settings);
        let old = std::mem::replace(&mut self.resources, fresh);
        self.lingering = self.resources.keep_clusters_of(&old);
        if self.lingering.len() > LINGERING_MAX {
            self.resources.remove_clusters(&std::mem::take(&mut self.lingering));
        }
        self.sequence = view.sequence();
    }

    async fn push(&mut self) -> Result<(), Gone> {
        self.translate();
        let reaction = self.session.on_change(&self.resources);
        self.carry_out(reaction).await?;
        self.let_go().await
    }

    /// Takes away what no route of the proxy leads to any more.
    async fn let_go(&mut self) -> Result<(), Gone> {
        if self.lingering.is_empty() || !self.session.is_settled() {
            return Ok(());
        }
        self.resources.remove_clusters(&std::mem::take(&mut self.lingering));
        let reaction = self.session.on_change(&self.resources);
        self.carry_out(reaction).await
    }

    async fn carry_out(&mut self, reaction: Reaction) -> Result<(), Gone> {
        for event in &reaction.events {
            self.note(event);
        }
        if self.session.is_holding() {
            self.hold_until.get_or_insert_with(|| Instant::now() + HOLD_MAX);
        } else {
            self.hold_until = None;
        }
        for (kind, response) in reaction.responses {
            self.inner.proxies.sent(&self.connection, kind, &response.version_info);
            self.inner.settings.metrics.responded(kind);
            self.send(Ok(response)).await?;
        }
        if !self.session.is_holding() {
            self.inner.proxies.saw(&self.connection, self.sequence);
        }
        if let Some(Event::TooManyNames(_)) = reaction.events.last() {
            self.send(Err(Status::resource_exhausted("too many names in one subscription"))).await?;
            return Err(Gone);
        }
        Ok(())
    }

    fn note(&self, event: &Event) {
        let (proxies, node) = (&self.inner.proxies, &self.identity.node_id);
        self.inner.settings.metrics.asked(event.kind(), event.word());
        match event {
            Event::Accepted { kind, version } => proxies.accepted(&self.connection, *kind, version),
            Event::Narrowed { kind, version } => proxies.renamed(&self.connection, *kind, version),
            Event::Refused { kind, error } => {
                tracing::warn!(node, kind = kind.short(), error, "a proxy refused its configuration");
                proxies.refused(&self.connection, *kind, error);
            }
            Event::UnknownType(type_url) => tracing::debug!(node, type_url, "a proxy asks for a type that is not served"),
            Event::Subscribed(kind) | Event::Stale(kind) | Event::TooManyNames(kind) => {
                tracing::trace!(node, kind = kind.short(), ?event, "xDS request");
            }
        }
    }

    async fn send(&self, response: Result<DiscoveryResponse, Status>) -> Result<(), Gone> {
        match tokio::time::timeout(SEND_TIMEOUT, self.sender.send(response)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Gone),
            Err(_) => {
                tracing::warn!(node = self.identity.node_id, "a proxy does not read its configuration; closing its stream");
                Err(Gone)
            }
        }
    }
}

/// For ever, without an end.
async fn until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// The proxy cannot be reached on this stream any more.
struct Gone;

async fn refuse(inner: &Inner, sender: &Sender, status: Status) {
    inner.settings.metrics.stream("refused");
    tracing::warn!(%status, "a proxy's stream was refused");
    // The receiver may be gone already, and then there is nobody to tell.
    let _ = sender.send(Err(status)).await;
}

fn read_identity(node: Option<&Node>) -> Result<NodeIdentity, Status> {
    let node = node.ok_or_else(|| Status::invalid_argument("the first request of a stream must carry `node`"))?;
    let metadata = node.metadata.as_ref().map(structs::to_json).unwrap_or_default();
    let identity = NodeIdentity::from_node(&node.id, &node.cluster, &metadata)
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    Ok(match &node.locality {
        Some(locality) => identity.with_locality(&locality.region, &locality.zone),
        None => identity,
    })
}
