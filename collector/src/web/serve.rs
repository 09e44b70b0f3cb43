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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Connections at the same time; further ones wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 1024;
/// Time for a request's head: a client that dribbles it must not hold a connection for ever.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Time that open requests have to end after the stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Rest after a failure to accept, which is mostly for want of file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Serves until `stop`, then lets open requests end.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
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
                let (builder, router) = (builder.clone(), router.clone());
                let (watcher, stop) = (graceful.watcher(), stop.clone());
                tokio::spawn(async move {
                    if speaks(&stream, &stop).await
                        && let Err(error) = watcher.watch(connection(&builder, stream, peer, router)).await
                    {
                        tracing::debug!(%peer, %error, "a connection broke");
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

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(HEAD_TIMEOUT));
    builder
}

fn connection(
    builder: &Builder<TokioExecutor>,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
) -> impl GracefulConnection<Error = Box<dyn std::error::Error + Send + Sync>> + Send + 'static {
    // Without this, small answers wait for the acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "failed to turn off Nagle's algorithm");
    }
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request.map(Body::new));
        async move { answer.await as Result<Response, Infallible> }
    });
    builder.serve_connection(TokioIo::new(stream), service).into_owned()
}
