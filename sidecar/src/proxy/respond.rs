//! Hands an answer to the client: headers of ours, counters, and the exchange bound to the body.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use sidelight_telemetry::{Exchange, ExchangeBody, Outcome};

use super::answer::{AnswerBody, AnswerError, UpstreamAnswer};
use super::forward::Answered;
use super::headers::{OVERLOADED, drop_length_beside_chunks, strip_hop_by_hop};
use super::local_reply::LocalReply;
use super::{Answer, Context};
use crate::config::route::Route;
use crate::config::route_action::WeightedCluster;

/// What the route changes in the answer's headers.
pub struct Changes<'a> {
    pub route: &'a Route,
    pub weighted: Option<&'a WeightedCluster>,
}

impl Changes<'_> {
    pub fn apply(&self, headers: &mut HeaderMap) {
        if let Some(weighted) = self.weighted {
            weighted.response_headers.apply(headers);
        }
        self.route.response_headers.apply(headers);
    }
}

/// An answer of our own; the route's header changes apply to answers that the route itself gives.
pub fn local(context: &Context, mut exchange: Exchange, reply: LocalReply, route: Option<&Route>) -> Answer {
    if reply.abandoned {
        exchange.finish(Outcome::Abandoned);
        let mut response = Response::new(ExchangeBody::detached(AnswerBody::Local(Full::default())));
        *response.status_mut() = reply.status;
        return response;
    }
    if let Some(flag) = reply.flag {
        exchange.flag(flag);
    }
    if !reply.details.is_empty() {
        exchange.details(reply.details.clone());
    }
    if let Some(reason) = &reply.transport_failure {
        exchange.upstream_failed(reason.clone());
    }
    context.stats.codes.record(reply.status.as_u16());
    let (status, mut headers, body) = match exchange.record().grpc {
        true => as_grpc(&reply),
        false => as_text(&reply),
    };
    if let Some(route) = route {
        route.response_headers.apply(&mut headers);
    }
    headers.insert(header::SERVER, context.http.server_name.clone());
    exchange.local_response(status, &mut headers);
    finish(status, headers, AnswerBody::Local(Full::new(body)), exchange)
}

fn as_text(reply: &LocalReply) -> (StatusCode, HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    if !reply.body.is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(reply.body.len()));
    if let Some(location) = &reply.location {
        headers.insert(header::LOCATION, location.clone());
    }
    if reply.overloaded {
        headers.insert(OVERLOADED, HeaderValue::from_static("true"));
    }
    if reply.close {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    (reply.status, headers, reply.body.clone())
}

/// A gRPC client reads its error from headers of an answer with status 200.
fn as_grpc(reply: &LocalReply) -> (StatusCode, HeaderMap, Bytes) {
    let status = match reply.status.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2u16,
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(status));
    if let Ok(message) = HeaderValue::from_bytes(&reply.body)
        && !message.is_empty()
    {
        headers.insert("grpc-message", message);
    }
    (StatusCode::OK, headers, Bytes::new())
}

/// The upstream's answer, streamed.
pub fn upstream(context: &Context, mut exchange: Exchange, answered: Answered, changes: Changes<'_>) -> Answer {
    let (parts, body) = answered.response.into_parts();
    let mut headers = parts.headers;
    count(context, parts.status, &answered.lease);
    drop_length_beside_chunks(&mut headers);
    strip_hop_by_hop(&mut headers);
    prepare(context, &mut headers, &changes);
    exchange.upstream_response(parts.status, &mut headers);
    let body = UpstreamAnswer::new(body, answered.lease, answered.deadline);
    finish(parts.status, headers, AnswerBody::Upstream(body), exchange)
}

pub fn count(context: &Context, status: StatusCode, lease: &super::answer::Lease) {
    let code = status.as_u16();
    context.stats.codes.record(code);
    let cluster = &lease.cluster.stats;
    cluster.codes.record(code);
    cluster.rq_completed.inc();
    let host = &lease.host.connections.stats;
    match code < 500 {
        true => host.rq_success.inc(),
        false => host.rq_error.inc(),
    }
}

pub fn prepare(context: &Context, headers: &mut HeaderMap, changes: &Changes<'_>) {
    changes.apply(headers);
    headers.insert(header::SERVER, context.http.server_name.clone());
}

fn finish(status: StatusCode, headers: HeaderMap, body: AnswerBody, exchange: Exchange) -> Answer {
    let mut response = Response::new(exchange.finish_with(body).classify_errors(AnswerError::classify));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
