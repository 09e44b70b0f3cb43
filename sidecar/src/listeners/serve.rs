//! Accepts connections of one listener and serves HTTP/1.1 on each until it ends or the listener drains.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::proxy::{Ends, SharedContext, handle};
use crate::stats::ListenerStats;

/// Connections of one listener; a further one is closed at once and counted.
const CONNECTIONS_MAX: u64 = 16_384;
/// Headers of one request: number and bytes, near Envoy's defaults of 100 and 60 KiB.
const HEADERS_MAX: usize = 100;
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// A drained connection may finish its request for this long.
const DRAIN: Duration = Duration::from_secs(5);
/// After a failure to accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub struct Server {
    pub context: SharedContext,
    pub connections: TaskTracker,
    pub stop: CancellationToken,
}

impl Server {
    pub async fn run(self, acceptor: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = acceptor.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, peer)) => self.take(stream, peer),
                Err(error) => {
                    warn!(%error, "cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn take(&self, stream: TcpStream, peer: SocketAddr) {
        let stats = self.context.load().stats.clone();
        stats.cx_total.inc();
        if stats.cx_active.get() >= CONNECTIONS_MAX {
            stats.cx_overflow.inc();
            return;
        }
        let open = Open::new(stats);
        let context = self.context.clone();
        let stop = self.stop.clone();
        self.connections.spawn(async move {
            serve(context, stream, peer, stop, &open.0).await;
            drop(open);
        });
    }
}

async fn serve(context: SharedContext, stream: TcpStream, peer: SocketAddr, stop: CancellationToken, stats: &ListenerStats) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    // Small answers must not wait for an acknowledgement of the last ones.
    let _ = stream.set_nodelay(true);
    let ends = Ends { local, peer };
    let idle = context.load().listener.http.idle_timeout;
    let service = service_fn(move |request| {
        let context = context.load_full();
        async move { Ok::<_, Infallible>(handle(context, ends, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(DRAIN, connection).await {
                Ok(result) => result,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = result {
        if error.is_parse() {
            stats.cx_protocol_error.inc();
        } else if error.is_incomplete_message() || error.is_canceled() {
            stats.rx_reset.inc();
        }
        debug!(%peer, %error, "connection ended early");
    }
}

/// Counts a connection as open as long as it is served.
struct Open(Arc<ListenerStats>);

impl Open {
    fn new(stats: Arc<ListenerStats>) -> Self {
        stats.cx_active.inc();
        Self(stats)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.cx_active.dec();
    }
}
