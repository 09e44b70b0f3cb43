//! Sends a request to a cluster, again if the route allows it, and turns failures into local replies.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, Request, Response, Uri};
use hyper::body::Incoming;
use rand::Rng;
use sidelight_telemetry::{Exchange, ResponseFlag};

use super::answer::Lease;
use super::attempt::{Failed, Why, attempt};
use super::body::{BodyWatch, RequestBody, UpstreamBody};
use super::destination::{Destination, Nowhere};
use super::headers::{ATTEMPT_COUNT, frame_request, number};
use super::local_reply::{self, LocalReply, Reset};
use crate::config::cluster::Discovery;
use crate::config::retry::RetryPolicy;
use crate::upstream::{Host, LiveCluster};

/// A request ready to be sent, and everything that decides on its way.
pub struct Outgoing<'a> {
    pub cluster: Arc<LiveCluster>,
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Incoming,
    pub destination: Destination<'a>,
    pub timeout: Option<Duration>,
    pub retry: Option<&'a RetryPolicy>,
    pub tells_attempt: bool,
}

/// The head of the answer, with what its body needs.
pub struct Answered {
    pub response: Response<Incoming>,
    pub lease: Lease,
    pub deadline: Option<Instant>,
}

pub async fn forward(outgoing: Outgoing<'_>, exchange: &mut Exchange) -> Result<Answered, LocalReply> {
    let watch = Arc::new(BodyWatch::default());
    let timeout = outgoing.timeout;
    let cluster = outgoing.cluster.clone();
    let result = tokio::select! {
        result = tries(outgoing, watch.clone(), exchange) => result,
        () = timed_out(&watch, timeout) => {
            cluster.stats.rq_timeout.inc();
            return Err(local_reply::response_timeout());
        }
    };
    let (response, lease) = match result {
        Err(_) if watch.failed() => return Err(local_reply::client_gone()),
        other => other?,
    };
    let deadline = timeout.and_then(|timeout| Some(watch.ended()? + timeout));
    Ok(Answered { response, lease, deadline })
}

/// The time counts from the end of the request.
async fn timed_out(watch: &BodyWatch, timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => {
            watch.wait_end().await;
            tokio::time::sleep(timeout).await;
        }
        None => std::future::pending().await,
    }
}

type Answer = Result<(Response<Incoming>, Lease), LocalReply>;

async fn tries(outgoing: Outgoing<'_>, watch: Arc<BodyWatch>, exchange: &mut Exchange) -> Answer {
    let Outgoing { cluster, retry, .. } = &outgoing;
    let (cluster, retry) = (cluster.clone(), *retry);
    let retries_max = retry.map_or(0, |policy| policy.retries_max);
    let mut avoid = None;
    let mut tried = 0;
    let body = RequestBody::new(outgoing.body, watch.clone());
    let repeatable = body.is_empty();
    let mut headers = outgoing.headers;
    frame_request(&mut headers, !repeatable);
    let template = Template { method: outgoing.method, uri: outgoing.uri, headers, tells_attempt: outgoing.tells_attempt };
    let mut next = Some(template.request(exchange.count_request(body), 1));
    loop {
        let host = choose(&cluster, outgoing.destination, avoid.as_ref()).await?;
        exchange.set_upstream(host.address, host.peer.clone());
        let request = match next.take() {
            Some(request) => request,
            None => {
                let body = RequestBody::empty(watch.clone());
                template.request(exchange.count_request(body), tried + 1)
            }
        };
        let result = one_try(&cluster, host.clone(), request, retry, exchange).await;
        tried += 1;
        let last = tried > retries_max;
        match judge(result, retry, repeatable) {
            Judged::Final(answer) => {
                if answer.is_ok() && tried > 1 {
                    cluster.stats.rq_retry_success.inc();
                }
                return answer.map_err(|why| failure(&cluster, &why, tried > 1));
            }
            Judged::Again(answer, unsent) if last => {
                if retries_max > 0 {
                    exchange.flag(ResponseFlag::UpstreamRetryLimitExceeded);
                    cluster.stats.rq_retry_limit_exceeded.inc();
                }
                drop(unsent);
                return answer.map_err(|why| failure(&cluster, &why, tried > 1));
            }
            Judged::Again(_, unsent) => next = unsent.map(|request| *request),
        }
        cluster.stats.rq_retry.inc();
        avoid = Some(host);
        if let Some(policy) = retry {
            tokio::time::sleep(pause(policy, tried)).await;
        }
        if let Some(request) = next.as_mut() {
            template.tell_attempt(request.headers_mut(), tried + 1);
        }
    }
}

