//! The answer's body on its way to the client, with the connection that it comes from.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use sidelight_telemetry::ResponseFlag;
use thiserror::Error;
use tokio::time::Sleep;

use crate::upstream::cluster::{Host, LiveCluster, Slot};
use crate::upstream::connections::Connection;

#[derive(Debug, Error)]
pub enum AnswerError {
    #[error("the upstream broke off")]
    Upstream(#[from] hyper::Error),
    #[error("the upstream took too long")]
    Timeout,
}

impl AnswerError {
    /// Flag and details of an answer that ends like this.
    pub fn classify(&self) -> (ResponseFlag, &'static str) {
        match self {
            Self::Timeout => (ResponseFlag::UpstreamRequestTimeout, "response_timeout"),
            Self::Upstream(_) => (ResponseFlag::UpstreamProtocolError, "upstream_reset_after_response_started{protocol_error}"),
        }
    }
}

/// A request in flight: it counts as active and holds its connection until the answer is complete.
#[derive(Debug)]
pub struct Lease {
    pub cluster: Arc<LiveCluster>,
    pub host: Arc<Host>,
    pub connection: Option<Connection>,
    _slot: Slot,
}

impl Lease {
    pub fn new(cluster: Arc<LiveCluster>, host: Arc<Host>, slot: Slot) -> Self {
        cluster.stats.rq_total.inc();
        cluster.stats.rq_active.inc();
        host.connections.stats.rq_total.inc();
        host.connections.stats.rq_active.inc();
        Self { cluster, host, connection: None, _slot: slot }
    }

    fn complete(mut self) {
        if let Some(connection) = self.connection.take() {
            let served_max = self.cluster.config.requests_per_connection_max;
            self.host.connections.give_back(connection, served_max);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.cluster.stats.rq_active.dec();
        self.host.connections.stats.rq_active.dec();
    }
}

/// What a client receives.
#[derive(Debug)]
pub enum AnswerBody {
    Local(Full<Bytes>),
    Upstream(UpstreamAnswer),
}

#[derive(Debug)]
pub struct UpstreamAnswer {
    inner: Incoming,
    lease: Option<Lease>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl UpstreamAnswer {
    pub fn new(inner: Incoming, lease: Lease, deadline: Option<Instant>) -> Self {
        let mut answer =
            Self { deadline: deadline.map(|at| Box::pin(tokio::time::sleep_until(at.into()))), lease: Some(lease), inner };
        answer.release_at_end();
        answer
    }

    fn release_at_end(&mut self) {
        if self.inner.is_end_stream()
            && let Some(lease) = self.lease.take()
        {
            lease.complete();
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            match &frame {
                Some(Ok(_)) => self.release_at_end(),
                None => {
                    if let Some(lease) = self.lease.take() {
                        lease.complete();
                    }
                }
                // The connection goes with its lease.
                Some(Err(_)) => drop(self.lease.take()),
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(AnswerError::from)));
        }
        let Some(deadline) = self.deadline.as_mut() else {
            return Poll::Pending;
        };
        ready!(deadline.as_mut().poll(cx));
        self.deadline = None;
        if let Some(lease) = self.lease.take() {
            lease.cluster.stats.rq_timeout.inc();
        }
        Poll::Ready(Some(Err(AnswerError::Timeout)))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        match self.get_mut() {
            Self::Upstream(answer) => answer.poll_frame(cx),
            Self::Local(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(|never| match never {})))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Upstream(answer) => answer.inner.is_end_stream(),
            Self::Local(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Upstream(answer) => answer.inner.size_hint(),
            Self::Local(body) => body.size_hint(),
        }
    }
}
