//! Keeps one ADS stream open: asks, takes answers, acknowledges or refuses them, and comes back after a failure.

use std::time::{Duration, Instant};

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tracing::{debug, info, warn};

use super::Kind;
use super::backoff::Backoff;
use super::subscription::Subscription;
use crate::config::Notes;
use crate::live::Live;

/// Requests on their way to the control plane; it answers one by one, so more would mean it stopped reading.
const REQUESTS_MAX: usize = 64;
/// An update of a large mesh in one message.
const MESSAGE_BYTES_MAX: usize = 256 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Silence after which the connection is probed, so that a vanished control plane is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Different remarks that are logged in the life of one sidecar.
const REMARKS_MAX: usize = 256;

pub struct AdsClient {
    node: Node,
    address: String,
    subscriptions: [Subscription; 4],
    live: Live,
    remarks: std::collections::HashSet<String>,
    node_sent: bool,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error("cannot reach the control plane: {0}")]
    Connect(#[from] tonic::transport::Error),
    #[error("the control plane ended the stream: {} {}", .0.code(), .0.message())]
    Status(#[from] tonic::Status),
    #[error("the control plane closed the stream")]
    Closed,
}

impl AdsClient {
    pub fn new(node: Node, (host, port): (String, u16), live: Live) -> Self {
        let host = match host.contains(':') {
            true => format!("[{host}]"),
            false => host,
        };
        Self {
            node,
            address: format!("http://{host}:{port}"),
            subscriptions: Kind::ALL.map(Subscription::new),
            live,
            remarks: std::collections::HashSet::new(),
            node_sent: false,
        }
    }

    /// Runs until the shutdown; whatever was accepted last stays in force while the control plane is away.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            let answered = self.live.stats().responses.get();
            let error = tokio::select! {
                result = self.stream() => result,
                () = shutdown.cancelled() => break,
            };
            self.live.stats().set_connected(false);
            if self.live.stats().responses.get() > answered {
                backoff.reset();
            }
            let pause = backoff.next();
            if let Err(error) = error {
                warn!(
                    error = chain(&error),
                    address = self.address,
                    retry_ms = pause.as_millis() as u64,
                    "control plane is away"
                );
            }
            let again = Instant::now() + pause;
            loop {
                let settle = self.live.settle_at().unwrap_or(again).min(again);
                tokio::select! {
                    () = tokio::time::sleep_until(settle.into()) => self.live.settle(),
                    () = shutdown.cancelled() => return,
                }
                if Instant::now() >= again {
                    break;
                }
            }
        }
    }

    async fn stream(&mut self) -> Result<(), StreamError> {
        let channel = Endpoint::from_shared(self.address.clone())?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .connect()
            .await?;
        let (requests, outgoing) = mpsc::channel(REQUESTS_MAX);
        self.begin(&requests).await?;
        let mut client = AggregatedDiscoveryServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let mut answers = client.stream_aggregated_resources(ReceiverStream::new(outgoing)).await?.into_inner();
        self.live.stats().set_connected(true);
        info!(address = self.address, "connected to the control plane");
        loop {
            let settle_at = self.live.settle_at();
            let answer = tokio::select! {
                answer = answers.message() => answer?.ok_or(StreamError::Closed)?,
                () = sleep_until(settle_at) => {
                    self.live.settle();
                    continue;
                }
            };
            self.take(answer, &requests).await?;
        }
    }

    /// Asks again for everything known; at the very first time for clusters only, as Envoy does.
    async fn begin(&mut self, requests: &mpsc::Sender<DiscoveryRequest>) -> Result<(), StreamError> {
        self.node_sent = false;
        for subscription in &mut self.subscriptions {
            subscription.forget_stream();
        }
        let first_time = self.of(Kind::Cluster).version().is_empty();
        for kind in Kind::ALL {
            let wanted = self.of(kind).has_names() && (!first_time || kind == Kind::Cluster);
            if wanted {
                self.send(kind, None, requests).await?;
            }
        }
        Ok(())
    }

    async fn take(&mut self, answer: DiscoveryResponse, requests: &mpsc::Sender<DiscoveryRequest>) -> Result<(), StreamError> {
        let Some(kind) = Kind::from_type_url(&answer.type_url) else {
            warn!(type_url = answer.type_url, "an answer about a type that was not asked for");
            return Ok(());
        };
        self.live.stats().responses.inc();
        let mut notes = Notes::default();
        let result = self.live.accept(kind, &answer.version_info, answer.resources, &mut notes);
        self.remark(notes);
        let refusal = match result {
            Ok(()) => {
                debug!(kind = kind.short(), version = answer.version_info, "update accepted");
                self.of(kind).accept(&answer.version_info, &answer.nonce);
                self.follow(kind, requests).await?;
                None
            }
            Err(reason) => {
                warn!(kind = kind.short(), version = answer.version_info, reason, "update refused");
                self.of(kind).refuse(&answer.nonce);
                Some(reason)
            }
        };
        self.live.settle();
        self.send(kind, refusal, requests).await?;
        // Listeners wait for the first word about clusters, good or bad.
        if kind == Kind::Cluster && !self.of(Kind::Listener).asked() {
            self.send(Kind::Listener, None, requests).await?;
        }
        Ok(())
    }

    /// Clusters name the endpoints to ask for, listeners the routes.
    async fn follow(&mut self, kind: Kind, requests: &mpsc::Sender<DiscoveryRequest>) -> Result<(), StreamError> {
        let (dependent, names) = match kind {
            Kind::Cluster => (Kind::Endpoints, self.live.endpoint_names()),
            Kind::Listener => (Kind::Routes, self.live.route_names()),
            Kind::Endpoints | Kind::Routes => return Ok(()),
        };
        if self.of(dependent).want(names) {
            self.send(dependent, None, requests).await?;
        }
        Ok(())
    }

    fn of(&mut self, kind: Kind) -> &mut Subscription {
        &mut self.subscriptions[kind as usize]
    }

    async fn send(
        &mut self,
        kind: Kind,
        refusal: Option<String>,
        requests: &mpsc::Sender<DiscoveryRequest>,
    ) -> Result<(), StreamError> {
        let node = (!self.node_sent).then(|| self.node.clone());
        self.node_sent = true;
        let request = self.of(kind).request(node, refusal);
        requests.send(request).await.map_err(|_| StreamError::Closed)
    }

    /// Each thing that is not honoured is said once.
    fn remark(&mut self, notes: Notes) {
        for note in notes.into_inner() {
            if self.remarks.len() < REMARKS_MAX && self.remarks.insert(note.clone()) {
                warn!(note, "configuration is not honoured in full");
            }
        }
    }
}

/// An error with its causes: the transport's own says nothing of the connection that failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

async fn sleep_until(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when.into()).await,
        None => std::future::pending().await,
    }
}