/// Exponential back-off with full jitter, as Envoy's.
fn pause(policy: &RetryPolicy, tried: u32) -> Duration {
    let ceiling = policy.back_off_base.saturating_mul(1 << tried.min(16)).min(policy.back_off_max);
    ceiling.mul_f64(rand::rng().random_range(0.0..1.0))
}

fn failure(cluster: &LiveCluster, why: &Why, retried: bool) -> LocalReply {
    match why {
        Why::PerTryTimeout => cluster.stats.rq_per_try_timeout.inc(),
        Why::Reset(Reset::Overflow) | Why::Connect(_) | Why::Reset(_) => {}
    }
    why.reply(retried)
}

async fn one_try(
    cluster: &Arc<LiveCluster>,
    host: Arc<Host>,
    request: Request<UpstreamBody>,
    retry: Option<&RetryPolicy>,
    exchange: &mut Exchange,
) -> Result<(Response<Incoming>, Lease), Failed> {
    let try_once = attempt(cluster, host, request, exchange);
    match retry.and_then(|policy| policy.per_try_timeout) {
        None => try_once.await,
        Some(timeout) => match tokio::time::timeout(timeout, try_once).await {
            Ok(result) => result,
            Err(_) => Err(Failed { why: Why::PerTryTimeout, unsent: None }),
        },
    }
}

enum Judged {
    Final(Result<(Response<Incoming>, Lease), Why>),
    /// Worth another try; with the request where it is still whole.
    Again(Result<(Response<Incoming>, Lease), Why>, Option<Box<Request<UpstreamBody>>>),
}

/// A request with a body can only be repeated while nothing of it was sent.
fn judge(result: Result<(Response<Incoming>, Lease), Failed>, retry: Option<&RetryPolicy>, repeatable: bool) -> Judged {
    let Some(policy) = retry else {
        return Judged::Final(result.map_err(|failed| failed.why));
    };
    match result {
        Ok(answer) if repeatable && policy.on_status(answer.0.status().as_u16()) => Judged::Again(Ok(answer), None),
        Ok(answer) => Judged::Final(Ok(answer)),
        Err(Failed { why, unsent }) => {
            let wanted = match &why {
                Why::Connect(_) => policy.on_connect_failure(),
                Why::Reset(Reset::Overflow) => false,
                Why::Reset(_) => policy.on_reset(unsent.is_some()),
                Why::PerTryTimeout => policy.on_timeout(),
            };
            match wanted && (repeatable || unsent.is_some()) {
                true => Judged::Again(Err(why), unsent),
                false => Judged::Final(Err(why)),
            }
        }
    }
}

/// What every try of one request has in common.
struct Template {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    tells_attempt: bool,
}

impl Template {
    fn request(&self, body: UpstreamBody, number: u32) -> Request<UpstreamBody> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        self.tell_attempt(request.headers_mut(), number);
        request
    }

    fn tell_attempt(&self, headers: &mut HeaderMap, attempt: u32) {
        if self.tells_attempt {
            headers.insert(ATTEMPT_COUNT, number(u64::from(attempt)));
        }
    }
}

/// The host to try; an original-destination cluster goes where the client pointed.
pub async fn choose(
    cluster: &Arc<LiveCluster>,
    destination: Destination<'_>,
    avoid: Option<&Arc<Host>>,
) -> Result<Arc<Host>, LocalReply> {
    let none = || {
        cluster.stats.cx_none_healthy.inc();
        local_reply::no_healthy_upstream()
    };
    if cluster.config.discovery != Discovery::OriginalDestination {
        return cluster.pick(avoid).ok_or_else(none);
    }
    let found = tokio::time::timeout(cluster.config.connect_timeout, destination.address());
    match found.await {
        Ok(Ok(address)) => Ok(cluster.destination(address)),
        Err(_) | Ok(Err(Nowhere::Unresolved)) => Err(local_reply::name_not_resolved()),
        Ok(Err(Nowhere::BadPort | Nowhere::Loop)) => Err(none()),
        Ok(Err(Nowhere::Refused)) => Err(local_reply::destination_refused()),
    }
}
