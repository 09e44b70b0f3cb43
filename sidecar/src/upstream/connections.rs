//! Open connections to one host: handed out for one request, taken back when its answer is complete.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::net::TcpStream;

use super::stats::{ClusterStats, HostStats};
use crate::proxy::body::UpstreamBody;

/// Idle connections kept to one host; a further one is closed when it comes back.
const IDLE_MAX: usize = 256;
/// How long a connection may take to become ready for its next request before it is given up.
const READY_TIMEOUT: Duration = Duration::from_secs(1);
/// Headers of an upstream's answer; their number is 100, hyper's own default as well as Envoy's.
const HEADER_BYTES_MAX: usize = 64 * 1024;

pub type Sender = http1::SendRequest<UpstreamBody>;

#[derive(Debug)]
pub struct Connections {
    address: SocketAddr,
    /// Shared with the drivers of connections, which must not keep the idle ones alive.
    pub stats: Arc<HostStats>,
    /// The lock is held for a push or a pop, never across an await.
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

/// One connection, in the hands of one request.
#[derive(Debug)]
pub struct Connection {
    pub sender: Sender,
    pub local_address: SocketAddr,
    pub served: u32,
}

#[derive(Debug, Error)]
pub enum ConnectError {
    #[error("connection timeout")]
    Timeout,
    #[error("{0}")]
    Failed(#[source] io::Error),
}

impl ConnectError {
    /// Envoy's transport failure reason; nothing for a timeout.
    pub fn transport_reason(&self) -> Option<String> {
        match self {
            Self::Timeout => None,
            Self::Failed(error) => {
                let text = error.to_string();
                let bare = text.split(" (os error").next().unwrap_or(&text);
                Some(format!("delayed connect error: {bare}"))
            }
        }
    }
}

impl Connections {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stats: Arc::default(), idle: Mutex::default() }
    }

    /// The connection that was used last and is still usable.
    pub fn reuse(&self, idle_timeout: Duration) -> Option<Connection> {
        let mut idle = self.idle.lock();
        while let Some(entry) = idle.pop() {
            if entry.since.elapsed() < idle_timeout && entry.connection.sender.is_ready() {
                return Some(entry.connection);
            }
        }
        None
    }

    pub async fn connect(self: &Arc<Self>, cluster: &Arc<ClusterStats>, timeout: Duration) -> Result<Connection, ConnectError> {
        let stream = connect_tcp(self.address, timeout).await.inspect_err(|error| {
            self.stats.cx_connect_fail.inc();
            cluster.cx_connect_fail.inc();
            if matches!(error, ConnectError::Timeout) {
                cluster.cx_connect_timeout.inc();
            }
        })?;
        let local_address = stream.local_addr().map_err(ConnectError::Failed)?;
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(HEADER_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| ConnectError::Failed(io::Error::other(error)))?;
        let open = Open::new(self.stats.clone(), cluster.clone());
        tokio::spawn(async move {
            // Errors reach the request that uses the connection; an idle one just ends.
            let _ = driver.with_upgrades().await;
            drop(open);
        });
        Ok(Connection { sender, local_address, served: 0 })
    }

    /// Takes a connection back; it may need a moment to become ready again.
    pub fn give_back(self: &Arc<Self>, mut connection: Connection, served_max: Option<u32>) {
        connection.served += 1;
        if served_max.is_some_and(|max| connection.served >= max) || connection.sender.is_closed() {
            return;
        }
        if connection.sender.is_ready() {
            return self.keep(connection);
        }
        let connections = Arc::downgrade(self);
        tokio::spawn(async move {
            let ready = tokio::time::timeout(READY_TIMEOUT, connection.sender.ready()).await;
            if let (Ok(Ok(())), Some(connections)) = (ready, connections.upgrade()) {
                connections.keep(connection);
            }
        });
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }

    /// Closes what has been idle for too long or was closed by the other side; tells how many of the former.
    pub fn sweep(&self, idle_timeout: Duration) -> u64 {
        let mut idle = self.idle.lock();
        idle.retain(|entry| !entry.connection.sender.is_closed());
        let before = idle.len();
        idle.retain(|entry| entry.since.elapsed() < idle_timeout);
        (before - idle.len()) as u64
    }

    /// No request is in flight and no connection is open.
    pub fn is_unused(&self) -> bool {
        self.stats.rq_active.get() == 0 && self.stats.cx_active.get() == 0
    }

    #[cfg(test)]
    pub fn idle_len(&self) -> usize {
        self.idle.lock().len()
    }
}

pub async fn connect_tcp(address: SocketAddr, timeout: Duration) -> Result<TcpStream, ConnectError> {
    let stream = tokio::time::timeout(timeout, TcpStream::connect(address))
        .await
        .map_err(|_| ConnectError::Timeout)?
        .map_err(ConnectError::Failed)?;
    stream.set_nodelay(true).map_err(ConnectError::Failed)?;
    Ok(stream)
}

/// Counts a connection as open as long as its driver lives.
struct Open(Arc<HostStats>, Arc<ClusterStats>);

impl Open {
    fn new(host: Arc<HostStats>, cluster: Arc<ClusterStats>) -> Self {
        host.cx_total.inc();
        host.cx_active.inc();
        cluster.cx_total.inc();
        cluster.cx_active.inc();
        Self(host, cluster)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.cx_active.dec();
        self.1.cx_active.dec();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refused_connection_says_so_in_envoys_words() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let connections = Arc::new(Connections::new(address));
        let cluster = Arc::new(ClusterStats::default());
        let error = connections.connect(&cluster, Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(error.transport_reason().as_deref(), Some("delayed connect error: Connection refused"));
        assert_eq!(cluster.cx_connect_fail.get(), 1);
        assert_eq!(cluster.cx_active.get(), 0);
    }

    #[tokio::test]
    async fn a_connection_comes_back_once_and_closed_ones_are_not_kept() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connections = Arc::new(Connections::new(listener.local_addr().unwrap()));
        let cluster = Arc::new(ClusterStats::default());
        let mut connection = connections.connect(&cluster, Duration::from_secs(1)).await.unwrap();
        let (peer, _) = listener.accept().await.unwrap();
        connection.sender.ready().await.unwrap();
        connections.give_back(connection, None);
        assert_eq!(connections.idle_len(), 1);
        drop(peer);
        while cluster.cx_active.get() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(connections.reuse(Duration::from_secs(60)).is_none());
    }

    #[tokio::test]
    async fn a_host_that_leaves_closes_its_idle_connections() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connections = Arc::new(Connections::new(listener.local_addr().unwrap()));
        let cluster = Arc::new(ClusterStats::default());
        let mut connection = connections.connect(&cluster, Duration::from_secs(1)).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        connection.sender.ready().await.unwrap();
        connections.give_back(connection, None);
        assert_eq!(connections.idle_len(), 1);
        drop(connections);
        let mut nothing = [0; 1];
        let end = tokio::time::timeout(Duration::from_secs(5), tokio::io::AsyncReadExt::read(&mut peer, &mut nothing));
        assert_eq!(end.await.expect("the connection is closed").unwrap(), 0);
        while cluster.cx_active.get() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
