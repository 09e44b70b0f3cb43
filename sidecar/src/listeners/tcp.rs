//! Copies one connection to a host of a cluster, byte for byte, until either side ends or the listener drains.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::TcpContext;
use crate::proxy::COPY_BYTES;
use crate::proxy::answer::Lease;
use crate::upstream::connections::connect_tcp;

/// A drained connection may go on for this long.
const DRAIN: Duration = Duration::from_secs(5);

pub async fn relay(context: Arc<TcpContext>, mut client: TcpStream, stop: CancellationToken) {
    let name = &context.proxy.cluster;
    let Some(cluster) = context.shared.upstreams.find(name) else {
        debug!(cluster = &**name, "no such cluster");
        return;
    };
    let Some(host) = cluster.pick(None) else {
        cluster.stats.cx_none_healthy.inc();
        return;
    };
    let Ok(slot) = cluster.slot().await else { return };
    let mut server = match connect_tcp(host.address, cluster.config.connect_timeout).await {
        Ok(server) => server,
        Err(error) => {
            cluster.stats.cx_connect_fail.inc();
            debug!(cluster = &**name, %error, "not connected");
            return;
        }
    };
    cluster.stats.cx_total.inc();
    let _lease = Lease::new(cluster, host, slot);
    // An error only means that one side went away without a good-bye.
    let copy = copy_bidirectional_with_sizes(&mut client, &mut server, COPY_BYTES, COPY_BYTES);
    tokio::pin!(copy);
    tokio::select! {
        _ = copy.as_mut() => {}
        () = stop.cancelled() => {
            let _ = tokio::time::timeout(DRAIN, copy).await;
        }
    }
}
