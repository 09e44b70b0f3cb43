//! Accepts connections of one listener and serves each until it ends or the listener drains.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::{Served, tcp};
use crate::proxy::{Context, Ends, handle};
use crate::stats::ListenerStats;

/// Connections of one listener; a further one is closed at once and counted.
const CONNECTIONS_MAX: u64 = 16_384;
/// Headers of one request, near Envoy's 60 KiB. Their number is 100, hyper's own default as well as Envoy's: to set it
/// would cost an allocation for each request.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// A drained connection may finish its request for this long.
const DRAIN: Duration = Duration::from_secs(5);
/// After a failure to accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub struct Server {
    pub served: Arc<ArcSwap<Served>>,
    pub stats: Arc<ListenerStats>,
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
        self.stats.cx_total.inc();
        if self.stats.cx_active.get() >= CONNECTIONS_MAX {
            self.stats.cx_overflow.inc();
            return;
        }
        let Ok(local) = stream.local_addr() else {
            return;
        };
        // Small answers must not wait for an acknowledgement of the last ones.
        let _ = stream.set_nodelay(true);
        let open = Open::new(self.stats.clone());
        let stop = self.stop.clone();
        match &**self.served.load() {
            Served::Tcp(context) => {
                let context = context.clone();
                self.connections.spawn(async move {
                    tcp::relay(context, stream, stop).await;
                    drop(open);
                });
            }
            Served::Http(context) => {
                let at_first = context.clone();
                let served = self.served.clone();
                self.connections.spawn(async move {
                    serve(served, at_first, stream, Ends { local, peer }, stop).await;
                    drop(open);
                });
            }
        }
    }
}

async fn serve(served: Arc<ArcSwap<Served>>, at_first: Arc<Context>, stream: TcpStream, ends: Ends, stop: CancellationToken) {
    let idle = at_first.http.idle_timeout;
    let stats = at_first.stats.clone();
    let service = service_fn(move |request| {
        // A connection outlives changes of its listener; each request goes by what is in force when it comes.
        let context = match &**served.load() {
            Served::Http(context) => context.clone(),
            Served::Tcp(_) => at_first.clone(),
        };
        async move { Ok::<_, Infallible>(handle(context, ends, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(HEADER_BYTES_MAX)
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
        debug!(peer = %ends.peer, %error, "connection ended early");
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
