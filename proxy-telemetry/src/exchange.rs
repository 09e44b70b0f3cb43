//! One request from its first byte to its last: filled while it passes, recorded once, at its end.

mod finish;
mod grpc;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body::Body;

use crate::body::{CountedBody, ExchangeBody};
use crate::context::{self, TraceContext};
use crate::flags::{ResponseFlag, ResponseFlags};
use crate::labels::{ClusterInfo, Reporter, RouteKind, TlsIdentity};
use crate::peer::{self, Peer, Received};
use crate::record::{Captured, Record, RequestHead, Times, header_bytes};
use crate::request_id::{self, Decision, X_REQUEST_ID};
use crate::settings::Active;
use crate::telemetry::Telemetry;

const DECORATOR: HeaderName = HeaderName::from_static("x-envoy-decorator-operation");
const SERVICE_TIME: HeaderName = HeaderName::from_static("x-envoy-upstream-service-time");

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The response went out to its end.
    Complete,
    /// The client went away first: flag `DC`, and code 0 when no response was started.
    Abandoned,
}

/// One request and its response. Dropped without [`finish`](Self::finish), it is recorded as abandoned.
///
/// The order of calls on the usual way:
/// [`Telemetry::start`], [`set_route`](Self::set_route), [`set_cluster`](Self::set_cluster),
/// [`set_upstream`](Self::set_upstream), [`inject`](Self::inject) into the headers for the next hop,
/// [`count_request`](Self::count_request) around the request's body,
/// [`upstream_connected`](Self::upstream_connected), [`upstream_response`](Self::upstream_response),
/// and [`finish_with`](Self::finish_with) around the response's body.
/// A local reply is [`flag`](Self::flag), [`local_response`](Self::local_response), `finish_with`.
pub struct Exchange {
    pub(crate) telemetry: Telemetry,
    pub(crate) active: Arc<Active>,
    pub(crate) record: Box<Record>,
    pub(crate) progress: Arc<Progress>,
    started: Instant,
    request_id: HeaderValue,
    trace: Option<TraceContext>,
    upstream_trace: Option<TraceContext>,
    received: Received,
    /// Whether the response tells the client our operation: not if the client named one itself.
    answers_operation: bool,
    finished: bool,
}

/// What bodies count while the exchange is elsewhere.
#[derive(Debug)]
pub(crate) struct Progress {
    pub started: Instant,
    pub request_bytes: AtomicU64,
    /// Microseconds after the start, and one; 0 while the request is still coming.
    request_end_us: AtomicU64,
}

impl Progress {
    pub(crate) fn request_ended(&self) {
        let us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX - 1);
        // The first end counts.
        let _ = self.request_end_us.compare_exchange(0, us + 1, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(crate) fn request_end(&self) -> Option<Duration> {
        self.request_end_us.load(Ordering::Relaxed).checked_sub(1).map(Duration::from_micros)
    }
}

impl Exchange {
    pub(crate) fn start(telemetry: &Telemetry, reporter: Reporter, head: &RequestHead<'_>, started: Instant) -> Self {
        let shared = &telemetry.0;
        let active = shared.active.load_full();
        let id = request_id::request_id(head.headers, shared.replaces_request_id(&active.settings));
        let (id, trace) = begin_trace(&active, id, head);
        let server = reporter == Reporter::Destination;
        let mut exchange = Self {
            telemetry: telemetry.clone(),
            record: Box::new(new_record(reporter, head)),
            progress: Arc::new(Progress { started, request_bytes: AtomicU64::new(0), request_end_us: AtomicU64::new(0) }),
            started,
            request_id: id,
            trace,
            upstream_trace: None,
            received: if server { Received::of(head.headers) } else { Received::default() },
            answers_operation: true,
            finished: false,
            active,
        };
        if server {
            exchange.record.peer = shared.peers.read(head.headers);
        }
        exchange.record.trace_id = exchange.trace.map(|t| t.trace_id);
        exchange.capture_request(head.headers);
        exchange
    }

    /// The request id that this request has from now on.
    #[must_use]
    pub fn request_id(&self) -> &HeaderValue {
        &self.request_id
    }

    /// This proxy's span; `None` without tracing or with ids that cannot be read.
    #[must_use]
    pub fn trace(&self) -> Option<&TraceContext> {
        self.trace.as_ref()
    }

    /// What is known so far.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The matched route: its name, and the operation of its decorator.
    pub fn set_route(&mut self, name: Option<Arc<str>>, operation: Option<Arc<str>>) {
        self.record.route_kind = name.as_deref().map_or(RouteKind::Named, RouteKind::of);
        self.record.route_name = name.filter(|name| !name.is_empty());
        self.record.operation = operation.filter(|operation| !operation.is_empty());
    }

