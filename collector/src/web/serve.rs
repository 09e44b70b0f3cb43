//! Accepts connections and hands their requests to a router, within bounds and until told to stop.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::ingest::door::{DoorMetrics, Tls};

/// Connections at the same time; further ones wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 1024;
/// Time for a request's head: a client that dribbles it must not hold a connection for ever.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Time that open requests have to end after the stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Rest after a failure to accept, which is mostly for want of file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Streams that one HTTP/2 connection may have open.
const STREAMS_MAX: u32 = 128;
/// Bytes of the headers of one HTTP/2 request.
const HEADER_LIST_BYTES_MAX: u32 = 64 * 1024;
/// Time in which a peer must answer an HTTP/2 ping.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Streams that a peer opened and reset before they were looked at (the "rapid reset" attack); beyond this the connection
/// is closed.
const RESET_STREAMS_MAX: usize = 64;

/// Bytes that a stream may send before they are read: a batch of telemetry, without waiting for permission.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// The same for all streams of a connection together.
const CONNECTION_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// How connections are secured.
#[derive(Clone)]
pub enum Transport {
    Plain,
    /// `door` names the port in the metrics.
    Tls {
        tls: Arc<Tls>,
        door: &'static str,
        metrics: DoorMetrics,
    },
}

/// Serves until `stop`, then lets open requests end.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    serve_over(Transport::Plain, listener, router, stop).await;
}

/// As [`serve`], with TLS where it is asked for.
pub async fn serve_over(transport: Transport, listener: TcpListener, router: Router, stop: CancellationToken) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let builder = builder();
    loop {
        let permit = tokio::select! {
            () = stop.cancelled() => break,
            permit = Arc::clone(&connections).acquire_owned() => permit,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (builder, router, transport) = (builder.clone(), router.clone(), transport.clone());
                let (watcher, stop) = (graceful.watcher(), stop.clone());
                tokio::spawn(async move {
                    if speaks(&stream, &stop).await {
                        let ended = match secured(transport, stream, peer).await {
                            Some(Secured::Plain(stream)) => watcher.watch(connection(&builder, stream, peer, router)).await,
                            Some(Secured::Tls(stream)) => watcher.watch(connection(&builder, *stream, peer, router)).await,
                            None => Ok(()),
                        };
                        if let Err(error) = ended {
                            tracing::debug!(%peer, %error, "a connection broke");
                        }
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::info!("requests were still open after {} seconds", DRAIN_TIMEOUT.as_secs());
    }
}

/// Whether a first byte comes in time: telling HTTP/1 from HTTP/2, the server waits for it without a limit of its own.
async fn speaks(stream: &TcpStream, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        first = tokio::time::timeout(HEAD_TIMEOUT, stream.readable()) => matches!(first, Ok(Ok(()))),
    }
}

/// A connection of which TLS, if any, has been taken care of.
enum Secured {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
}

/// `None` when the peer did not shake hands in time, or not well.
async fn secured(transport: Transport, stream: TcpStream, peer: SocketAddr) -> Option<Secured> {
    // Without this, small answers wait for the acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "failed to turn off Nagle's algorithm");
    }
    let Transport::Tls { tls, door, metrics } = transport else { return Some(Secured::Plain(stream)) };
    let shaken = tokio::time::timeout(HEAD_TIMEOUT, tls.acceptor().accept(stream)).await;
    metrics.shook_hands(door, matches!(shaken, Ok(Ok(_))));
    match shaken {
        Ok(Ok(stream)) => Some(Secured::Tls(Box::new(stream))),
        Ok(Err(error)) => {
            tracing::debug!(%peer, door, %error, "a TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(HEAD_TIMEOUT))
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    builder
}

fn connection<I>(
    builder: &Builder<TokioExecutor>,
    stream: I,
    peer: SocketAddr,
    router: Router,
) -> impl GracefulConnection<Error = Box<dyn std::error::Error + Send + Sync>> + Send + 'static
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request.map(Body::new));
        async move { answer.await as Result<Response, Infallible> }
    });
    builder.serve_connection(TokioIo::new(stream), service).into_owned()
}
