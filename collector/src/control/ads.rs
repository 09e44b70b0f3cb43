//! Serves xDS over aggregated streams: one task per proxy, woken by the proxy or by a change of the mesh.

mod session;
mod stream;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use super::Inner;

/// Bytes of one request; the largest is a subscription to some ten thousand names.
const REQUEST_BYTES_MAX: usize = 4 << 20;

/// Responses that wait for a proxy to read them; beyond this its stream waits, and then ends.
const RESPONSES_WAITING_MAX: usize = 8;

/// Streams that one connection may hold open: a proxy needs one.
const STREAMS_PER_CONNECTION_MAX: u32 = 16;

/// A connection that is silent for so long is asked whether it is still there …
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// … and is given up when it says nothing for so long.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

struct Ads {
    inner: Arc<Inner>,
}

/// Serves on `listener` in a task of its own until the control plane is shut down.
pub(super) fn serve(inner: Arc<Inner>, listener: TcpListener) -> io::Result<()> {
    let shutdown = inner.shutdown.clone();
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let service = AggregatedDiscoveryServiceServer::new(Ads { inner }).max_decoding_message_size(REQUEST_BYTES_MAX);
    let serving = Server::builder()
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, async move { shutdown.cancelled().await });
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the ADS server ended");
        }
    });
    Ok(())
}

#[tonic::async_trait]
impl AggregatedDiscoveryService for Ads {
    type StreamAggregatedResourcesStream = Responses<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = Responses<DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        let (sender, receiver) = mpsc::channel(RESPONSES_WAITING_MAX);
        tokio::spawn(stream::run(Arc::clone(&self.inner), request.into_inner(), sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn delta_aggregated_resources(
        &self,
        _request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        Err(Status::unimplemented("incremental xDS is not served here; set `api_type: GRPC` (state of the world)"))
    }
}
