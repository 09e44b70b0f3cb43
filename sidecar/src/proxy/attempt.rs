//! One try to get an answer from one host.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use sidelight_telemetry::Exchange;

use super::answer::Lease;
use super::body::UpstreamBody;
use super::local_reply::{self, LocalReply, Reset};
use crate::upstream::connections::{ConnectError, Connection};
use crate::upstream::{Host, LiveCluster};

/// Why a try failed, with the request where nothing of it was sent.
#[derive(Debug)]
pub struct Failed {
    pub why: Why,
    pub unsent: Option<Box<Request<UpstreamBody>>>,
}

#[derive(Debug)]
pub enum Why {
    Connect(ConnectError),
    Reset(Reset),
    PerTryTimeout,
}

impl Why {
    pub fn reply(&self, retried: bool) -> LocalReply {
        match self {
            Self::Connect(error) => local_reply::connect_failed(error, retried),
            Self::Reset(reset) => local_reply::reset(*reset, retried),
            Self::PerTryTimeout => local_reply::per_try_timeout(),
        }
    }
}

/// Sends the request over a pooled or a new connection and waits for the head of the answer.
pub async fn attempt(
    cluster: &Arc<LiveCluster>,
    host: Arc<Host>,
    mut request: Request<UpstreamBody>,
    exchange: &mut Exchange,
) -> Result<(Response<Incoming>, Lease), Failed> {
    let Ok(slot) = cluster.slot().await else {
        return Err(Failed { why: Why::Reset(Reset::Overflow), unsent: Some(Box::new(request)) });
    };
    let mut lease = Lease::new(cluster.clone(), host.clone(), slot);
    loop {
        let (mut connection, reused) = match connection_to(cluster, &host).await {
            Ok(connection) => connection,
            Err(error) => {
                if let Some(reason) = error.transport_reason() {
                    exchange.upstream_failed(reason);
                }
                host.connections.stats.rq_error.inc();
                return Err(Failed { why: Why::Connect(error), unsent: Some(Box::new(request)) });
            }
        };
        exchange.upstream_connected(Some(connection.local_address), None);
        match connection.sender.try_send_request(request).await {
            Ok(response) => {
                lease.connection = Some(connection);
                return Ok((response, lease));
            }
            Err(mut error) => match error.take_message() {
                // The other side closed an idle connection in this very moment: nothing was sent, so try afresh.
                Some(unsent) if reused => request = unsent,
                unsent => {
                    cluster.stats.rq_rx_reset.inc();
                    host.connections.stats.rq_error.inc();
                    return Err(Failed { why: Why::Reset(kind_of(error.error())), unsent: unsent.map(Box::new) });
                }
            },
        }
    }
}

async fn connection_to(cluster: &Arc<LiveCluster>, host: &Arc<Host>) -> Result<(Connection, bool), ConnectError> {
    if let Some(connection) = host.connections.reuse(cluster.config.idle_timeout) {
        return Ok((connection, true));
    }
    let timeout = cluster.config.connect_timeout;
    let connection = host.connections.connect(&cluster.stats, timeout).await?;
    Ok((connection, false))
}

fn kind_of(error: &hyper::Error) -> Reset {
    match error.is_parse() || error.is_parse_too_large() {
        true => Reset::Protocol,
        false => Reset::Terminated,
    }
}
