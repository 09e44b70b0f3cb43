//! Connections that stop being HTTP: CONNECT and upgraded protocols, copied byte for byte until either side ends.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use sidelight_telemetry::{Exchange, Outcome};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes};
use tokio_util::io::InspectReader;

use super::answer::{AnswerBody, Lease};
use super::forward::{Answered, choose};
use super::local_reply;
use super::respond::{self, Changes};
use super::{Answer, Context, Work};
use crate::upstream::LiveCluster;
use crate::upstream::connections::connect_tcp;

/// Bytes copied at once in each direction; measured against smaller ones, it halves the CPU per byte.
pub const COPY_BYTES: usize = 64 * 1024;

/// Opens a TCP connection to where the client points and answers 200 before the first byte of it.
pub async fn connect(work: Work<'_>, cluster: Arc<LiveCluster>, mut exchange: Exchange) -> Answer {
    let context = work.context;
    let destination = super::destination(context, work.head, work.ends);
    let (host, slot) = match choose(&cluster, destination, None).await {
        Ok(host) => match cluster.slot().await {
            Ok(slot) => (host, slot),
            Err(_) => {
                let reply = local_reply::reset(local_reply::Reset::Overflow, false);
                return respond::local(context, exchange, reply, None);
            }
        },
        Err(reply) => return respond::local(context, exchange, reply, None),
    };
    exchange.set_upstream(host.address, host.peer.clone());
    let server = match connect_tcp(host.address, cluster.config.connect_timeout).await {
        Ok(server) => server,
        Err(error) => {
            cluster.stats.cx_connect_fail.inc();
            let reply = local_reply::connect_failed(&error, false);
            return respond::local(context, exchange, reply, None);
        }
    };
    exchange.upstream_connected(server.local_addr().ok(), None);
    cluster.stats.cx_total.inc();
    let lease = Lease::new(cluster, host, slot);
    let Some(client) = work.upgrade else {
        return respond::local(context, exchange, local_reply::upgrade_failed(), None);
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::SERVER, context.http.server_name.clone());
    respond::count(context, StatusCode::OK, &lease);
    exchange.upstream_response(StatusCode::OK, &mut headers);
    context.stats.upgrades.inc();
    tokio::spawn(async move {
        if let Ok(client) = client.await {
            relay(TokioIo::new(client), server, exchange).await;
        }
        drop(lease);
    });
    switch(StatusCode::OK, headers)
}

/// Passes the upstream's 101 on and joins both connections.
pub fn upgraded(
    context: &Context,
    mut exchange: Exchange,
    mut answered: Answered,
    changes: Changes<'_>,
    client: OnUpgrade,
) -> Answer {
    let status = answered.response.status();
    let mut headers = answered.response.headers().clone();
    let kind = headers.get(header::UPGRADE).cloned();
    super::headers::strip_hop_by_hop(&mut headers);
    if let Some(kind) = kind {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, kind);
    }
    respond::prepare(context, &mut headers, &changes);
    respond::count(context, status, &answered.lease);
    exchange.upstream_response(status, &mut headers);
    context.stats.upgrades.inc();
    let server = hyper::upgrade::on(&mut answered.response);
    let lease = answered.lease;
    tokio::spawn(async move {
        if let Ok((client, server)) = tokio::try_join!(client, server) {
            relay(TokioIo::new(client), TokioIo::new(server), exchange).await;
        }
        drop(lease);
    });
    switch(status, headers)
}

/// The exchange lives in the relay, so the answer's body ends nothing.
fn switch(status: StatusCode, headers: HeaderMap) -> Answer {
    let mut response = Response::new(sidelight_telemetry::ExchangeBody::detached(AnswerBody::Local(Full::new(Bytes::new()))));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

async fn relay<C, S>(client: C, server: S, mut exchange: Exchange)
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut received, mut sent) = (0, 0);
    let mut client = InspectReader::new(client, |bytes: &[u8]| received += bytes.len() as u64);
    let mut server = InspectReader::new(server, |bytes: &[u8]| sent += bytes.len() as u64);
    // An error only means that one side went away without a good-bye; the bytes that passed count all the same.
    let _ = copy_bidirectional_with_sizes(&mut client, &mut server, COPY_BYTES, COPY_BYTES).await;
    drop((client, server));
    exchange.add_bytes(received, sent);
    exchange.finish(Outcome::Complete);
}