    /// The cluster that the route selected; to be set even if no host is reached afterwards.
    pub fn set_cluster(&mut self, cluster: Arc<ClusterInfo>) {
        self.record.cluster = Some(cluster);
    }

    /// The path under which the request is sent on; logs and spans keep the original one.
    pub fn set_rewritten_path(&mut self, path: &str) {
        self.record.rewritten_path = (path != &*self.record.path).then(|| path.into());
    }

    /// The chosen host, and what the control plane says of it. Once per attempt.
    pub fn set_upstream(&mut self, host: SocketAddr, endpoint: Option<Arc<Peer>>) {
        self.record.upstream_host = Some(host);
        self.record.endpoint = endpoint;
        self.record.upstream_connected = false;
        self.record.upstream_local = None;
        // What an earlier attempt failed of is not said of this one.
        self.record.upstream_failure = None;
        self.record.attempts += 1;
    }

    /// The connection to the chosen host stands.
    pub fn upstream_connected(&mut self, local: Option<SocketAddr>, tls: Option<Arc<TlsIdentity>>) {
        self.record.upstream_connected = true;
        self.record.upstream_local = local;
        self.record.upstream_tls = tls;
    }

    /// The connection to the chosen host failed, with the transport's own words
    /// such as `delayed connect error: Connection refused`.
    pub fn upstream_failed(&mut self, reason: impl Into<Cow<'static, str>>) {
        self.record.upstream_failure = Some(reason.into());
    }

    /// Sets the other side by hand, for whoever learned it elsewhere than from headers.
    pub fn set_peer(&mut self, peer: Arc<Peer>) {
        self.record.peer = Some(peer);
    }

    /// Adds a response flag.
    pub fn flag(&mut self, flag: ResponseFlag) {
        self.record.flags.set(flag);
    }

    /// Sets `RESPONSE_CODE_DETAILS`, over whatever was there.
    pub fn details(&mut self, details: impl Into<Cow<'static, str>>) {
        self.record.details = Some(details.into());
    }

    /// Sets `CONNECTION_TERMINATION_DETAILS`.
    pub fn termination_details(&mut self, details: impl Into<Cow<'static, str>>) {
        self.record.termination_details = Some(details.into());
    }

    /// Completes the headers for the next hop: request id, trace, peer metadata and operation.
    /// On the server side it removes what only proxies tell each other. Call it after the proxy's own edits.
    pub fn inject(&mut self, headers: &mut HeaderMap) {
        headers.insert(X_REQUEST_ID, self.request_id.clone());
        self.inject_trace(headers);
        match self.record.reporter {
            Reporter::Source => self.inject_outbound(headers),
            Reporter::Destination => self.take_inbound(headers),
        }
        self.capture_request(headers);
        self.record.times.upstream_start.get_or_insert(self.started.elapsed());
    }

    /// The upstream answered. Reads what its proxy says of itself, completes the headers for the client,
    /// and sets details `via_upstream` unless others are set.
    pub fn upstream_response(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        let now = self.started.elapsed();
        self.record.times.upstream_first = Some(now);
        self.record.details.get_or_insert(Cow::Borrowed("via_upstream"));
        let sent = self.progress.request_end().or(self.record.times.upstream_start);
        let service_time = now.saturating_sub(sent.unwrap_or_default());
        let ms = u64::try_from(service_time.as_millis()).unwrap_or(u64::MAX);
        headers.insert(SERVICE_TIME, HeaderValue::from(ms));
        if self.record.reporter == Reporter::Source {
            self.take_response(headers);
        }
        self.respond(status, headers);
    }

    /// The proxy itself answers. Set flags and details before or after.
    pub fn local_response(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        self.respond(status, headers);
    }

    /// Counts the bytes of the request's body, and when it ended. Once per attempt; what is sent again counts once.
    #[must_use]
    pub fn count_request<B: Body + Unpin>(&self, body: B) -> CountedBody<B> {
        CountedBody::new(body, Arc::clone(&self.progress))
    }

    /// Adds bytes that passed outside of the bodies, as in a tunnel.
    pub fn add_bytes(&mut self, received: u64, sent: u64) {
        self.progress.request_bytes.fetch_add(received, Ordering::Relaxed);
        self.record.bytes_sent += sent;
    }

    /// Binds the exchange to the response's body: it is finished with the last byte, or abandoned with the body.
    #[must_use]
    pub fn finish_with<B: Body + Unpin>(self, body: B) -> ExchangeBody<B> {
        ExchangeBody::new(body, self)
    }

    /// Ends the exchange and records it.
    pub fn finish(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    /// Whether the response has no body whatever its headers say.
    pub(crate) fn is_bodiless(&self) -> bool {
        &*self.record.method == "HEAD" || matches!(self.record.code, 100..=199 | 204 | 304)
    }

    fn inject_trace(&mut self, headers: &mut HeaderMap) {
        let Some(trace) = self.trace else {
            return;
        };
        let spawns = self.active.settings.tracing.as_ref().is_some_and(|t| t.spawn_upstream_span);
        if spawns {
            self.upstream_trace = Some(trace.child());
        }
        self.upstream_trace.unwrap_or(trace).inject(headers);
    }

    fn inject_outbound(&self, headers: &mut HeaderMap) {
        if self.record.cluster.as_ref().is_none_or(|cluster| cluster.exchange) {
            self.telemetry.0.own.add(headers);
        } else {
            peer::strip(headers);
        }
        if let Some(operation) = self.told_operation() {
            headers.insert(DECORATOR, operation);
        }
    }

    fn take_inbound(&mut self, headers: &mut HeaderMap) {
        peer::strip(headers);
        if let Some(operation) = headers.remove(DECORATOR)
            && let Some(text) = text_of(&operation)
        {
            self.record.operation = Some(text.into());
            self.answers_operation = false;
        }
    }

    fn take_response(&mut self, headers: &mut HeaderMap) {
        if let Some(peer) = self.telemetry.0.peers.read(headers) {
            self.record.peer = Some(peer);
        }
        peer::strip(headers);
        if let Some(operation) = headers.remove(DECORATOR)
            && let Some(text) = text_of(&operation)
        {
            self.record.operation = Some(text.into());
        }
    }

    fn respond(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        if self.record.reporter == Reporter::Destination {
            self.telemetry.0.own.answer(self.received, headers);
            if self.answers_operation
                && let Some(operation) = self.told_operation()
            {
                headers.insert(DECORATOR, operation);
            }
        }
        let record = &mut self.record;
        record.code = status.as_u16();
        record.response_headers = Captured::of(headers, &self.active.response_headers);
        record.response_head_bytes = status_line_bytes(status) + header_bytes(headers);
        self.take_grpc_status(headers);
    }

    /// The operation for the other proxy; only tracing proxies tell it.
    fn told_operation(&self) -> Option<HeaderValue> {
        self.active.settings.tracing.as_ref()?;
        HeaderValue::from_str(self.record.operation.as_deref()?).ok()
    }

    fn capture_request(&mut self, headers: &HeaderMap) {
        let mut captured = Captured::of(headers, &self.active.request_headers);
        captured.set(X_REQUEST_ID, self.request_id.clone());
        self.record.request_headers = captured;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.end(Outcome::Abandoned);
    }
}

fn begin_trace(active: &Active, id: HeaderValue, head: &RequestHead<'_>) -> (HeaderValue, Option<TraceContext>) {
    let Some(tracing) = &active.settings.tracing else {
        return (id, None);
    };
    let Decision { id, traced } = request_id::decide(id, head.headers, head.internal, tracing.gates());
    let incoming = context::extract(head.headers, tracing.context);
    (id, incoming.begin(traced, tracing.context))
}

fn new_record(reporter: Reporter, head: &RequestHead<'_>) -> Record {
    let content_type = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    Record {
        reporter,
        started: SystemTime::now(),
        times: Times::default(),
        method: head.method.into(),
        path: head.path.into(),
        rewritten_path: None,
        authority: head.authority.into(),
        scheme: head.scheme.into(),
        protocol: head.protocol,
        request_headers: Captured::default(),
        response_headers: Captured::default(),
        code: 0,
        grpc: content_type.is_some_and(grpc::is_grpc),
        grpc_status: None,
        grpc_message: None,
        details: None,
        termination_details: None,
        flags: ResponseFlags::default(),
        route_name: None,
        route_kind: RouteKind::default(),
        operation: None,
        cluster: None,
        upstream_host: None,
        upstream_connected: false,
        upstream_local: None,
        upstream_failure: None,
        upstream_tls: None,
        attempts: 0,
        downstream: head.downstream.clone(),
        peer: None,
        endpoint: None,
        bytes_received: 0,
        bytes_sent: 0,
        request_head_bytes: request_line_bytes(head) + header_bytes(head.headers),
        response_head_bytes: 0,
        trace_id: None,
    }
}

/// `GET /path HTTP/1.1` and the line's end.
fn request_line_bytes(head: &RequestHead<'_>) -> u64 {
    (head.method.len() + head.path.len() + "  HTTP/1.1\r\n".len()) as u64
}

/// `HTTP/1.1 200 OK` and the line's end.
fn status_line_bytes(status: StatusCode) -> u64 {
    let reason = status.canonical_reason().unwrap_or_default();
    ("HTTP/1.1 200 \r\n".len() + reason.len()) as u64
}

fn text_of(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
